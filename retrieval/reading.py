"""Files to articles. What cannot be taken is named with its file and line; the rest is taken.

The one place of langchain-community, which is sunset: its PDF and CSV loaders are used, no more.
"""

import csv
import datetime as dt
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from domain.errors import KnowledgeError
from domain.turn import Language
from retrieval.articles import Article, Audience, Reading, Skip
from retrieval.language import detect_language

Row = tuple[str, Mapping[str, object]]
"""Where a raw article stands (file:line) and its fields."""

AUDIENCE_WORDS: dict[str, Audience] = {"": "public", "public": "public", "customer": "public", "internal": "internal"}
LANGUAGES = frozenset(get_args(Language))
BLANK_LINES = re.compile(r"\n\s*\n\s*")
TITLE_COLUMNS = ("title", "question", "instruction")
TEXT_COLUMNS = ("text", "answer", "response", "content")
SNIFF = 8_192


class _Unreadable(Exception):  # noqa: N818  # never leaves this file: a reason to skip
    """Why a file or a row is not taken; `line` (from 1) where it is known."""

    def __init__(self, why: str, line: int = 0) -> None:
        self.why, self.line = why, line
        super().__init__(why)


def read_articles(path: Path) -> Reading:
    """Read a file or a folder of Markdown, HTML, PDF, CSV and JSONL. Raises KnowledgeError if `path` is not there."""
    root = path.resolve()
    if not root.exists():
        raise KnowledgeError("no such file or folder", where=str(path), fix="give the path of your articles")
    articles: dict[str, Article] = {}
    seen: dict[str, str] = {}
    skipped: list[Skip] = []
    for file in _files(root):
        for where, fields in _rows(file, root, skipped):
            try:
                article = _article(fields, root)
                if article.id in seen:
                    raise _Unreadable(f"duplicate id {article.id!r}, first in {seen[article.id]}")  # noqa: TRY301  # one way to say why
            except _Unreadable as reason:
                skipped.append(Skip(where, reason.why))
            else:
                articles[article.id], seen[article.id] = article, where
    return Reading(list(articles.values()), skipped)


def _files(root: Path) -> Iterator[Path]:
    """Files in a stable order; links to folders are not followed, hidden files are not knowledge."""
    if root.is_file():
        yield root
        return
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(folder) / name


def _rows(file: Path, root: Path, skipped: list[Skip]) -> Iterator[Row]:
    place = file.name if file == root else str(file.relative_to(root))
    read = READERS.get(file.suffix.lower())
    if read is None:
        skipped.append(Skip(place, f"{file.suffix or 'no suffix'}: not one of {', '.join(sorted(READERS))}"))
        return
    try:
        for line, fields in read(file, lambda line, why: skipped.append(Skip(f"{place}:{line}", why))):
            yield f"{place}:{line}" if line else place, {"id": Path(place).with_suffix("").as_posix(), **fields}
    except _Unreadable as reason:
        skipped.append(Skip(f"{place}:{reason.line}" if reason.line else place, reason.why))
    except OSError as fault:
        skipped.append(Skip(place, f"cannot be read: {fault.strerror}"))


def _article(fields: Mapping[str, object], root: Path) -> Article:
    """Check one raw article. Raises _Unreadable."""
    text, title, own_id = (_text(fields, key) for key in ("text", "title", "id"))
    for name, value in (("id", own_id), ("title", title), ("text", text)):
        if not value:
            raise _Unreadable(f"no {name}")  # the reason is the message
    audience = AUDIENCE_WORDS.get(_text(fields, "audience").lower())
    if audience is None:
        raise _Unreadable(f"audience {_text(fields, 'audience')!r} is not public, customer or internal")
    language = _text(fields, "language").lower()[:2] or detect_language(f"{title}\n{text}")
    if language not in LANGUAGES:
        raise _Unreadable(f"language {language!r} is not one of {', '.join(sorted(LANGUAGES))}")
    return Article(
        id=own_id,
        title=" ".join(title.split()),
        text=text,
        audience=audience,
        language=language,  # type: ignore[arg-type]  # just checked against the Literal's own values
        updated=_date(fields, "updated"),
        review_by=_date(fields, "review_by"),
        url=_text(fields, "url") or None,
        root=str(root),
    )


def _text(fields: Mapping[str, object], key: str) -> str:
    value = fields.get(key)
    if value is None:
        return ""
    if not isinstance(value, str | int | float | dt.date):
        raise _Unreadable(f"{key} is not a text")
    # A lone surrogate (from a JSON escape) can be neither stored nor embedded.
    return str(value).replace("\0", " ").encode("utf-8", "replace").decode("utf-8").strip()


def _date(fields: Mapping[str, object], key: str) -> str:
    value = _text(fields, key)
    try:
        return dt.date.fromisoformat(value[:10]).isoformat() if value else ""
    except ValueError:
        raise _Unreadable(f"{key} {value!r} is not a date like 2026-01-31") from None


