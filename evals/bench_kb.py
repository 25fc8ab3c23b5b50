"""A knowledge base from a file, opened in a folder of its own, to be searched as a customer's question searches it."""

import json
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, Field, ValidationError, field_validator

from domain.ports import Found, Hands, Progress
from domain.turn import Reranked
from evals.jsonl import read_lines
from evals.kept_vectors import KeptVectors
from evals.ranking import DEPTH, Ranked
from models.embedder import load_embedder
from models.spreading import SpreadEmbedder
from models.tokens import estimate_tokens
from retrieval import Knowledge, RagConfig
from retrieval.confidence import Features
from retrieval.config import Fusion

Row = TypeVar("Row", bound=BaseModel)
MS = 1000.0
TITLE_CHARS = 80
NEARBY = 3
"""Articles next to the answer that are taken out with it, so that the topic is missing and not one article of it."""


class ArticleRow(BaseModel, coerce_numbers_to_str=True):
    """An article. One without a title is named by its first words; whom it is for makes no difference here."""

    id: str
    text: str = ""
    title: str = ""

    @field_validator("title", "text", mode="before")
    @classmethod
    def _nothing(cls, value: object) -> object:
        return value or ""


class QuestionRow(BaseModel, coerce_numbers_to_str=True):
    """A question and the ids of the articles that answer it."""

    id: str
    text: str = Field(min_length=1)
    relevant: list[str] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of one question. `holds`: an article that answers it is among the passages of a turn.

    `confidence_without` is what was said when no article could answer; `tokens` those of the passages; `…_far`
    what was said when the articles nearest to it were not there either; `seen…` what each was computed from;
    `reranked` what a reranker did.
    """

    ranked: Ranked
    confidence: float
    holds: bool
    confidence_without: float
    tokens: int
    confidence_far: float = 0.0
    seen: Features | None = None
    seen_without: Features | None = None
    seen_far: Features | None = None
    reranked: Reranked = ""


@dataclass(frozen=True, slots=True)
class Bench:
    """Articles under one configuration. `ids` of the rows by place; `seconds`: what it took to bring them in."""

    ids: list[str]
    config: RagConfig
    knowledge: Knowledge
    folder: Path
    seconds: float
    chunks: int

    async def warm(self) -> None:
        """Load what a first question would wait for."""
        await self.knowledge.public.search("warm", 1)

    async def ask(self, question: str, relevant: Collection[str]) -> Asked:
        """Ask once as a customer does, timed, and once as if what answers it were not there."""
        ranked, found, seen = await self._timed(question)
        answering = frozenset(str(place) for place, own_id in enumerate(self.ids) if own_id in relevant)
        without, seen_without = await self.knowledge.public.examine(question, self.config.top_k, answering)
        nearby = list(dict.fromkeys(passage.article for passage in without.passages))[:NEARBY]
        far, seen_far = await self.knowledge.public.examine(question, self.config.top_k, answering.union(nearby))
        given = found.passages[: self.config.top_k]
        return Asked(
            ranked,
            found.confidence,
            any(passage.article in answering for passage in given),
            without.confidence,
            sum(estimate_tokens(passage.text) for passage in given),
            far.confidence,
            seen,
            seen_without,
            seen_far,
            found.reranked,
        )

    async def rank(self, question: str) -> Ranked:
        """The articles alone."""
        return (await self._timed(question))[0]

    async def unchanged(self) -> float:
        """Seconds of bringing the same articles in once more."""
        started = time.perf_counter()
        await self.knowledge.ingest(self.folder.parent / "articles.jsonl")
        return time.perf_counter() - started

    @asynccontextmanager
    async def again(self, config: RagConfig) -> AsyncIterator["Bench"]:
        """The same collection searched in another way; this bench is closed by it."""
        from graph.rooms import open_knowledge  # noqa: PLC0415  # as below

        await self.knowledge.close()
        knowledge = await open_knowledge(self.folder, config)
        try:
            yield replace(self, config=config, knowledge=knowledge)
        finally:
            await knowledge.close()

    async def _timed(self, question: str) -> tuple[Ranked, Found, Features | None]:
        started = time.perf_counter()
        found, seen = await self.knowledge.public.examine(question, DEPTH * self.config.per_article)
        took = (time.perf_counter() - started) * MS
        ids = dict.fromkeys(self.ids[int(passage.article)] for passage in found.passages)
        return Ranked(list(ids)[:DEPTH], took), found, seen


@asynccontextmanager
async def opened_bench(
    config: RagConfig,
    articles: Sequence[ArticleRow],
    progress: Progress | None,
    kept: Path | None = None,
    hands: Hands | None = None,
) -> AsyncIterator[Bench]:
    """Bring articles into a folder that lives as long as the context; vectors may be kept in another.

    `hands`: what the articles are embedded by.

    There they are named by their place: rows that share an id are parts of one article, and each is searched.
    """
    from graph.rooms import open_knowledge  # noqa: PLC0415  # seconds: not for a test of figures

    with tempfile.TemporaryDirectory(prefix="frontdesk-eval-") as folder:
        path, state = Path(folder) / "articles.jsonl", Path(folder) / "knowledge"
        rows = [
            {"id": str(place), "title": titled(row), "text": row.text or titled(row)}
            for place, row in enumerate(articles)
        ]
        path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
        keep = (lambda embedder: KeptVectors(embedder, kept)) if kept else None
        knowledge = await open_knowledge(state, config, keep)
        try:
            started = time.perf_counter()
            spread = SpreadEmbedder(load_embedder(config.embedder.name), hands) if hands else None
            report = await knowledge.ingest(path, progress, embedder=spread)
            ids = [row.id for row in articles]
            yield Bench(ids, config, knowledge, state, time.perf_counter() - started, report.chunks)
        finally:
            await knowledge.close()


def titled(row: ArticleRow) -> str:
    """The title of an article, or its first words."""
    return row.title.strip() or " ".join(row.text.split())[:TITLE_CHARS] or row.id


def plain_embedding(config: RagConfig) -> RagConfig:
    """The same chunks and vectors with the nearest first, and nothing else: the row that ours has to beat."""
    fusion = Fusion(dense=1.0, lexical=0.0, candidates=max(config.fusion.candidates, 50))
    return config.model_copy(update={"fusion": fusion, "centring": 0.0, "duplicate": 1.0})


def read_article_rows(path: Path) -> tuple[list[ArticleRow], list[str]]:
    """Articles of a JSONL file, and which lines are none and why. Raises UsageError."""
    rows, broken = _read(path, ArticleRow)
    says = {place for place, row in enumerate(rows) if row.text.strip() or row.title.strip()}
    said = [row for place, row in enumerate(rows) if place in says]
    return said, [*broken, *(f"{path}: {row.id} has no text" for place, row in enumerate(rows) if place not in says)]


def read_questions(path: Path) -> tuple[list[QuestionRow], list[str]]:
    """Questions of a JSONL file, and which lines are none and why. Raises UsageError."""
    return _read(path, QuestionRow)


def _read(path: Path, kind: type[Row]) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    broken: list[str] = []
    for number, raw in enumerate(read_lines(path), start=1):
        if raw.strip():
            try:
                given = json.loads(raw.decode())
                rows.append(kind.model_validate({"id": str(number), **given} if isinstance(given, dict) else given))
            except (ValueError, RecursionError) as fault:
                broken.append(f"{path}:{number}: {_first(fault)}")
    return rows, broken


def _first(fault: Exception) -> str:
    if isinstance(fault, ValidationError):
        first = fault.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'row'}: {first['msg']}"
    return f"not UTF-8 JSON: {fault}"
