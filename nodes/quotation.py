"""What the passages themselves answer: the answer where no model is up, and where a model's does not hold."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.errors import WeightsError
from domain.turn import Passage, Source, Turn
from models.smalltalk import matter
from nodes.deps import Deps
from retrieval.confidence import quotation_answers
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
    """Quote, and judge whether what is quoted answers the question."""
    pairs = await quote(own_words(turn), near_the_best(turn["passages"]), embedder=deps.embedder)
    texts = [text for _, text in pairs]
    sure = await _answers(turn, texts, deps)
    if deps.doubt is None or sure is None:
        return Quotation("\n\n".join(texts), _sources(pairs), turn["confidence"] >= deps.grey[0], doubtful=False)
    return Quotation("\n\n".join(texts), _sources(pairs), sure >= deps.doubt.low, sure < deps.doubt.high)


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


async def _answers(turn: Turn, texts: Sequence[str], deps: Deps) -> float | None:
    """P(one of the texts answers the question); None where nothing can tell it.

    That is: a question that leans on another, one in another language than the passages, or no weights.
    """
    alike = turn.get("alike")
    if deps.doubt is None or alike is None or turn.get("topic") or not texts:
        return None
    try:
        # Both as questions are embedded: as a passage the quotation tells a near miss from an answer less well (decision 051).
        asked = await deps.embedder.query(turn["searched"])
        nearest = max([dot(asked, await deps.embedder.query(text)) for text in texts])
    except WeightsError:
        return None
    return quotation_answers(turn["confidence"], nearest - alike, deps.doubt)


def _sources(pairs: Sequence[tuple[Passage, str]]) -> list[Source]:
    """One source an article, in the order of use."""
    sources: dict[str, Source] = {}
    for passage, text in pairs:
        where = Source(passage.article, passage.title, text, passage.url, passage.section, passage.id)
        sources.setdefault(passage.article, where)
    return list(sources.values())
