"""Files to articles to chunks: what is taken, what is named, and that nothing is lost."""

import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import KnowledgeError
from domain.words import fold
from retrieval.articles import Article
from retrieval.chunking import chunk_articles
from retrieval.config import Chunking
from retrieval.reading import read_articles
from retrieval.text import words

RULE = Chunking(splitter="headings", size=200, overlap=20)


def by_id(reading):
    return {article.id: article for article in reading.articles}


def reasons(reading):
    return {skip.where: skip.why for skip in reading.skipped}


def test_markdown_with_front_matter(tmp_path):
    (tmp_path / "a.md").write_text(
        "---\nid: doi-tra\ntitle: Đổi trả\naudience: internal\nlanguage: vi\n"
        "updated: 2026-01-02\nreview_by: 2027-01-02\nurl: https://shop.example/a\n---\n# Đổi trả\n\nTrong 30 ngày.\n",
        "utf-8",
    )
    article = by_id(read_articles(tmp_path))["doi-tra"]
    assert (article.title, article.audience, article.language) == ("Đổi trả", "internal", "vi")
    assert (article.updated, article.review_by, article.url) == ("2026-01-02", "2027-01-02", "https://shop.example/a")
    assert article.text == "# Đổi trả\n\nTrong 30 ngày."
    assert article.root == str(tmp_path.resolve())


def test_jsonl_takes_the_good_rows_and_names_the_others(tmp_path):
    rows = [
        {"id": "a", "title": "A", "text": "The first text is in English.", "audience": "customer"},
        {"id": "b", "title": "B", "text": "Văn bản này viết bằng tiếng Việt."},
        {"id": "c", "title": "C", "text": "c", "audience": "staff"},
        {"id": "a", "title": "Again", "text": "d"},
        {"id": "e", "text": "e"},
        {"id": "f", "title": "F"},
        {"title": "G", "text": "g"},
        {"id": "h", "title": "H", "text": ["h"]},
        {"id": "i", "title": "I", "text": "i", "language": "fr"},
        {"id": "j", "title": "J", "text": "j", "updated": "soon"},
        {"id": "k", "title": "K", "text": "k", "audience": "internal", "language": "en"},
    ]
    lines = [json.dumps(row).encode() for row in rows] + [b'{"id": "x"', b"[1]", b'{"id": "\xff"}', b"", b"9" * 5_000]
    (tmp_path / "kb.jsonl").write_bytes(b"\n".join(lines))
    reading = read_articles(tmp_path / "kb.jsonl")
    taken = by_id(reading)
    assert {key: (row.audience, row.language) for key, row in taken.items()} == {
        "a": ("public", "en"),
        "b": ("public", "vi"),
        "k": ("internal", "en"),
    }
    why = reasons(reading)
    assert list(why) == [f"kb.jsonl:{line}" for line in (3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 16)]
    assert "'staff' is not public, customer or internal" in why["kb.jsonl:3"]
    assert why["kb.jsonl:4"] == "duplicate id 'a', first in kb.jsonl:1"
    assert [why[f"kb.jsonl:{line}"] for line in (5, 6, 7)] == ["no title", "no text", "no id"]
    assert why["kb.jsonl:8"] == "text is not a text"
    assert "'fr'" in why["kb.jsonl:9"]
    assert "'soon' is not a date" in why["kb.jsonl:10"]
    assert why["kb.jsonl:12"].startswith("not JSON")
    assert why["kb.jsonl:13"] == "not a JSON object"
    assert why["kb.jsonl:14"] == "not UTF-8"


def test_bad_files_are_named_and_the_rest_is_taken(tmp_path):
    (tmp_path / "good.md").write_text("---\ntitle: Good\n---\nText.", "utf-8")
    (tmp_path / "binary.md").write_bytes(b"---\0\1\2")
    (tmp_path / "latin.md").write_bytes(b"---\ntitle: x\n---\nligne\ncaf\xe9")
    (tmp_path / "untitled.md").write_text("Only text.", "utf-8")
    (tmp_path / "yaml.md").write_text("---\nid: a\ntitle: [x\n---\nText.", "utf-8")
    (tmp_path / "photo.png").write_bytes(b"png")
    (tmp_path / ".hidden").write_bytes(b"x")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 nonsense")
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n", "utf-8")
    (tmp_path / "loop").symlink_to(tmp_path)
    reading = read_articles(tmp_path)
    assert list(by_id(reading)) == ["good"]
    why = reasons(reading)
    assert why["binary.md"] == "a binary file"
    assert why["latin.md:5"].startswith("not UTF-8, ")
    assert why["untitled.md"] == "no title"
    assert "front matter" in why["yaml.md:4"]
    assert ".png" in why["photo.png"]
    assert "PDF" in why["broken.pdf"]
    assert "no title and text columns" in why["bad.csv:1"]
    assert why["loop"] == "a link to a folder: not followed"
    assert len(why) == 8


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("\ufeff# Opening hours #\r\n\r\nNine to five.", "Opening hours"),
        ("We are open.\n\n## Giờ mở cửa\n\nTừ 9 giờ.", "Giờ mở cửa"),
        ("---\ntitle: Hours\n---\n# Something else\n\nNine to five.", "Hours"),
        ("---\nid: hours\ntitle:\n---\n# C# in 5 minutes\n\nNine to five.", "C# in 5 minutes"),
        ("#hashtag\n\n```\n# a comment\n```\n# After the code", None),
    ],
    ids=["first-line", "later", "front-matter", "front-matter-without-title", "code"],
)
def test_markdown_without_a_title_is_called_by_its_first_heading(tmp_path, text, title):
    (tmp_path / "a.md").write_bytes(text.encode())
    reading = read_articles(tmp_path)
    assert [article.title for article in reading.articles] == ([title] if title else [])
    assert [skip.why for skip in reading.skipped] == ([] if title else ["no title"])


