"""The part that needs torch: a base, rows as tokens, a LoRA learnt on them. The only importer of trl and peft.

Everything heavy is imported when it is first used: without the extra `finetune` the other files still work.
"""

import logging
import shutil
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

from domain.errors import FrontdeskError, UsageError
from domain.ports import Progress
from training.finetuning.memory import with_smaller_batches
from training.finetuning.plan import (
    ADAPTER,
    BASE,
    CHECKPOINTS,
    MERGED,
    Learning,
    Plan,
    Precision,
    last_checkpoint,
    precision,
)
from training.finetuning.rows import Example

NEEDED = ("torch", "transformers", "peft", "trl", "gguf", "sacrebleu", "rapidfuzz")
INSTALL = 'run: pip install "frontdesk[finetune]" (1.2 GB; where there is no GPU, install torch for the CPU first)'
HIDDEN = -100
"""The label of a token that is no part of a response: nothing is learnt from it."""
LOOKS = 2
"""Looks at the validation rows in an epoch."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Base:
    """A model to start from. `gguf`: the file it came from; `folder`: where transformers finds it (or its name)."""

    tokenizer: Any
    folder: str
    precision: Precision
    gguf: Path | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """A row as a model reads it; the first `asked` tokens are what it is given. `cut`: it was too long."""

    ids: list[int]
    asked: int
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Learnt:
    """What came of it. `resumed` is the step it went on from; `loss` the lowest on the validation rows."""

    steps: int
    epochs: float
    batch: int
    resumed: int
    loss: float | None
    cut: int

    def as_json(self) -> dict[str, Any]:
        """By name, for the folder and the report."""
        return asdict(self)


def check_installed() -> None:
    """Raises UsageError naming what of the extra is missing."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(f"needs {', '.join(missing)}", where="finetune", fix=INSTALL)


def open_base(plan: Plan) -> Base:
    """Find the base and the precision that this machine is good for. Raises UsageError where there is no such base."""
    import torch  # noqa: PLC0415  # seconds, and an extra
    import transformers  # noqa: PLC0415

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if plan.learning.threads:
        torch.set_num_threads(plan.learning.threads)
    cuda = torch.cuda.is_available()
    held = precision(
        cuda=cuda,
        bf16=cuda and torch.cuda.is_bf16_supported(),
        quantizer=find_spec("bitsandbytes") is not None,
        four_bit=plan.learning.four_bit,
    )
    path = Path(plan.base)
    gguf = path if path.suffix == ".gguf" else None
    try:
        folder = str(_unpacked(gguf, plan.out / BASE) if gguf else plan.base)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as fault:
        raise _no_base(plan.base, fault) from fault
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Base(tokenizer, folder, held, gguf)


def open_model(base: Base) -> Any:
    """The base's weights, for reading. Raises UsageError for a folder that holds no language model."""
    import transformers  # noqa: PLC0415

    try:
        return transformers.AutoModelForCausalLM.from_pretrained(base.folder, **_how(base.precision)).eval()
    except (OSError, ValueError, KeyError) as fault:
        raise _no_base(base.folder, fault) from fault


def _no_base(name: str, fault: Exception) -> UsageError:
    what = f"cannot be loaded: {str(fault).splitlines()[0] if str(fault) else type(fault).__name__}"
    fix = "a folder of a causal language model, a GGUF file, or a name that transformers can fetch"
    return UsageError(what, where=f"--base {name}", fix=fix)


def _how(held: Precision) -> dict[str, Any]:
    import torch  # noqa: PLC0415

    if held == "4bit":
        from transformers import BitsAndBytesConfig  # noqa: PLC0415

        quantized = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
        return {"quantization_config": quantized, "device_map": {"": 0}}
    if held == "bf16":
        return {"dtype": torch.bfloat16, "device_map": {"": 0}}
    return {"dtype": torch.float32}


def _unpacked(gguf: Path, folder: Path) -> Path:
    """A GGUF as a folder of plain weights: its quantizer is stripped, for one would refuse the LoRA."""
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    if (folder / "config.json").is_file() and (folder / "tokenizer_config.json").is_file():
        return folder
    if not gguf.is_file():
        raise UsageError("no such file", where=f"--base {gguf}")
    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    with warnings.catch_warnings(), redirect_stderr(StringIO()):  # a bar of its own, whatever it is told
        warnings.simplefilter("ignore")  # of a read-only array that it copies anyhow
        model = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
        tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
    model.hf_quantizer = None
    model.is_quantized = False
    model.config.__dict__.pop("quantization_config", None)
    part = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(part, ignore_errors=True)
    model.save_pretrained(part)
    tokenizer.save_pretrained(part)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return folder


def as_prompt(tokenizer: Any, asked: str) -> list[int]:
    """What the model is given: its own chat's form where it has one, else the text and an empty line."""
    if tokenizer.chat_template:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": asked}], add_generation_prompt=True, tokenize=False
        )
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])
    return list(tokenizer(f"{asked}\n\n")["input_ids"])


