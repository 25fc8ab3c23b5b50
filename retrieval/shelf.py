"""One collection opened to be searched: its chunks, its words, and what its languages pull to themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from domain.ports import Vector
from domain.turn import Language
from retrieval.articles import Chunk
from retrieval.lexical import LexicalIndex
from retrieval.likeness import Likeness, measured, spoken

Array = npt.NDArray[np.float64]
Held = npt.NDArray[np.float32]
AT_HAND = 8_000
"""Chunks up to which all vectors are held and looked at: with 1,464 .2 ms of CPU where Chroma takes 2.4; with 18,597 both take 2.5."""


class Vectors(Protocol):
    """What a shelf reads from: one collection of retrieval/vectors.py."""

    def chunks(self) -> list[Chunk]: ...
    def matrix(self) -> tuple[list[str], Held]: ...
    def likeness(self) -> Likeness | None: ...
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
        self.is_one_article = len({chunk.article for chunk in self.chunks}) == 1
        self._place = {chunk.id: place for place, chunk in enumerate(self.chunks)}
        languages, kept = spoken(self.chunks), vectors.likeness()
        held, pulled = len(self.chunks) <= at_hand, len(languages) > 1
        matrix = self._matrix() if self.chunks and (held or pulled or kept is None) else None
        self._held = matrix if held else None
        self._likeness: Likeness = kept or ({} if matrix is None else measured(self.chunks, matrix))
        self._pull = self._measure_pull(matrix, languages) if matrix is not None and pulled else _Pull({}, {})

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
        ids, vectors = self._vectors.matrix()
        row = {own_id: place for place, own_id in enumerate(ids)}
        return vectors[[row[chunk.id] for chunk in self.chunks]]

    def _measure_pull(self, matrix: Held, languages: Sequence[Language]) -> _Pull:
        written = np.asarray([chunk.language for chunk in self.chunks])
        means = {language: matrix[written == language].mean(axis=0, dtype=np.float64) for language in languages}
        return _Pull(means, {language: matrix @ mean for language, mean in means.items()})
