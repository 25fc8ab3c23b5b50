"""One collection opened to be searched: its chunks, its words, and what its languages pull to themselves."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from domain.ports import Vector
from domain.turn import Language
from retrieval.articles import Chunk
from retrieval.lexical import LexicalIndex

Array = npt.NDArray[np.float64]
Held = npt.NDArray[np.float32]
FEWEST = 5
"""Chunks of a language below which its mean vector would tell its topics, not its language."""
AT_HAND = 8_000
"""Chunks up to which all vectors are held and looked at: with 1,464 .2 ms of CPU where Chroma takes 2.4; with 18,597 both take 2.5."""


class Vectors(Protocol):
    """What a shelf reads from: one collection of retrieval/vectors.py."""

    def chunks(self) -> list[Chunk]: ...
    def vectors(self) -> Mapping[str, Vector]: ...
    def nearest(self, vector: Vector, k: int) -> Mapping[str, float]: ...


@dataclass(frozen=True, slots=True)
class _Pull:
    """Mean vectors of the languages of a shelf, and each chunk's product with each of them."""

    means: dict[Language, Array]
    products: dict[Language, Array]


class Shelf:
    """A collection's chunks by place, and how near they are to a question. Opening blocks."""

    def __init__(self, vectors: Vectors, *, at_hand: int = AT_HAND) -> None:
        """A collection of at most `at_hand` chunks is searched in memory; 0: every search asks Chroma."""
        self._vectors = vectors
        self.chunks = vectors.chunks()
        self.lexical = LexicalIndex(self.chunks)
        self._place = {chunk.id: place for place, chunk in enumerate(self.chunks)}
        counts = Counter(chunk.language for chunk in self.chunks)
        languages = sorted(language for language, count in counts.items() if count >= FEWEST)
        held = len(self.chunks) <= at_hand
        matrix = self._matrix() if self.chunks else None
        self._held = matrix if held else None
        self._likeness = {} if matrix is None else self._measure_likeness(matrix, languages)
        self._pull = _Pull({}, {}) if matrix is None or len(languages) <= 1 else self._measure_pull(matrix, languages)

    def nearest(self, question: Vector, k: int, centring: float) -> dict[int, float]:
        """Cosine by place of at least the `k` nearest chunks.

        An embedder of many languages puts a Vietnamese question nearer to any Vietnamese chunk than to
        the English one that answers it. `centring` (0..1) is how much of that is taken back: chunks of
        other languages than the question's gain what their language's mean lacks. With .75 English
        articles are first for 3 of 6 Vietnamese questions instead of none, others stay as they were.
        """
        pull, asked = self._pull, np.asarray(question, dtype=np.float64)
        k = min(k, len(self.chunks))
        if not pull.means or not centring:
            return self._near(asked, k)
        to_mean = {language: float(asked @ mean) for language, mean in pull.means.items()}
        own = max(to_mean, key=lambda language: to_mean[language])
        found: dict[int, float] = {}
        for language, mean in pull.means.items():
            # The question as it would stand among the chunks of this language.
            moved = asked + centring * (mean - pull.means[own])
            length = float(np.linalg.norm(moved))
            for place, cosine in self._near(moved / length, k).items():
                shift = centring * (pull.products[language][place] - pull.products[own][place])
                lacking = to_mean[own] - to_mean.get(self.chunks[place].language, to_mean[own])
                found[place] = cosine * length - float(shift) + centring * lacking
        return found

    def likeness(self, language: Language) -> float:
        """Mean cosine of two chunks of this language, of different articles: what is near among these texts begins above it.

        Of all chunks for a language with few. 0 where there are no two articles.
        """
        return self._likeness.get(language, self._likeness.get("", 0.0))

    def _near(self, vector: Array, k: int) -> dict[int, float]:
        """Cosine by place of the `k` nearest chunks."""
        if self._held is None:
            return {self._place[own_id]: near for own_id, near in self._vectors.nearest(vector.tolist(), k).items()}
        # Not `@`: the threads of BLAS wait for each other, 13 ms instead of 1 on a busy machine.
        cosines = np.einsum("ij,j->i", self._held, vector.astype(np.float32))
        places = np.argpartition(-cosines, k - 1)[:k]
        return dict(zip(places.tolist(), cosines[places].tolist(), strict=True))

    def _matrix(self) -> Held:
        by_id = self._vectors.vectors()
        return np.asarray([by_id[chunk.id] for chunk in self.chunks], dtype=np.float32)

    def _measure_likeness(self, matrix: Held, languages: Sequence[Language]) -> dict[str, float]:
        written = np.asarray([chunk.language for chunk in self.chunks])
        articles = np.unique([chunk.article for chunk in self.chunks], return_inverse=True)[1]
        parts = {"": np.ones(len(written), dtype=bool)} | {language: written == language for language in languages}
        told = {part: _likeness_apart(matrix[held], articles[held]) for part, held in parts.items()}
        return {part: value for part, value in told.items() if value is not None}

    def _measure_pull(self, matrix: Held, languages: Sequence[Language]) -> _Pull:
        written = np.asarray([chunk.language for chunk in self.chunks])
        means = {language: matrix[written == language].mean(axis=0, dtype=np.float64) for language in languages}
        return _Pull(means, {language: matrix @ mean for language, mean in means.items()})


def _likeness_apart(vectors: Held, groups: npt.NDArray[np.intp]) -> float | None:
    """Mean product of two vectors of different groups; None where there is but one group."""
    counts = np.bincount(groups).astype(np.float64)
    sums = np.zeros((len(counts), vectors.shape[1]))
    np.add.at(sums, groups, vectors)
    pairs = counts.sum() ** 2 - (counts**2).sum()
    whole = sums.sum(axis=0)
    return float(((whole * whole).sum() - (sums * sums).sum()) / pairs) if pairs else None
