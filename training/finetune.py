"""Fine-tuning from a file of rows to a model that may be served: read, split, learn, measure, gate, export, enter.

What is learnt is masked first: a model must not know a customer's address by heart. Nothing is promoted: a model that
passes the gate becomes a row of the installation's own catalog, and is asked when FRONTDESK_LLM_MODEL names it.
"""

import asyncio
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from domain.ports import Embedder, Progress
from domain.turn import Passage
from evals.run import Result
from models.language import LANGUAGES, detect_language
from scoring.judge import LocalJudge, overall
from scoring.reference import corpus_bleu, rouge_l
from training.finetuning.card import enter, write_card
from training.finetuning.figures import Answers, Measured, fit_figure, summed_up
from training.finetuning.plan import ADAPTER, BASE, CHECKPOINTS, DONE, RUN, Plan, claim, fingerprint
from training.finetuning.rows import Example, read_examples
from training.finetuning.split import Split, split_examples

FITTED_ON = 100
"""Rows to be learnt whose responses are held against their instructions; clean held-out rows would hide shuffled ones."""


class Masks(Protocol):
    """The part of the guards that rows need: a text without personal data."""

    async def mask(self, text: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Workbench:
    """What a fine-tuning is done with. `home`: the installation's state, for its own catalog."""

    masks: Masks
    embedder: Embedder
    home: Path
    say: Callable[[str], None]
    progress: Progress


@dataclass(frozen=True, slots=True)
class Prepared:
    """What will be learnt. `masked`: rows in which something personal was replaced. `fit`: by row, see `fits`."""

    split: Split
    left_out: list[str]
    masked: int
    fit: list[bool]


def parted(plan: Plan) -> tuple[Split, list[str]]:
    """The file's rows in three parts, and what of it was left out. Raises UsageError for rows that cannot be learnt."""
    found = read_examples(plan.file, plan.columns)
    apart = read_examples(plan.held_out, plan.columns).rows if plan.held_out else ()
    split = split_examples(found.rows, plan.learning.seed, apart)
    few = replace(
        split,
        train=split.train[: plan.rows or None],
        validation=split.validation[: plan.rows // 5 or None],
        held_out=split.held_out[: plan.measured],
    )
    return few, found.left_out


async def prepare(plan: Plan, bench: Workbench) -> Prepared:
    """Read, mask and split the rows; needs nothing of the extra. Raises UsageError for rows that cannot be learnt."""
    split, left_out = await asyncio.to_thread(parted, plan)
    for line in left_out:
        bench.say(f"{line}: left out")
    for line in split.warnings:
        bench.say(line)
    parts: dict[str, list[Example]] = {}
    masked = 0
    for name in ("train", "validation", "held_out"):
        rows: Sequence[Example] = getattr(split, name)
        parts[name] = [await _masked(row, bench.masks) for row in rows]
        masked += sum(one != other for one, other in zip(rows, parts[name], strict=True))
    if masked:
        bench.say(f"personal data was masked in {masked} rows")
    split = replace(split, train=parts["train"], validation=parts["validation"], held_out=parts["held_out"])
    return Prepared(split, left_out, masked, await fits(split.train, bench.embedder))


async def finetune(plan: Plan, bench: Workbench, prepared: Prepared, *, fresh: bool = False) -> Result:
    """Learn, measure and export. An earlier start of the same run goes on where it was. `failed` holds the gate's lines.

    Raises UsageError (the extra, the base or the folder), FrontdeskError when memory does not suffice.
    """
    from training.finetuning.learning import Learnt, check_installed, learn, open_base  # noqa: PLC0415  # as there

    check_installed()
    split = prepared.split
    if fresh:
        clear(plan.out)
    if claim(plan.out, fingerprint(plan, split.train), fresh=fresh):
        bench.say(f"going on with the run in {plan.out}")
    base = await asyncio.to_thread(open_base, plan)
    learnt_file = plan.out / ADAPTER / "learnt.json"
    if learnt_file.is_file():
        learnt = Learnt(**json.loads(learnt_file.read_text(encoding="utf-8")))
        bench.say("it was learnt before: measuring")
    else:
        learnt = await asyncio.to_thread(
            learn, plan, base, split.train, split.validation, say=bench.say, progress=bench.progress
        )
        learnt_file.write_text(json.dumps(learnt.as_json()), encoding="utf-8")
        shutil.rmtree(plan.out / CHECKPOINTS, ignore_errors=True)
    before = await _measured(plan, base, plan.against, split.held_out, bench)
    after = await _measured(plan, base, plan.out / ADAPTER, split.held_out, bench)
    about = _about(plan, prepared) | {"precision": base.precision} | learnt.as_json()
    result = summed_up(before, after, fit_figure(prepared.fit), about)
    exported = await asyncio.to_thread(_exported, plan, base, bench.say)
    write_card(plan, result, exported)
    (plan.out / DONE).write_text(json.dumps(result.as_json(), indent=1) + "\n", encoding="utf-8")
    if not result.failed:
        bench.say(enter(plan, bench.home, exported.get("gguf")))
    return result


def clear(out: Path) -> None:
    """Remove what an earlier run learnt in this folder; nothing from one that holds no run."""
    for name in (ADAPTER, CHECKPOINTS, BASE) if (out / RUN).is_file() else ():
        shutil.rmtree(out / name, ignore_errors=True)


async def fits(rows: Sequence[Example], embedder: Embedder) -> list[bool]:
    """For each of the first rows whether its response is nearer in meaning to its instruction than to another's."""
    from training.finetuning.measuring import other_instructions  # noqa: PLC0415  # beside what is measured

    rows = _spread(rows, FITTED_ON)
    held = []
    for row, other in zip(rows, other_instructions(rows), strict=True):
        said = await embedder.query(row.response)
        own, foreign = [_cosine(said, await embedder.query(text)) for text in (row.asked, other)]
        held.append(own > foreign)
    return held


def _spread(rows: Sequence[Example], most: int) -> list[Example]:
    """At most so many rows, evenly over all."""
    step = max(1.0, len(rows) / most)
    return [rows[int(place * step)] for place in range(min(most, len(rows)))]


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def _masked(row: Example, masks: Masks) -> Example:
    return replace(
        row,
        instruction=await masks.mask(row.instruction),
        response=await masks.mask(row.response),
        context=await masks.mask(row.context) if row.context else "",
    )


async def _measured(plan: Plan, base: Any, adapter: Path | None, rows: Sequence[Example], bench: Workbench) -> Measured:
    """A model on the held-out rows: the base, or an adapter on it. Its answers are judged by the response as passage."""
    from training.finetuning import measuring  # noqa: PLC0415
    from training.finetuning.learning import open_model, with_adapter  # noqa: PLC0415

    model = (
        await asyncio.to_thread(with_adapter, base, adapter) if adapter else await asyncio.to_thread(open_model, base)
    )
    tokens = plan.learning.max_tokens
    reads = await asyncio.to_thread(measuring.read_rows, model, base.tokenizer, rows, tokens, bench.progress)
    asked = _spread(rows, plan.generated)
    texts = await asyncio.to_thread(
        measuring.answer_rows, model, base.tokenizer, asked, plan.answer_tokens, bench.progress
    )
    judge = LocalJudge(bench.embedder)
    judged = [await _judged(judge, row, text) for row, text in zip(asked, texts, strict=True)]
    right = [[row.response] for row in asked]
    likeness = [rouge_l(text, each) for text, each in zip(texts, right, strict=True)]
    return Measured(reads, Answers(corpus_bleu(texts, right), likeness, judged))


async def _judged(judge: LocalJudge, row: Example, text: str) -> float | None:
    language = detect_language(row.response, LANGUAGES)
    passage = Passage("held-out", "held-out", "", f"{row.context}\n\n{row.response}".strip(), 1.0)
    found = await judge.score(question=row.instruction, answer=text, passages=[passage], language=language)
    return overall(found.scores)


def _exported(plan: Plan, base: Any, say: Callable[[str], None]) -> dict[str, Path]:
    """What was written, by its kind; says what cannot be."""
    from training.finetuning.gguf_file import write_gguf  # noqa: PLC0415
    from training.finetuning.learning import merge  # noqa: PLC0415

    written = {"adapter": plan.out / ADAPTER}
    if {"merged", "gguf"} & set(plan.exports):
        written["merged"] = merge(plan, base)
    if "gguf" in plan.exports:
        if base.gguf:
            write_gguf(written["merged"], base.gguf, plan.out / f"{plan.name}.gguf", plan.name)
            written["gguf"] = plan.out / f"{plan.name}.gguf"
        else:
            say("no GGUF: the base is none, and no package converts its tokenizer; docs/finetuning.md says how to")
    return written


def _about(plan: Plan, prepared: Prepared) -> dict[str, Any]:
    return {
        "file": plan.file.name,
        "base": Path(plan.base).name,
        "against": str(plan.against or "base"),
        "name": plan.name,
        "left_out": len(prepared.left_out),
        "masked": prepared.masked,
        **prepared.split.counts(),
    }