Complain = Callable[[int, str], None]
"""Called with (line, why) for a part of a file that is left out while the rest is read."""


def _decoded(file: Path) -> str:
    raw = file.read_bytes()
    if b"\0" in raw[:SNIFF]:
        raise _Unreadable("a binary file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise _Unreadable("not UTF-8", raw[: fault.start].count(b"\n") + 1) from None


def _markdown(file: Path, _: Complain) -> Iterator[tuple[int, Mapping[str, object]]]:
    import frontmatter  # noqa: PLC0415  # only an ingest needs it
    from yaml import MarkedYAMLError  # noqa: PLC0415

    try:
        post = frontmatter.loads(_decoded(file))
    except MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else 1
        raise _Unreadable(f"front matter: {fault.problem}", line) from None
    yield 0, {**post.metadata, "text": post.content}


def _html(file: Path, _: Complain) -> Iterator[tuple[int, Mapping[str, object]]]:
    from bs4 import BeautifulSoup  # noqa: PLC0415  # only an ingest needs it

    soup = BeautifulSoup(_decoded(file), "html.parser")
    named = {str(tag.get("name", "")).lower(): str(tag.get("content", "")) for tag in soup.find_all("meta")}
    heading = soup.find("h1")
    title = (soup.title.get_text(" ", strip=True) if soup.title else "") or (
        heading.get_text(" ", strip=True) if heading else ""
    )
    for tag in soup.find_all(["script", "style", "noscript", "template", "nav", "head"]):
        tag.decompose()
    # Headings become Markdown's, so that a page is cut as an article is.
    for tag in soup.find_all(re.compile("^h[1-6]$")):
        tag.replace_with(f"\n\n{'#' * int(tag.name[1])} {tag.get_text(' ', strip=True)}\n\n")
    for tag in soup.find_all(["p", "div", "li", "tr", "br", "section"]):
        tag.append("\n")
    page = soup.html
    language = str(page.get("lang", "")) if page else ""
    fields: dict[str, object] = {key: named[key] for key in ("id", "audience", "updated", "review_by") if key in named}
    yield 0, {**fields, "title": title, "language": language, "text": BLANK_LINES.sub("\n\n", soup.get_text())}


def _pdf(file: Path, _: Complain) -> Iterator[tuple[int, Mapping[str, object]]]:
    from langchain_community.document_loaders.pdf import PyPDFLoader  # noqa: PLC0415  # heavy: only an ingest
    from pypdf.errors import PyPdfError  # noqa: PLC0415

    try:
        pages = PyPDFLoader(str(file)).load()
    except (PyPdfError, ValueError, KeyError, AttributeError, TypeError) as fault:
        # pypdf lets the errors of its parser through when a file is broken.
        raise _Unreadable(f"not a readable PDF: {fault}") from None
    text = "\n\n".join(page.page_content for page in pages).strip()
    if not text:
        raise _Unreadable("a PDF without text (scanned?)")
    title = str(pages[0].metadata.get("title") or "") or file.stem.replace("-", " ").replace("_", " ")
    yield 0, {"title": title, "text": text}


def _csv(file: Path, complain: Complain) -> Iterator[tuple[int, Mapping[str, object]]]:
    from langchain_community.document_loaders.csv_loader import CSVLoader  # noqa: PLC0415  # only an ingest

    header = next(csv.reader(_decoded(file).splitlines()[:1]), [])
    title = next((name for name in TITLE_COLUMNS if name in header), "")
    text = next((name for name in TEXT_COLUMNS if name in header), "")
    if not title or not text:
        raise _Unreadable("no title and text columns in the first line", 1)
    loader = CSVLoader(str(file), metadata_columns=header, content_columns=(text,), encoding="utf-8-sig")
    try:
        # The line is right as long as no cell above holds a line break: the loader counts rows.
        for row in loader.lazy_load():
            fields: dict[str, Any] = row.metadata
            line = int(fields["row"]) + 2
            given = {key: value for key, value in fields.items() if key not in {"source", "row"} and value}
            yield line, {"id": f"{file.stem}-{line}", **given, "title": fields[title], "text": fields[text]}
    except (RuntimeError, csv.Error) as fault:
        complain(1, f"not a readable CSV: {fault.__cause__ or fault}")


def _jsonl(file: Path, complain: Complain) -> Iterator[tuple[int, Mapping[str, object]]]:
    with file.open("rb") as stream:
        if b"\0" in stream.read(SNIFF):
            raise _Unreadable("a binary file")
        stream.seek(0)
        for line, raw in enumerate(stream, start=1):
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


READERS = {
    ".md": _markdown,
    ".markdown": _markdown,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
    ".csv": _csv,
    ".jsonl": _jsonl,
}
