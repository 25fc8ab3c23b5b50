"""The extractive answer: the sentences of the best passages that answer a question, to the letter.

Each piece of the best passages (sentence, list item, table row) is scored by the question's words that
it holds, weighted by rarity, by its likeness in meaning, by whether it is the kind of thing asked for
(an amount, a time), and by how well retrieval thinks of its passage. A short section is quoted whole,
of a longer one the best pieces with the condition beside them; what a piece cannot be understood
without (a heading, a list's introduction) comes along.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain.errors import WeightsError
from domain.ports import Embedder
from domain.turn import Passage
from domain.words import fold
from scoring.grounding import dot
from scoring.markdown import Piece, pieces
from scoring.text import content_words

LIMIT = 3
"""Pieces of one passage in a quote."""
PASSAGES = 5
"""Passages looked at."""
QUOTED = 2
"""Passages quoted: a customer asks at most two things at once."""
EMBEDDED = 6
"""Pieces whose meaning is compared where words do not tell: 2 ms each (English embedder) or 7 (multilingual), once."""
TOLD = 0.4
"""Share of the question's words in one piece from which meaning is not compared."""
DEEP = 3
"""Passages whose pieces are compared in meaning before those of the others."""
WHOLE = 300
"""Characters up to which a section of sentences is quoted whole."""
LONGEST = 600
"""Characters of one quote; a list of steps may be longer."""

# Chosen on the shop's dev cases: of 27 answers that retrieval found, 22 are quoted in full; the weights matter little.
WORDS, MEANING, KIND, PLACE, STEP = 0.35, 0.35, 0.15, 0.5, 0.02
"""Weights of a piece's score: words, meaning, kind, its passage's score, and the loss with each rank."""
CONTEXT = 0.5
"""What a word of the heading counts, against one of the piece or of the article's title."""
ACROSS = 0.25
"""What is left of the words' weight where passages are in several languages: there they compare nothing."""
BESIDE, BESIDE_IN_LIST = 0.55, 0.7
"""A sentence, or an item, of the passage belongs to the quote from this share of the best score."""
SAME, OTHER = 0.75, 0.85
"""A second passage of the same article, or of another, is quoted from this share of the best score."""
NEXT = 0.1
"""What the sentence after the best one is worth more: it often holds the condition."""

AMOUNT = re.compile(
    r"\d[\d.,]*\s*(?:%|d\b|vnd|usd|eur|[$€£])|(?:usd|eur|[$€£])\s*\d|\bfree\b|\bmien phi\b|\bno extra\b|\bnothing extra\b"
)
TIME = re.compile(
    r"\d\s*(?:to \d+ |den \d+ )?(?:working |business )?(?:second|minute|hour|day|week|month|year)"
    r"|\d\s*(?:den \d+ )?(?:giay|phut|gio|ngay|tuan|thang|nam)\b"
    r"|\d{1,2}:\d{2}|\b(?:today|tomorrow|at once|immediately|straight away|ngay lap tuc|hom nay|ngay mai)\b"
)
KINDS = (
    (
        re.compile(
            r"\bhow much\b|\bcosts?\b|\bfees?\b|\bprices?\b|\bcharged?\b|\bpay\b"
            r"|\bbao nhieu tien\b|\bphi\b|\bgia\b|\bphan tram\b|\bmat tien\b|\bton\b"
        ),
        AMOUNT,
    ),
    (
        re.compile(
            r"\bhow (?:long|soon|many (?:days|weeks|hours|months))\b|\bwhen\b|\bwhat time\b|\buntil\b|\bdeadline\b|\bopening\b"
            r"|\bbao lau\b|\bkhi nao\b|\bbao gio\b|\bmay (?:ngay|gio|thang|tuan)\b|\bhan\b|\btrong vong\b"
        ),
        TIME,
    ),
)
"""What is asked for, and what an answer to it looks like; both on folded text."""

Quoted = tuple[Passage, str]


@dataclass(frozen=True, slots=True)
class _Scored:
    """A piece, the rank of its passage, its place there, the question's words around it, and its score.

    `told` is the share of the question that its words hold, 0..1.
    """

    rank: int
    order: int
    piece: Piece
    words: frozenset[str]
    told: float
    score: float


