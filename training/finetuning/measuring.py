"""What a model makes of held-out rows: how likely the right response is to it, and what it would say itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from domain.ports import Progress
from training.finetuning.learning import Tokens, as_prompt, tokenise
from training.finetuning.rows import Example
from training.finetuning.twins import plain

AT_A_TIME = 4


@dataclass(frozen=True, slots=True)
class Read:
    """How surprising a row's response is, in nats over its tokens: after its own instruction, and after another's."""

    nats: float
    tokens: int
    nats_elsewhere: float

    @property
    def told_apart(self) -> bool:
        """Whether the response is likelier after its own instruction."""
        return self.margin > 0

    @property
    def margin(self) -> float:
        """How much less surprising, in nats, the response is after its own instruction."""
        return self.nats_elsewhere - self.nats


def other_instructions(rows: Sequence[Example]) -> list[str]:
    """For each row what another was asked, half of the rows away, or beyond where that has the same response."""
    found = []
    for place, row in enumerate(rows):
        away = [rows[(place + len(rows) // 2 + step) % len(rows)] for step in range(len(rows))]
        others = (one.asked for one in away if plain(one.response) != plain(row.response))
        found.append(next(others, row.asked))
    return found


def read_rows(model: Any, tokenizer: Any, rows: Sequence[Example], most: int, progress: Progress) -> list[Read]:
    """Put each response behind its own instruction and behind another's."""
    elsewhere = other_instructions(rows)
    own = [tokenise(tokenizer, row.asked, row.response, most) for row in rows]
    other = [tokenise(tokenizer, asked, row.response, most) for asked, row in zip(elsewhere, rows, strict=True)]
    nats = surprise(model, [*own, *other], tokenizer.pad_token_id, progress)
    return [Read(nats[place], len(one.ids) - one.asked, nats[len(rows) + place]) for place, one in enumerate(own)]


def surprise(model: Any, rows: Sequence[Tokens], pad: int, progress: Progress) -> list[float]:
    """The negative log-likelihood of each row's response, summed over its tokens."""
    import torch  # noqa: PLC0415  # an extra

    found = [0.0] * len(rows)
    order = sorted(range(len(rows)), key=lambda place: len(rows[place].ids))
    with torch.inference_mode():
        for start in range(0, len(order), AT_A_TIME):
            places = order[start : start + AT_A_TIME]
            longest = max(len(rows[place].ids) for place in places)
            ids = [[*rows[place].ids, *[pad] * (longest - len(rows[place].ids))] for place in places]
            mask = [[1] * len(rows[place].ids) + [0] * (longest - len(rows[place].ids)) for place in places]
            batch = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
            logits = model(**{name: value.to(model.device) for name, value in batch.items()}).logits
            for line, place in enumerate(places):
                row = rows[place]
                said = logits[line, row.asked - 1 : len(row.ids) - 1].float()
                right = torch.tensor(row.ids[row.asked :], device=said.device)
                found[place] = float(torch.nn.functional.cross_entropy(said, right, reduction="sum"))
            progress(min(start + AT_A_TIME, len(order)), len(order))
    return found


def answer_rows(model: Any, tokenizer: Any, rows: Sequence[Example], most: int, progress: Progress) -> list[str]:
    """What the model says to each instruction, its likeliest words, at most so many tokens."""
    import torch  # noqa: PLC0415  # an extra

    texts = []
    for done, row in enumerate(rows, start=1):
        given = as_prompt(tokenizer, row.asked)
        with torch.inference_mode():
            ids = torch.tensor([given], device=model.device)
            said = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=most,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        texts.append(tokenizer.decode(said[0][len(given) :], skip_special_tokens=True).strip())
        progress(done, len(rows))
    return texts