def tokenise(tokenizer: Any, asked: str, response: str, most: int) -> Tokens:
    """A row as tokens, at most so many: a long question loses its beginning, a long response its end."""
    given = as_prompt(tokenizer, asked)
    said = [*tokenizer(response, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    room = max(most - len(said), most // 2)
    ids = [*given[-room:], *said][:most]
    return Tokens(ids, len(given[-room:]), len(given) + len(said) > most)


def learn(
    plan: Plan, base: Base, train: Sequence[Example], validation: Sequence[Example], *, say: Say, progress: Progress
) -> Learnt:
    """Learn the adapter and write it into the plan's folder; goes on from the last checkpoint there.

    Memory that runs out halves the batch. Raises FrontdeskError when it runs out with a single row.
    """
    learning = plan.learning
    rows = {
        name: [tokenise(base.tokenizer, row.asked, row.response, learning.max_tokens) for row in part]
        for name, part in (("train", train), ("validation", validation))
    }

    def work(at_a_time: int) -> Learnt:
        return _learn(plan, base, rows, at_a_time, progress)

    return with_smaller_batches(work, learning.batch, say)[0]


def _learn(plan: Plan, base: Base, rows: dict[str, list[Tokens]], at_a_time: int, progress: Progress) -> Learnt:
    from datasets import Dataset  # noqa: PLC0415
    from transformers import EarlyStoppingCallback, PrinterCallback  # noqa: PLC0415
    from trl import SFTTrainer  # noqa: PLC0415

    logging.getLogger("trl").setLevel(logging.ERROR)
    data = {
        name: Dataset.from_list(
            [{"input_ids": one.ids, "labels": [HIDDEN] * one.asked + one.ids[one.asked :]} for one in part]
        )
        for name, part in rows.items()
    }
    resume = last_checkpoint(plan.out / CHECKPOINTS)
    model = open_model(base)
    lora = _lora(plan.learning, model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries about each other
        trainer = SFTTrainer(
            model=model,
            args=_arguments(plan, base, len(rows["train"]), at_a_time, cuda=model.device.type == "cuda"),
            train_dataset=data["train"],
            eval_dataset=data["validation"],
            processing_class=base.tokenizer,
            peft_config=lora,
            callbacks=[EarlyStoppingCallback(plan.learning.patience), _watch(progress)],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    trainer.model.save_pretrained(str(plan.out / ADAPTER))
    base.tokenizer.save_pretrained(str(plan.out / ADAPTER))
    state = trainer.state
    return Learnt(
        state.global_step,
        round(float(state.epoch or 0.0), 2),
        at_a_time,
        int(resume.name.rpartition("-")[2]) if resume else 0,
        state.best_metric,
        sum(one.cut for part in rows.values() for one in part),
    )


def _arguments(plan: Plan, base: Base, rows: int, at_a_time: int, *, cuda: bool) -> Any:
    from trl import SFTConfig  # noqa: PLC0415

    learning = plan.learning
    gathered = max(1, learning.batch // at_a_time)
    looks = max(1, -(-rows // (at_a_time * gathered)) // LOOKS)
    return SFTConfig(
        output_dir=str(plan.out / CHECKPOINTS),
        per_device_train_batch_size=at_a_time,
        per_device_eval_batch_size=at_a_time,
        gradient_accumulation_steps=gathered,
        num_train_epochs=learning.epochs,
        learning_rate=learning.rate,
        lr_scheduler_type="cosine",
        warmup_steps=looks // 2,
        eval_strategy="steps",
        eval_steps=looks,
        save_strategy="steps",
        save_steps=looks,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=learning.seed,
        data_seed=learning.seed,
        bf16=base.precision != "fp32",
        use_cpu=not cuda,
        gradient_checkpointing=cuda,
        dataloader_pin_memory=cuda,
        max_length=learning.max_tokens,
        dataset_kwargs={"skip_prepare_dataset": True},
    )


def _lora(learning: Learning, model: Any) -> Any:
    from peft import LoraConfig  # noqa: PLC0415

    lora = learning.lora
    known = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    if strange := [name for name in lora.modules if name not in known]:
        layers = sorted(name for name in known if name.endswith("_proj")) or sorted(known - {""})
        raise UsageError(
            f"the base has no layer {', '.join(strange)}", where="--modules", fix=f"there are {', '.join(layers[:12])}"
        )
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.modules),
        task_type="CAUSAL_LM",
    )


def _watch(progress: Progress) -> Any:
    from transformers import TrainerCallback  # noqa: PLC0415

    class Watch(TrainerCallback):  # type: ignore[misc]  # the library is an extra: without it its classes are Any
        """Tells how far the learning is."""

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            del args, control
            progress(state.global_step, state.max_steps)

    return Watch()


def with_adapter(base: Base, folder: Path) -> Any:
    """The base with an adapter on it. Raises UsageError for a folder that holds none of this base."""
    from peft import PeftModel  # noqa: PLC0415

    try:
        return PeftModel.from_pretrained(open_model(base), str(folder)).eval()
    except (OSError, ValueError, RuntimeError) as fault:
        what = f"holds no adapter of this base: {str(fault).splitlines()[0]}"
        raise UsageError(
            what, where=str(folder), fix="the folder `adapter` of an earlier run on the same base"
        ) from fault


def merge(plan: Plan, base: Base) -> Path:
    """The adapter merged into the base, as a folder; in 4 bits the plain base is loaded for it."""
    if base.precision == "4bit":
        base = replace(base, precision="bf16")
    folder = plan.out / MERGED
    try:
        with_adapter(base, plan.out / ADAPTER).merge_and_unload().save_pretrained(str(folder))
        base.tokenizer.save_pretrained(str(folder))
    except OSError as fault:
        raise FrontdeskError(f"cannot be written: {fault.strerror}", where=str(folder)) from fault
    return folder
