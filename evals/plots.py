"""Plots as inline SVG. Colours come from the page's style, so that they hold on light and on dark."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from evals.stats import percentile

ROW = 28
LEFT, WIDTH, RIGHT = 210, 430, 220
"""Pixels of a plot: its names, its scale, its numbers."""
BARS, HEIGHT, FOOT = 24, 120, 22
"""A histogram: its bars, its pixels, its numbers below."""
MOST_OF_THEM = 95.0
"""Percentile at which a histogram's scale ends."""


@dataclass(frozen=True, slots=True)
class Point:
    """A value with its interval, on a scale that the plot is told; `beside`: the same of another run."""

    name: str
    value: float
    ci: tuple[float, float]
    text: str
    beside: float | None = None


def intervals(points: Sequence[Point], label: str, low: float = 0.0, high: float = 1.0) -> str:
    """A dot at each value and a line over its interval; a ring at what another run has. Empty without points."""
    if not points:
        return ""
    span = (high - low) or 1.0

    def at(value: float) -> float:
        return LEFT + WIDTH * (min(max(value, low), high) - low) / span

    rows = [_point(ROW * place + ROW // 2, point, at) for place, point in enumerate(points)]
    zero = f'<line class="zero" x1="{at(0):.1f}" x2="{at(0):.1f}" y1="0" y2="{ROW * len(points)}"/>' if low < 0 else ""
    ends = "".join(
        f'<text class="end" x="{at(value):.1f}" y="{ROW * len(points) + 14}" text-anchor="middle">{value:g}</text>'
        for value in dict.fromkeys((low, (low + high) / 2, high))
    )
    return _svg(label, LEFT + WIDTH + RIGHT, ROW * len(points) + FOOT, zero + "".join(rows) + ends)


def _point(y: int, point: Point, at: Callable[[float], float]) -> str:
    low, high = at(point.ci[0]), at(point.ci[1])
    ring = "" if point.beside is None else f'<circle class="beside" cx="{at(point.beside):.1f}" cy="{y}" r="5"/>'
    return (
        f'<text x="0" y="{y + 4}">{escape(point.name)}</text>'
        f'<line class="scale" x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y}" y2="{y}"/>'
        f'<line class="interval" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>{ring}'
        f'<circle class="dot" cx="{at(point.value):.1f}" cy="{y}" r="5"><title>{escape(point.text)}</title></circle>'
        f'<text class="number" x="{LEFT + WIDTH + 16}" y="{y + 4}">{escape(point.text)}</text>'
    )


def histogram(values: Sequence[float], label: str, unit: str) -> str:
    """How often values of a size came, the largest few together in the last bar; empty for fewer than two different ones."""
    if len(set(values)) < 2:  # noqa: PLR2004  # nothing to spread
        return ""
    low, most_of_all = min(values), max(values)
    # A few slow rows would press all the others into one bar.
    high = max(percentile(values, MOST_OF_THEM) or low, low + (most_of_all - low) / 1000)
    counts = [0] * BARS
    for value in values:
        counts[min(BARS - 1, int((value - low) / (high - low) * BARS))] += 1
    last = f"{high:,.0f} {unit} and above, to {most_of_all:,.0f}" if most_of_all > high else f"{high:,.0f} {unit}"
    wide, most = (LEFT + WIDTH + RIGHT) / BARS, max(counts)
    bars = "".join(
        f'<rect class="bar" x="{place * wide + 1:.1f}" y="{HEIGHT - HEIGHT * count / most:.1f}"'
        f' width="{wide - 2:.1f}" height="{HEIGHT * count / most:.1f}"><title>{count}</title></rect>'
        for place, count in enumerate(counts)
        if count
    )
    width = LEFT + WIDTH + RIGHT
    ends = (
        f'<text class="end" x="0" y="{HEIGHT + 16}">{low:,.0f} {escape(unit)}</text>'
        f'<text class="end" x="{width}" y="{HEIGHT + 16}" text-anchor="end">{escape(last)}</text>'
        f'<line class="scale" x1="0" x2="{width}" y1="{HEIGHT}" y2="{HEIGHT}"/>'
    )
    return _svg(label, width, HEIGHT + FOOT, bars + ends)


def _svg(label: str, width: int, height: int, inner: str) -> str:
    drawn = f'<svg role="img" aria-label="{escape(label, quote=True)}" viewBox="0 0 {width} {height}">{inner}</svg>'
    return f'<div class="wide">{drawn}</div>'
