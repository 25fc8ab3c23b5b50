"""The drawings of the weekly page, as SVG in its own colours: no script, nothing fetched."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

PARTS = (("answer", "var(--main)"), ("dont_know", "var(--warn)"), ("refuse", "var(--rest)"), ("handoff", "var(--dark)"))
WORST, BEST = 1.0, 5.0


def days_chart(days: Sequence[Mapping[str, Any]]) -> str:
    """Turns by day, parted by outcome, with the number over each day."""
    width, height, foot = 460, 220, 40
    step = width / max(7, len(days))
    top = max((int(one["requests"]) for one in days), default=0) or 1
    drawn = []
    for place, one in enumerate(days):
        x, y = step * place + step * 0.15, float(height - foot)
        for name, colour in PARTS:
            tall = (height - foot - 20) * one["outcomes"].get(name, 0) / top
            y -= tall
            drawn.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{step * 0.7:.1f}" height="{tall:.1f}" fill="{colour}"/>'
            )
        middle = x + step * 0.35
        drawn.append(f'<text x="{middle:.1f}" y="{y - 5:.1f}" text-anchor="middle">{one["requests"]:,}</text>')
        drawn.append(
            f'<text x="{middle:.1f}" y="{height - foot + 16}" text-anchor="middle">{escape(one["at"][5:10])}</text>'
        )
    keys = "".join(
        f'<span class="key" style="background:{colour}"></span>{name.replace("_", " ")}' for name, colour in PARTS
    )
    picture = _svg(width, height - foot + 24, "turns by day and outcome", drawn)
    return f'<figure><figcaption>Turns by day</figcaption>{picture}<p class="hint">{keys}</p></figure>'


def scale_chart(bars: Sequence[tuple[str, float | None, Sequence[float] | None, int]], line: float) -> str:
    """(name, mean, interval, count) each as a dot with its interval on the scale of 1 to 5; `line` is drawn across."""
    row, left, wide, right = 34, 100, 420, 230
    tall = row * len(bars)

    def at(value: float) -> float:
        return left + wide * (value - WORST) / (BEST - WORST)

    drawn = [
        f'<line x1="{at(mark):.1f}" x2="{at(mark):.1f}" y1="0" y2="{tall}" stroke="var(--line)"/>'
        f'<text x="{at(mark):.1f}" y="{tall + 16}" text-anchor="middle">{mark}</text>'
        for mark in range(int(WORST), int(BEST) + 1)
    ]
    drawn.append(
        f'<line x1="{at(line):.1f}" x2="{at(line):.1f}" y1="0" y2="{tall}" stroke="var(--bad)" stroke-dasharray="4 3"/>'
    )
    for place, (name, mean, ends, count) in enumerate(bars):
        y = row * place + row // 2
        drawn.append(f'<text x="0" y="{y + 4}">{escape(name)}</text>')
        if mean is None:
            drawn.append(f'<text x="{left + wide + 20}" y="{y + 4}">not scored</text>')
            continue
        if ends:
            drawn.append(
                f'<line x1="{at(ends[0]):.1f}" x2="{at(ends[1]):.1f}" y1="{y}" y2="{y}" stroke="var(--main)" '
                'stroke-width="6" stroke-linecap="round"/>'
            )
        drawn.append(f'<circle cx="{at(mean):.1f}" cy="{y}" r="6" fill="var(--dark)"/>')
        spread = f" ({ends[0]:.2f} to {ends[1]:.2f})" if ends else ""
        drawn.append(f'<text x="{left + wide + 20}" y="{y + 4}">{mean:.2f}{spread}, n {count}</text>')
    return _svg(left + wide + right, tall + 24, "accuracy, relevance and safety with intervals", drawn)


def histogram_chart(now: Sequence[int], before: Sequence[int]) -> str:
    """How sure retrieval was, this week (bars) against the four weeks before (line), in shares of the questions."""
    width, height, foot = 640, 170, 36
    step = width / len(now)
    shares = [[count / (sum(counts) or 1) for count in counts] for counts in (now, before)]
    top = max(max(each) for each in shares) or 1.0
    room = height - foot - 8
    drawn = [
        f'<rect x="{step * place + 3:.1f}" y="{height - foot - room * share / top:.1f}" width="{step - 6:.1f}" '
        f'height="{room * share / top:.1f}" fill="var(--main)" opacity=".75"/>'
        for place, share in enumerate(shares[0])
    ]
    points = " ".join(
        f"{step * place + step / 2:.1f},{height - foot - room * share / top:.1f}"
        for place, share in enumerate(shares[1])
    )
    drawn.append(f'<polyline points="{points}" fill="none" stroke="var(--warn)" stroke-width="2.5"/>')
    drawn += [
        f'<text x="{step * place + step / 2:.1f}" y="{height - foot + 16}" text-anchor="middle">.{place}</text>'
        for place in range(len(now))
    ]
    keys = (
        '<span class="key" style="background:var(--main)"></span>this week'
        '<span class="key" style="background:var(--warn)"></span>the four weeks before'
    )
    picture = _svg(width, height - foot + 22, "confidence of retrieval, this week and before", drawn)
    return f'<figure><figcaption>Confidence of retrieval</figcaption>{picture}<p class="hint">{keys}</p></figure>'


def _svg(width: float, height: float, label: str, drawn: Sequence[str]) -> str:
    return f'<svg role="img" aria-label="{label}" viewBox="0 0 {width:g} {height:g}">{"".join(drawn)}</svg>'
