"""One file of each format to its raw articles: title, text and what else it says, with the line where it stands.

The one place of langchain-community, which is sunset: its PDF, DOCX and CSV loaders are used, no more. Each
format has a size beyond which a file is not opened, so that no file takes more than some hundred MB of memory.
"""

import csv
import json
import logging
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree as ET

from retrieval.encodings import UnknownEncoding, composed, encoding_of, shown
from retrieval.webpage import WebPage

Fields = Mapping[str, object]

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


@dataclass(slots=True)
class Remarks:
    """What is to be said of one file. `left_out`: (line, why) of parts while the rest is read; `encoding`: other than UTF-8."""

    left_out: list[tuple[int, str]] = field(default_factory=list)
    encoding: str = ""


@dataclass(frozen=True, slots=True)
class Format:
    """How files of one suffix are read, and the size beyond which they are not opened."""

    read: Callable[[Path, Remarks], Iterator[tuple[int, Fields]]]
    most_bytes: int


def _encoding(stream: BinaryIO, remarks: Remarks) -> str:
    """The encoding of a file, noted where it is not UTF-8. Raises Unreadable."""
    try:
        encoding = encoding_of(stream)
    except UnknownEncoding as reason:
        raise Unreadable(reason.why, reason.line) from None
    remarks.encoding = shown(encoding)
    return encoding


def _decoded(file: Path, remarks: Remarks) -> str:
    raw = file.read_bytes()
    encoding = _encoding(BytesIO(raw), remarks)
    return composed(raw.decode(encoding), encoding)


def _text(file: Path, remarks: Remarks) -> Iterator[tuple[int, Fields]]:
    yield 0, {"title": _named_by(file), "text": _decoded(file, remarks)}


def _markdown(file: Path, remarks: Remarks) -> Iterator[tuple[int, Fields]]:
    import frontmatter  # noqa: PLC0415  # only an ingest needs it
    from yaml import YAMLError  # noqa: PLC0415

    try:
        post = frontmatter.loads(_decoded(file, remarks))
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


def _html(file: Path, remarks: Remarks) -> Iterator[tuple[int, Fields]]:
    page = WebPage()
    if not page.read(_decoded(file, remarks)):
        raise Unreadable("a tag or a comment in it never ends", page.getpos()[0])
    fields: dict[str, object] = {
        key: page.named[key] for key in ("id", "audience", "updated", "review_by") if key in page.named
    }
    yield 0, {**fields, "title": page.title, "language": page.language, "text": BLANK_LINES.sub("\n\n", page.text)}


def _pdf(file: Path, _: Remarks) -> Iterator[tuple[int, Fields]]:
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
        pages = "its one page" if len(parts) == 1 else f"its {len(parts)} pages"
        raise Unreadable(f"a PDF without text in {pages} (scanned?): recognise its text first")
    yield 0, {"title": title.strip() or _named_by(file), "text": text}


def _docx(file: Path, _: Remarks) -> Iterator[tuple[int, Fields]]:
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


def _csv(file: Path, remarks: Remarks) -> Iterator[tuple[int, Fields]]:
    from langchain_community.document_loaders.csv_loader import CSVLoader  # noqa: PLC0415  # only an ingest

    with file.open("rb") as stream:
        encoding = _encoding(stream, remarks)
    with file.open(encoding=encoding, newline="") as stream:
        table = _columns(stream.readline(SNIFF))
    loader = CSVLoader(
        str(file),
        metadata_columns=list(table.names),
        content_columns=(table.text,),
        csv_args={"delimiter": table.delimiter},
        encoding=encoding,
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
            whole = {name: composed(value, encoding) for name, value in (given | own).items()}
            yield line, {"id": f"{file.stem}-{line}", **whole}
    except (RuntimeError, csv.Error) as fault:
        remarks.left_out.append((1, f"not a readable CSV: {fault.__cause__ or fault}"))
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


def _jsonl(file: Path, remarks: Remarks) -> Iterator[tuple[int, Fields]]:
    with file.open("rb") as stream:
        if b"\0" in stream.read(SNIFF):
            raise Unreadable("UTF-16 or a binary file: JSONL is UTF-8")
        stream.seek(0)
        for line, raw in enumerate(_lines(stream.readline), start=1):
            if len(raw) > LINE_BYTES:
                remarks.left_out.append((line, f"a line of more than {LINE_BYTES // MB} MB"))
                continue
            if not raw.strip():
                continue
            try:
                row = json.loads(raw.decode("utf-8-sig" if line == 1 else "utf-8"))
            except UnicodeDecodeError:
                remarks.left_out.append((line, "not UTF-8"))
            except (ValueError, RecursionError) as fault:
                remarks.left_out.append((line, f"not JSON: {fault}"))
            else:
                if isinstance(row, dict):
                    yield line, {"id": "", **row}
                else:
                    remarks.left_out.append((line, "not a JSON object"))


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
    ".txt": Format(_text, 8 * MB),
    ".csv": Format(_csv, 128 * MB),
    ".jsonl": Format(_jsonl, 4_000 * MB),
}
