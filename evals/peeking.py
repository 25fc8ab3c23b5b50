"""How often an experiment of like with like ever calls a winner when it is looked at every day.

python -m evals.peeking [--experiments 1000] [--days 30] [--users 40] [--loss 0.1]

Each day so many new users of either arm come, and some of the earlier ones come back; each turn has a score of the judge,
now and then a thumb, a cost with many zeros, and a latency with a long tail, all of which depend on the user too. After every
day the verdict is asked for, and the first winner is taken. `--loss`: what the second arm loses in judged quality.
"""

import argparse
import json
import sys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evals.stats import wilson
from graph.sequential import LEAST, MEASURES, compared, verdict

Array = npt.NDArray[np.float64]
RETURNING, RATING, FREE = 0.3, 0.3, 0.4
"""Share of earlier users that come again on a day, of turns that are rated, and of turns that cost nothing."""
FIXED_Z = 1.96
"""What a test that may be looked at once calls significant."""


@dataclass(frozen=True, slots=True)
class Peeked:
    """What came of one experiment: the arm that was called, on which day; and what a test for one look would have said."""

    winner: str
    day: int
    naive: bool


class _Arm:
    """The users of one arm: sums and counts of their turns, a row a measure."""

    def __init__(self, chance: np.random.Generator, loss: float) -> None:
        self._chance, self._loss = chance, loss
        self._kind = np.empty(0)
        self._sums, self._counts = np.empty((len(MEASURES), 0)), np.empty((len(MEASURES), 0))

    def day(self, users: int) -> None:
        """New users come, and some of the known ones again."""
        again = np.flatnonzero(self._chance.random(len(self._kind)) < RETURNING)
        self._kind = np.append(self._kind, self._chance.normal(0, 1, users))
        grown = np.zeros((len(MEASURES), users))
        self._sums, self._counts = np.hstack([self._sums, grown]), np.hstack([self._counts, grown])
        here = np.concatenate([again, np.arange(len(self._kind) - users, len(self._kind))])
        kind, chance = self._kind[here], self._chance
        quality = np.clip(0.75 - self._loss + 0.1 * kind + chance.normal(0, 0.2, len(here)), 0, 1)
        liked = (chance.random(len(here)) < 0.7 + 0.1 * np.tanh(kind)).astype(float)
        cost = np.where(chance.random(len(here)) < FREE, 0.0, chance.gamma(2, 0.0005, len(here)))
        latency = chance.normal(5 + 0.2 * kind, 0.6)
        seen = np.ones((len(MEASURES), len(here)))
        seen[1] = chance.random(len(here)) < RATING
        self._sums[:, here] += np.stack([quality, liked, cost, latency]) * seen
        self._counts[:, here] += seen

    def values(self) -> list[Array]:
        """One value a user and measure."""
        return [sums[counts > 0] / counts[counts > 0] for sums, counts in zip(self._sums, self._counts, strict=True)]


def peek(seed: int, *, days: int, users: int, loss: float = 0.0) -> Peeked:
    """Run one experiment and look at it every day."""
    chance = np.random.default_rng(seed)
    arms = (_Arm(chance, 0.0), _Arm(chance, loss))
    naive, winner, when = False, "", 0
    for day in range(1, days + 1):
        for arm in arms:
            arm.day(users)
        a, b = (arm.values() for arm in arms)
        naive = naive or any(_once(first, second) for first, second in zip(a, b, strict=True))
        if not winner:
            found = [compared(*each) for each in zip(MEASURES, map(list, a), map(list, b), strict=True)]
            winner, when = verdict(found).winner or "", day
    return Peeked(winner, when if winner else days, naive)


def _once(a: Array, b: Array) -> bool:
    if min(len(a), len(b)) < LEAST:
        return False
    error = float(np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)))
    return abs(float(b.mean() - a.mean())) > FIXED_Z * error


def main() -> None:
    """Print the figures as one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m evals.peeking")
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--loss", type=float, default=0.0)
    given = parser.parse_args()
    runs = [peek(seed, days=given.days, users=given.users, loss=given.loss) for seed in range(given.experiments)]
    called = sum(run.winner != "" for run in runs)
    right = sum(run.winner == "a" for run in runs)
    figures = {
        "experiments": len(runs),
        "called": called / len(runs),
        "called_ci": wilson(called, len(runs)),
        "called_a": right / len(runs),
        "called_by_a_test_for_one_look": sum(run.naive for run in runs) / len(runs),
        "median_day": float(np.median([run.day for run in runs])),
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
