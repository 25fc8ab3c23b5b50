"""How far an answer stands on its passages, sentence by sentence, by words and by meaning.

Words in the passages anywhere are a poor sign (AUROC .58 on summaries); words in one piece of them, and
pairs of words that stand together, are a good one (.83; both measured on public faithfulness data).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from domain.ports import Embedder, Vector
from domain.turn import Passage
from scoring.markdown import pieces
from scoring.text import content_words, numbers, sentences, spelled_numbers

FOREIGN = 0.3
"""Support by words below which a sentence may be said in other words, or in another language: then meaning decides."""
IN_MEANING = 0.8
"""What likeness in meaning counts: it does not see a "not" or a wrong name."""
COMPARED = 3
"""Pieces of the passages that a sentence is compared with in meaning: those that share most words with it."""
WITHOUT_ITS_NUMBER = 0.2
"""The most that a sentence is supported whose number stands nowhere."""

PARTED = re.compile(r"(?<=\d)([.,]) (?=\d{3}\b)")
"""A number that a tokeniser took apart: "235, 000"."""

OFF_TOPIC = (
    "The weather was mild and a dog slept under the old tree.",
    "Hôm qua trời mát và con mèo ngủ dưới gốc cây.",
)
"""Sentences about nothing that a desk answers: how near they are to a text is how near anything is."""


@dataclass(frozen=True, slots=True)
class Support:
    """One sentence of an answer: how far it is supported (0..1), and how many words it has.

    `in_order`: how much of it the piece that says most of it says in the same order. `capped`: what the words
    say of it does not count, as its number stands nowhere or its meaning decided.
    """

    sentence: str
    share: float
    words: int
    in_order: float = 0.0
    capped: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """Texts as sentences are held against them: their pieces, the words of each, the pairs of words, the numbers."""

    said: Sequence[str]
    words: Sequence[Sequence[str]]
    held: Sequence[frozenset[str]]
    pairs: frozenset[tuple[str, str]]
    values: frozenset[str]


def answer_sentences(answer: str) -> list[str]:
    """The sentences, list items and rows of an answer that say something."""
    found = [sentence for piece in pieces(answer) for sentence in sentences(piece.text)]
    return [sentence for sentence in found if _words(sentence)]


async def supports(answer: str, texts: Sequence[str], embedder: Embedder | None) -> list[Support]:
    """The support of every sentence by the texts; without an embedder by words alone. Raises WeightsError."""
    read = _read(tuple(texts))
    found = []
    for sentence in answer_sentences(answer):
        own = content_words(sentence)
        share, capped = _covered(own, read), False
        if share < FOREIGN and embedder is not None and read.said:
            meant = IN_MEANING * await _likeness(sentence, set(own), read.said, embedder)
            share, capped = max(share, meant), meant > share
        if numbers(sentence) - read.values:
            share, capped = min(share, WITHOUT_ITS_NUMBER), True
        found.append(Support(sentence, share, len(own), _in_order(own, read.words), capped))
    return found


def supported_in_words(answer: str, texts: Sequence[str]) -> list[tuple[float, int]]:
    """Each sentence's support by words alone (0..1), and how many words it has: as `supports` without an embedder."""
    read = _read(tuple(texts))
    return [_in_words(sentence, read) for sentence in answer_sentences(answer)]


@lru_cache(maxsize=1024)
def _in_words(sentence: str, read: _Read) -> tuple[float, int]:
    """Kept for the turns under way: the sentences of an answer that grows are asked about again and again."""
    own = _words(sentence)
    share = _covered(own, read)
    return min(share, WITHOUT_ITS_NUMBER) if numbers(sentence) - read.values else share, len(own)


@lru_cache(maxsize=1024)
def _words(sentence: str) -> tuple[str, ...]:
    """Kept for the same reason."""
    return tuple(content_words(sentence))


@lru_cache(maxsize=256)
def _read(texts: tuple[str, ...]) -> _Read:
    """Kept for the turns under way: an answer that is told sentence by sentence is held against its texts each time."""
    read = [_read_one(text) for text in texts]
    return _Read(
        [text for one in read for text in one.said],
        [words for one in read for words in one.words],
        [words for one in read for words in one.held],
        frozenset[tuple[str, str]]().union(*(one.pairs for one in read)),
        frozenset[str]().union(*(one.values for one in read)),
    )


@lru_cache(maxsize=512)
def _read_one(text: str) -> _Read:
    """Kept for the turns to come, which are answered from the same passages."""
    said = [piece.text for piece in pieces(text)]
    words = [content_words(text) for text in said]
    pairs = frozenset(pair for own in words for pair in pairwise(own))
    values = numbers(PARTED.sub(r"\1", text)) | spelled_numbers(text)
    return _Read(said, words, [frozenset(own) for own in words], pairs, frozenset(values))


def _covered(own: Sequence[str], read: _Read) -> float:
    """How much of a sentence one piece says, and how much stands together in it as it does in the texts."""
    held = set(own)
    in_one = max((len(held & words) / len(held) for words in read.held), default=0.0)
    together = list(pairwise(own))
    joined = sum(pair in read.pairs for pair in together) / len(together) if together else in_one
    return (in_one + joined) / 2


def _in_order(own: Sequence[str], pieces_words: Sequence[Sequence[str]]) -> float:
    """The longest common subsequence with the nearest piece and its neighbours, as a share of the sentence."""
    held = set(own)
    best = max(range(len(pieces_words)), key=lambda place: len(held & set(pieces_words[place])), default=0)
    around = [word for words in pieces_words[max(0, best - 1) : best + 2] for word in words]
    row = [0] * (len(around) + 1)
    for word in own:
        before = 0
        for place, other in enumerate(around, start=1):
            here = before + 1 if word == other else max(row[place], row[place - 1])
            before, row[place] = row[place], here
    return row[-1] / len(own)


async def nearness(one: str, other: str, embedder: Embedder) -> float:
    """Likeness in meaning, 0..1: 0 is as near as an unrelated text, whatever the embedder's scale."""
    vector, reference = await embedder.query(one), await embedder.query(other)
    base = max([dot(vector, await embedder.query(text)) for text in OFF_TOPIC])
    return max(0.0, min(1.0, (dot(vector, reference) - base) / (1.0 - base or 1.0)))


def unsupported_numbers(answer: str, question: str, passages: Sequence[Passage]) -> list[str]:
    """Numbers of an answer that neither a passage nor the question holds."""
    known = numbers(question)
    for passage in passages:
        known |= numbers(f"{passage.title} {passage.section} {passage.text}")
    return sorted(numbers(answer) - known)


async def _likeness(sentence: str, own: set[str], said: Sequence[str], embedder: Embedder) -> float:
    nearest = sorted(said, key=lambda text: -len(own & set(content_words(text))))[:COMPARED]
    return max([await nearness(sentence, text, embedder) for text in nearest])


def dot(one: Vector, other: Vector) -> float:
    """The cosine of two embeddings, which are normalised."""
    return sum(left * right for left, right in zip(one, other, strict=True))
