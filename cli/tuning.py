"""`finetune`: a small model that answers as the business's own rows do."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, Desk, desk_settings, readable
from cli.terminal import meter, note, show, show_json, show_table
from domain.errors import UsageError

if TYPE_CHECKING:
    from domain.ports import Progress
    from domain.settings import Settings
    from training.finetune import Prepared, Workbench
    from training.finetuning.plan import Export, Plan

EXAMPLES = """\b
Examples:
  frontdesk finetune answers.csv --dry-run
  frontdesk finetune answers.csv --base ./Qwen3-0.6B --name shop-1 --licence "our own"
  frontdesk finetune accepted.jsonl --base smollm2.gguf --held-out kept.jsonl --json
  frontdesk finetune answers.csv --base ./Qwen3-0.6B --against finetuned/shop-1/adapter --name shop-2
\b
FILE is a CSV with the columns instruction and response (context, if there is one, is shown to the model first), or
JSON rows: {"instruction", "response"}, {"question", "answer"} as reviewers accept them, or {"messages": [{"role",
"content"}]}. Personal data is masked before anything is learnt.
\b
It needs the extra: pip install "frontdesk[finetune]" (1.2 GB; without a GPU install torch for the CPU first).
--dry-run needs nothing. An interrupted run goes on when the same command is given again.
What passes the gate (no less able to tell right responses from others, likelier responses, answers no worse) is
entered in FRONTDESK_HOME/models.yaml; nothing asks it until FRONTDESK_LLM_MODEL names it. Exit code 1: stopped."""


File = Annotated[Path, typer.Argument(metavar="FILE", help="Instructions and responses: CSV or JSONL.")]
Base = Annotated[
    str, typer.Option("--base", metavar="MODEL", help="A folder, a GGUF file, or a name transformers can fetch.")
]
Name = Annotated[str, typer.Option("--name", help="What the new model is called.  [default: from FILE]")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FOLDER", help="Where it is written.  [default: finetuned/NAME]")
]
Instruction = Annotated[str, typer.Option("--instruction", metavar="COLUMN", help="CSV: what is asked.")]
Response = Annotated[str, typer.Option("--response", metavar="COLUMN", help="CSV: what to say.")]
Context = Annotated[str, typer.Option("--context", metavar="COLUMN", help="CSV: what is shown first.")]
HeldOut = Annotated[
    Path | None, typer.Option("--held-out", metavar="FILE", help="Rows to measure on, instead of a tenth of FILE.")
]
Against = Annotated[
    Path | None,
    typer.Option("--against", metavar="ADAPTER", help="What it would replace: an earlier adapter; else the base."),
]
Rows = Annotated[int, typer.Option("--rows", min=0, help="Learn at most so many rows; 0: all.")]
MeasuredRows = Annotated[int, typer.Option("--measured", min=8, help="Held-out rows, at most.")]
Generated = Annotated[int, typer.Option("--generated", min=8, help="Of these, answered in full and judged.")]
AnswerTokens = Annotated[int, typer.Option("--answer-tokens", min=1, help="Longest such answer.")]
Epochs = Annotated[float, typer.Option("--epochs", min=0.01, help="Passes over the rows, unless stopped early.")]
Batch = Annotated[int, typer.Option("--batch", min=1, help="Rows a step.")]
Rate = Annotated[float, typer.Option("--rate", help="Learning rate.")]
Rank = Annotated[int, typer.Option("--r", min=1, help="LoRA's rank.")]
Alpha = Annotated[int, typer.Option("--alpha", min=1, help="LoRA's weight.")]
Modules = Annotated[str, typer.Option("--modules", help="Layers that get one, with commas.")]
MaxTokens = Annotated[int, typer.Option("--max-tokens", min=16, help="Longest row.")]
FourBit = Annotated[bool, typer.Option("--4bit/--no-4bit", help="On a GPU hold the base in 4 bits.")]
Seed = Annotated[int, typer.Option("--seed", help="Of the split and the learning.")]
Threads = Annotated[int, typer.Option("--threads", min=0, help="CPU threads; 0: torch's choice.")]
Exports = Annotated[str, typer.Option("--export", help="adapter, merged, gguf: with commas.")]
Licence = Annotated[str, typer.Option("--licence", help="Of FILE, for the model card.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Read, split and check the rows; learn nothing.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start anew in a folder that holds a run.")]


def finetune(
    file: File,
    *,
    base: Base = "",
    name: Name = "",
    out: Out = None,
    instruction: Instruction = "instruction",
    response: Response = "response",
    context: Context = "context",
    held_out: HeldOut = None,
    against: Against = None,
    rows: Rows = 0,
    measured: MeasuredRows = 100,
    generated: Generated = 30,
    answer_tokens: AnswerTokens = 128,
    epochs: Epochs = 3,
    batch: Batch = 8,
    rate: Rate = 2e-4,
    r: Rank = 8,
    alpha: Alpha = 32,
    modules: Modules = "q_proj,v_proj",
    max_tokens: MaxTokens = 512,
    four_bit: FourBit = True,
    seed: Seed = 20261121,
    threads: Threads = 0,
    export: Exports = "adapter,merged,gguf",
    licence: Licence = "",
    dry_run: DryRun = False,
    fresh: Fresh = False,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a small model (LoRA) on your own answers, measure it, and hold it against what it would replace.

    Prints perplexity, BLEU, ROUGE-L and the local judge on held-out rows, before and after.
    """
    from training.finetuning.plan import Learning, Lora, Plan  # noqa: PLC0415  # --help need not wait for it
    from training.finetuning.rows import Columns  # noqa: PLC0415

    settings = desk_settings(desk)
    name = readable(name, "--name") or _named(file)
    lora = Lora(r=r, alpha=alpha, modules=tuple(part.strip() for part in modules.split(",") if part.strip()))
    plan = Plan(
        file=file,
        base=base,
        out=out or Path("finetuned") / name,
        name=name,
        columns=Columns(instruction, response, context),
        learning=Learning(lora, epochs, batch, rate, max_tokens, seed=seed, four_bit=four_bit, threads=threads),
        held_out=held_out,
        against=against,
        rows=rows,
        measured=measured,
        generated=generated,
        answer_tokens=answer_tokens,
        exports=_exports(export),
        licence=licence,
    )
    _run(plan, settings, dry_run=dry_run, fresh=fresh, as_json=as_json)


