"""Find the passages that may hold the answer. Only public articles can be reached from here."""

import asyncio

from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from domain.errors import KnowledgeError
from domain.ports import Found
from domain.turn import Passage, Pins, Reranked, Turn, Verdict
from guards.requests import question_in
from models.smalltalk import matter
from nodes.deps import Deps
from nodes.history import readings


class RetrieveUpdate(TypedDict):
    """How the question was read, and the passages, best first.

    `confidence` is how likely they are to answer it, `reranked` what a reranker did to their order, `alike` how alike
    the desk's texts are, where question and best passage are in one language.
    """

    standalone: str
    topic: str
    searched: str
    passages: list[Passage]
    confidence: float
    reranked: Reranked
    alike: float | None
    verdicts: list[Verdict]


async def retrieve(turn: Turn, runtime: Runtime[Pins], *, deps: Deps) -> RetrieveUpdate:
    """Search the public knowledge, then drop passages that carry instructions to a model.

    Raises KnowledgeError when the run is pinned to a RAG configuration that did not fill the knowledge.
    """
    pin = (runtime.context or Pins()).rag_config
    if pin and pin not in (deps.rag_config, deps.rag_config.partition("@")[0]):
        raise KnowledgeError(
            f"the knowledge was filled by {deps.rag_config}", where=pin, fix="set FRONTDESK_RAG_CONFIG and ingest again"
        )
    standalone, topic, searched, found = await _read(turn, deps)
    check = await deps.guards.check_passages(found.passages)
    return {
        "standalone": standalone,
        "topic": topic,
        "searched": searched,
        "passages": check.kept,
        "confidence": found.confidence if check.kept else 0.0,
        "reranked": found.reranked,
        "alike": found.alike,
        "verdicts": check.verdicts,
    }


async def _read(turn: Turn, deps: Deps) -> tuple[str, str, str, Found]:
    """The question alone or behind what it may lean on, whichever finds more surely (docs/decisions/052).

    How it reads, behind what, what was searched for, and what was found.
    """
    topic = turn.get("topic", "")
    if not topic:
        standalone = turn["standalone"]
        return standalone, "", *await _surest(standalone, deps)
    *own, joined = readings(topic, matter(turn["masked"]))
    if not own:
        return joined, topic, joined, await deps.search.search(joined, deps.top_k)
    [asked] = own
    (searched, alone), found = await asyncio.gather(_surest(asked, deps), deps.search.search(joined, deps.top_k))
    if found.confidence >= alone.confidence:
        return joined, topic, joined, found
    return asked, "", searched, alone


async def _surest(question: str, deps: Deps) -> tuple[str, Found]:
    """The question, or what it asks in the end, whichever finds more surely: a story draws a search away from it."""
    found = await deps.search.search(question, deps.top_k)
    if end := question_in(question):
        closer = await deps.search.search(end, deps.top_k)
        if closer.confidence > found.confidence:
            return end, closer
    return question, found
