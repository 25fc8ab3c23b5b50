"""BM25 over the same chunks as the vectors."""

import heapq
import logging
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from retrieval.articles import Chunk
from retrieval.text import words

Scores = npt.NDArray[np.float32]
TITLE_WEIGHT = 2
"""A title's words count twice: hit@1 .745 against .735 (WHO questions), unchanged on others."""

HEAVIEST = 8
"""Words that make a question's mass: with all of them a question of 300 words scores near 0 (MRR .65 against .78)."""


@dataclass(frozen=True, slots=True)
class WordScores:
    """One score a chunk for each field: `text` (title and section in it), the title alone, pairs of neighbouring words."""

    text: Scores
    title: Scores
    pairs: Scores

    def or_better(self, other: "WordScores", weight: float) -> "WordScores":
        """Of each score the higher one, the other's weighted."""
        pairs = ((self.text, other.text), (self.title, other.title), (self.pairs, other.pairs))
        return WordScores(*(np.maximum(own, np.float32(weight) * theirs) for own, theirs in pairs))


class LexicalIndex:
    """BM25 (k1 1.2, b .75) with scores that can be compared between questions."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        titles = [words(chunk.title) for chunk in chunks]
        bodies = [words(chunk.section) + words(chunk.text) for chunk in chunks]
        texts = [title * TITLE_WEIGHT + body for title, body in zip(titles, bodies, strict=True)]
        self._sets = [frozenset(text) for text in texts]
        self._frequency = Counter(word for text in self._sets for word in text)
        self._size = len(texts)
        self._text, self._title = _Field(texts), _Field(titles)
        self._pairs = _Field([_pairs(title) + _pairs(body) for title, body in zip(titles, bodies, strict=True)])

    def mass(self, question: Iterable[str]) -> float:
        """What the heaviest words of a question weigh together; a word that no article knows weighs most."""
        return sum(heapq.nlargest(HEAVIEST, (self._weight(word) for word in frozenset(question))))

    def scores(self, question: Sequence[str]) -> WordScores:
        """By chunk: the share of the question's mass that it earns, about 0..1 (more for a long question)."""
        mass = np.float32(self.mass(question) or 1.0)
        return WordScores(
            self._text.scores(question) / mass,
            self._title.scores(question) / mass,
            self._pairs.scores(_pairs(question)) / mass,
        )

    def coverage(self, question: Iterable[str], chunks: Iterable[int]) -> float:
        """Share of the question's mass whose words stand in these chunks, 0..1; 0 for a question without words."""
        asked = frozenset(question)
        mass = sum(self._weight(word) for word in asked)
        found = frozenset[str]().union(*(self._sets[chunk] for chunk in chunks))
        return sum(self._weight(word) for word in asked & found) / mass if mass else 0.0

    def share_of_words(self, question: Iterable[str], chunks: Iterable[int]) -> float:
        """Share of the question's words that stand in these chunks, 0..1, a rare one no more than others; 0 without words."""
        asked = frozenset(question)
        found = frozenset[str]().union(*(self._sets[chunk] for chunk in chunks))
        return len(asked & found) / len(asked) if asked else 0.0

    def likeness(self, one: int, other: int) -> float:
        """Share of common words of two chunks (Jaccard), 0..1."""
        a, b = self._sets[one], self._sets[other]
        return len(a & b) / len(a | b) if a or b else 1.0

    def _weight(self, word: str) -> float:
        count = self._frequency.get(word, 0)
        return math.log(1 + (self._size - count + 0.5) / (count + 0.5))


class _Field:
    """BM25 over one field of every chunk."""

    def __init__(self, texts: Sequence[list[str]]) -> None:
        import bm25s  # noqa: PLC0415  # 0.1 s: only where knowledge is opened

        # It sets its own logger to DEBUG when it is imported, past whatever was configured before.
        logging.getLogger("bm25s").setLevel(logging.WARNING)
        self._size = len(texts)
        self._tokens: dict[str, int] = {}
        # An index without a single word cannot be built, nor is one needed.
        if any(texts):
            index = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
            index.index(texts, show_progress=False)
            self._tokens = index.vocab_dict
            self._earned, self._chunks, self._starts = (index.scores[part] for part in ("data", "indices", "indptr"))

    def scores(self, question: Sequence[str]) -> Scores:
        """BM25 by chunk. Read off the library's matrix: its own way adds up as if a word could have a chunk twice, .4 ms more."""
        total = np.zeros(self._size, dtype=np.float32)
        for word in question:
            token = self._tokens.get(word)
            if token is not None:
                held = slice(self._starts[token], self._starts[token + 1])
                total[self._chunks[held]] += self._earned[held]
        return total


def _pairs(text: Sequence[str]) -> list[str]:
    """Neighbouring content words as one word: "gift card" tells more than gift and card."""
    return [f"{one} {other}" for one, other in pairwise(text)]
