"""The first candidates of a search put in the order of a model that reads them; the search's own where it cannot in time."""

import asyncio

from domain.errors import WeightsError
from domain.ports import Reranker
from domain.turn import Reranked
from retrieval.config import Reranking
from retrieval.shelf import Shelf

MS = 1000.0


async def reranked(
    reranker: Reranker, rule: Reranking, shelf: Shelf, question: str, places: list[int]
) -> tuple[list[int], Reranked]:
    """The places, the first `rule.candidates` of them in a new order, and whether that was done.

    A reranker that takes longer than `rule.deadline_ms`, or that fails, leaves the order as it was.
    """
    first, rest = places[: rule.candidates], places[rule.candidates :]
    try:
        async with asyncio.timeout(rule.deadline_ms / MS):
            scores = await reranker.scores(question, [shelf.chunks[place].embedded for place in first])
    except TimeoutError:
        return places, "late"
    except WeightsError:
        return places, "failed"
    ordered = sorted(zip(scores, range(len(first)), strict=True), key=lambda pair: (-pair[0], pair[1]))
    return [*(first[order] for _, order in ordered), *rest], "done"
