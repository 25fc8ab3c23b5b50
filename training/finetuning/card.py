"""What is left beside a fine-tuned model: its card, and its row in the installation's own catalog."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from evals.run import Result
from models.own_models import OWN, add_row
from training.finetuning.plan import DONE, Plan

CARD = "README.md"
CONTEXT, MAX_OUTPUT = 4_096, 1_024
UNKNOWN = "unknown: do not pass this model on"


def write_card(plan: Plan, result: Result, exported: Mapping[str, Path]) -> None:
    """Write the model card into the run's folder."""
    (plan.out / CARD).write_text(card(plan, result, exported), encoding="utf-8")


def card(plan: Plan, result: Result, exported: Mapping[str, Path]) -> str:
    """The card's text: what it is, what it was learnt from, how good it is, what it must not be used for."""
    rows = [f"| {each.name} | {each.shown} | {each.n} | {each.shown_ci} |" for each in result.figures]
    verdict = [f"- {line.removeprefix('gate: ')}" for line in result.failed] or ["Passed."]
    if result.failed:
        verdict = ["**Stopped**: it must not replace what it was held against.", "", *verdict]
    parts = [
        [
            "---",
            f"base_model: {Path(plan.base).name}",
            "library_name: peft",
            f"license: {plan.licence or 'unknown'}",
            "---",
        ],
        [f"# {plan.name}", "", _made(plan)],
        ["## Data", _data(plan, result.about)],
        ["## Learning", _learning(plan, result.about)],
        [f"## Figures\nBefore: {result.about['against']}. After: this model. All of them: `{DONE}`."],
        ["| figure | value | n | 95 % interval |", "|---|---|---|---|", *rows],
        ["## Gate", *verdict],
        ["## Files", *(f"- {kind}: `{path.name}`" for kind, path in exported.items())],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def _made(plan: Plan) -> str:
    return (
        f"A LoRA on {Path(plan.base).name}, learnt by `frontdesk finetune` to answer a business's customers. Made to be asked"
        " by Frontdesk, behind its guards and with passages; not on its own, and not about other businesses."
    )


def _data(plan: Plan, about: Mapping[str, object]) -> str:
    return (
        f"`{plan.file.name}`, sha256 `{sha256(plan.file)}`, licence: {plan.licence or UNKNOWN}. Learnt {about['train']} rows,"
        f" stopped by {about['validation']}, measured on {about['held_out']} that were not learnt. {about['different']} rows"
        f" differ; near-duplicates stand on one side ({about['duplicates_across']} would have stood on both);"
        f" {about['repeated']} were repeated, {about['left_out']} left out, {about['masked']} masked;"
        f" {about['shared_responses']} held-out responses are learnt under other instructions."
    )


def _learning(plan: Plan, about: Mapping[str, object]) -> str:
    learning = plan.learning
    lora = learning.lora
    return (
        f"r {lora.r}, alpha {lora.alpha}, dropout {lora.dropout}, on {', '.join(lora.modules)}; {about['precision']};"
        f" {about['steps']} steps ({about['epochs']} epochs of {learning.epochs:g}), {learning.batch} rows a step, rate"
        f" {learning.rate:g}, seed {learning.seed}; lowest validation loss {about['loss']}; {about['cut']} rows cut at"
        f" {learning.max_tokens} tokens."
    )


def enter(plan: Plan, home: Path, gguf: Path | None) -> str:
    """Enter the model into the installation's own catalog; gives a line that says how it is asked."""
    row: dict[str, object] = {
        "name": plan.name,
        "endpoint": "local",
        "tier": "simple",
        "weak": True,
        "prices": {"input": 0, "cached_input": 0, "output": 0},
        "effective_from": _day(gguf or plan.out / CARD),
        "context": CONTEXT,
        "max_output": MAX_OUTPUT,
        "abilities": ["temperature", "logprobs", "json_schema"],
        "note": f"fine-tuned; its card: {plan.out.resolve() / CARD}",
    }
    if gguf:
        row["own_weights"] = {"path": str(gguf.resolve()), "sha256": sha256(gguf), "bytes": gguf.stat().st_size}
    add_row(home / OWN, row)
    ways = f"FRONTDESK_LLM_MODEL={plan.name} frontdesk serve" if gguf else "serve it with vLLM (docs/finetuning.md)"
    return f"{plan.name} is in {home / OWN}; nothing asks it until you say so: {ways}"


def sha256(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _day(path: Path) -> date:
    """The day on which a file was written."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
