"""Two variants on the same cases: what was lost, what was won, and whether that is more than chance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

ALPHA = 0.10
"""How often one comparison of like with like may call a loss; .05 would miss one loss of 5 points in four."""
SUSPICION = 0.30
"""How lightly one run is suspected: it costs more runs, and decides nothing."""
RUNS = 3
"""Runs whose majority, case by case, is held against the baseline; the baseline of a model is the majority of as many."""
RESAMPLES, SEED = 2_000, 20261121


@dataclass(frozen=True, slots=True)
class Paired:
    """The cases that both variants were scored on; `lost` and `won` are ids, from the first to the second."""

    both: int
    lost: list[str]
    won: list[str]

    @property
    def difference(self) -> float:
        """The second's share of right cases less the first's."""
        return (len(self.won) - len(self.lost)) / self.both if self.both else 0.0

    @property
    def is_loss(self) -> bool:
        """Whether so many more were lost than won as chance seldom makes it."""
        return loss_p(len(self.lost), len(self.won)) <= ALPHA

    @property
    def is_suspect(self) -> bool:
        """Whether it is worth more runs."""
        return loss_p(len(self.lost), len(self.won)) <= SUSPICION


def majority(runs: Sequence[Mapping[str, bool]]) -> dict[str, bool]:
    """By case, what most of the runs that scored it say; a case on which they are even is left out."""
    votes: dict[str, int] = {}
    for run in runs:
        for case, right in run.items():
            votes[case] = votes.get(case, 0) + (1 if right else -1)
    return {case: count > 0 for case, count in votes.items() if count}


def pair(first: Mapping[str, bool], second: Mapping[str, bool]) -> Paired:
    """Compare by case id; a case that either has not scored is left out, never counted as wrong."""
    both = [case for case in first if case in second]
    lost = [case for case in both if first[case] and not second[case]]
    won = [case for case in both if second[case] and not first[case]]
    return Paired(len(both), lost, won)


def loss_p(lost: int, won: int) -> float:
    """McNemar's one-sided mid-p value: how likely so many losses among the changed cases are, were both alike."""
    changed = lost + won
    if not changed:
        return 1.0
    ways = [math.comb(changed, count) for count in range(lost, changed + 1)]
    return float((sum(ways) - ways[0] / 2) / 2**changed)


def mcnemar_p(lost: int, won: int) -> float:
    """The two-sided mid-p value."""
    return min(1.0, 2 * min(loss_p(lost, won), loss_p(won, lost)))


def difference_interval(changes: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the mean change a case, cases drawn again; None without cases."""
    if not changes:
        return None
    values = np.asarray(changes, dtype=float)
    drawn = np.random.default_rng(SEED).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def alarm_rate(  # the parameters of one simulation
    *, cases: int, right: float, loss: float, unsteady: float, simulations: int, seed: int = SEED
) -> float:
    """How often the gate calls a loss, in simulated releases.

    Of `cases` a share `right` is answered right; a release answers a share `loss` of all cases wrong that were right;
    every run gets a share `unsteady` of the cases the other way round, by chance. Baseline and release are the
    majority of `RUNS`, the release only once its first run is suspect.
    """
    generator = np.random.default_rng(seed)

    def voted(truth: np.ndarray, first: np.ndarray | None = None) -> np.ndarray:
        given = [] if first is None else [first]
        runs = [*given, *(truth ^ (generator.random(cases) < unsteady) for _ in range(RUNS - len(given)))]
        most: np.ndarray = np.sum(runs, axis=0) > RUNS / 2
        return most

    alarms = 0
    for _ in range(simulations):
        truth = generator.random(cases) < right
        broken = truth & (generator.random(cases) < loss / right)
        baseline, released = voted(truth), truth & ~broken
        first = released ^ (generator.random(cases) < unsteady)
        alarms += _p(baseline, first) <= SUSPICION and _p(baseline, voted(released, first)) <= ALPHA
    return alarms / simulations


def _p(first: np.ndarray, second: np.ndarray) -> float:
    return loss_p(int((first & ~second).sum()), int((second & ~first).sum()))
