"""Whatever lies in a knowledge folder: what can be read is taken, the rest is named, the old knowledge serves on."""

import io
import json
import os
import subprocess
import sys
import time
import zipfile

import pytest
from test_retrieval import REPOSITORY, knowing, write

from domain.errors import KnowledgeError
from retrieval.reading import read_articles

SECONDS = 20
"""No file of these tests may take longer, on a busy machine too."""
MB = 1_000_000


def reasons(reading):
    return {skip.where: skip.why for skip in reading.skipped}


def pdf(pages, text="Page {n} says that a refund takes five days."):
    """A PDF of so many pages; an empty text makes it a scan."""
    bodies = {1: b"<< /Type /Catalog /Pages 2 0 R >>", 3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"}
    kids = []
    for n in range(pages):
        page, content = 4 + 2 * n, 5 + 2 * n
        kids.append(b"%d 0 R" % page)
        stream = b"BT /F1 12 Tf 20 100 Td (%s) Tj ET" % text.format(n=n).encode()
        bodies[page] = (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 500 200] /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R >> >> >>" % content
        )
        bodies[content] = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream)
    bodies[2] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), pages)
    data, places = bytearray(b"%PDF-1.4\n"), []
    for number in range(1, len(bodies) + 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, bodies[number])
    table = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    data += b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(bodies) + 1, table)
    return bytes(data)


