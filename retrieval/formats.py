"""One file of each format to its raw articles: title, text and what else it says, with the line where it stands.

The one place of langchain-community, which is sunset: its PDF, DOCX and CSV loaders are used, no more. Each
format has a size beyond which a file is not opened, so that no file takes more than some hundred MB of memory.
"""

import codecs
import csv
import json
import logging
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from retrieval.webpage import WebPage

Fields = Mapping[str, object]
Complain = Callable[[int, str], None]
"""Called with (line, why) for a part of a file that is left out while the rest is read."""

MB = 1_000_000
BLANK_LINES = re.compile(r"\n\s*\n\s*")
HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
CODE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
TITLE_COLUMNS = ("title", "question", "instruction")
TEXT_COLUMNS = ("text", "answer", "response", "content")
DELIMITERS = (",", ";", "\t")
"""What spreadsheets put between cells: a semicolon where the comma is the decimal sign."""
SHOWN = 60
"""Characters of a first line that a reason repeats."""
SNIFF = 8_192
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
LINE_BYTES = 16 * MB
"""Longest line of JSONL."""
DOCX_BYTES = 24 * MB
"""What the texts inside a DOCX may unpack to: 24 MB of XML are 250 MB once parsed."""
PDF_PAGES = 3_000
"""Most pages of one PDF: about a minute of reading."""
PDF_CHARS = 5_000_000
CORE = "docProps/core.xml"
TITLE = "{http://purl.org/dc/elements/1.1/}title"


class Unreadable(Exception):  # noqa: N818  # never leaves the two files that read: a reason to skip
    """Why a file or a row is not taken; `line` (from 1) where it is known."""

    def __init__(self, why: str, line: int = 0) -> None:
        self.why, self.line = why, line
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Format:
    """How files of one suffix are read, and the size beyond which they are not opened."""

    read: Callable[[Path, Complain], Iterator[tuple[int, Fields]]]
    most_bytes: int


def _decoded(file: Path) -> str:
    raw = file.read_bytes()
    _check_head(raw[:SNIFF])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise Unreadable("not UTF-8", raw[: fault.start].count(b"\n") + 1) from None


def _check_head(head: bytes) -> None:
    if head.startswith(UTF16):
        raise Unreadable("UTF-16: save it as UTF-8")
    if b"\0" in head:
        raise Unreadable("a binary file")


def _markdown(file: Path, _: Complain) -> Iterator[tuple[int, Fields]]:
    import frontmatter  # noqa: PLC0415  # only an ingest needs it
    from yaml import YAMLError  # noqa: PLC0415

    try:
        post = frontmatter.loads(_decoded(file))
    except YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        raise Unreadable(f"front matter: {getattr(fault, 'problem', fault)}", mark.line + 1 if mark else 1) from None
    title = post.metadata.get("title") or _first_heading(post.content)
    yield 0, {**post.metadata, "title": title, "text": post.content}


def _first_heading(text: str) -> str:
    # Behind a fence a "#" begins a comment of somebody's code.
    before_code = CODE.split(text, maxsplit=1)[0]
    heading = HEADING.search(before_code)
    return heading[1] if heading else ""


def _html(file: Path, _: Complain) -> Iterator[tuple[int, Fields]]:
    page = WebPage()
    if not page.read(_decoded(file)):
        raise Unreadable("a tag or a comment in it never ends", page.getpos()[0])
    fields: dict[str, object] = {
        key: page.named[key] for key in ("id", "audience", "updated", "review_by") if key in page.named
    }
    yield 0, {**fields, "title": page.title, "language": page.language, "text": BLANK_LINES.sub("\n\n", page.text)}


def _pdf(file: Path, _: Complain) -> Iterator[tuple[int, Fields]]:
    from langchain_community.document_loaders.pdf import PyPDFLoader  # noqa: PLC0415  # heavy: only an ingest
    from pypdf.errors import PyPdfError  # noqa: PLC0415

    # What it warns of either does no harm or is the reason below.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    parts, length, title = list[str](), 0, ""
    try:
        for page in PyPDFLoader(str(file)).lazy_load():
            title = title or str(page.metadata.get("title") or "")
            parts.append(page.page_content)
            length += len(page.page_content)
            if len(parts) > PDF_PAGES:
                raise Unreadable(f"a PDF of more than {PDF_PAGES:,} pages: split it")
            if length > PDF_CHARS:
                raise Unreadable(f"a PDF of more than {PDF_CHARS:,} characters: split it")
    except (PyPdfError, ValueError, LookupError, AttributeError, TypeError, RecursionError, OverflowError) as fault:
        # pypdf lets the errors of its parser through when a file is broken.
        raise Unreadable(f"not a readable PDF: {fault}") from None
    text = "\n\n".join(parts).strip()
    if not text:
        raise Unreadable(f"a PDF without text in its {len(parts)} pages (scanned?): recognise its text first")
    yield 0, {"title": title.strip() or _named_by(file), "text": text}


