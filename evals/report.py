"""A result as one self-contained HTML page: no script, no address, nothing fetched."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from domain.errors import UsageError
from evals.run import Figure, Result

ROW = 26
LEFT, WIDTH, RIGHT = 190, 480, 130
"""Pixels of a plot: its names, its scale from 0 to 1, its numbers."""


def write_page(result: Result, path: Path) -> None:
    """Write the page. Raises UsageError if the file cannot be written."""
    try:
        path.write_text(page(result), encoding="utf-8")
    except OSError as fault:
        raise UsageError(f"cannot be written: {fault.strerror}", where=str(path), fix="choose another file") from fault


def page(result: Result) -> str:
    """The page's text."""
    template = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(f"frontdesk eval {result.suite}"),
        about=escape(", ".join(f"{name}: {value}" for name, value in result.about.items())),
        failed="".join(f'<p class="failed">{escape(line)}</p>' for line in result.failed),
        plot=_plot([figure for figure in result.figures if figure.ci]),
        tables="".join(_table(*table) for table in result.tables()),
    )


def _plot(figures: Sequence[Figure]) -> str:
    # Differences of a comparison may lie below 0, counts above 1: those stand in the table only.
    figures = [figure for figure in figures if figure.ci and 0 <= figure.ci[0] <= figure.ci[1] <= 1]
    rows = [_bar(place, figure) for place, figure in enumerate(figures)]
    size = f'width="{LEFT + WIDTH + RIGHT}" height="{ROW * len(figures) + 8}"'
    return f'<svg role="img" aria-label="shares with intervals" {size}>{"".join(rows)}</svg>'


def _bar(place: int, figure: Figure) -> str:
    """A name, a dot at the share, a line over its interval, and the numbers."""
    low, high = figure.ci or (0.0, 0.0)
    y = ROW * place + ROW // 2
    at = LEFT + WIDTH * (figure.value or 0.0)
    return (
        f'<text x="0" y="{y + 4}">{escape(figure.name)}</text>'
        f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y}" y2="{y}" stroke="#d8dee4"/>'
        f'<line x1="{LEFT + WIDTH * low:.1f}" x2="{LEFT + WIDTH * high:.1f}" y1="{y}" y2="{y}"'
        ' stroke="#0b6bcb" stroke-width="5" stroke-linecap="round"/>'
        f'<circle cx="{at:.1f}" cy="{y}" r="6" fill="#0b3d75"/>'
        f'<text x="{LEFT + WIDTH + 14}" y="{y + 4}">{figure.shown} (n {figure.n})</text>'
    )


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<h2>{escape(title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
