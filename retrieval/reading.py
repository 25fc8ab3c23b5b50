"""A PATH to articles. What cannot be taken is named with its file and line; the rest is taken."""

import asyncio
import datetime as dt
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from domain.errors import KnowledgeError
from domain.ports import Progress
from domain.turn import Language
from retrieval.articles import Article, Audience, Reading, Skip
from retrieval.formats import FORMATS, Fields, Remarks, Unreadable
from retrieval.language import detect_language

Row = tuple[str, Fields]
"""Where a raw article stands (file:line) and its fields."""
State = tuple[int, int, int]
"""What tells whether a file is the one that it was: inode, size, time of change."""

AUDIENCE_WORDS: dict[str, Audience] = {"": "public", "public": "public", "customer": "public", "internal": "internal"}
PUBLISHED = frozenset({"", "false", "no", "0"})
"""What `draft` may say of an article that is served."""
LANGUAGES = frozenset(get_args(Language))
ARTICLE_CHARS = 5_000_000
"""Longest article: a manual of 1,500 pages."""
READS = 3
"""Readings of a file that changes meanwhile, before it is left for the next run."""
GONE = "the file has gone while the folder was read"
CHANGING = "changes while it is read: run it again when it is at rest"


@dataclass(slots=True)
class _Taking:
    """What has been read so far."""

    root: Path
    articles: dict[str, Article] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    skipped: list[Skip] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    converted: dict[str, str] = field(default_factory=dict)

    def skip_whole(self, place: str, why: str, line: int = 0) -> None:
        """Leave a file out that is still there."""
        self.skipped.append(Skip(f"{place}:{line}" if line else place, why))
        self.unread.add(place)

    def take(self, place: str, rows: list[Row]) -> None:
        """Check raw articles and keep the good ones."""
        for where, fields in rows:
            try:
                article = _article(fields, self.root, place)
                if article.id in self.seen:
                    raise Unreadable(f"duplicate id {article.id!r}, first in {self.seen[article.id]}")  # noqa: TRY301  # one way to say why
            except Unreadable as reason:
                self.skipped.append(Skip(where, reason.why))
            else:
                self.articles[article.id], self.seen[article.id] = article, where


def read_articles(path: Path, progress: Progress | None = None) -> Reading:
    """Read a file or a folder of Markdown, HTML, text, PDF, DOCX, CSV and JSONL; `progress` counts files.

    Raises KnowledgeError if `path` is not there.
    """
    taking = _Taking(_root(path))
    files = list(_files(taking))
    for done, file in enumerate(files):
        if progress:
            progress(done, len(files))
        _take_file(taking, file)
    if progress and files:
        progress(len(files), len(files))
    return Reading(list(taking.articles.values()), taking.skipped, frozenset(taking.unread), taking.converted)


def public_titles(path: Path) -> list[str]:
    """What the public articles of a folder are called. Raises KnowledgeError as `read_articles`."""
    return [article.title for article in read_articles(path).articles if article.audience == "public"]


def _root(path: Path) -> Path:
    try:
        root = path.resolve()
        root.stat()
    except (OSError, RuntimeError) as fault:
        # RuntimeError: a link that leads back to itself.
        absent = isinstance(fault, FileNotFoundError)
        what = "no such file or folder" if absent else f"cannot be opened: {getattr(fault, 'strerror', fault)}"
        raise KnowledgeError(what, where=str(path), fix="give the path of your articles") from fault
    return root


def _files(taking: _Taking) -> Iterator[Path]:
    """Files in a stable order; links to folders are named and not followed, hidden files are not knowledge."""
    root = taking.root
    if not root.is_dir():
        yield root
        return

    def closed(fault: OSError) -> None:
        taking.skip_whole(os.path.relpath(str(fault.filename), root), f"cannot be opened: {fault.strerror}")

    for folder, inner, names in os.walk(root, onerror=closed):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in inner:
            if (Path(folder) / name).is_symlink():
                taking.skipped.append(
                    Skip(os.path.relpath(Path(folder) / name, root), "a link to a folder: not followed")
                )
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(folder) / name


