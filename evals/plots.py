"""Plots as SVG: inline ones take their colours from the page's style, a chart is a file of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from evals.stats import percentile

ROW = 28
LEFT, WIDTH, RIGHT = 210, 430, 220
"""Pixels of a plot: its names, its scale, its numbers."""
BARS, HEIGHT, FOOT = 24, 120, 22
"""A histogram: its bars, its pixels, its numbers below."""
CHART_LEFT, CHART_RIGHT, CHART_TOP = 56, 230, 40
BROAD, TALL = 420, 300
"""A chart: what is around it, and its pixels."""
GREY = "#808080"
COLOURS = ("#2f7ed8", "#d9772b", "#3a9d5d", "#a05bc4", "#c04848")
"""Readable on white and on black."""
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


@dataclass(frozen=True, slots=True)
class Line:
    """Points that belong together, from left to right. Dashed: what they should be."""

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """What an axis shows, and the values that are marked on it; the first and the last are its ends."""

    name: str
    marks: Sequence[float]

    def at(self, value: float) -> float:
        """Where a value lies, 0..1."""
        low, high = self.marks[0], self.marks[-1]
        return (value - low) / ((high - low) or 1.0)


def chart(lines: Sequence[Line], label: str, across: Scale, up: Scale) -> str:
    """Lines as a whole SVG file, for a page that can only show a picture; it is readable on light and on dark."""
    drawn = [_mark(value, across, upright=False) for value in across.marks]
    drawn += [_mark(value, up, upright=True) for value in up.marks]
    colours = [*COLOURS] * (len(lines) // len(COLOURS) + 1)
    for place, (line, colour) in enumerate(zip(lines, colours, strict=False)):
        drawn.append(_line(line, GREY if line.dashed else colour, across, up, place))
    names = (
        f'<text x="{CHART_LEFT}" y="{CHART_TOP + TALL + 40}">{escape(across.name)}</text>'
        f'<text x="{CHART_LEFT}" y="{CHART_TOP - 14}">{escape(up.name)}</text>'
    )
    width, height = CHART_LEFT + BROAD + CHART_RIGHT, CHART_TOP + TALL + 52
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(label, quote=True)}"'
        f' viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' font-family="sans-serif" font-size="13" fill="{GREY}">\n'
        f"<title>{escape(label)}</title>\n{chr(10).join(drawn)}\n{names}\n</svg>\n"
    )


def _mark(value: float, scale: Scale, *, upright: bool) -> str:
    if upright:
        y = CHART_TOP + TALL * (1 - scale.at(value))
        line = f'<line x1="{CHART_LEFT}" x2="{CHART_LEFT + BROAD}" y1="{y:.1f}" y2="{y:.1f}"'
        text = f'<text x="{CHART_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:,g}</text>'
    else:
        x = CHART_LEFT + BROAD * scale.at(value)
        line = f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{CHART_TOP}" y2="{CHART_TOP + TALL}"'
        text = f'<text x="{x:.1f}" y="{CHART_TOP + TALL + 18}" text-anchor="middle">{value:,g}</text>'
    return f'{line} stroke="{GREY}" stroke-opacity=".25"/>{text}'


def _line(line: Line, colour: str, across: Scale, up: Scale, place: int) -> str:
    at = [(CHART_LEFT + BROAD * across.at(x), CHART_TOP + TALL * (1 - up.at(y))) for x, y in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    dash = ' stroke-dasharray="5 4"' if line.dashed else ""
    dots = "" if line.dashed else "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in at)
    x, y = CHART_LEFT + BROAD + 14, CHART_TOP + 14 + 20 * place
    key = f'<line x1="{x}" x2="{x + 22}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"{dash}/>'
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>{dots}'
        f'{key}<text x="{x + 28}" y="{y + 4}">{escape(line.name)}</text>'
    )
