"""What the passages themselves answer: the answer where no model is up, and where a model's does not hold."""

from collections.abc import Sequence

from domain.turn import Passage, Source, Turn
from models.smalltalk import matter
from nodes.deps import Deps
from scoring import cite, quote

NEAR_THE_BEST = 0.4
"""Passages below this share of the best score only distract a model (measured: facts on the small model)."""


async def quotation(turn: Turn, deps: Deps) -> tuple[str, list[Source]]:
    """The best sentences on the question, and where they stand; empty where the passages hold no words."""
    pairs = await quote(own_words(turn), near_the_best(turn["passages"]), embedder=deps.embedder)
    return "\n\n".join(text for _, text in pairs), _sources(pairs)


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


def _sources(pairs: Sequence[tuple[Passage, str]]) -> list[Source]:
    """One source an article, in the order of use."""
    sources: dict[str, Source] = {}
    for passage, text in pairs:
        where = Source(passage.article, passage.title, text, passage.url, passage.section, passage.id)
        sources.setdefault(passage.article, where)
    return list(sources.values())
