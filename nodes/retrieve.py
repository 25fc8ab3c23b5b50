"""Find the passages that may hold the answer. Only public articles can be reached from here."""

from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from domain.errors import KnowledgeError
from domain.ports import Found
from domain.turn import Passage, Pins, Reranked, Turn, Verdict
from guards.requests import question_in
from nodes.deps import Deps


class RetrieveUpdate(TypedDict):
    """What was searched for, passages best first, how likely they are to answer the question, and what a reranker did to their order."""

    searched: str
    passages: list[Passage]
    confidence: float
    reranked: Reranked
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
    searched, found = await _surest(turn["standalone"], deps)
    check = await deps.guards.check_passages(found.passages)
    return {
        "searched": searched,
        "passages": check.kept,
        "confidence": found.confidence if check.kept else 0.0,
        "reranked": found.reranked,
        "verdicts": check.verdicts,
    }


async def _surest(question: str, deps: Deps) -> tuple[str, Found]:
    """The question, or what it asks in the end, whichever finds more surely: a story draws a search away from it."""
    found = await deps.search.search(question, deps.top_k)
    if end := question_in(question):
        closer = await deps.search.search(end, deps.top_k)
        if closer.confidence > found.confidence:
            return end, closer
    return question, found
