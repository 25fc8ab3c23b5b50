"""What the passages themselves answer: the answer where no model is up, and where a model's does not hold."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.errors import WeightsError
from domain.ports import Embedder
from domain.turn import Passage, Source, Turn
from models.smalltalk import matter
from nodes.deps import Deps
from retrieval.confidence import quotation_answers
from retrieval.config import Doubt
from scoring import cite, quote
from scoring.grounding import dot

NEAR_THE_BEST = 0.4
"""Passages below this share of the best score only distract a model (measured: facts on the small model)."""


@dataclass(frozen=True, slots=True)
class Quotation:
    """The best sentences on the question, and where they stand; empty where the passages hold no words.

    `knows`: it may be said · `doubtful`: with the caveat that it may not answer.
    """

    text: str
    sources: list[Source]
    knows: bool
    doubtful: bool


async def quotation(turn: Turn, deps: Deps) -> Quotation:
    """Quote, and judge whether what is quoted answers the question; nothing is quoted where the search has told already."""
    found, measure = turn["confidence"] >= deps.grey[0], _measure(turn, deps)
    if not found and measure is None:
        return Quotation("", [], knows=False, doubtful=False)
    pairs = await quote(own_words(turn), near_the_best(turn["passages"]), embedder=deps.embedder)
    texts, sources = [text for _, text in pairs], _sources(pairs)
    near = await _nearness(turn["searched"], texts, deps.embedder) if measure else None
    if measure is None or near is None:
        return Quotation("\n\n".join(texts), sources, found, doubtful=False)
    doubt, alike = measure
    sure = quotation_answers(turn["confidence"], near - alike, doubt)
    return Quotation("\n\n".join(texts), sources, sure >= doubt.low, sure < doubt.high)


def own_words(turn: Turn) -> str:
    """What a passage must answer: of a question that leans on an earlier one, which led to the passages, the new words."""
    return matter(turn["masked"]) if turn.get("topic") else turn["searched"]


async def sources_of(text: str, turn: Turn, deps: Deps) -> list[Source]:
    """Where that stands in the passages which an answer says."""
    return _sources(await cite(text, near_the_best(turn["passages"]), embedder=deps.embedder))


def near_the_best(passages: Sequence[Passage]) -> list[Passage]:
    """What is quoted from, and read by a model."""
    best = max((passage.score for passage in passages), default=0.0)
    return [passage for passage in passages if passage.score >= NEAR_THE_BEST * best]


def _measure(turn: Turn, deps: Deps) -> tuple[Doubt, float] | None:
    """What a quotation is judged by, and how alike the desk's texts are.

    None: it cannot be, that is of a question that leans on another, or in another language than the passages.
    """
    alike = turn.get("alike")
    return None if deps.doubt is None or alike is None or turn.get("topic") else (deps.doubt, alike)


async def _nearness(question: str, texts: Sequence[str], embedder: Embedder) -> float | None:
    """The cosine of the question and the nearest of the texts; None without texts or weights."""
    try:
        # Both as questions are embedded: as a passage the quotation tells a near miss from an answer less well (decision 051).
        asked = await embedder.query(question)
        return max([dot(asked, await embedder.query(text)) for text in texts], default=None)
    except WeightsError:
        return None


def _sources(pairs: Sequence[tuple[Passage, str]]) -> list[Source]:
    """One source an article, in the order of use."""
    sources: dict[str, Source] = {}
    for passage, text in pairs:
        where = Source(passage.article, passage.title, text, passage.url, passage.section, passage.id)
        sources.setdefault(passage.article, where)
    return list(sources.values())
