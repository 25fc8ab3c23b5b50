"""Two variants on the same cases: what was lost, what was won, and whether that is more than chance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

ALPHA = 0.10
"""How often one comparison of like with like may call a loss; .05 would miss one loss of 5 points in four."""
RUNS = 3
"""Runs of which most must agree before a loss is called one."""
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
    every run gets a share `unsteady` of the cases the other way round, by chance. A first alarm is confirmed by most
    of `RUNS`.
    """
    generator = np.random.default_rng(seed)
    alarms = 0
    for _ in range(simulations):
        truth = generator.random(cases) < right
        broken = truth & (generator.random(cases) < loss / right)
        baseline = truth ^ (generator.random(cases) < unsteady)
        released = truth & ~broken
        red = [_is_red(baseline, released ^ (generator.random(cases) < unsteady)) for _ in range(RUNS)]
        alarms += red[0] and sum(red) > RUNS / 2
    return alarms / simulations


def _is_red(first: np.ndarray, second: np.ndarray) -> bool:
    return loss_p(int((first & ~second).sum()), int((second & ~first).sum())) <= ALPHA