def test_html_loses_its_scripts_and_keeps_its_headings(tmp_path):
    page = (
        "<html lang='en-GB'><head><title>Returns &amp; refunds</title><script>steal()</script></head><body><nav>Menu</nav>"
        "<h1>Returns</h1><p>Within <b>30</b> days.</p><h2>Cost</h2><ul><li>Free</li><li>Fast</li></ul>"
        "<script>evil()</script></body></html>"
    )
    (tmp_path / "returns.html").write_text(page, "utf-8")
    article = by_id(read_articles(tmp_path))["returns"]
    assert (article.title, article.language) == ("Returns & refunds", "en")
    assert "evil" not in article.text
    assert "Menu" not in article.text
    assert "Within 30 days." in article.text
    chunks = chunk_articles([article], RULE)["returns"]
    assert [chunk.section for chunk in chunks] == ["Returns", "Returns > Cost"]
    assert chunks[1].text.split() == ["Free", "Fast"]


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<table><tr><th>City<th>Days<tr><td>Hanoi</td><td>2</td></tr></table>", "City Days\nHanoi 2"),
        ("<p>First<p>Second<li>Third<br>Fourth<dt>Fifth<dd>Sixth", "First\nSecond\nThird\nFourth\nFifth\nSixth"),
        ("<h2>Returns<br>and <b>re</b>funds<h3>Cost</h3>Free</x>", "## Returns and refunds\n\n### Cost\n\nFree"),
        ("<meta charset=utf-8><link href=x><p>The head has no end</p>", "The head has no end"),
        ("</head><nav>Menu<ul><li>Home</nav>Fish &amp; chips<!-- why --><![CDATA[ <now> ]]>", "Fish & chips <now>"),
    ],
    ids=["cells", "unclosed", "headings", "head", "left-out"],
)
def test_html_as_people_write_it(tmp_path, page, text):
    (tmp_path / "page.html").write_text(f"<html><head><title>Page</title>{page}", "utf-8")
    (article,) = read_articles(tmp_path).articles
    assert re.sub(r" *\n *", "\n", article.text).replace("\n\n\n", "\n\n") == text


def test_a_large_page_takes_time_by_its_size_alone(tmp_path):
    parts = "".join(f"<div><h2>Part {n}</h2><p>Text <br>{n}<script>1</script>" for n in range(20_000))
    (tmp_path / "page.html").write_text(f"<title>Large</title>{parts}", "utf-8")
    before = time.process_time()
    (article,) = read_articles(tmp_path).articles
    # 1.5 s; editing a tree of it took minutes.
    assert time.process_time() - before < 20
    assert article.text.count("## Part") == 20_000
    (tmp_path / "page.html").write_text("<p>Text</p>\n" + "<!-- " * 20_000, "utf-8")
    assert [(skip.where, skip.why) for skip in read_articles(tmp_path).skipped] == [
        ("page.html:2", "a tag or a comment in it never ends")
    ]


def test_csv_by_its_columns(tmp_path):
    (tmp_path / "faq.csv").write_text(
        'question,answer,id,audience\n"How long, please?","Five\ndays.",time,\nWho pays?,We do.,,internal\n,Nothing.,n,\n',
        "utf-8",
    )
    reading = read_articles(tmp_path)
    taken = by_id(reading)
    assert (taken["time"].title, taken["time"].text) == ("How long, please?", "Five\ndays.")
    assert taken["faq-3"].audience == "internal"
    assert [skip.why for skip in reading.skipped] == ["no title"]


