"""The extractive answer: the sentences of the best passages that answer a question, to the letter.

Each piece of the best passages (sentence, list item, table row) is scored by the question's words that
it holds, weighted by rarity, by its likeness in meaning, and by whether it is the kind of thing asked
for (an amount, a time). The best piece brings the condition beside it; what it cannot be understood
without (a heading, a list's introduction) comes along.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain.errors import WeightsError
from domain.ports import Embedder, Vector
from domain.turn import Passage
from scoring.markdown import Piece, pieces
from scoring.text import content_words, fold

LIMIT = 3
"""Pieces of one passage in a quote."""
PASSAGES = 3
"""Passages looked at; a customer asks at most two things at once."""
EMBEDDED = 10
"""Pieces whose meaning is compared: 2 ms each with the English embedder, 7 ms with the multilingual one."""
LONGEST = 600
"""Characters of one quote; a list of steps may be longer."""

WORDS, MEANING, KIND, PLACE = 0.45, 0.35, 0.1, 0.25
"""Weights of a piece's score (fitted by hand on the shop's dev cases): words, meaning, kind, passage's rank."""
CONTEXT = 0.5
"""What a word of the heading counts, against one of the piece."""
BESIDE = 0.55
"""A piece of the same passage belongs to the quote from this share of the best score."""
SECOND = 0.8
"""A second article is quoted from this share of the best score, if it answers another part of the question."""

CLAUSE = re.compile(r"[?;!.]\s+|,?\s+(?:and|but|or|và|nhưng|hay là|rồi|with)\s+", re.IGNORECASE)
MIN_CLAUSE = 2
"""Content words from which a part of a question is a question of its own."""

AMOUNT = re.compile(
    r"\d[\d.,]*\s*(?:%|đ\b|vnd|vnđ|usd|eur|\$|€|£)|(?:usd|eur|\$|€|£)\s*\d|\bfree\b|mien phi|no extra", re.IGNORECASE
)
TIME = re.compile(
    r"\d+\s*(?:working\s+|business\s+)?(?:second|minute|hour|day|week|month|year|giay|phut|gio|ngay|tuan|thang|nam)"
    r"|\d{1,2}:\d{2}|\b(?:today|tomorrow|at once|immediately|monday|sunday|ngay lap tuc|thu (?:hai|bay)|chu nhat)\b",
    re.IGNORECASE,
)
KINDS = (
    (
        re.compile(
            r"how much|\bcosts?\b|\bfees?\b|\bprices?\b|\bcharge|\bpay\b|bao nhieu tien|phi\b|gia\b|phan tram|mat tien"
        ),
        AMOUNT,
    ),
    (
        re.compile(
            r"how long|\bwhen\b|what time|how soon|how many (?:days|weeks|hours)|until|deadline|opening|bao lau|khi nao|may (?:ngay|gio)|bao gio|han\b|trong vong"
        ),
        TIME,
    ),
)

Quoted = tuple[Passage, str]


@dataclass(frozen=True, slots=True)
class _Scored:
    """A piece with its passage's rank, what it holds of the question, and its score."""

    rank: int
    order: int
    piece: Piece
    words: frozenset[str]
    score: float


async def quote(
    question: str, passages: Sequence[Passage], *, embedder: Embedder | None = None, limit: int = LIMIT
) -> list[Quoted]:
    """The passages to quote and what to quote of each, best first; from two articles where two things are asked.

    `passages` are best first. Without an embedder, or while its weights are absent, words decide alone.
    Empty only where there is no passage with a text.
    """
    scored = await _scored(question, passages[:PASSAGES], embedder)
    if not scored:
        return []
    best = max(scored, key=lambda one: one.score)
    chosen = [best.rank]
    second = _second(question, scored, best, passages)
    if second is not None:
        chosen.append(second)
    return [(passages[rank], _said([one for one in scored if one.rank == rank], limit)) for rank in chosen]


def best_sentences(question: str, passage: str, k: int = LIMIT) -> list[str]:
    """The best `k` pieces of one text by words alone, in their order."""
    ranked = _by_words(question, [Passage("", "", "", passage, 1.0)])
    best = sorted(ranked, key=lambda one: -one.score)[:k]
    return [one.piece.text for one in sorted(best, key=lambda one: one.order)]


async def _scored(question: str, passages: Sequence[Passage], embedder: Embedder | None) -> list[_Scored]:
    ranked = _by_words(question, passages)
    if embedder is None or len(ranked) <= 1:
        return ranked
    likely = sorted(ranked, key=lambda one: (-one.score, one.rank, one.order))[:EMBEDDED]
    try:
        asked = await embedder.query(question)
        # Sentences are embedded as questions are, so that they share the embedder's cache: each is paid for once.
        likeness = [_dot(asked, await embedder.query(_context(one, passages))) for one in likely]
    except WeightsError:
        return ranked
    low, high = min(likeness), max(likeness)
    near = {id(one): (value - low) / (high - low or 1.0) for one, value in zip(likely, likeness, strict=True)}
    return [replace(one, score=one.score + MEANING * near.get(id(one), 0.0)) for one in ranked]


