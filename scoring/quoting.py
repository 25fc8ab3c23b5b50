"""The extractive answer: the sentences of the best passages that answer a question, to the letter.

A short section is quoted whole, of a longer one the best pieces with the condition beside them; what a
piece cannot be understood without (a heading, a list's introduction) comes along.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

from domain.ports import Embedder
from domain.turn import Passage
from domain.words import fold
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

BOUNDS = re.compile(
    r"\b(?:not|no|never|without|except|only|unless|if|while|until|before|after|outside|between|(?:can|do|does|is|are|will|wo)n.?t"
    r"|khong|chua|tru|ngoai|chi|neu|khi|truoc|sau|giua|tu)\b"
)
"""What a heading (folded) says so with bounds what stands below it: "What we do not accept", "After the courier has it"."""
LEANS = re.compile(
    r"(?:this|that|these|those|it|its|they|their|both|neither|such|then|there|otherwise|instead|but|however|so|for that|in (?:that|this) case"
    r"|from then on|the (?:same|others?)|[a-z]+ (?:it|them)|(?:dieu|viec|cai|khoan|cach) (?:nay|do)|no|chung|ca hai|nhung|tuy nhien|khi do"
    r"|luc (?:do|nay)|neu khong|vi (?:vay|the)|do do|trong truong hop (?:nay|do)|sau do|tu (?:do|luc do))\b"
)
"""How a sentence (folded) begins that is understood behind the one before it only."""
SAYS_YES_OR_NO = re.compile(r"(?:yes|no|not|sure|of course|co|khong|duoc|chua|roi|vang|da)\b")
"""How a text (folded) begins that answers its heading, and says nothing without it."""

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
    """The quote of one passage: its pieces in their order, headings and leads before what they introduce.

    Sentences of a paragraph flow; each other thing stands on a line of its own.
    """
    text, heading, lead, block = "", "", "", -1
    taken = _taken(scored, limit)
    for one in taken:
        piece = one.piece
        above = list[str]()
        if piece.heading != heading and _needed(piece.heading, taken):
            above.append(piece.heading)
        if piece.lead not in (lead, piece.heading) and not piece.stands_alone:
            above.append(piece.lead)
        for line in above:
            text += f"\n{line}" if line.endswith((":", "?", "!")) else f"\n{line}:"
        if piece.kind != "sentence":
            text += f"\n- {piece.text.rstrip(',;')}"
        else:
            text += f" {piece.text}" if piece.block == block and not above else f"\n{piece.text}"
        heading, lead, block = piece.heading, piece.lead, piece.block
    return text.strip()


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
    before = {one.order + 1: one for one in scored}
    for one in taken:  # which grows: what a sentence leans on may lean in turn
        said = before.get(one.order)
        if said and said not in taken and said.piece.block == one.piece.block and LEANS.match(fold(one.piece.text)):
            taken.append(said)
    return sorted(taken, key=lambda one: one.order)


def _near(one: Ranked, best: Ranked) -> bool:
    """Whether a piece is nearly as good as the best; of a list or table, not those that merely lack its words."""
    if one.piece.kind == "sentence":
        return one.score >= BESIDE * best.score
    return one.score >= BESIDE_IN_LIST * best.score and not one.words < best.words


def _follows(one: Ranked, best: Ranked) -> bool:
    return one.order == best.order + 1 and one.piece.kind == best.piece.kind == "sentence"


def _needed(heading: str, taken: Sequence[Ranked]) -> bool:
    """Whether what is quoted from below a heading says less, or another thing, without it."""
    below = [one.piece for one in taken if one.piece.heading == heading]
    if not heading or BOUNDS.search(fold(heading)):
        return bool(heading)
    if SAYS_YES_OR_NO.match(fold(below[0].text)) or (below[0].lead == heading and not below[0].stands_alone):
        return True
    said = {word for piece in below for word in content_words(piece.text)}
    return not said.issuperset(content_words(heading))
