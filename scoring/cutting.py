"""Passages cut to the pieces that matter, before a model is given them: fewer tokens, less that distracts it."""

from collections.abc import Sequence
from dataclasses import replace

from domain.ports import Embedder
from domain.turn import Passage
from scoring.ranking import Ranked, rank_pieces


async def cut(
    question: str, passages: Sequence[Passage], limit: int, *, embedder: Embedder | None = None
) -> list[Passage]:
    """The passages (best first) with at most `limit` characters of their best pieces between them, each in its order.

    The best piece stays whatever its length; steps stay together, a sentence keeps the next one, which often holds
    its condition; a heading or a list's introduction comes along uncounted. A passage of which nothing is left
    goes. Passages that hold no more than `limit` together stay as they are.
    """
    if sum(len(passage.text) for passage in passages) <= limit:
        return list(passages)
    ranked = await rank_pieces(question, passages, embedder)
    taken: set[tuple[int, int]] = set()
    size = 0
    for best in sorted(ranked, key=lambda one: (-one.score, one.rank, one.order)):
        for one in (other for other in ranked if _belongs(other, best)):
            length = len(one.piece.text)
            if (one.rank, one.order) not in taken and (size + length <= limit or not taken):
                taken.add((one.rank, one.order))
                size += length
    kept = {
        rank: [one for one in ranked if one.rank == rank and (one.rank, one.order) in taken]
        for rank in range(len(passages))
    }
    return [replace(passage, text=_text(kept[rank])) for rank, passage in enumerate(passages) if kept[rank]]


def _belongs(other: Ranked, best: Ranked) -> bool:
    """Whether a piece is the best one, a step of the same list, or the sentence after it."""
    if other.rank != best.rank:
        return False
    steps = other.piece.kind == best.piece.kind == "steps" and other.piece.block == best.piece.block
    follows = other.order == best.order + 1 and other.piece.kind == best.piece.kind == "sentence"
    return other.order == best.order or steps or follows


def _text(kept: Sequence[Ranked]) -> str:
    """The pieces a line each, after what introduces them."""
    lines, lead = list[str](), ""
    for piece in (one.piece for one in kept):
        if piece.lead and piece.lead != lead and not piece.stands_alone:
            lines.append(piece.lead if piece.lead.endswith(":") else f"{piece.lead}:")
        lead = piece.lead
        lines.append(piece.text if piece.kind == "sentence" else f"- {piece.text}")
    return "\n".join(lines)
