"""Files in other encodings than UTF-8: converted where it is sure, named where it is not, never wrong letters."""

import json
import unicodedata
from io import BytesIO
from pathlib import Path

import pytest

from retrieval.encodings import UnknownEncoding, composed, encoding_of
from retrieval.reading import read_articles

ENGLISH = (
    "You can’t return lamps worn outside. Our café charges £20 – see “Returns” – and it’s open every day of the week."
)
VIETNAMESE = "Quý khách có thể trả hàng trong ba mươi ngày. Ở đây phí vận chuyển là 30.000đ cho đơn dưới 500.000 đồng."
TONES = "\u0300\u0301\u0303\u0309\u0323"
KNOWLEDGE = Path(__file__).parents[1] / "desks" / "shop" / "knowledge"


def in_1258(text):
    """As Windows wrote Vietnamese: a letter with its hat, then its tone."""
    parts = [unicodedata.normalize("NFD", letter) for letter in unicodedata.normalize("NFC", text)]
    letters = (
        unicodedata.normalize("NFC", "".join(one for one in part if one not in TONES))
        + "".join(one for one in part if one in TONES)
        for part in parts
    )
    return "".join(letters).encode("cp1258")


def read(raw):
    encoding = encoding_of(BytesIO(raw))
    return encoding, composed(raw.decode(encoding), encoding)


@pytest.mark.parametrize(
    ("raw", "encoding", "text"),
    [
        (VIETNAMESE.encode("utf-16"), "utf-16", VIETNAMESE),
        (VIETNAMESE.encode("utf-16-be"), "utf-16-be", VIETNAMESE),
        (VIETNAMESE.encode("utf-32"), "utf-32", VIETNAMESE),
        (ENGLISH.encode("cp1252"), "cp1252", ENGLISH),
        (b"<meta charset=utf-8>" + ENGLISH.encode("cp1252"), "cp1252", f"<meta charset=utf-8>{ENGLISH}"),
        (in_1258(VIETNAMESE), "cp1258", VIETNAMESE),
        ("<meta charset='shift_jis'>返品".encode("shift_jis"), "shift_jis", "<meta charset='shift_jis'>返品"),
        (b"# -*- coding: latin-1 -*-\nD\xe9j\xe0 vu", "cp1252", "# -*- coding: latin-1 -*-\nDéjà vu"),
        (b"---\nencoding: iso-8859-2\n---\n\xb3\xf3\xbfko", "iso8859-2", "---\nencoding: iso-8859-2\n---\nłóżko"),
        (b"Content-Type: text/html; charset=windows-1258\r\n\r\nTr\xe2\xd2", "cp1258",
         "Content-Type: text/html; charset=windows-1258\r\n\r\nTrẩ"),
    ],
    ids=["utf-16", "unmarked", "utf-32", "1252", "lying", "1258", "meta", "editor", "front-matter", "http"],
)  # fmt: skip
def test_what_is_declared_or_sure_is_converted(raw, encoding, text):
    assert read(raw) == (encoding, text)


@pytest.mark.parametrize(
    "raw",
    [
        ENGLISH.encode("mac_roman"),
        "A café for £20 and crème brûlée, which we serve every day until five.".encode("cp437"),
        "Zwrot towaru jest możliwy w ciągu trzydziestu dni.".encode("cp1250"),
        "Возврат товара возможен в течение тридцати дней.".encode("cp1251"),
        "Céng hoµ x· héi chñ nghÜa ViÖt Nam ®éc lËp tù do".encode("cp1252"),
        "Coäng hoøa xaõ hoäi chuû nghóa Vieät Nam, ñoäc laäp".encode("cp1252"),
        ENGLISH.encode() + b"\n" + ENGLISH.encode("cp1252"),
        b"<meta charset=iso-8859-1>" + in_1258(VIETNAMESE),
        ENGLISH.encode("utf-16")[:-1],
        b"---\0\1\2",
    ],
    ids=["mac", "dos", "polish", "russian", "tcvn3", "vni", "mixed", "lying", "cut", "binary"],
)
def test_what_is_in_doubt_is_refused(raw):
    with pytest.raises(UnknownEncoding):
        encoding_of(BytesIO(raw))


def test_the_shops_articles_come_back_as_they_were_or_not_at_all():
    """In each encoding that can hold them; most do come back, and never with another letter."""
    texts = [text for path in sorted(KNOWLEDGE.rglob("*.md")) if not (text := path.read_text("utf-8")).isascii()]
    for encoding, least in (("cp1252", 0.8), ("cp1258", 0.9), ("mac_roman", 0.0), ("cp437", 0.0)):
        came_back = []
        for text in texts:
            try:
                raw = in_1258(text) if encoding == "cp1258" else text.encode(encoding)
            except UnicodeEncodeError:
                continue
            try:
                came_back.append(read(raw)[1] == text)
            except UnknownEncoding:
                came_back.append(None)
        assert False not in came_back, encoding
        assert came_back.count(True) >= least * len(came_back), encoding


def test_files_of_every_kind_are_converted_and_named(tmp_path):
    (tmp_path / "a.csv").write_bytes(f"title\ttext\nReturns\t{ENGLISH}\n".encode("utf-16"))
    (tmp_path / "b.csv").write_bytes(b"title,text\n" + in_1258(f"Trả hàng,{VIETNAMESE}\n"))
    (tmp_path / "c.md").write_bytes(f"# Returns\n\n{ENGLISH}".encode("cp1252"))
    (tmp_path / "d.html").write_bytes(b"<meta charset=windows-1258><title>T</title><p>" + in_1258(VIETNAMESE))
    (tmp_path / "house_rules.txt").write_bytes(ENGLISH.encode("cp1252"))
    (tmp_path / "f.md").write_text(f"# In UTF-8\n\n{VIETNAMESE}", "utf-8")
    (tmp_path / "g.txt").write_bytes(ENGLISH.encode("mac_roman"))
    (tmp_path / "h.jsonl").write_bytes(json.dumps({"id": "h", "title": "H", "text": "h"}).encode("utf-16"))
    reading = read_articles(tmp_path)
    texts = {article.id: (article.title, article.text.strip()) for article in reading.articles}
    assert texts == {
        "a-2": ("Returns", ENGLISH),
        "b-2": ("Trả hàng", VIETNAMESE),
        "c": ("Returns", f"# Returns\n\n{ENGLISH}"),
        "d": ("T", VIETNAMESE),
        "house_rules": ("house rules", ENGLISH),
        "f": ("In UTF-8", f"# In UTF-8\n\n{VIETNAMESE}"),
    }
    assert reading.converted == {
        "a.csv": "utf-16",
        "b.csv": "windows-1258",
        "c.md": "windows-1252",
        "d.html": "windows-1258",
        "house_rules.txt": "windows-1252",
    }
    assert [skip.where for skip in reading.skipped] == ["g.txt:1", "h.jsonl"]
