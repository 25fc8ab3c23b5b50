"""A result as one self-contained HTML page: no script, no address, nothing fetched."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from domain.errors import UsageError
from evals.comparing import Change, changes, headline
from evals.plots import Point, histogram, intervals
from evals.run import Figure, Result, Row

WORST = 25
"""Rows that are shown side by side."""
LONG = 900
"""Characters of a text on the page."""
NUMBER = re.compile(r"|-|[+-]?[\d.]+(?:e-?\d+)?(?:-[\d.]+)?")


@dataclass(frozen=True, slots=True)
class Side:
    """The run that a page holds its own against."""

    name: str
    result: Result


def write_page(result: Result, path: Path, against: Side | None = None) -> None:
    """Write the page. Raises UsageError if the file cannot be written."""
    try:
        path.write_text(page(result, against), encoding="utf-8", errors="replace")
    except OSError as fault:
        raise UsageError(f"cannot be written: {fault.strerror}", where=str(path), fix="choose another file") from fault


def page(result: Result, against: Side | None = None) -> str:
    """The page's text."""
    template = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    other = against.result.figures if against else []
    before = against.result.rows if against else result.other_rows
    name = against.name if against else str(result.about.get("a", ""))
    changed = changes(other, result.figures, before, result.rows) if before or other else []
    (_told_above, columns, rows), *others = result.tables()
    tables = [("All figures", columns, rows), *others]
    return template.substitute(
        title=escape(f"frontdesk eval {result.suite}"),
        about="".join(_fact(key, value) for key, value in result.about.items()),
        failed="".join(f'<p class="failed">{escape(line)}</p>' for line in result.failed),
        plot=_shares(result.figures, {one.name: one.value for one in other}, name if against else ""),
        difference=_difference(changed, name),
        kinds=_kinds(result),
        times=_section("Time of a row", histogram([row.ms for row in result.rows if row.ms], "times of rows", "ms")),
        worst=_worst(result.rows, before, name),
        tables="".join(_table(*table) for table in tables),
        config=_table("Measured with", ["setting", "value"], list(map(list, result.config.items())))
        if result.config
        else "",
    )


def _fact(name: str, value: object) -> str:
    told = ", ".join(f"{one} {count}" for one, count in value.items()) if isinstance(value, dict) else str(value)
    return f"<div><dt>{escape(name)}</dt><dd>{escape(told)}</dd></div>"


def _shares(figures: Sequence[Figure], other: dict[str, float | None], against: str) -> str:
    # Differences of a comparison may lie below 0, counts above 1: those stand in the table only.
    points = [
        Point(one.name, one.value, one.ci, f"{one.shown} (n {one.n})", other.get(one.name))
        for one in figures
        if one.ci and one.value is not None and 0 <= one.ci[0] <= one.ci[1] <= 1
    ]
    legend = f"; a ring is {against}" if against else ""
    return _section(f"Shares with their 95 % intervals{legend}", intervals(points, "shares with intervals"))


def _difference(changed: Sequence[Change], against: str) -> str:
    """What changed, row against row."""
    points = [
        Point(one.name, one.difference, one.ci, _told(one)) for one in changed if one.difference is not None and one.ci
    ]
    if not points:
        return ""
    most = math.ceil(20 * max(abs(end) for point in points for end in point.ci) or 1) / 20
    plot = intervals(points, "differences with intervals", -most, most)
    return _section(f"Difference to {against}, on the same rows", plot)


def _told(one: Change) -> str:
    p = "" if one.p is None else f", p {one.p:.3f}"
    return f"{one.difference:+.3f} (n {one.n}{p})"


def _kinds(result: Result) -> str:
    points = []
    for kind, figures in result.by_kind.items():
        first = next((one for one in figures if one.ci and one.value is not None), None)
        if first and first.ci and first.value is not None:
            points.append(Point(kind, first.value, first.ci, f"{first.shown} (n {first.n})"))
    name = next((one.name for figures in result.by_kind.values() for one in figures), "")
    return _section(f"{name} by kind", intervals(points, "by kind")) if len(points) > 1 else ""


def _worst(rows: Sequence[Row], before: Sequence[Row], against: str) -> str:
    """Rows that are wrong, those first that another run had right; what was asked, wanted and said, side by side."""
    main = headline(rows)
    earlier = {row.id: row for row in before}

    def order(row: Row) -> tuple[bool, float, float]:
        lost = row.id in earlier and earlier[row.id].scores.get(main, 0.0) > row.scores.get(main, 1.0)
        values = list(row.scores.values())
        return not lost, row.scores.get(main, 1.0), sum(values) / len(values) if values else 1.0

    wrong = [row for row in rows if row.scores and (row.why or row.scores.get(main, 1.0) < 1) and row.answer]
    shown = sorted(wrong, key=order)[:WORST]
    cards = "".join(_card(row, earlier.get(row.id), against) for row in shown)
    return _section(f"The {len(shown)} worst of {len(wrong)} that are not as they should be", cards) if shown else ""


def _card(row: Row, earlier: Row | None, against: str) -> str:
    scores = ", ".join(f"{name} {value:g}" for name, value in row.scores.items())
    parts = [("wanted", row.expected), ("said", row.answer)]
    if earlier:
        parts.append((f"{against} said", earlier.answer if earlier.answer != row.answer else "the same"))
    columns = "".join(f"<div><h4>{escape(name)}</h4><p>{_text(text)}</p></div>" for name, text in parts if text)
    return (
        f'<article><h3>{escape(row.id)} <small>{escape(row.kind)}</small></h3><p class="asked">{_text(row.question)}</p>'
        f'<div class="sides">{columns}</div><p class="why">{_text(row.why)} <small>{escape(scores)}</small></p></article>'
    )


def _text(text: str) -> str:
    return escape(text if len(text) <= LONG else f"{text[:LONG]}…").replace("\n", "<br>")


def _section(title: str, inner: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{inner}</section>" if inner else ""


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    numbers = [_is_number([row[place] for row in rows]) for place in range(len(columns))]
    head = "".join(f"<th{_css(number)}>{escape(name)}</th>" for name, number in zip(columns, numbers, strict=True))
    lines = ["".join(map(_cell, row, numbers)) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    inner = f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    return _section(title, inner)


def _is_number(cells: Sequence[object]) -> bool:
    """Whether a column holds numbers, intervals and dashes alone: such a one stands to the right."""
    return all(isinstance(cell, int | float) or NUMBER.fullmatch(str(cell)) for cell in cells) and any(map(str, cells))


def _cell(cell: object, number: bool) -> str:  # noqa: FBT001  # mapped over a row and its columns
    return f"<td{_css(number)}>{escape(str(cell))}</td>"


def _css(number: bool) -> str:  # noqa: FBT001  # as above
    return " class=number" if number else ""