def _context(one: _Scored, passages: Sequence[Passage]) -> str:
    passage = passages[one.rank]
    return ": ".join(part for part in (passage.section or passage.title, one.piece.text) if part)


def _by_words(question: str, passages: Sequence[Passage]) -> list[_Scored]:
    asked = set(content_words(question))
    plain = fold(question)
    wanted = [answer for asks, answer in KINDS if asks.search(plain)]
    found = [
        (rank, order, piece)
        for rank, passage in enumerate(passages)
        for order, piece in enumerate(pieces(passage.text, passage.section.rpartition(" > ")[2]))
    ]
    held = [set(content_words(piece.text)) for _, _, piece in found]
    rarity = _rarity(asked, held)
    total = sum(rarity.values()) or 1.0
    scored = []
    for (rank, order, piece), own in zip(found, held, strict=True):
        context = set(content_words(f"{piece.lead} {passages[rank].section}"))
        words = sum(rarity[word] * (1.0 if word in own else CONTEXT) for word in asked & (own | context))
        kind = KIND if any(answer.search(fold(piece.text)) for answer in wanted) else 0.0
        place = PLACE * passages[rank].score
        scored.append(
            _Scored(rank, order, piece, frozenset(asked & (own | context)), WORDS * words / total + kind + place)
        )
    return scored


def _rarity(asked: set[str], held: Sequence[set[str]]) -> dict[str, float]:
    """What a word of the question tells these pieces apart by."""
    count = Counter(word for own in held for word in own & asked)
    return {word: math.log(1 + len(held) / (0.5 + count[word])) if count[word] else 0.1 for word in asked}


def _dot(one: Vector, other: Vector) -> float:
    return sum(left * right for left, right in zip(one, other, strict=True))


def _second(question: str, scored: Sequence[_Scored], best: _Scored, passages: Sequence[Passage]) -> int | None:
    """The rank of a passage of another article that answers a part of the question that the best one does not."""
    clauses = [words for part in CLAUSE.split(question) if len(words := set(content_words(part))) >= MIN_CLAUSE]
    if len(clauses) <= 1:
        return None
    covered = frozenset[str]().union(*(one.words for one in scored if one.rank == best.rank))
    others = [one for one in scored if passages[one.rank].article != passages[best.rank].article]
    other = max(others, key=lambda one: one.score, default=None)
    if other is None or other.score < SECOND * best.score or not other.words - covered:
        return None
    return other.rank


def _said(scored: Sequence[_Scored], limit: int) -> str:
    """The quote of one passage: its best pieces in their order, steps whole, leads before what they introduce."""
    best = max(scored, key=lambda one: one.score)
    if best.piece.kind == "steps":
        taken = [one for one in scored if one.piece.block == best.piece.block]
    else:
        taken = _taken(scored, best, limit)
    lines: list[str] = []
    lead = ""
    for one in sorted(taken, key=lambda one: one.order):
        piece = one.piece
        if piece.lead and piece.lead != lead and (not piece.stands_alone or _heading_answers(one, taken)):
            lines.append(piece.lead if piece.lead.endswith(":") else f"{piece.lead}:")
        lead = piece.lead
        lines.append(piece.text if piece.kind == "sentence" else f"- {piece.text.rstrip(',;')}")
    return _joined(lines)


def _taken(scored: Sequence[_Scored], best: _Scored, limit: int) -> list[_Scored]:
    """The best piece, what stands near it in score, and the sentence after it, which often holds the condition."""
    order = sorted(scored, key=lambda one: (-one.score - 0.1 * (one.order - best.order == 1), one.order))
    taken: list[_Scored] = [best]
    size = len(best.piece.text)
    for one in order:
        near = one.score >= BESIDE * best.score or (one.order - best.order == 1 and one.piece.kind == "sentence")
        if one is best or len(taken) >= limit or not near or size + len(one.piece.text) > LONGEST:
            continue
        taken.append(one)
        size += len(one.piece.text)
    return taken


def _heading_answers(one: _Scored, taken: Sequence[_Scored]) -> bool:
    """Whether the heading holds a word of the question that no quoted sentence does."""
    said = {word for other in taken for word in content_words(other.piece.text)}
    return bool((one.words & set(content_words(one.piece.heading))) - said)


def _joined(lines: Sequence[str]) -> str:
    """Sentences flow on one line; items, rows and what introduces them stand on their own."""
    text = ""
    for line in lines:
        own_line = line.startswith("- ") or text.endswith(":") or "\n- " in text.rpartition("\n\n")[2]
        text += ("\n" if own_line or line.endswith(":") else " ") + line if text else line
    return text
