"""Measure what docs/retrieval.md says: `make retrieval-report`.

    python -m evals.retrieval_report --data-dir ../shared/suites [--kept FOLDER] [--only WHO,tv]

The folder holds retrieval_NAME_kb.jsonl and retrieval_NAME.jsonl. Writes the tables between the markers of the page, and draws
them (evals/retrieval_pictures.py); the text around them is written by hand. Vectors of passages are kept in --kept
from one run to the next, also where one is cut off; questions are embedded each time.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from domain.settings import read_settings
from evals.bench_kb import Bench, opened_bench, plain_embedding
from evals.calibration import fit, left_out, seen
from evals.ranking import MEANS, Ranked, figures
from evals.retrieval_pictures import PAGE, write_pictures
from evals.run import Run
from evals.stats import percentile
from evals.suites.retrieval import Material, Measured, asked, by_words, read_material, reliability, trust
from retrieval import RagConfig, load_rag_config

BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
CONFIG = "english"
SETS = ("WHO", "tv", "Australia", "rhobank")
FITTED = ("WHO", "tv", "Australia")
"""Sets whose licence allows shipping what was fitted on them (Apache-2.0)."""
RERANKED = {"tv": 1, "WHO": 12}
"""Sets that the reranker is tried on, and each how manyeth question of them."""
KEPT = Path(".frontdesk/retrieval-report")
PATIENCE_MS = 60_000
ASKED = 200
SIZES = (1_000, 10_000)
SECONDS = 5.0
"""Between two lines of progress."""


def main() -> int:
    """Measure and write the page's tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/suites"))
    parser.add_argument("--kept", type=Path, default=KEPT, help="folder of vectors from earlier runs")
    parser.add_argument("--only", default=",".join(SETS), help="sets, by comma")
    given = parser.parse_args()
    started = time.perf_counter()
    lines = asyncio.run(_tables(given.data_dir, given.kept, given.only.split(",")))
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page = f"{before}{BEGIN}\n{chr(10).join(lines)}\n{END}{after}"
    PAGE.write_text(page, encoding="utf-8")
    write_pictures(page)
    _say(f"{PAGE}: written after {time.perf_counter() - started:.0f} s")
    return 0


async def _tables(data: Path, cache: Path, names: Sequence[str]) -> list[str]:
    found = ["| set | row | n | " + " | ".join(MEANS) + " | ms p50 |", "|---" * (len(MEANS) + 4) + "|"]
    trusted = ["| set | AUC, article out | Brier |", "|---|---|---|"]
    measured: dict[str, Measured] = {}
    for name in names:
        run = _run(data, name)
        material = read_material(run)
        async with opened_bench(load_rag_config(CONFIG), material.articles, run.progress, cache) as bench:
            measured[name] = await asked(run, material, bench)
            async with bench.again(plain_embedding(bench.config)) as plain:
                nearest = await _ranked(f"{name}, plain embedding", plain, [row.text for row in material.questions])
        found += [
            _row(name, "ours", measured[name].rankings, material),
            _row("", "BM25", by_words(material), material),
            _row("", "plain embedding", nearest, material),
        ]
        apart, brier, *_ = trust(measured[name].asked)
        trusted.append(f"| {name} | {apart.value:.3f} | {brier.value:.3f} |")
    return [
        f"### Found (`{CONFIG}`)",
        "",
        *found,
        "",
        "### Confidence",
        "",
        *trusted,
        "",
        *_fits({name: measured[name] for name in FITTED if name in measured}),
        *(line for name in names for line in _curve(name, measured[name])),
        "### Reranked",
        "",
        *await _reranked(data, cache, names),
        "",
        "### Cost",
        "",
        *await _costs(data, cache, names),
        "",
        f"Measured with `make retrieval-report` on {os.cpu_count()} cores at a load of {os.getloadavg()[0]:.1f}.",
    ]


def _row(name: str, what: str, rankings: Sequence[Ranked], material: Material) -> str:
    told = {one.name: one for one in figures(rankings, material.relevant)}
    cells = [f"{told[part].value:.3f}" for part in MEANS]
    took = f"{told['ms_p50'].value:.1f}" if "ms_p50" in told else "-"
    return f"| {name} | {what} | {len(rankings)} | {' | '.join(cells)} | {took} |"