def _docx(file: Path, _: Complain) -> Iterator[tuple[int, Fields]]:
    from langchain_community.document_loaders.word_document import Docx2txtLoader  # noqa: PLC0415  # heavy, as above

    try:
        with zipfile.ZipFile(file) as packed:
            # The sizes that a ZIP declares are all that is ever unpacked of it: a lie ends in BadZipFile.
            size = sum(part.file_size for part in packed.infolist() if part.filename.endswith(".xml"))
            if size > DOCX_BYTES:
                raise Unreadable(f"a DOCX whose texts unpack to {size // MB:,} MB: more than {DOCX_BYTES // MB}")
            title = _docx_title(packed)
        text = str(Docx2txtLoader(str(file)).load()[0].page_content)
    except (
        zipfile.BadZipFile,
        ET.ParseError,
        KeyError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as fault:
        raise Unreadable(f"not a readable DOCX: {fault}") from None
    if not text.strip():
        raise Unreadable("a DOCX without text (pictures only?)")
    yield 0, {"title": title or _named_by(file), "text": BLANK_LINES.sub("\n\n", text)}


def _docx_title(packed: zipfile.ZipFile) -> str:
    if CORE not in packed.namelist():
        return ""
    return (ET.fromstring(packed.read(CORE)).findtext(TITLE) or "").strip()  # noqa: S314  # expat ≥ 2.4 stops entity bombs


def _named_by(file: Path) -> str:
    return file.stem.replace("-", " ").replace("_", " ")


def _csv(file: Path, complain: Complain) -> Iterator[tuple[int, Fields]]:
    from langchain_community.document_loaders.csv_loader import CSVLoader  # noqa: PLC0415  # only an ingest

    _check_text(file)
    with file.open(encoding="utf-8-sig", newline="") as stream:
        table = _columns(stream.readline(SNIFF))
    loader = CSVLoader(
        str(file),
        metadata_columns=list(table.names),
        content_columns=(table.text,),
        csv_args={"delimiter": table.delimiter},
        encoding="utf-8-sig",
    )
    # A cell that is too long is left out by its row's check; the reader itself would give the whole file up.
    usual = csv.field_size_limit(file.stat().st_size + 1)
    try:
        # The line is right as long as no cell above holds a line break: the loader counts rows.
        for row in loader.lazy_load():
            fields: dict[str, str] = row.metadata
            line = int(fields["row"]) + 2
            given = {known: fields[name] for name, known in table.names.items() if fields[name]}
            own = {"title": fields[table.title], "text": fields[table.text]}
            yield line, {"id": f"{file.stem}-{line}", **given, **own}
    except (RuntimeError, csv.Error) as fault:
        complain(1, f"not a readable CSV: {fault.__cause__ or fault}")
    finally:
        csv.field_size_limit(usual)


@dataclass(frozen=True, slots=True)
class _Columns:
    """How a CSV is divided. `names`: its columns as they stand there, and as they are known; two of them are the article."""

    delimiter: str
    names: Mapping[str, str]
    title: str
    text: str


def _columns(first: str) -> _Columns:
    """From the first line, whatever its spreadsheet separates by. Raises Unreadable."""
    for delimiter in DELIMITERS:
        names = {name: name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter), [])}
        by_known = {known: name for name, known in names.items()}
        title = next((by_known[known] for known in TITLE_COLUMNS if known in by_known), "")
        text = next((by_known[known] for known in TEXT_COLUMNS if known in by_known), "")
        if title and text:
            return _Columns(delimiter, names, title, text)
    if not first.strip():
        raise Unreadable("empty")
    wanted = f"one of {', '.join(TITLE_COLUMNS)} and one of {', '.join(TEXT_COLUMNS)}"
    raise Unreadable(f"no title and text columns in the first line, {first.strip()[:SHOWN]!r}: it needs {wanted}", 1)


def _check_text(file: Path) -> None:
    """Raise Unreadable for what is no UTF-8, without holding the file."""
    decoder, lines = codecs.getincrementaldecoder("utf-8")(), 1
    with file.open("rb") as stream:
        _check_head(stream.read(SNIFF))
        stream.seek(0)
        while piece := stream.read(MB):
            try:
                decoder.decode(piece)
            except UnicodeDecodeError as fault:
                raise Unreadable("not UTF-8", lines + fault.object[: fault.start].count(b"\n")) from None
            lines += piece.count(b"\n")


def _jsonl(file: Path, complain: Complain) -> Iterator[tuple[int, Fields]]:
    with file.open("rb") as stream:
        _check_head(stream.read(SNIFF))
        stream.seek(0)
        for line, raw in enumerate(_lines(stream.readline), start=1):
            if len(raw) > LINE_BYTES:
                complain(line, f"a line of more than {LINE_BYTES // MB} MB")
                continue
            if not raw.strip():
                continue
            try:
                row = json.loads(raw.decode("utf-8-sig" if line == 1 else "utf-8"))
            except UnicodeDecodeError:
                complain(line, "not UTF-8")
            except (ValueError, RecursionError) as fault:
                complain(line, f"not JSON: {fault}")
            else:
                if isinstance(row, dict):
                    yield line, {"id": "", **row}
                else:
                    complain(line, "not a JSON object")


def _lines(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """The lines of a file; of one that is too long just so much that its length shows."""
    while line := read(LINE_BYTES + 1):
        yield line
        while len(line) > LINE_BYTES and not line.endswith(b"\n"):
            line = read(LINE_BYTES + 1)  # the rest of the same line
            if not line:
                break


FORMATS = {
    ".md": Format(_markdown, 8 * MB),
    ".markdown": Format(_markdown, 8 * MB),
    ".html": Format(_html, 8 * MB),
    ".htm": Format(_html, 8 * MB),
    ".pdf": Format(_pdf, 256 * MB),
    ".docx": Format(_docx, 64 * MB),
    ".csv": Format(_csv, 128 * MB),
    ".jsonl": Format(_jsonl, 4_000 * MB),
}
