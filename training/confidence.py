"""Fit a RAG configuration's confidence on knowledge bases that are not the desk's, and choose where don't-know begins.

    python -m training.confidence --config multilingual --data-dir ../shared/suites [--sets WHO,hostel,…] [--tried energy,…]

Each question is asked with its articles, without them, and without those next to them, or one that no article answers
(evals/calibration.py). Prints the fit on all sets; for each set under the fit of the others, and for each of `--tried` under the
fit of all, its AUC and Brier score, the reliability, and what would be turned away at each threshold; and the highest
threshold that turns away no more than `--lost` of the answerable questions of a set left out, on average. A set is
`evals/businesses/NAME.jsonl`, small businesses written for this (`NAME-across`: asked in the other language), or
`retrieval_NAME.jsonl` of `--data-dir`. The desks' cases are not read. What it prints goes by hand into retrieval/configs/NAME.yaml.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt

from domain.errors import UsageError
from domain.settings import read_settings
from evals.bench_kb import opened_bench
from evals.calibration import Array, Seen, fit, left_out, said, seen, under
from evals.run import Run
from evals.suites.retrieval import read_material
from retrieval import RagConfig, load_rag_config
from retrieval.config import Calibration, Feature

SETS = "WHO,tv,dentist,hostel,payroll,phones"
BUSINESSES = Path(__file__).resolve().parent.parent / "evals" / "businesses"
ACROSS = "-across"
THRESHOLDS = (0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
LOST = 0.1
BINS = 5


def main() -> int:
    """Measure, fit, print."""
    parser = argparse.ArgumentParser(prog="python -m training.confidence", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", default="multilingual", help="RAG configuration: its features, its embedder")
    parser.add_argument(
        "--data-dir", type=Path, default=Path("../shared/suites"), help="retrieval_NAME[_kb].jsonl of public sets"
    )
    parser.add_argument("--sets", default=SETS, help="names, by comma; a licence must allow shipping what is fitted")
    parser.add_argument(
        "--tried", default="", help="names, by comma: sets that the fit is tried on, and that it does not see"
    )
    parser.add_argument("--features", help="names, by comma; those of the configuration without it")
    parser.add_argument("--rows", type=int, default=300, help="questions of a set at most, the same ones each time")
    parser.add_argument(
        "--lost",
        type=float,
        default=LOST,
        help="share of answerable questions that may be turned away, mean of the sets",
    )
    parser.add_argument("--cache", type=Path, help="folder in which vectors of passages are kept")
    given = parser.parse_args()
    config = load_rag_config(given.config)
    names = _features(given.features, config)
    tried = [name for name in given.tried.split(",") if name]
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(_sets(config, given, [*given.sets.split(","), *tried], given.cache or Path(folder), names))
    sets = {name: one for name, one in found.items() if name not in tried}
    sys.stdout.write("\n".join(told(sets, names, given.lost, {name: found[name] for name in tried})) + "\n")
    return 0


def told(
    sets: Mapping[str, Seen], names: Sequence[Feature], lost: float, tried: Mapping[str, Seen] | None = None
) -> list[str]:
    """The lines of the report. Raises UsageError for fewer than two sets: nothing could be left out."""
    if len(sets) <= 1:
        raise UsageError("one set cannot be left out of itself", where="--sets", fix="name two or more")
    whole, tried = fit(list(sets.values()), names), tried or {}
    lines = [f"fitted on all: bias {whole.bias}, weights {dict(whole.weights)}", ""]
    lines += ["| set left out | searches | AUC | Brier |", "|---|---|---|---|"]
    weighed = [*left_out(sets, names), *(under(whole, name, one, names) for name, one in tried.items())]
    lines += [f"| {one.name} | {one.rows} | {one.apart:.3f} | {one.brier:.3f} |" for one in weighed]
    heard = {name: said(one, names, _of_others(sets, name, names)) for name, one in sets.items()}
    every, all_heard = {**sets, **tried}, heard | {name: said(one, names, whole) for name, one in tried.items()}
    lines += ["", "| set left out | said | held | weight |", "|---|---|---|---|"]
    lines += [row for name, one in every.items() for row in _reliability(name, one, all_heard[name])]
    lines += ["", "| below | set left out | of the answerable | of those without an answer |", "|---|---|---|---|"]
    lines += [
        f"| {below} | {name} | {_below(all_heard[name], one.answerable > 0, below):.3f}"
        f" | {_below(all_heard[name], one.answerable == 0, below):.3f} |"
        for below in THRESHOLDS
        for name, one in every.items()
    ]
    return [*lines, "", f"don't-know begins below {threshold(sets, heard, lost)}"]


def threshold(sets: Mapping[str, Seen], heard: Mapping[str, Array], lost: float) -> float:
    """The highest of the thresholds that turns away at most `lost` of the answerable questions, mean of the sets; 0 if none.

    The mean and not the worst: of forty questions one in ten is anything between one and eight.
    """
    fitting = [
        below
        for below in THRESHOLDS
        if np.mean([_below(heard[name], one.answerable > 0, below) for name, one in sets.items()]) <= lost
    ]
    return max(fitting, default=0.0)


def _features(given: str | None, config: RagConfig) -> list[Feature]:
    known = {str(name): name for name in get_args(Feature)}
    asked_for = given.split(",") if given else list(config.calibration.weights)
    for name in asked_for:
        if name not in known:
            raise UsageError(f"no feature {name!r}", where="--features", fix=f"of {', '.join(known)}")
    return [known[name] for name in asked_for]


async def _sets(
    config: RagConfig, given: argparse.Namespace, sets: Sequence[str], cache: Path, names: Sequence[Feature]
) -> dict[str, Seen]:
    found = {}
    for name in sets:
        kb, data = files_of(name, given.data_dir)
        material = read_material(Run(read_settings(), kb=kb, data=data, say=_say, progress=lambda *_: None))
        rows: int = given.rows
        step = max(1, -(-len(material.questions) // rows))
        some = material.questions[::step]
        _say(f"{name}: {len(material.articles)} articles, {len(some)} of {len(material.questions)} questions")
        async with opened_bench(config, material.articles, None, cache) as bench:
            await bench.warm()
            asked = [await bench.ask(row.text, frozenset(row.relevant)) for row in some]
            unanswered = [await bench.ask(row.text, frozenset()) for row in material.unanswered]
            found[name] = seen(asked, names, unanswered)
    return found


def files_of(name: str, data: Path) -> tuple[Path, Path]:
    """The articles and the questions of a set."""
    if (BUSINESSES / f"{name}.jsonl").is_file():
        return BUSINESSES / f"{name.removesuffix(ACROSS)}_kb.jsonl", BUSINESSES / f"{name}.jsonl"
    return data / f"retrieval_{name}_kb.jsonl", data / f"retrieval_{name}.jsonl"


def _of_others(sets: Mapping[str, Seen], name: str, names: Sequence[Feature]) -> Calibration:
    return fit([one for other, one in sets.items() if other != name], names)


def _reliability(name: str, one: Seen, heard: Array) -> list[str]:
    place = np.minimum((heard * BINS).astype(int), BINS - 1)
    rows = []
    for part in range(BINS):
        held = place == part
        if held.any():
            told_, true = (np.average(figure[held], weights=one.weight[held]) for figure in (heard, one.answerable))
            rows.append(f"| {name} | {told_:.2f} | {true:.2f} | {one.weight[held].sum():.0f} |")
    return rows


def _below(heard: Array, which: npt.NDArray[np.bool_], below: float) -> float:
    return float(np.mean(heard[which] < below)) if which.any() else 0.0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
