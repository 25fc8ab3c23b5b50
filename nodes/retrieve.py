"""Find the passages that may hold the answer. Only public articles can be reached from here."""

from typing_extensions import TypedDict

from domain.turn import Passage, Turn, Verdict
from nodes.deps import Deps


class RetrieveUpdate(TypedDict):
    """Passages best first, and how likely they are to answer the question."""

    passages: list[Passage]
    confidence: float
    verdicts: list[Verdict]


async def retrieve(turn: Turn, *, deps: Deps) -> RetrieveUpdate:
    """Search the public knowledge, then drop passages that carry instructions to a model."""
    found = await deps.search.search(turn["standalone"], deps.top_k)
    check = await deps.guards.check_passages(found.passages)
    return {
        "passages": check.kept,
        "confidence": found.confidence if check.kept else 0.0,
        "verdicts": check.verdicts,
    }