def _take_file(taking: _Taking, file: Path) -> None:
    """Read one file as it is at one moment: one that changes meanwhile is read again."""
    place = file.name if file == taking.root else file.relative_to(taking.root).as_posix()
    remarks = Remarks()
    try:
        for _ in range(READS):
            remarks = Remarks()
            before = _state(file)
            rows = _rows(file, place, before, remarks)
            if _state(file) == before:
                break
        else:
            taking.skip_whole(place, CHANGING)
            return
    except Unreadable as reason:
        taking.skip_whole(place, reason.why, reason.line)
    except FileNotFoundError:
        taking.skipped.append(Skip(place, "a link that leads nowhere" if file.is_symlink() else GONE))
    except OSError as fault:
        taking.skip_whole(place, f"cannot be read: {fault.strerror}")
    except MemoryError:
        taking.skip_whole(place, "too large for this machine's memory")
    else:
        taking.take(place, rows)
        left_out = [Skip(f"{place}:{line}", why) for line, why in remarks.left_out]
        taking.skipped += left_out if rows or left_out else [Skip(place, "empty")]
        if rows and remarks.encoding:
            taking.converted[place] = remarks.encoding


def _state(file: Path) -> State:
    """Raises OSError, and Unreadable for a pipe or a device, whose reading might never end."""
    known = file.stat()
    if not stat.S_ISREG(known.st_mode):
        raise Unreadable("not a regular file")
    return known.st_ino, known.st_size, known.st_mtime_ns


def _rows(file: Path, place: str, state: State, remarks: Remarks) -> list[Row]:
    kind = FORMATS.get(file.suffix.lower())
    if kind is None:
        raise Unreadable(f"{file.suffix or 'no suffix'}: not one of {', '.join(sorted(FORMATS))}")
    size = state[1]
    if size > kind.most_bytes:
        raise Unreadable(f"{size:,} bytes: a {file.suffix.lower()} may have {kind.most_bytes:,}, split it")
    own = {"id": Path(place).with_suffix("").as_posix()}
    return [(f"{place}:{line}" if line else place, {**own, **fields}) for line, fields in kind.read(file, remarks)]


def _article(fields: Mapping[str, object], root: Path, place: str) -> Article:
    """Check one raw article. Raises Unreadable."""
    text, title, own_id = (_text(fields, key) for key in ("text", "title", "id"))
    if not title and not text:
        raise Unreadable("no title and no text")
    for name, value in (("id", own_id), ("title", title), ("text", text)):
        if not value:
            raise Unreadable(f"no {name}")  # the reason is the message
    if len(text) > ARTICLE_CHARS:
        raise Unreadable(f"{len(text):,} characters: an article may have {ARTICLE_CHARS:,}")
    if _text(fields, "draft").lower() not in PUBLISHED:
        raise Unreadable("a draft: take `draft` out of it when somebody has reviewed it")
    audience = AUDIENCE_WORDS.get(_text(fields, "audience").lower())
    if audience is None:
        raise Unreadable(f"audience {_text(fields, 'audience')!r} is not public, customer or internal")
    language = _text(fields, "language").lower()[:2] or detect_language(f"{title}\n{text}")
    if language not in LANGUAGES:
        raise Unreadable(f"language {language!r} is not one of {', '.join(sorted(LANGUAGES))}")
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
        place=place,
    )


def _text(fields: Mapping[str, object], key: str) -> str:
    value = fields.get(key)
    if value is None:
        return ""
    if not isinstance(value, str | int | float | dt.date):
        raise Unreadable(f"{key} is not a text")
    # A lone surrogate (from a JSON escape) can be neither stored nor embedded.
    return str(value).replace("\0", " ").encode("utf-8", "replace").decode("utf-8").strip()


def _date(fields: Mapping[str, object], key: str) -> str:
    value = _text(fields, key)
    try:
        return dt.date.fromisoformat(value[:10]).isoformat() if value else ""
    except ValueError:
        raise Unreadable(f"{key} {value!r} is not a date like 2026-01-31") from None


def from_thread(progress: Progress | None) -> Progress | None:
    """The same, called from the event loop whoever calls it."""
    if progress is None:
        return None
    loop = asyncio.get_running_loop()

    def told(done: int, total: int) -> None:
        loop.call_soon_threadsafe(progress, done, total)

    return told
