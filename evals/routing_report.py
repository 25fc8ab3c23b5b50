"""Write the tables of docs/routing.md: `make router-report`, or `python -m evals.routing_report --public FOLDER`.

FOLDER holds router_mmlu.jsonl and cache.jsonl; `--intents FILE` is a log of customers, `{text, intent}` a line.
Without them the rows on public data keep what they say. Vectors are kept under `--cache`, so that a run that was
stopped, or a second one, embeds nothing twice; the table is written after each part.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from domain.settings import read_settings
from evals.cache_curve import curve, pairs
from evals.kept_vectors import keeping
from evals.run import Result, Run, Split, find_suite
from models import load_embedder

PAGE = Path(__file__).resolve().parent.parent / "docs" / "routing.md"
SPLITS: tuple[Split, ...] = ("dev", "held_out")
OTHERS = PAGE.parent.parent / "desks" / "shop" / "cases" / "router_others.jsonl"
"""Questions to other businesses, labelled before any router was run on them; nothing is tuned on them."""
PAIRS = Path(__file__).with_name("same_questions.jsonl")
"""Pairs of questions to other businesses, of one meaning or nearly: see docs/routing.md."""
KEPT = PAGE.parent.parent / ".frontdesk" / "router-report"
EMBEDDER = "multilingual-e5-small"
STEPS = 20
"""How many lines of progress a part has."""


def main() -> None:
    """Measure and write; says on stderr what it does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--public", type=Path, help="folder of router_mmlu.jsonl and cache.jsonl")
    parser.add_argument("--intents", type=Path, help="what customers said, by intent: {text, intent} a line")
    parser.add_argument("--cache", type=Path, default=KEPT, help="folder in which vectors are kept between runs")
    given = parser.parse_args()
    folder: Path | None = given.public

    def measured(suite: str, data: Path | None = None, split: Split = "dev") -> Result:
        _say(f"{suite} {data or split}")
        run = Run(read_settings(), say=_say, progress=_progress, data=data, split=split, vectors=given.cache)
        return asyncio.run(find_suite(suite)(run))

    _write(
        "router",
        [*((split, measured("router", None, split)) for split in SPLITS), ("others", measured("router", OTHERS))],
    )
    _write("near misses", [("near misses", measured("cache"))])
    _write("own pairs", [("own pairs", measured("cache", PAIRS))])
    if folder:
        _write("public cache", [("suites/cache", measured("cache", folder / "cache.jsonl"))])
        _say("looser gates")
        embedder = keeping(load_embedder(EMBEDDER), given.cache)
        lines = asyncio.run(curve(pairs(folder / "cache.jsonl", PAIRS), embedder, _progress))
        PAGE.write_text(_put(PAGE.read_text(encoding="utf-8"), "cache curve", lines), encoding="utf-8")
    if given.intents:
        _write("public intents", [("customers", measured("cache", given.intents))])
    if folder:
        _write("public router", [("router_mmlu", measured("router", folder / "router_mmlu.jsonl"))])


def _write(mark: str, results: list[tuple[str, Result]]) -> None:
    PAGE.write_text(_put(PAGE.read_text(encoding="utf-8"), mark, _table(results)), encoding="utf-8")


def _progress(done: int, total: int) -> None:
    if done == total or done * STEPS // total != (done - 1) * STEPS // total:
        _say(f"  {done} of {total}")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _table(results: list[tuple[str, Result]]) -> list[str]:
    rows = ["| data | figure | value | n | 95 % interval |", "|---|---|---|---|---|"]
    for name, result in results:
        named = [("", figure) for figure in result.figures] + [
            (f" {kind}", figure)
            for kind, figures in result.by_kind.items()
            for figure in figures
            if figure.name in ("accuracy", "hit_rate")
        ]
        rows += [
            f"| {name} | `{figure.name}`{kind} | {figure.value:.3f} | {figure.n} | {figure.shown_ci} |"
            for kind, figure in named
            if figure.value is not None
        ]
    return rows


def _put(page: str, mark: str, lines: list[str]) -> str:
    """The page with these lines between its two marks of that name."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    start, stop = page.index(begin) + len(begin), page.index(end)
    return page[:start] + "\n" + "\n".join(lines) + "\n" + page[stop:]


if __name__ == "__main__":
    main()
