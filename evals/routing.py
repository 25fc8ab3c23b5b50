"""Arithmetic of routing: the curve of cost against quality, and a classifier of weak or strong to hold it against."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RESAMPLES = 1_000
SEED = 20261121
QUALITY = 0.95
FOLDS = 5
RIDGE = 100.0
"""Weight of the penalty: with 384 numbers a text and some hundred texts less of it only learns them by heart."""
STEPS = 25


@dataclass(frozen=True, slots=True)
class Curve:
    """Weak or strong, for one question after the other. Intervals are of 95 %, by resampling questions.

    `apgr`: the share of the gap between weak and strong that is closed, averaged over every share of strong
    calls; a router that knows nothing has .5. `cost_at_95_quality`: the share of questions that must go to the
    strong model for 95 % of the right answers that it would give to all of them.
    """

    apgr: float
    apgr_ci: tuple[float, float]
    cost_at_95_quality: float
    cost_at_95_quality_ci: tuple[float, float]
    weak_right: float
    strong_right: float


def curve(scores: Sequence[float], weak_ok: Sequence[bool], strong_ok: Sequence[bool]) -> Curve | None:
    """The curve of a router that gives `scores`, the hardest highest. None where strong is not better than weak."""
    harder, weak, strong = (np.asarray(values, dtype=np.float64) for values in (scores, weak_ok, strong_ok))
    if strong.sum() <= weak.sum():
        return None
    draws = np.random.default_rng(SEED)
    apgrs, costs = [], []
    for _ in range(RESAMPLES):
        some = draws.integers(0, len(harder), len(harder))
        if strong[some].sum() > weak[some].sum():
            apgr, cost = _areas(harder[some], weak[some], strong[some])
            apgrs.append(apgr)
            costs.append(cost)
    apgr, cost = _areas(harder, weak, strong)
    return Curve(apgr, _middle(apgrs), cost, _middle(costs), float(weak.mean()), float(strong.mean()))


def _areas(scores: Array, weak: Array, strong: Array) -> tuple[float, float]:
    _, place = np.unique(-scores, return_inverse=True)
    gain = strong - weak
    # Questions of one score are in no order: each stands for the mean of them.
    mean = np.bincount(place, gain) / np.bincount(place)
    closed = np.concatenate([[0.0], np.cumsum(mean[np.sort(place)])])
    apgr = float((closed / gain.sum()).mean())
    enough = np.flatnonzero(weak.sum() + closed >= QUALITY * strong.sum() - 1e-9)
    return apgr, float(enough[0] / len(scores)) if len(enough) else 1.0


def _middle(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.percentile(np.asarray(values), [2.5, 97.5])
    return float(low), float(high)


def held_back(features: Array, labels: Sequence[int], groups: Sequence[str], classes: int) -> Array:
    """P(class) of each row by a logistic regression that has seen no row of the same group. Shape (rows, classes)."""
    fold = np.array([int(hashlib.sha256(group.encode()).hexdigest(), 16) % FOLDS for group in groups])
    wanted = np.eye(classes)[np.asarray(labels)]
    said = np.full((len(features), classes), 1 / classes)
    for out in range(FOLDS):
        test, train = fold == out, fold != out
        if test.any() and train.any():
            said[test] = _predict(features[test], *_fit(features[train], wanted[train]))
    return said


def _fit(features: Array, wanted: Array) -> tuple[Array, Array, Array]:
    """Weights, means and scales: one ridge-penalised logistic regression a class, by Newton's steps."""
    mean, scale = features.mean(0), features.std(0) + 1e-6
    x = _scaled(features, mean, scale)
    penalty = RIDGE * np.eye(x.shape[1])
    penalty[-1, -1] = 0.0
    weights = np.zeros((x.shape[1], wanted.shape[1]))
    for number in range(wanted.shape[1]):
        w = weights[:, number]
        for _ in range(STEPS):
            p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
            slope = x.T @ (p - wanted[:, number]) + penalty @ w
            step = np.linalg.solve((x.T * (p * (1 - p))) @ x + penalty, slope)
            w -= step
            if np.abs(step).max() < 1e-6:  # noqa: PLR2004 - further than anybody can see
                break
    return weights, mean, scale


def _predict(features: Array, weights: Array, mean: Array, scale: Array) -> Array:
    p = 1 / (1 + np.exp(-np.clip(_scaled(features, mean, scale) @ weights, -30, 30)))
    shares: Array = p / p.sum(1, keepdims=True) if p.shape[1] > 1 else p
    return shares


def _scaled(features: Array, mean: Array, scale: Array) -> Array:
    return np.hstack([(features - mean) / scale, np.ones((len(features), 1))])
