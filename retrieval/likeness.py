"""How alike the texts of a knowledge are: what is near among them begins above it (docs/decisions/031)."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from domain.turn import Language
from retrieval.articles import Chunk

FEWEST = 5
"""Chunks of a language below which its mean vector would tell its topics, not its language."""

Likeness = dict[str, float]
"""Mean cosine of two chunks of different articles by their language; of all chunks under the empty name."""


def spoken(chunks: Sequence[Chunk]) -> list[Language]:
    """The languages of which there are enough chunks."""
    counts = Counter(chunk.language for chunk in chunks)
    return sorted(language for language, count in counts.items() if count >= FEWEST)


def measured(chunks: Sequence[Chunk], vectors: npt.NDArray[np.float32]) -> Likeness:
    """The likeness of these chunks, whose vectors are the rows; a language with but one article has none."""
    if not chunks:
        return {}
    written = np.asarray([chunk.language for chunk in chunks])
    articles = np.unique([chunk.article for chunk in chunks], return_inverse=True)[1]
    parts = {"": np.ones(len(written), dtype=bool)} | {language: written == language for language in spoken(chunks)}
    told = {part: _apart(vectors[held], articles[held]) for part, held in parts.items()}
    return {part: value for part, value in told.items() if value is not None}


def _apart(vectors: npt.NDArray[np.float32], groups: npt.NDArray[np.intp]) -> float | None:
    """Mean product of two vectors of different groups; None where there is but one group."""
    counts = np.bincount(groups).astype(np.float64)
    sums = np.zeros((len(counts), vectors.shape[1]))
    np.add.at(sums, groups, vectors)
    pairs = counts.sum() ** 2 - (counts**2).sum()
    whole = sums.sum(axis=0)
    return float(((whole * whole).sum() - (sums * sums).sum()) / pairs) if pairs else None