def docx(*paragraphs, title="", padding=0):
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
    core = (
        '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title></cp:coreProperties>'
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("word/document.xml", f'<w:document xmlns:w="{space}"><w:body>{body}</w:body></w:document>')
        parts.writestr("docProps/core.xml", core)
        if padding:
            parts.writestr("word/header1.xml", b" " * padding)
    return packed.getvalue()


def test_a_docx_gives_its_title_and_text(tmp_path):
    (tmp_path / "a.docx").write_bytes(docx("Refunds take five days.", "Returns are free.", title="Refund times"))
    (tmp_path / "opening-hours.docx").write_bytes(docx("Chúng tôi mở cửa từ thứ Hai đến thứ Bảy."))
    taken = {article.id: article for article in read_articles(tmp_path).articles}
    assert (taken["a"].title, taken["a"].text) == ("Refund times", "Refunds take five days.\n\nReturns are free.")
    assert (taken["opening-hours"].title, taken["opening-hours"].language) == ("opening hours", "vi")


def test_a_docx_that_is_no_zip_a_bomb_or_empty_is_named(tmp_path):
    (tmp_path / "no-zip.docx").write_bytes(b"PK\x03\x04 not a zip")
    (tmp_path / "bomb.docx").write_bytes(docx("small", padding=200 * MB))
    (tmp_path / "pictures.docx").write_bytes(docx())
    (tmp_path / "other.docx").write_bytes(b"")
    lying = bytearray(docx("x" * 5_000))
    at = lying.rfind(b"PK\x01\x02")
    lying[at + 24 : at + 28] = (10).to_bytes(4, "little")
    (tmp_path / "lying.docx").write_bytes(bytes(lying))
    started = time.monotonic()
    reading = read_articles(tmp_path)
    assert time.monotonic() - started < SECONDS
    why = reasons(reading)
    assert "not a readable DOCX" in why["no-zip.docx"]
    assert "unpack to 200 MB" in why["bomb.docx"]
    assert "without text" in why["pictures.docx"]
    assert "not a readable DOCX" in why["other.docx"]
    assert {article.id for article in reading.articles} <= {"lying"}


def test_a_pdf_of_500_pages_is_taken_and_a_scan_is_named(tmp_path):
    (tmp_path / "manual.pdf").write_bytes(pdf(500))
    (tmp_path / "scan.pdf").write_bytes(pdf(30, text=""))
    started = time.monotonic()
    reading = read_articles(tmp_path)
    assert time.monotonic() - started < SECONDS
    (manual,) = reading.articles
    assert manual.text.startswith("Page 0 says")
    assert "Page 499 says" in manual.text
    assert "without text in its 30 pages (scanned?)" in reasons(reading)["scan.pdf"]


def test_html_gives_no_script_and_keeps_what_is_read(tmp_path):
    page = (
        "<title>Care</title><body onload='steal()'><p>Wash by <b>hand</b>.<script>steal()</script></p>"
        "<style>p{}</style><iframe src='https://evil.example'>frame</iframe><svg><text>drawn</text></svg>"
        "<noscript>turn on</noscript><img src=x onerror=steal()><p>Dry it." + "<div>" * 3_000
    )
    (tmp_path / "care.html").write_text(page, "utf-8")
    (article,) = read_articles(tmp_path).articles
    assert article.text.split() == ["Wash", "by", "hand.", "Dry", "it."]


READ = """
import resource, sys
sys.path[:0] = [{repository!r}]
from pathlib import Path
from retrieval.reading import read_articles
import langchain_community.document_loaders.csv_loader
from retrieval.language import detect_language
detect_language("")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
reading = read_articles(Path({path!r}))
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
print([article.id for article in reading.articles], [skip.why for skip in reading.skipped], grown, sep="|")
"""


@pytest.mark.slow
def test_a_csv_row_of_50_mb_is_left_out_and_the_rest_is_taken(tmp_path):
    rows = f"instruction,response\nWho pays?,We do.\nToo long,{'x' * 50 * MB}\nHow long?,Five days.\n"
    (tmp_path / "faq.csv").write_text(rows, "utf-8")
    script = READ.format(repository=str(REPOSITORY), path=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=SECONDS * 2, check=True
    )
    taken, skipped, grown = done.stdout.strip().split("|")
    assert taken == "['faq-2', 'faq-4']"
    assert "50,000,000 characters: an article may have" in skipped
    assert int(grown) < 500


def test_a_line_of_jsonl_that_never_ends_is_left_out(tmp_path):
    good = json.dumps({"id": "a", "title": "A", "text": "Returns are free."})
    more = json.dumps({"id": "b", "title": "B", "text": "Refunds take five days."})
    (tmp_path / "kb.jsonl").write_text(f"{good}\n{'x' * 40 * MB}\n{more}\n", "utf-8")
    reading = read_articles(tmp_path)
    assert [article.id for article in reading.articles] == ["a", "b"]
    assert reasons(reading) == {"kb.jsonl:2": "a line of more than 16 MB"}


def test_broken_encodings_are_named_with_their_line(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"title,text\nA,fine\nB,caf\xe9\n")
    (tmp_path / "b.md").write_bytes(b"---\ntitle: x\n---\ncaf\xe9")
    (tmp_path / "c.html").write_bytes("<title>Wide</title><p>Text".encode("utf-16")[:-1])
    (tmp_path / "d.jsonl").write_bytes(b'{"id": "d", "title": "D", "text": "caf\xe9"}\n')
    (tmp_path / "e.md").write_bytes(b"\xef\xbb\xbf---\ntitle: Marked\n---\nText with a byte order mark.")
    reading = read_articles(tmp_path)
    assert [article.title for article in reading.articles] == ["Marked"]
    why = reasons(reading)
    assert why.keys() == {"a.csv:3", "b.md:4", "c.html", "d.jsonl:1"}
    assert all(
        why[where].startswith("not UTF-8") and why[where].endswith("save it as UTF-8")
        for where in ("a.csv:3", "b.md:4")
    )
    assert (why["c.html"], why["d.jsonl:1"]) == ("begins as UTF-16 and is not: it is damaged", "not UTF-8")


def test_links_pipes_and_closed_folders_end_no_reading(tmp_path):
    root = write(tmp_path / "kb", returns="Returns are free.")
    (root / "round").symlink_to(root)
    (root / "self.md").symlink_to(root / "self.md")
    (root / "nowhere.md").symlink_to(root / "absent")
    os.mkfifo(root / "pipe.md")
    started = time.monotonic()
    reading = read_articles(root)
    assert time.monotonic() - started < SECONDS
    assert [article.id for article in reading.articles] == ["returns"]
    why = reasons(reading)
    assert why["round"] == "a link to a folder: not followed"
    assert "symbolic links" in why["self.md"]
    assert why["nowhere.md"] == "a link that leads nowhere"
    assert why["pipe.md"] == "not a regular file"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(KnowledgeError, match="loop: cannot be opened"):
        read_articles(tmp_path / "loop")


GROW = """
import sys
with open(sys.argv[1], "a") as stream:
    while True:
        stream.write(" \\n")
        stream.flush()
"""


def test_a_file_that_grows_while_it_is_read_is_left_for_the_next_run(tmp_path):
    root = write(tmp_path / "kb", returns="Returns are free.")
    path = root / "log.jsonl"
    rows = ({"id": str(n), "title": "T", "text": "a line " * 20, "language": "en"} for n in range(20_000))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    size = path.stat().st_size
    with subprocess.Popen([sys.executable, "-c", GROW, str(path)]) as writer:
        while path.stat().st_size == size:
            time.sleep(0.01)
        reading = read_articles(root)
        writer.kill()
    assert [article.id for article in reading.articles] == ["returns"]
    assert "changes while it is read" in reasons(reading)["log.jsonl"]
    assert len(read_articles(root).articles) == 20_001


def test_files_may_vanish_while_a_folder_is_read(tmp_path):
    root = write(tmp_path / "kb", **{f"a{n:03}": "Returns are free." for n in range(200)})
    total = []

    def vanish(done, _count):
        if done == 10:
            for path in sorted(root.iterdir())[100:]:
                path.unlink()
        total.append(done)

    reading = read_articles(root, vanish)
    assert len(reading.articles) == 100
    assert set(reasons(reading).values()) == {"the file has gone while the folder was read"}
    assert total[-1] == 200


def test_what_an_unreadable_file_brought_earlier_stays(tmp_path):
    root = write(
        tmp_path / "articles", returns="Return a kettle in thirty days.", shipping="Parcels to Hanoi in two days."
    )

    async def test(kb):
        version = (await kb.ingest(root)).version
        (root / "returns.md").write_bytes(b"---\ntitle: caf\xe9\n---\n")
        report = await kb.ingest(root)
        assert (report.version, report.removed, report.unchanged) == (version, [], ["shipping", "returns"])
        assert [skip.where for skip in report.skipped] == ["returns.md:2"]
        assert (await kb.public.search("return a kettle")).passages[0].article == "returns"
        (root / "returns.md").unlink()
        assert (await kb.ingest(root)).removed == ["returns"]

    knowing(tmp_path, test)


FULL = """
import asyncio, resource, sys
sys.path[:0] = [{repository!r}, {repository!r} + "/tests"]
from pathlib import Path
from test_retrieval import CountingEmbedder, configured
from fakes import FrozenClock
from domain.errors import StoreError
from retrieval import Knowledge

async def main():
    clock = FrozenClock()
    clock.advance(60)
    kb = await Knowledge.open(Path({folder!r}), configured(), CountingEmbedder(), clock)
    before = kb.version
    sizes = [path.stat().st_size for path in Path({folder!r}).rglob("*") if path.is_file()]
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(sizes) + 20_000,) * 2)
    try:
        await kb.ingest(Path({path!r}))
    except StoreError as fault:
        print("refused", str(fault).count("\\n"), flush=True)
    found = await kb.public.search("parcels to Hanoi arrive")
    print(kb.version == before, found.passages[0].text, flush=True)

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_full_disk_leaves_the_old_knowledge_serving(tmp_path):
    root = write(tmp_path / "articles", shipping="Parcels to Hanoi arrive in two days.")

    async def fill(kb):
        return (await kb.ingest(root)).version

    version = knowing(tmp_path, fill)
    write(root, **{f"a{n}": f"Article {n}. " + f"word{n} " * 400 for n in range(300)})
    script = FULL.format(repository=str(REPOSITORY), folder=str(tmp_path / "kb"), path=str(root))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == ["refused 0", "True Parcels to Hanoi arrive in two days."], done.stderr[-2_000:]

    async def after(kb):
        assert kb.version == version
        report = await kb.ingest(root)
        assert len(report.added) == 300

    knowing(tmp_path, after)
