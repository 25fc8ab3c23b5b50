"""The extractive answer: the sentences of the best passages that answer a question, to the letter.

A short section is quoted whole, of a longer one the best pieces with the condition beside them; what a
piece cannot be understood without (a heading, a list's introduction) comes along.
"""

from collections import defaultdict
from collections.abc import Sequence

from domain.ports import Embedder
from domain.turn import Passage
from scoring.grounding import answer_sentences
from scoring.ranking import Ranked, by_words, rank_pieces
from scoring.text import content_words

LIMIT = 3
"""Pieces of one passage in a quote."""
PASSAGES = 5
"""Passages looked at."""
QUOTED = 2
"""Passages quoted: a customer asks at most two things at once."""
WHOLE = 300
"""Characters up to which a section of sentences is quoted whole."""
LONGEST = 600
"""Characters of one quote; a list of steps may be longer."""
BESIDE, BESIDE_IN_LIST = 0.55, 0.7
"""A sentence, or an item, of the passage belongs to the quote from this share of the best score."""
SAME, OTHER = 0.75, 0.85
"""A second passage of the same article, or of another, is quoted from this share of the best score."""
NEXT = 0.1
"""What the sentence after the best one is worth more: it often holds the condition."""
FOUND = 0.6
"""Share of a sentence's words in one piece from which it comes from there (docs/decisions/032)."""

Quoted = tuple[Passage, str]


async def quote(
    question: str, passages: Sequence[Passage], *, embedder: Embedder | None = None, limit: int = LIMIT
) -> list[Quoted]:
    """The passages to quote and what to quote of each, best first: at most two, of one article or of two.

    `passages` are best first. Without an embedder, or while its weights are absent, words decide alone.
    Empty only where there is no passage with a text.
    """
    scored = await rank_pieces(question, passages[:PASSAGES], embedder)
    best = {rank: _best([one for one in scored if one.rank == rank]) for rank in {one.rank for one in scored}}
    ranks = sorted(best, key=lambda rank: (-best[rank].score, rank))
    chosen = ranks[:1]
    for rank in ranks[1:]:
        same = passages[rank].article == passages[ranks[0]].article
        if best[rank].score >= (SAME if same else OTHER) * best[ranks[0]].score and len(chosen) < QUOTED:
            chosen.append(rank)
    return [(passages[rank], _said([one for one in scored if one.rank == rank], limit)) for rank in chosen]


async def cite(answer: str, passages: Sequence[Passage], *, embedder: Embedder | None = None) -> list[Quoted]:
    """Where that stands in the passages (best first) which an answer says: at most two of them, most of it first.

    Sentence by sentence, and by words: one that no piece says so much of is a greeting, or puts it otherwise. Where all
    of them are (in another language, say), the passages are quoted on the answer as on a question.
    """
    near = passages[:PASSAGES]
    # What a sentence shares with a passage in its own language counts whole, whatever the others are in.
    held = [(said, scored) for said in answer_sentences(answer) if (scored := by_words(said, near, across=1.0))]
    found = [max(_shares(said, scored), key=lambda one: one[0]) for said, scored in held]
    weight = defaultdict[int, float](float)
    for (share, *_), one in found:
        if share >= FOUND:
            weight[one.rank] += share
    ranks = sorted(weight, key=lambda rank: (-weight[rank], rank))[:QUOTED]
    if not ranks:
        return await quote(answer, passages, embedder=embedder)
    best = [max(same, key=lambda one: one.score) for same in zip(*(scored for _, scored in held), strict=True)]
    return [(passages[rank], _said([one for one in best if one.rank == rank], LIMIT)) for rank in ranks]


def _shares(said: str, scored: Sequence[Ranked]) -> list[tuple[tuple[float, float, int], Ranked]]:
    """Each piece behind what it is preferred by: the share of the sentence's words that it holds, first of all."""
    words = len(set(content_words(said)))
    return [((len(one.words) / words, one.score, -one.order), one) for one in scored]


def _best(scored: Sequence[Ranked]) -> Ranked:
    return max(scored, key=lambda one: (one.score, -one.order))


def _said(scored: Sequence[Ranked], limit: int) -> str:
    """The quote of one passage: its pieces in their order, leads before what they introduce."""
    lines: list[str] = []
    lead = ""
    taken = _taken(scored, limit)
    for one in taken:
        piece = one.piece
        if piece.lead and piece.lead != lead and (not piece.stands_alone or _heading_answers(one, taken)):
            lines.append(piece.lead if piece.lead.endswith(":") else f"{piece.lead}:")
        lead = piece.lead
        lines.append(piece.text if piece.kind == "sentence" else f"- {piece.text.rstrip(',;')}")
    return _joined(lines)


def _taken(scored: Sequence[Ranked], limit: int) -> list[Ranked]:
    """A short section whole, steps whole, else the best piece, what is near it, and what follows it."""
    best = _best(scored)
    if best.piece.kind == "steps":
        return [one for one in scored if one.piece.block == best.piece.block]
    prose = all(one.piece.kind == "sentence" for one in scored)
    if prose and len(scored) <= limit + 1 and sum(len(one.piece.text) for one in scored) <= WHOLE:
        return list(scored)
    taken, size = [best], len(best.piece.text)
    for one in sorted(scored, key=lambda one: (-one.score - NEXT * _follows(one, best), one.order)):
        belongs = _near(one, best) or _follows(one, best)
        if one is not best and belongs and len(taken) < limit and size + len(one.piece.text) <= LONGEST:
            taken.append(one)
            size += len(one.piece.text)
    return sorted(taken, key=lambda one: one.order)


def _near(one: Ranked, best: Ranked) -> bool:
    """Whether a piece is nearly as good as the best; of a list or table, not those that merely lack its words."""
    if one.piece.kind == "sentence":
        return one.score >= BESIDE * best.score
    return one.score >= BESIDE_IN_LIST * best.score and not one.words < best.words


def _follows(one: Ranked, best: Ranked) -> bool:
    return one.order == best.order + 1 and one.piece.kind == best.piece.kind == "sentence"


def _heading_answers(one: Ranked, taken: Sequence[Ranked]) -> bool:
    """Whether the heading holds a word of the question that no quoted piece does."""
    said = {word for other in taken for word in content_words(other.piece.text)}
    return bool((one.words & set(content_words(one.piece.heading))) - said)


def _joined(lines: Sequence[str]) -> str:
    """Sentences flow; items, rows and what introduces them stand on lines of their own."""
    text = ""
    before = ""
    for line in lines:
        apart = line.startswith("- ") or before.startswith("- ") or line.endswith(":") or before.endswith(":")
        text += (("\n" if apart else " ") if text else "") + line
        before = line
    return text
