"""Fits the learned router: one line of hardness with two borders, an ordinal logistic regression."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.catalog import TIERS
from models.learned_router import FARTHEST, RouterHead

Array = NDArray[np.float64]

FOLDS = 10
STEPS = 40
ENOUGH = 1e-6
SAME = 1e-3
"""Standard deviation below which a mark is the same in every row."""
FREE = 1e-6
"""Penalty of the borders: next to none."""


def fit_head(
    found: Array, vectors: Array, labels: Sequence[int], languages: Sequence[str], *, weight: float, penalty: float
) -> RouterHead:
    """Fit a head to questions with these marks, vectors and tiers (0, 1, 2).

    `weight`: what a vector's number counts beside a mark, both standardised; `penalty`: of the squared weights.
    """
    mean, scale = found.mean(0), np.where(found.std(0) < SAME, 1.0, found.std(0))
    middle, spread = vectors.mean(0), vectors.std(0) + ENOUGH
    seen = np.clip((found - mean) / scale, -FARTHEST, FARTHEST)
    line, borders = _fit(np.hstack([seen, weight * (vectors - middle) / spread]), np.asarray(labels), penalty)
    vector = line[found.shape[1] :] * weight / spread
    return RouterHead(
        languages=frozenset(languages),
        mean=mean.tolist(),
        scale=scale.tolist(),
        marks=line[: found.shape[1]].tolist(),
        vector=vector.tolist(),
        usual=float(vector @ middle),
        borders=borders,
    )


def held_back_tiers(
    found: Array,
    vectors: Array,
    labels: Sequence[int],
    languages: Sequence[str],
    groups: Sequence[str],
    *,
    weight: float,
    penalty: float,
) -> list[int]:
    """The tier of each row by a head that has seen no row of the same group."""
    fold = np.array([int(hashlib.sha256(group.encode()).hexdigest(), 16) % FOLDS for group in groups])
    wanted = np.asarray(labels)
    said = np.zeros(len(wanted), dtype=int)
    for out in range(FOLDS):
        test, train = fold == out, fold != out
        if test.any() and train.any():
            head = fit_head(found[train], vectors[train], wanted[train], languages, weight=weight, penalty=penalty)
            said[test] = [
                TIERS.index(head.judge(one, vector).tier)
                for one, vector in zip(found[test].tolist(), vectors[test].tolist(), strict=True)
            ]
    return [int(tier) for tier in said]


def _fit(x: Array, labels: NDArray[np.int_], penalty: float) -> tuple[Array, tuple[float, float]]:
    """The weights of the line and the two borders on it, by Newton's steps."""
    ones, none = np.ones((len(x), 1)), np.zeros((len(x), 1))
    both = np.vstack([np.hstack([x, ones, none]), np.hstack([x, none, ones])])
    above = np.concatenate([labels > 0, labels > 1]).astype(float)
    weights = np.zeros(both.shape[1])
    penalties = np.diag([*np.full(x.shape[1], penalty), FREE, FREE])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(both @ weights, -30, 30)))
        slope = both.T @ (p - above) + penalties @ weights
        step = np.linalg.solve((both.T * (p * (1 - p))) @ both + penalties, slope)
        weights -= step
        if np.abs(step).max() < ENOUGH:
            break
    return weights[:-2], (float(-weights[-2]), float(-weights[-1]))
