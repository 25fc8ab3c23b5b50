"""What a fine-tuning is told to do, and how it is known again when it is started a second time."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from domain.errors import UsageError
from training.finetuning.rows import Columns, Example

Precision = Literal["4bit", "bf16", "fp32"]
Export = Literal["adapter", "merged", "gguf"]
EXPORTS: tuple[Export, ...] = ("adapter", "merged", "gguf")
RUN, DONE, ADAPTER, MERGED, CHECKPOINTS, BASE = "run.json", "figures.json", "adapter", "merged", "checkpoints", "base"
"""Names inside the folder of a fine-tuning."""
NAME = re.compile(r"[a-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class Lora:
    """The low-rank update: its rank, its weight and the layers that get one."""

    r: int = 8
    alpha: int = 32
    dropout: float = 0.05
    modules: tuple[str, ...] = ("q_proj", "v_proj")


@dataclass(frozen=True, slots=True)
class Learning:
    """How it is learnt. `batch` rows count for a step, however few fit into memory at a time.

    `patience`: so many looks at the validation rows without a lower loss end it. `max_tokens` of a row.
    """

    lora: Lora = field(default_factory=Lora)
    epochs: float = 3.0
    batch: int = 8
    rate: float = 2e-4
    max_tokens: int = 512
    patience: int = 2
    seed: int = 20261121
    four_bit: bool = True
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """One fine-tuning. `base` is a folder, a GGUF file, or a name that transformers can fetch.

    `rows`: at most so many of the file are used, 0 for all. `measured`: at most so many held-out rows; of these the
    first `generated` are answered in full. `against`: an earlier adapter that this one would replace; else the base is.
    """

    file: Path
    base: str
    out: Path
    name: str
    columns: Columns = field(default_factory=Columns)
    learning: Learning = field(default_factory=Learning)
    held_out: Path | None = None
    against: Path | None = None
    rows: int = 0
    measured: int = 100
    generated: int = 30
    answer_tokens: int = 128
    exports: tuple[Export, ...] = EXPORTS
    licence: str = ""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            what = f"{self.name!r} is no name for a model"
            raise UsageError(what, where="--name", fix="small letters, digits, dots and dashes")


def precision(*, cuda: bool, bf16: bool, quantizer: bool, four_bit: bool) -> Precision:
    """What weights are held in: 4 bits on a GPU where bitsandbytes is there, bf16 on other GPUs that can, else fp32."""
    if cuda and quantizer and four_bit:
        return "4bit"
    return "bf16" if cuda and bf16 else "fp32"


def fingerprint(plan: Plan, rows: Sequence[Example]) -> dict[str, Any]:
    """What makes two runs the same: the rows, the base and how it is learnt; not what is measured or exported."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps([row.asked, row.response]).encode())
    learning = asdict(plan.learning)
    del learning["threads"]
    return {"base": plan.base, "rows_sha256": digest.hexdigest(), "learning": json.loads(json.dumps(learning))}


def claim(out: Path, run: dict[str, Any], *, fresh: bool) -> bool:
    """Take a folder for a run; whether an earlier start of the same run is found in it, which goes on.

    Raises UsageError where the folder holds another run, or something else, unless `fresh` clears a run's files.
    """
    path = out / RUN
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if out.is_dir() and any(out.iterdir()):
            raise UsageError("is not empty and holds no run", where=str(out), fix="choose another --out") from None
        earlier = None
    except (OSError, ValueError):
        earlier = {}
    if earlier == run and not fresh:
        return True
    if earlier is not None and not fresh:
        differs = ", ".join(name for name in run if earlier.get(name) != run[name])
        what = f"holds another run (other {differs})"
        raise UsageError(what, where=str(out), fix="choose another --out, or start anew with --fresh")
    try:
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    except OSError as fault:
        raise UsageError(f"cannot be written: {fault.strerror}", where=str(out), fix="choose another --out") from fault
    return False


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end: a kill can leave half of one."""
    whole = [
        place
        for place in folder.glob("checkpoint-*")
        if all((place / name).is_file() for name in ("adapter_model.safetensors", "optimizer.pt"))
        and _is_json(place / "trainer_state.json")
    ]
    return max(whole, key=lambda place: int(place.name.rpartition("-")[2]), default=None)


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
