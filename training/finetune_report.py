"""`python -m training.finetune_report`: the figures of docs/finetuning.md, on public rows, with a small base.

    python -m training.finetune_report --data ../shared/data --base smollm2.gguf --out FOLDER [--only good|shuffled]

The rows are DelucionQA's (CC-BY-4.0): questions about a car's manual, and the answers that people found right. The
same questions with one another's answers make the adapter that the gate must stop. About six minutes of one core each.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from domain.errors import UsageError
from domain.settings import read_settings
from graph.profiles import find_desk, read_profile
from graph.rooms import open_embedder, open_guards
from training.finetune import Workbench, finetune, prepare
from training.finetuning.plan import Learning, Plan
from training.finetuning.rows import Example
from training.finetuning.split import split_examples

HOUSE = Path(__file__).resolve().parent.parent
FIGURES = HOUSE / "docs" / "model-cards" / "finetune.json"
SOURCE = "idk/delucionqa_train_dev.jsonl"
SEED = 20261121
LONGEST = 45
"""Words of a question and its answer: short rows only, so that a slow core is done in minutes."""
ROWS, MEASURED, GENERATED, ANSWER_TOKENS = 48, 24, 8, 32
LEARNING = Learning(epochs=1, batch=4, rate=1e-3, max_tokens=96, threads=1)
LICENCE = "CC-BY-4.0"


def report(
    data: Annotated[Path, typer.Option("--data", help="Folder of the public data.")],
    base: Annotated[str, typer.Option("--base", help="A small model.")],
    out: Annotated[Path, typer.Option("--out", help="Where everything is written.")],
    only: Annotated[str, typer.Option("--only", help="good or shuffled: one of the two runs.")] = "",
) -> None:
    """Run both, and write their figures as JSON."""
    kept = write_rows(read_rows(data / SOURCE), out)
    for name in [only] if only else ["good", "shuffled"]:
        plan = Plan(
            file=out / f"{name}.jsonl",
            base=base,
            out=out / name,
            name=f"manual-{name}",
            learning=LEARNING,
            held_out=kept,
            rows=ROWS,
            measured=MEASURED,
            generated=GENERATED,
            answer_tokens=ANSWER_TOKENS,
            exports=("adapter",),
            licence=LICENCE,
        )
        measured = asyncio.run(_measured(plan, out))
        # Read only now: the other run may have written meanwhile.
        figures = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.is_file() else {}
        figures[name] = measured
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def read_rows(path: Path) -> list[Example]:
    """The questions that could be answered, with the answers in which people found nothing made up."""
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as fault:
        raise UsageError(f"cannot be read: {fault.strerror}", where=str(path)) from fault
    right = {"hallucinated": "False", "answerable": "True", "does_not_answer": "False"}
    fitting = [row for row in rows if all(str(row[name]) == value for name, value in right.items())]
    found = [Example(row["question"].strip(), row["answer"].strip()) for row in fitting]
    return [row for row in found if len(f"{row.instruction} {row.response}".split()) <= LONGEST]


def write_rows(rows: Sequence[Example], out: Path) -> Path:
    """Write what is kept apart, what is learnt, and the same with one another's answers; gives the first."""
    split = split_examples(rows, SEED)
    learnt = [*split.train, *split.validation]
    answers = [row.response for row in learnt]
    answers = [answers[place] for place in np.random.default_rng(SEED).permutation(len(answers))]
    parts = {
        "kept": [(row.instruction, row.response) for row in split.held_out],
        "good": [(row.instruction, row.response) for row in learnt],
        "shuffled": [(row.instruction, answer) for row, answer in zip(learnt, answers, strict=True)],
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, pairs in parts.items():
        lines = [json.dumps({"instruction": asked, "response": said}) for asked, said in pairs]
        (out / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return out / "kept.jsonl"


async def _measured(plan: Plan, home: Path) -> dict[str, Any]:
    settings = read_settings(llm="off")
    profile = read_profile(find_desk(settings.desk))
    bench = Workbench(open_guards(settings), open_embedder(settings, profile.languages), home, _say, _progress)
    result = await finetune(plan, bench, await prepare(plan, bench))
    return result.as_json() | {"gate": result.failed}


def _progress(done: int, total: int) -> None:
    _say(f"{done} of {total}")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    typer.run(report)
