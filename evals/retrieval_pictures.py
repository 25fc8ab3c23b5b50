"""Draw the tables of docs/retrieval.md: `python -m evals.retrieval_pictures`.

`make retrieval-report` draws them too. They are drawn from what the page says, so the two cannot disagree.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from evals.plots import Line, Scale, chart

HOUSE = Path(__file__).resolve().parent.parent
PAGE = HOUSE / "docs" / "retrieval.md"
FOLDER = HOUSE / "docs" / "pictures"
FEWEST = 20
"""Questions below which a point would show chance."""
AIMS = (10.0, 15.0)
"""Milliseconds that the middle question may take, at each size of the cost table."""
ROW = re.compile(r"^\| (.+) \|$", re.MULTILINE)


def main() -> int:
    """Draw, and say where."""
    for path in write_pictures(PAGE.read_text(encoding="utf-8")):
        sys.stdout.write(f"{path.relative_to(HOUSE)}\n")
    return 0


def write_pictures(page: str) -> list[Path]:
    """Put the pictures of a page into their files."""
    FOLDER.mkdir(exist_ok=True)
    paths = []
    for name, picture in pictures(page).items():
        path = FOLDER / name
        path.write_text(picture, encoding="utf-8")
        paths.append(path)
    return paths


def pictures(page: str) -> dict[str, str]:
    """Each picture by the name of its file."""
    return {"retrieval-confidence.svg": _confidence(page), "retrieval-latency.svg": _latency(page)}


def _confidence(page: str) -> str:
    parts = re.split(r"^Reliability, (\w+) ", page, flags=re.MULTILINE)[1:]
    lines = []
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        rows = [
            row for row in _rows(text.partition("\n\nReliability")[0].partition("\n### ")[0]) if row[0] != "confidence"
        ]
        points = [(float(said), float(held)) for _, n, said, held in rows if int(n) >= FEWEST]
        lines.append(Line(name, points))
    right = Line("what was said is what held", [(0.0, 0.0), (1.0, 1.0)], dashed=True)
    scale = (0.0, 0.25, 0.5, 0.75, 1.0)
    return chart(
        [right, *(line for line in lines if len(line.points) > 1)],
        "Confidence against truth",
        Scale("confidence that was said", scale),
        Scale("share with an answer among the passages", scale),
    )


def _latency(page: str) -> str:
    rows = [row for row in _rows(page.partition("### Cost")[2].partition("\n\nFrom ")[0]) if row[0] != "articles"]
    sizes = [float(row[0].replace(",", "")) for row in rows]
    middle, late = ([float(row[column]) for row in rows] for column in (2, 3))
    top = 10.0 * (int(max([*late, *AIMS]) / 10) + 1)
    return chart(
        [
            Line("aim for the middle", list(zip(sizes, AIMS, strict=True)), dashed=True),
            Line("middle (p50)", list(zip(sizes, middle, strict=True))),
            Line("p95", list(zip(sizes, late, strict=True))),
        ],
        "Time of a question",
        Scale("articles", (0.0, *sizes)),
        Scale("milliseconds, embedding included", (0.0, top / 2, top)),
    )


def _rows(text: str) -> list[Sequence[str]]:
    """Cells of a table's rows, without the line below its head."""
    rows = [[cell.strip() for cell in row.split("|")] for row in ROW.findall(text)]
    return [row for row in rows if not row[0].startswith("--")]


if __name__ == "__main__":
    sys.exit(main())
