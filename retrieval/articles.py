"""What knowledge is made of: articles as they were brought, chunks as they are found, and their accounts."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import PurePath, PurePosixPath
from typing import Literal

from domain.errors import KnowledgeError
from domain.turn import Language

Audience = Literal["public", "internal"]
AUDIENCES: tuple[Audience, ...] = ("public", "internal")


@dataclass(frozen=True, slots=True)
class Article:
    """One article, whole. `root` is the PATH that brought it, `place` the file in it; dates are ISO 8601 or empty."""

    id: str
    title: str
    text: str
    audience: Audience
    language: Language
    updated: str = ""
    review_by: str = ""
    url: str | None = None
    root: str = ""
    place: str = ""

    @property
    def file(self) -> PurePath:
        """Where it came from: `root` itself where that is a file."""
        root = PurePath(self.root)
        return root if root.name == self.place else root / self.place

    @property
    def digest(self) -> str:
        """Hash of everything but where it came from."""
        return hashlib.sha256("\0".join(str(part) for part in _said(self)).encode()).hexdigest()

    def says(self, other: "Article") -> bool:
        """Whether the two are the same but for where they came from: then no new vectors are needed."""
        return _said(self) == _said(other)


def _said(row: Article) -> tuple[object, ...]:
    return row.id, row.title, row.text, row.audience, row.language, row.updated, row.review_by, row.url


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an article, small enough to be embedded and quoted. `section` is its headings, "A > B"."""

    id: str
    article: str
    title: str
    section: str
    text: str
    language: Language
    url: str | None = None

    @property
    def embedded(self) -> str:
        """What the embedder is given: title and section say what the text is about."""
        return "\n".join(part for part in (self.title, self.section, self.text) if part)


@dataclass(frozen=True, slots=True)
class ArticleInfo:
    """An article as lists show it."""

    id: str
    title: str
    audience: Audience
    language: Language
    updated: str
    review_by: str


@dataclass(frozen=True, slots=True)
class Skip:
    """Something that was not taken: where (file, or file:line) and why."""

    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a PATH holds: the articles taken and what was not.

    `unread` are the files and folders (by their place in it) that are there and could not be read: what they
    brought earlier is not gone. `converted`: the encoding of each file that is not in UTF-8, by its place.
    """

    articles: list[Article]
    skipped: list[Skip]
    unread: frozenset[str] = frozenset()
    converted: Mapping[str, str] = field(default_factory=dict)

    def may_hold(self, article: Article) -> bool:
        """Whether the file that brought this article is there, unread."""
        place = PurePosixPath(article.place)
        return bool(article.place) and any(str(one) in self.unread for one in (place, *place.parents))


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did, by article id; `converted` as Reading has it. `version` serves now (the old one where nothing changed)."""

    version: str
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    skipped: list[Skip] = field(default_factory=list)
    converted: Mapping[str, str] = field(default_factory=dict)
    chunks: int = 0
    embedded: int = 0


@dataclass(frozen=True, slots=True)
class KnowledgeVersion:
    """One kept version. `at` is aware UTC in ISO 8601; `config` the label of the RAG configuration that filled it."""

    version: str
    at: str
    config: str
    articles: int
    chunks: int
    serving: bool


def compared(known: Sequence[Article], reading: Reading, root: str) -> tuple[IngestReport, list[Article]]:
    """What is new in what was read at `root`, and all articles of the next version: those of other PATHs stay."""
    old = {article.id: article for article in known}
    new = {article.id: article for article in reading.articles}
    missing = [article for article in old.values() if article.root == root and article.id not in new]
    kept = [article.id for article in missing if reading.may_hold(article)]
    removed = [article.id for article in missing if article.id not in kept]
    same = {own_id: own_id in old and old[own_id].says(article) for own_id, article in new.items()}
    report = IngestReport(
        version="",
        added=[own_id for own_id in new if own_id not in old],
        changed=[own_id for own_id in new if own_id in old and not same[own_id]],
        unchanged=[own_id for own_id in new if same[own_id]] + kept,
        removed=removed,
        skipped=reading.skipped,
        converted=reading.converted,
    )
    gone = frozenset(removed)
    return report, [*(row for row in old.values() if row.id not in gone and row.id not in new), *new.values()]


def named(known: Sequence[Article], article: str, path: str) -> list[Article]:
    """The article of this id, else all that came from this absolute path or from below it. Raises KnowledgeError."""
    if found := [row for row in known if row.id == article]:
        return found
    place = PurePath(path)
    if found := [row for row in known if path and row.root and place in (row.file, *row.file.parents)]:
        return found
    names = {row.id for row in known} | {row.root for row in known} | {str(row.file) for row in known}
    near = get_close_matches(article, names, 3) or get_close_matches(path, names, 3)
    fix = f"nearest: {', '.join(near)}" if near else "`frontdesk search` tells ids"
    what = "no article has this id, and none came from this path"
    raise KnowledgeError(what, where=article or path, fix=fix)