def _run(plan: "Plan", settings: "Settings", *, dry_run: bool, fresh: bool, as_json: bool) -> None:
    from training.finetune import finetune as learn  # noqa: PLC0415  # as above
    from training.finetune import parted, prepare  # noqa: PLC0415

    parted(plan)  # what is wrong with the file is said first, before anything slow
    if not dry_run:
        if not plan.base:
            raise UsageError("needs a model to start from", where="--base", fix="a folder, a GGUF file, or a name")
        from training.finetuning.learning import check_installed  # noqa: PLC0415

        check_installed()
    with meter("finetune") as progress:
        bench = _workbench(settings, progress)
        prepared = asyncio.run(prepare(plan, bench))
        if dry_run:
            _show_prepared(prepared, as_json=as_json)
            return
        result = asyncio.run(learn(plan, bench, prepared, fresh=fresh))
    if as_json:
        show_json(result.as_json() | {"out": str(plan.out), "passed": not result.failed})
    else:
        for title, columns, lines in result.tables():
            show_table(columns, lines, title=title)
        show(f"written to {plan.out}")
    for failure in result.failed:
        note(failure)
    if result.failed:
        raise typer.Exit(1)


def _workbench(settings: "Settings", progress: "Progress") -> "Workbench":
    from graph.profiles import find_desk, read_profile  # noqa: PLC0415  # as above
    from graph.rooms import open_embedder, open_guards  # noqa: PLC0415
    from training.finetune import Workbench  # noqa: PLC0415

    profile = read_profile(find_desk(settings.desk))
    embedder = open_embedder(settings, profile.languages)
    return Workbench(open_guards(settings), embedder, settings.home, note, progress)


def _show_prepared(prepared: "Prepared", *, as_json: bool) -> None:
    found = prepared.split.counts() | {
        "left_out": len(prepared.left_out),
        "masked": prepared.masked,
        "answers_fit": round(sum(prepared.fit) / len(prepared.fit), 4),
        "answers_fit_n": len(prepared.fit),
    }
    if as_json:
        show_json(found | {"warnings": prepared.split.warnings})
    else:
        show_table(["rows", "number"], [[key, value] for key, value in found.items()])


def _named(file: Path) -> str:
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in file.stem.lower())
    return plain.strip("-") or "finetuned"


def _exports(text: str) -> "tuple[Export, ...]":
    from training.finetuning.plan import EXPORTS  # noqa: PLC0415  # as above

    wanted = {part.strip() for part in text.split(",") if part.strip()}
    if strange := sorted(wanted - set(EXPORTS)):
        raise UsageError(f"no such form: {', '.join(strange)}", where="--export", fix=f"of {', '.join(EXPORTS)}")
    return tuple(kind for kind in EXPORTS if kind in wanted)
