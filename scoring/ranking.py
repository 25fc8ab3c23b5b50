"""Which pieces of the passages answer a question: what is quoted, and what a model is given to read.

Each piece (sentence, list item, table row) is scored by the question's words that it holds, weighted by rarity,
by its likeness in meaning, by whether it is the kind of thing asked for (an amount, a time), and by how well
retrieval thinks of its passage.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from domain.errors import WeightsError
from domain.ports import Embedder
from domain.turn import Passage
from domain.words import fold
from scoring.grounding import dot
from scoring.markdown import Piece, pieces
from scoring.text import content_words

EMBEDDED = 16
"""Pieces whose meaning is compared where words do not tell: 2 ms each (English embedder) or 7 (multilingual), once.

With 6 the shop's dev answers hold every fact in 43 of 72, with 12 in 46, with 16 or all in 47.
"""
TOLD = 0.5
"""Share of the question's words in one piece from which meaning is not compared (a TV manual loses by comparing always)."""
DEEP = 5
"""Passages whose pieces are compared in meaning before those of the others."""

# Chosen on the shop's dev cases: of 27 answers that retrieval found, 22 are quoted in full; the weights matter little.
WORDS, MEANING, KIND, PLACE, STEP = 0.35, 0.35, 0.15, 0.5, 0.02
"""Weights of a piece's score: words, meaning, kind, its passage's score, and the loss with each rank."""
CONTEXT = 0.5
"""What a word of the heading counts, against one of the piece or of the article's title."""
ACROSS = 0.25
"""What is left of the words' weight where passages are in several languages: there they compare nothing."""

ELSEWHERE, ELSEWHERE_LOSS = (
    re.compile(
        r"\b(?:is|are) (?:described|explained|listed|told|found) (?:in|under|at)\b|\bsee(?: also)? [\"“']|\brefer to\b"
        r"|\bxem (?:them|[\"“'])|\b(?:mo ta|trinh bay|noi ro|giai thich|huong dan) (?:trong|o|tai)\b"
    ),
    0.2,
)
"""A piece that only points to another article (on folded text) answers nothing, and what its score loses."""

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


@dataclass(frozen=True, slots=True)
class Ranked:
    """A piece, the rank of its passage, its place there, the question's words around it, and its score.

    `told` is the share of the question that its words hold, 0..1.
    """

    rank: int
    order: int
    piece: Piece
    words: frozenset[str]
    told: float
    score: float


@dataclass(frozen=True, slots=True)
class _Read:
    """A piece as every question sees it: its words, those around it, and what it says, folded."""

    piece: Piece
    words: frozenset[str]
    around: frozenset[str]
    said: str
    points_elsewhere: bool


async def rank_pieces(question: str, passages: Sequence[Passage], embedder: Embedder | None) -> list[Ranked]:
    """Every piece of the passages (best first) in their order. Without an embedder's weights words decide alone."""
    ranked = by_words(question, passages)
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


def _in_context(one: Ranked, passages: Sequence[Passage]) -> str:
    """A piece as its meaning is compared: named by its article and its heading, which it may say nothing without."""
    return ": ".join(part for part in (passages[one.rank].title, one.piece.heading, one.piece.text) if part)


def by_words(question: str, passages: Sequence[Passage], across: float = ACROSS) -> list[Ranked]:
    """Every piece of the passages in their order, scored without its meaning.

    `across`: what is left of the words' weight where the passages are in several languages.
    """
    asked = frozenset(content_words(question))
    wanted = [answer for asks, answer in KINDS if asks.search(fold(question))]
    found = [
        (rank, order, read)
        for rank, passage in enumerate(passages)
        for order, read in enumerate(_read(passage.title, passage.section, passage.text))
    ]
    held = [read.words & asked for _, _, read in found]
    rarity = _rarity(asked, held)
    weight = (across if len({passage.language for passage in passages}) > 1 else 1.0) / (sum(rarity.values()) or 1.0)
    top = max((passage.score for passage in passages), default=0.0) or 1.0
    places = [PLACE * passage.score / top - STEP * rank for rank, passage in enumerate(passages)]
    rare, scored = rarity.__getitem__, []
    for (rank, order, read), own in zip(found, held, strict=True):
        around = asked & read.around - own
        told = weight * (sum(map(rare, own)) + CONTEXT * sum(map(rare, around)))
        kind = KIND if wanted and any(answer.search(read.said) for answer in wanted) else 0.0
        place = places[rank] - (ELSEWHERE_LOSS if read.points_elsewhere else 0.0)
        scored.append(Ranked(rank, order, read.piece, own | around, told, WORDS * told + kind + place))
    return scored


@lru_cache(maxsize=2_048)
def _read(title: str, section: str, text: str) -> tuple[_Read, ...]:
    """The pieces of a passage. Remembered: a desk's passages are read for one question after the other."""
    read = []
    for piece in pieces(text, section.rpartition(" > ")[2]):
        said = fold(piece.text)
        words, around = content_words(f"{title} {piece.text}"), content_words(f"{piece.lead} {section}")
        read.append(_Read(piece, frozenset(words), frozenset(around), said, bool(ELSEWHERE.search(said))))
    return tuple(read)


def _rarity(asked: frozenset[str], held: Sequence[frozenset[str]]) -> dict[str, float]:
    """How far a word of the question tells these pieces apart; a word in none of them, hardly."""
    count = Counter(word for own in held for word in own)
    return {word: math.log(1 + len(held) / (0.5 + count[word])) if count[word] else 0.1 for word in asked}
