"""Find the passages that may hold the answer. Only public articles can be reached from here."""

from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from domain.errors import KnowledgeError
from domain.turn import Passage, Pins, Reranked, Turn, Verdict
from nodes.deps import Deps


class RetrieveUpdate(TypedDict):
    """Passages best first, how likely they are to answer the question, and what a reranker did to their order."""

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
    found = await deps.search.search(turn["standalone"], deps.top_k)
    check = await deps.guards.check_passages(found.passages)
    return {
        "passages": check.kept,
        "confidence": found.confidence if check.kept else 0.0,
        "reranked": found.reranked,
        "verdicts": check.verdicts,
    }
