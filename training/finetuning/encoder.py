"""A small pretrained encoder fine-tuned as one classifier for all families: the part of the comparison that needs torch.

One linear layer over the mean of the last layer's vectors, a logit a family. A row that says nothing about a family adds
nothing to its loss. Batches hold texts of like length, so that little is computed for padding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from domain.errors import UsageError
from domain.ports import Progress
from training.corpus import FAMILIES, Row

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOKENS = 64
"""What is read of a text, while fitting and judging."""
BATCH = 32
RATE, HEAD_RATE = 5e-5, 1e-3
"""AdamW's step sizes of the encoder and of the new layer; both grow over the first tenth and then fall to nothing."""
WARM = 0.1
CHARS = 1_000
"""More than `TOKENS` tokens ever come from: what lies behind is not tokenised."""
SEED = 20261121


@dataclass(slots=True)
class Encoder:
    """An encoder and its layer of one logit a family."""

    tokenizer: Any
    body: Any
    head: Any

    def logits(self, texts: Sequence[str]) -> Any:
        """A line a text, a column a family in the order of `FAMILIES`: a tensor."""
        cut = [text[:CHARS] for text in texts]
        read = self.tokenizer(cut, padding=True, truncation=True, max_length=TOKENS, return_tensors="pt")
        last = self.body(**read).last_hidden_state
        mask = read["attention_mask"].unsqueeze(-1)
        return self.head((last * mask).sum(1) / mask.sum(1))

    def values(self, texts: Sequence[str], progress: Progress) -> "NDArray[np.float64]":
        """The logits of any number of texts, as an array."""
        import torch  # noqa: PLC0415  # seconds, and an extra

        found = np.zeros((len(texts), len(FAMILIES)))
        self.body.eval()
        done = 0
        with torch.inference_mode():
            for places in _batches([len(text) for text in texts], np.random.default_rng(SEED)):
                found[places] = self.logits([texts[place] for place in places]).numpy()
                done += len(places)
                progress(done, len(texts))
        return found


def open_encoder(base: Path, threads: int) -> Encoder:
    """The base with a new layer, the same for the same base. Raises UsageError for a folder without an encoder."""
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(threads)
    torch.manual_seed(SEED)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(base), local_files_only=True)
        body = transformers.AutoModel.from_pretrained(str(base), local_files_only=True)
    except (OSError, ValueError) as fault:
        what = f"holds no encoder: {type(fault).__name__}"
        raise UsageError(
            what, where=str(base), fix="a folder with config.json, model.safetensors, tokenizer"
        ) from fault
    return Encoder(tokenizer, body, torch.nn.Linear(body.config.hidden_size, len(FAMILIES)))


def fine_tune(encoder: Encoder, rows: Sequence[Row], epochs: int, progress: Progress) -> None:
    """Fit all weights on the rows, in place. Takes minutes: about 10 rows a second and core."""
    import torch  # noqa: PLC0415

    rng = np.random.default_rng(SEED)
    batches = [batch for _ in range(epochs) for batch in _batches([len(row.text) for row in rows], rng)]
    groups = [
        {"params": encoder.body.parameters(), "lr": RATE},
        {"params": encoder.head.parameters(), "lr": HEAD_RATE},
    ]
    stepper = torch.optim.AdamW(groups, weight_decay=0.01)
    plan = torch.optim.lr_scheduler.LambdaLR(stepper, lambda step: _share(step, len(batches)))
    loss_of = torch.nn.BCEWithLogitsLoss(reduction="none")
    balance = torch.tensor([_balance(rows, family) for family in FAMILIES], dtype=torch.float32)
    encoder.body.train()
    for done, places in enumerate(batches, start=1):
        held = [rows[place] for place in places]
        told = torch.tensor([[float(row.labels.get(family, False)) for family in FAMILIES] for row in held])
        known = torch.tensor([[float(family in row.labels) for family in FAMILIES] for row in held])
        weight = known * (1 + told * (balance - 1))
        loss = (loss_of(encoder.logits([row.text for row in held]), told) * weight).sum() / weight.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.body.parameters(), 1.0)
        stepper.step()
        plan.step()
        stepper.zero_grad()
        progress(done, len(batches))


def _balance(rows: Sequence[Row], family: Any) -> float:
    """What a harmful row weighs against a harmless one, so that both sides of a family weigh the same; 1 if one is missing."""
    told = [row.labels[family] for row in rows if family in row.labels]
    return (len(told) - sum(told)) / sum(told) if 0 < sum(told) < len(told) else 1.0


def _share(step: int, steps: int) -> float:
    """How much of its step size an optimiser takes."""
    warm = max(1, round(WARM * steps))
    return (step + 1) / warm if step < warm else max(0.0, (steps - step) / max(1, steps - warm))


def _batches(lengths: Sequence[int], rng: np.random.Generator) -> list[list[int]]:
    """Places in batches of like length, the batches in a random order."""
    noise = rng.uniform(0.8, 1.25, size=len(lengths))
    ordered = np.argsort(np.minimum(np.asarray(lengths), CHARS) * noise)
    batches = [ordered[start : start + BATCH].tolist() for start in range(0, len(ordered), BATCH)]
    return [batches[place] for place in rng.permutation(len(batches))]
