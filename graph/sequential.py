"""Two samples compared so that one may look every day and stop at any look: the mixture sequential ratio test.

The interval of the difference of two means is the always-valid one of R. Johari, P. Koomen, L. Pekelis and D. Walsh,
"Always Valid Inference: Continuous Monitoring of A/B Tests" (Operations Research 70(3), 2022), for the normal mixture:
over all looks together it leaves the true difference out in a share `alpha` of experiments at most. It rests on means
being normal, so that nothing is said of fewer than `LEAST` users an arm.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

ALPHA = 0.05
"""How often an experiment of like with like may ever call a winner, over all measures and looks together."""
LEAST = 100
"""Users of either arm below which no interval is given."""
MIXTURE = 0.2
"""The differences that are found soonest, in standard deviations of a user's value."""
MARGIN = 0.05
"""A loss of quality, or of thumbs up, that a cheaper or quicker release may not hide."""

Arm = Literal["a", "b"]


@dataclass(frozen=True, slots=True)
class Measure:
    """What is compared. `good`: 1 where more is better, -1 where less is."""

    name: str
    good: int


MEASURES = (Measure("quality", 1), Measure("liked", 1), Measure("cost_usd", -1), Measure("log_latency", -1))
VALUED = ("quality", "liked")
"""What customers get; the others are what it takes."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure in both arms, by users. `interval` of b less a; None for too few users.

    `better` is the arm for which the interval speaks.
    """

    measure: str
    a: float | None
    b: float | None
    users: tuple[int, int]
    interval: tuple[float, float] | None
    better: Arm | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which release to keep, if that can be said, and why."""

    winner: Arm | None
    why: str


def compared(
    measure: Measure, a: Sequence[float], b: Sequence[float], alpha: float = ALPHA / len(MEASURES)
) -> Difference:
    """Compare one value a user."""
    means = [math.fsum(values) / len(values) if values else None for values in (a, b)]
    users = (len(a), len(b))
    if min(users) < LEAST or means[0] is None or means[1] is None:
        return Difference(measure.name, means[0], means[1], users, None, None)
    spread = [_variance(values, mean) for values, mean in ((a, means[0]), (b, means[1]))]
    pooled = (spread[0] * len(a) + spread[1] * len(b)) / sum(users)
    radius = reach(spread[0] / len(a) + spread[1] / len(b), MIXTURE**2 * pooled, alpha)
    middle = means[1] - means[0]
    low, high = middle - radius, middle + radius
    better: Arm | None = None
    if low > 0 or high < 0:
        better = "b" if (low > 0) == (measure.good > 0) else "a"
    return Difference(measure.name, means[0], means[1], users, (low, high), better)


def reach(variance: float, mixture: float, alpha: float) -> float:
    """Half the width of the always-valid interval of a difference with this variance; `mixture` is a variance too."""
    if not variance or not mixture:
        return 0.0
    grown = variance + mixture
    return math.sqrt(2 * variance * grown / mixture * (math.log(1 / alpha) + math.log(grown / variance) / 2))


def verdict(found: Sequence[Difference]) -> Verdict:
    """What the measures say together: value first, cost and time only where value does not suffer."""
    by_name = {each.measure: each for each in found}
    valued = [by_name[name] for name in VALUED]
    if all(each.interval is None for each in valued):
        return Verdict(None, f"fewer than {LEAST} users of an arm were judged or have said what they think")
    said = {arm: [each.measure for each in found if each.better == arm] for arm in ("a", "b")}
    worse = [name for name in said["a"] if name in VALUED]
    gains = [name for name in said["b"] if name in VALUED]
    if worse and gains:
        return Verdict(None, f"b is better in {', '.join(gains)} and worse in {', '.join(worse)}: somebody must choose")
    if worse:
        return Verdict("a", f"b is worse in {', '.join(worse)}")
    if gains:
        if said["a"]:
            return Verdict(
                None, f"b is better in {', '.join(gains)}, at more {', '.join(said['a'])}: somebody must choose"
            )
        return Verdict("b", f"b is better in {', '.join(gains)}")
    return _by_cost(said["a"], said["b"], valued)


def _by_cost(saves_a: list[str], saves_b: list[str], valued: list[Difference]) -> Verdict:
    """Equal value: the cheaper or quicker one, once a loss of more than `MARGIN` is ruled out."""
    bounds = [each.interval for each in valued if each.interval]
    if saves_b and not saves_a:
        if all(low > -MARGIN for low, _ in bounds):
            return Verdict("b", f"b is better in {', '.join(saves_b)}, and not worse for customers")
        return Verdict(
            None, f"b is better in {', '.join(saves_b)}; that it is no worse for customers cannot be said yet"
        )
    if saves_a and not saves_b:
        if all(high < MARGIN for _, high in bounds):
            return Verdict("a", f"b is worse in {', '.join(saves_a)}, and no better for customers")
        return Verdict(None, f"b is worse in {', '.join(saves_a)}; whether customers gain cannot be said yet")
    return Verdict(None, "no difference can be told from chance yet")


def _variance(values: Sequence[float], mean: float) -> float:
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
