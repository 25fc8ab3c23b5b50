"""Fit a configuration's confidence, and say how good it is on a knowledge base that it was not fitted on.

Each question of a set stands there three times: with its articles, where it is answerable if one of them is among the
passages; with them taken out; and with the nearest others taken out too, as if the topic were missing. Where a set has questions
that no article answers, these stand for the third. Sets weigh the same, whatever their size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evals.bench_kb import Asked
from evals.blocking import auroc
from retrieval.config import Calibration, Feature

Array = npt.NDArray[np.float64]
UNANSWERABLE = 1 / 6
"""Weight of each of a question's two searches without an answer: one in four is taken to be unanswerable."""
RIDGE = 2.0
"""Pull of each standardised weight towards 0, per thousand questions."""
STEPS = 30


@dataclass(frozen=True, slots=True)
class Seen:
    """The features of one set, a row a search; whether it was answerable; what the row weighs; whether its article was there."""

    features: Array
    answerable: Array
    weight: Array
    with_article: Array


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How good the fit of the other sets is on this one. `apart`: with its articles against without."""

    name: str
    rows: int
    apart: float | None
    auroc: float | None
    brier: float


def seen(asked: Sequence[Asked], names: Sequence[Feature], unanswered: Sequence[Asked] = ()) -> Seen:
    """What the searches of one set looked like; `unanswered`: of its questions that no article answers."""
    rows = [(one.seen, one.holds, 1.0, True) for one in asked]
    rows += [(one.seen_without, False, UNANSWERABLE, False) for one in asked]
    rows += [(one.seen_far, False, UNANSWERABLE, False) for one in asked if not unanswered]
    rows += [(one.seen, False, UNANSWERABLE * len(asked) / len(unanswered), False) for one in unanswered]
    kept = [([look.named()[name] for name in names], *rest) for look, *rest in rows if look is not None]
    return Seen(*(np.asarray(column, dtype=np.float64) for column in zip(*kept, strict=True)))


def fit(sets: Sequence[Seen], names: Sequence[Feature]) -> Calibration:
    """A logistic regression over all sets, each of the same weight."""
    features = np.vstack([one.features for one in sets])
    answerable = np.concatenate([one.answerable for one in sets])
    weight = np.concatenate([one.weight * 1000 / one.weight.sum() for one in sets])
    bias, weights = logistic(features, answerable, weight, RIDGE * len(sets))
    rounded = {name: round(value, 3) for name, value in zip(names, weights, strict=True)}
    return Calibration(bias=round(bias, 3), weights=rounded)


def logistic(features: Array, true: Array, weight: Array, pull: float) -> tuple[float, list[float]]:
    """Bias and a weight a column, of rows that weigh so much; `pull` pulls each standardised weight towards 0."""
    middle, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    table = np.column_stack([np.ones(len(features)), (features - middle) / spread])
    ridge = np.diag([0.0] + [pull] * features.shape[1])
    found = np.zeros(table.shape[1])
    for _ in range(STEPS):
        said = 1 / (1 + np.exp(-table @ found))
        slope = table.T @ (weight * (said - true)) + ridge @ found
        curve = (table * (weight * said * (1 - said))[:, None]).T @ table + ridge
        found = found - np.linalg.solve(curve, slope)
    weights = found[1:] / spread
    return float(found[0] - weights @ middle), [float(value) for value in weights]


def said(one: Seen, names: Sequence[Feature], calibration: Calibration) -> Array:
    """The confidence of each row."""
    values = one.features @ np.asarray([calibration.weights.get(name, 0.0) for name in names]) + calibration.bias
    told: Array = 1 / (1 + np.exp(-values))
    return told


def left_out(sets: Mapping[str, Seen], names: Sequence[Feature]) -> list[LeftOut]:
    """Each set under the fit of the others."""
    return [
        under(fit([one for other, one in sets.items() if other != name], names), name, held, names)
        for name, held in sets.items()
    ]


def under(calibration: Calibration, name: str, held: Seen, names: Sequence[Feature]) -> LeftOut:
    """A set under a fit that has not seen it."""
    told = said(held, names, calibration)
    return LeftOut(
        name,
        len(told),
        auroc(list(zip(told.tolist(), (held.with_article > 0).tolist(), strict=True))),
        auroc(list(zip(told.tolist(), (held.answerable > 0).tolist(), strict=True))),
        float((held.weight * (told - held.answerable) ** 2).sum() / held.weight.sum()),
    )