async def quote(
    question: str, passages: Sequence[Passage], *, embedder: Embedder | None = None, limit: int = LIMIT
) -> list[Quoted]:
    """The passages to quote and what to quote of each, best first: at most two, of one article or of two.

    `passages` are best first. Without an embedder, or while its weights are absent, words decide alone.
    Empty only where there is no passage with a text.
    """
    scored = await _scored(question, passages[:PASSAGES], embedder)
    best = {rank: _best([one for one in scored if one.rank == rank]) for rank in {one.rank for one in scored}}
    ranks = sorted(best, key=lambda rank: (-best[rank].score, rank))
    chosen = ranks[:1]
    for rank in ranks[1:]:
        same = passages[rank].article == passages[ranks[0]].article
        if best[rank].score >= (SAME if same else OTHER) * best[ranks[0]].score and len(chosen) < QUOTED:
            chosen.append(rank)
    return [(passages[rank], _said([one for one in scored if one.rank == rank], limit)) for rank in chosen]


def best_sentences(question: str, passage: str, k: int = LIMIT) -> list[str]:
    """The best `k` pieces of one text by words alone, in their order."""
    ranked = _by_words(question, [Passage("", "", "", passage, 1.0)])
    best = sorted(ranked, key=lambda one: (-one.score, one.order))[:k]
    return [one.piece.text for one in sorted(best, key=lambda one: one.order)]


async def _scored(question: str, passages: Sequence[Passage], embedder: Embedder | None) -> list[_Scored]:
    ranked = _by_words(question, passages)
    if embedder is None or len(ranked) <= 1 or max(one.told for one in ranked) >= TOLD:
        return ranked
    likely = sorted(ranked, key=lambda one: (one.rank >= DEEP, -one.score, one.rank, one.order))[:EMBEDDED]
    try:
        asked = await embedder.query(question)
        # Pieces are embedded as questions are, so that they share the embedder's cache: each is paid for once.
        likeness = [dot(asked, await embedder.query(_in_context(one, passages))) for one in likely]
    except WeightsError:
        return ranked
    low, high = min(likeness), max(likeness)
    near = {
        (one.rank, one.order): MEANING * (value - low) / (high - low or 1.0)
        for one, value in zip(likely, likeness, strict=True)
    }
    return [replace(one, score=one.score + near.get((one.rank, one.order), 0.0)) for one in ranked]


def _in_context(one: _Scored, passages: Sequence[Passage]) -> str:
    passage = passages[one.rank]
    return ": ".join(part for part in (passage.section or passage.title, one.piece.text) if part)


def _by_words(question: str, passages: Sequence[Passage]) -> list[_Scored]:
    """Every piece of the passages, scored without its meaning."""
    asked = set(content_words(question))
    wanted = [answer for asks, answer in KINDS if asks.search(fold(question))]
    found = [
        (rank, order, piece)
        for rank, passage in enumerate(passages)
        for order, piece in enumerate(pieces(passage.text, passage.section.rpartition(" > ")[2]))
    ]
    held = [set(content_words(f"{passages[rank].title} {piece.text}")) & asked for rank, _, piece in found]
    rarity = _rarity(asked, held)
    weight = (ACROSS if len({passage.language for passage in passages}) > 1 else 1.0) / (sum(rarity.values()) or 1.0)
    top = max((passage.score for passage in passages), default=0.0) or 1.0
    scored = []
    for (rank, order, piece), own in zip(found, held, strict=True):
        around = asked & set(content_words(f"{piece.lead} {passages[rank].section}")) - own
        told = weight * (sum(rarity[word] for word in own) + CONTEXT * sum(rarity[word] for word in around))
        kind = KIND if any(answer.search(fold(piece.text)) for answer in wanted) else 0.0
        place = PLACE * passages[rank].score / top - STEP * rank
        scored.append(_Scored(rank, order, piece, frozenset(own | around), told, WORDS * told + kind + place))
    return scored


def _rarity(asked: set[str], held: Sequence[set[str]]) -> dict[str, float]:
    """How far a word of the question tells these pieces apart; a word in none of them, hardly."""
    count = Counter(word for own in held for word in own)
    return {word: math.log(1 + len(held) / (0.5 + count[word])) if count[word] else 0.1 for word in asked}


def _best(scored: Sequence[_Scored]) -> _Scored:
    return max(scored, key=lambda one: (one.score, -one.order))


def _said(scored: Sequence[_Scored], limit: int) -> str:
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


def _taken(scored: Sequence[_Scored], limit: int) -> list[_Scored]:
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


def _near(one: _Scored, best: _Scored) -> bool:
    """Whether a piece is nearly as good as the best; of a list or table, not those that merely lack its words."""
    if one.piece.kind == "sentence":
        return one.score >= BESIDE * best.score
    return one.score >= BESIDE_IN_LIST * best.score and not one.words < best.words


def _follows(one: _Scored, best: _Scored) -> bool:
    return one.order == best.order + 1 and one.piece.kind == best.piece.kind == "sentence"


def _heading_answers(one: _Scored, taken: Sequence[_Scored]) -> bool:
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
