"""Write the tables of docs/routing.md: `make router-report`, or `python -m evals.routing_report --public FOLDER`.

FOLDER holds router_mmlu.jsonl and cache.jsonl; `--intents FILE` is a log of customers, `{text, intent}` a line.
Without them the rows on public data keep what they say.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from domain.settings import read_settings
from evals.run import Result, Run, Split, find_suite

PAGE = Path(__file__).resolve().parent.parent / "docs" / "routing.md"
SPLITS: tuple[Split, ...] = ("dev", "held_out")
OTHERS = PAGE.parent.parent / "desks" / "shop" / "cases" / "router_others.jsonl"
"""Questions to other businesses, labelled before any router was run on them; nothing is tuned on them."""
STEP = 1_000


def main() -> None:
    """Measure and write; says on stderr what it does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--public", type=Path, help="folder of router_mmlu.jsonl and cache.jsonl")
    parser.add_argument("--intents", type=Path, help="what customers said, by intent: {text, intent} a line")
    given = parser.parse_args()
    folder: Path | None = given.public
    page = PAGE.read_text(encoding="utf-8")
    page = _put(page, "router", _routed())
    page = _put(page, "near misses", [("near misses", _measure("cache", None, "dev"))])
    if folder:
        page = _put(page, "public router", [("router_mmlu", _measure("router", folder / "router_mmlu.jsonl", "dev"))])
        page = _put(page, "public cache", [("suites/cache", _measure("cache", folder / "cache.jsonl", "dev"))])
    if given.intents:
        page = _put(page, "public intents", [("customers", _measure("cache", given.intents, "dev"))])
    PAGE.write_text(page, encoding="utf-8")


def _routed() -> list[tuple[str, Result]]:
    of_the_shop = [(split, _measure("router", None, split)) for split in SPLITS]
    return [*of_the_shop, ("others", _measure("router", OTHERS, "dev"))]


def _measure(suite: str, data: Path | None, split: Split) -> Result:
    _say(f"{suite} {data or split}")
    run = Run(read_settings(), say=_say, progress=_progress, data=data, split=split)
    return asyncio.run(find_suite(suite)(run))


def _progress(done: int, total: int) -> None:
    if done == total or done % STEP == 0:
        _say(f"  {done} of {total}")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _put(page: str, mark: str, results: list[tuple[str, Result]]) -> str:
    """The page with a table of the results between its two marks of that name."""
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
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    start, stop = page.index(begin) + len(begin), page.index(end)
    return page[:start] + "\n" + "\n".join(rows) + "\n" + page[stop:]


if __name__ == "__main__":
    main()