@pytest.mark.parametrize(
    "table",
    ["Title,Text,Audience\nPay,By card.,Internal\n", "\ufeff\ufeffTitle\t TEXT \tAudience\r\nPay\tBy card.\tinternal\r\n",
     '"Question ";Answer;Audience\r\n"Pay";"By card.";internal\r\n'],
    ids=["capitals", "tabs", "semicolons"],
)  # fmt: skip
def test_csv_as_spreadsheets_write_it(tmp_path, table):
    (tmp_path / "faq.csv").write_bytes(table.removeprefix("\ufeff").encode())
    (article,) = read_articles(tmp_path).articles
    assert (article.id, article.title, article.text, article.audience) == ("faq-2", "Pay", "By card.", "internal")


def test_what_holds_nothing_is_named(tmp_path):
    for suffix in ("md", "html", "csv", "jsonl"):
        (tmp_path / f"empty.{suffix}").touch()
    (tmp_path / "header.csv").write_text("title,text\n")
    (tmp_path / "rows.csv").write_text("How do I pay?,By card.\n")
    reading = read_articles(tmp_path)
    nothing = "no title and no text"
    said = {
        "empty.md": nothing,
        "empty.html": nothing,
        "empty.csv": "empty",
        "empty.jsonl": "empty",
        "header.csv": "empty",
    }
    why = reasons(reading)
    assert "'How do I pay?,By card.': it needs one of title" in why.pop("rows.csv:1")
    assert (reading.articles, why) == ([], said)


def test_pdf_gives_its_text(tmp_path):
    stream = b"BT /F1 12 Tf 20 100 Td (Refunds take five days.) Tj ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(data)
    data += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % table
    (tmp_path / "refund-times.pdf").write_bytes(data)
    (tmp_path / "scan.pdf").write_bytes(data.replace(b"(Refunds take five days.)", b"(                       )"))
    reading = read_articles(tmp_path)
    article = by_id(reading)["refund-times"]
    assert (article.title, article.text) == ("refund times", "Refunds take five days.")
    assert "without text" in reasons(reading)["scan.pdf"]


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(KnowledgeError, match="absent: no such file"):
        read_articles(tmp_path / "absent")


def test_headings_in_a_code_fence_are_text():
    article = Article(
        "a", "A", "Intro.\n\n## One\n\n```\n# not a heading\n```\n\n### Deep\n\nx\n\n## Two\n\ny", "public", "en"
    )
    chunks = chunk_articles([article], RULE)["a"]
    assert [(chunk.section, chunk.id) for chunk in chunks] == [
        ("", "a#0"),
        ("One", "a#1"),
        ("One > Deep", "a#2"),
        ("Two", "a#3"),
    ]
    assert "# not a heading" in chunks[1].text
    assert chunks[2].embedded == "A\nOne > Deep\nx"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["word", "# Head", "```", "\n\n", "đổi trả", "1. step", " ", "x" * 250]), max_size=40))
def test_no_word_is_lost_in_chunks(parts):
    text = "\n".join(parts)
    article = Article("a", "T", text, "public", "en")
    for splitter in ("headings", "plain"):
        rule = Chunking(splitter=splitter, size=200, overlap=20)
        chunks = chunk_articles([article], rule)["a"]
        kept = "".join(chunk.section + chunk.text for chunk in chunks)
        assert set(words(text)) - {"x" * 250} <= set(words(" ".join(c.section + " " + c.text for c in chunks)))
        assert kept.count("x") >= text.count("x")
        assert all(len(chunk.text) <= max(200, len(text) if len(chunks) == 1 else 0) for chunk in chunks)
        assert len({chunk.id for chunk in chunks}) == len(chunks)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Returned parcels", "return parcel"),
        ("Đổi trả hàng", "doi tra hang"),
        ("shipping", "shipped"),
        ("policies", "policy"),
    ],
)
def test_forms_of_a_word_meet(one, other):
    assert words(one) == words(other) != []


def test_grammar_words_say_nothing():
    assert words("What is the of and") == words("là của và không") == []
    assert words("Don't") == []
    assert fold("ĐÀ NẴNG") == "da nang"


def test_short_sections_are_joined_and_keep_their_headings():
    text = "## Cost\n\nFree.\n\n## Time\n\nFive days.\n\n## Long\n\n" + "word " * 20
    rule = Chunking(splitter="headings", size=200, overlap=0, least=30)
    chunks = chunk_articles([Article("a", "A", text, "public", "en")], rule)["a"]
    assert [(chunk.section, chunk.text) for chunk in chunks] == [
        ("Cost", "Free.\n\nTime\nFive days.\n\nLong\n" + "word " * 19 + "word")
    ]
    rule = Chunking(splitter="headings", size=200, overlap=0, least=20)
    chunks = chunk_articles([Article("a", "A", text, "public", "en")], rule)["a"]
    assert [chunk.section for chunk in chunks] == ["Cost", "Long"]
