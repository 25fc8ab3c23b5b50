"""The little statistics that a small set of cases deserves."""

import math
from collections.abc import Sequence

Z_95 = 1.959964
"""Standard normal quantile of a 95 % interval."""


def wilson(hits: int, total: int) -> tuple[float, float] | None:
    """The 95 % interval of a share (Wilson's score interval); None where nothing was counted.

    Unlike hits/total ± 2 standard errors it stays within 0..1 and is honest at 0 and at `total` hits.
    """
    if total == 0:
        return None
    share = hits / total
    spread = Z_95 * math.sqrt(share * (1 - share) / total + (Z_95 / (2 * total)) ** 2)
    middle = share + Z_95**2 / (2 * total)
    scale = 1 + Z_95**2 / total
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The value that `percent` of them do not exceed, linear between neighbours; None where there is none."""
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