def _fits(measured: dict[str, Measured]) -> list[str]:
    """The shipped features, fitted on the other sets and tried on each."""
    names = list(load_rag_config(CONFIG).calibration.weights)
    if len(measured) <= 1:
        return []
    sets = {name: seen(one.asked, names) for name, one in measured.items()}
    rows = [f"| {one.name} | {one.rows} | {one.apart:.3f} | {one.brier:.3f} |" for one in left_out(sets, names)]
    whole = fit(list(sets.values()), names)
    return [
        f"Features {', '.join(names)}, fitted on the other sets (article and topic out; on all: bias {whole.bias}, {dict(whole.weights)}):",
        "",
        "| set left out | searches | AUC | Brier |",
        "|---|---|---|---|",
        *rows,
        "",
    ]


def _curve(name: str, measured: Measured) -> list[str]:
    _, columns, rows = reliability(measured.asked)
    return [
        f"Reliability, {name} (what was said, and how often an answer was among the passages):",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
        *(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows),
        "",
    ]


async def _reranked(data: Path, cache: Path, names: Sequence[str]) -> list[str]:
    """The same candidates in the reranker's order, on a share of two sets: it takes a tenth of a second a passage."""
    lines = ["| set | questions | row | " + " | ".join(MEANS) + " | ms p50 |", "|---" * (len(MEANS) + 4) + "|"]
    for name, each in RERANKED.items():
        if name not in names:
            continue
        material = read_material(_run(data, name))
        asking = [row.text for row in material.questions][::each]
        part = replace(material, questions=material.questions[::each])
        for config in (CONFIG, f"{CONFIG}-rerank"):
            what = f"{name}, {config}"
            async with opened_bench(_patient(config), material.articles, _progress(what), cache) as bench:
                await bench.warm()
                row = _row(config, "", await _ranked(what, bench, asking), part)
            lines.append(f"| {name} | {len(asking)} | {config} |{row.split('|', 4)[4]}")
    return lines


def _patient(name: str) -> RagConfig:
    """A configuration whose reranker has no deadline: what it does to the order shows on a busy machine too."""
    config = load_rag_config(name)
    if config.reranker is None:
        return config
    return config.model_copy(update={"reranker": config.reranker.model_copy(update={"deadline_ms": PATIENCE_MS})})


async def _ranked(what: str, bench: Bench, asking: Sequence[str]) -> list[Ranked]:
    told, found = _progress(what), list[Ranked]()
    for text in asking:
        found.append(await bench.rank(text))
        told(len(found), len(asking))
    return found


async def _costs(data: Path, cache: Path, names: Sequence[str]) -> list[str]:
    """Time of a question among 1,000 and 10,000 articles: those of all sets, over again where they end."""
    rows = [row for name in names for row in read_material(_run(data, name)).articles]
    questions = [row.text for row in read_material(_run(data, names[0])).questions][:ASKED]
    lines = ["| articles | chunks | ms p50 | ms p95 | unchanged again, s |", "|---|---|---|---|---|"]
    middles = []
    for size in SIZES:
        many = [rows[place % len(rows)] for place in range(size)]
        async with opened_bench(load_rag_config(CONFIG), many, _progress(f"{size} articles"), cache) as bench:
            await bench.warm()
            times = [one.ms for one in await _ranked(f"{size} articles, questions", bench, questions)]
            middles.append(percentile(times, 50) or 0.0)
            ends = f"{middles[-1]:.1f} | {percentile(times, 95):.1f} | {await bench.unchanged():.2f}"
            lines.append(f"| {size:,} | {bench.chunks:,} | {ends} |")
    times_more = middles[1] / middles[0]
    return [*lines, "", f"From {SIZES[0]:,} to {SIZES[1]:,} articles a question costs {times_more:.2f} times as much."]


def _run(data: Path, name: str) -> Run:
    kb, rows = data / f"retrieval_{name}_kb.jsonl", data / f"retrieval_{name}.jsonl"
    return Run(read_settings(), say=_say, progress=_progress(name), data=rows, kb=kb)


def _progress(what: str) -> Callable[[int, int], None]:
    last = 0.0

    def told(done: int, total: int) -> None:
        nonlocal last
        if time.perf_counter() - last > SECONDS or done == total:
            last = time.perf_counter()
            _say(f"{what}: {done}/{total}")

    return told


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
