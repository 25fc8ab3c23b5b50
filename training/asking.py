"""Questions put to models by name while a prompt is improved: paid from a purse of their own, booked, asked once.

Every answer is kept in the run's folder, so that a run that was killed pays for none of them again.
"""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from domain.errors import BudgetError, FrontdeskError, ModelDownError, ModelError, ModelGarbageError
from domain.ports import ChatReply, ChatRequest, Clock
from domain.turn import Call, Message, Payer
from store.costs import OPTIMISE
from store.ledger import Ledger

ANSWERS = "answers.jsonl"
HELLO = [Message("user", "Say ok.")]
HELLO_TOKENS = 8
MEND = "start it, or name another model"


class Models(Protocol):
    """The part of the model client that is needed."""

    async def complete(self, request: ChatRequest) -> ChatReply: ...


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said; P(choice) where choices were asked. `usable` False: nothing that could be read."""

    text: str
    probabilities: dict[str, float] = field(default_factory=dict)
    usable: bool = True


@dataclass(frozen=True, slots=True)
class Wish:
    """One question. `tag` tells two that read the same apart (a second try); `temperature` as in ChatRequest."""

    model: str
    messages: list[Message]
    max_tokens: int
    choices: tuple[str, ...] = ()
    prompt: str = ""
    tag: str = ""
    temperature: float = 0.0

    @property
    def key(self) -> str:
        """What an answer is kept under."""
        lines = [(line.role, line.text) for line in self.messages]
        warmth = [self.temperature] if self.temperature else []
        plain = json.dumps([self.model, lines, self.max_tokens, self.choices, self.tag, *warmth], ensure_ascii=False)
        return hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()


class Asking:
    """Asks models for one run. `work` names the run in the books."""

    def __init__(self, models: Models, ledger: Ledger, clock: Clock, *, work: str, desk: str, folder: Path) -> None:
        self._models, self._ledger, self._clock = models, ledger, clock
        self._work, self._desk, self._file = work, desk, folder / ANSWERS
        self._kept = _read(self._file)
        self.asked = 0
        self.cost_microusd = 0

    async def ask(self, wish: Wish) -> Said:
        """The answer, kept or new. Raises ModelDownError for a model that does not answer, BudgetError.

        Another model never stands in: what it says would say nothing about the one that was named.
        """
        if wish.key in self._kept:
            return self._kept[wish.key]
        payer = Payer(key=self._work, turn=self._work)
        request = ChatRequest(
            OPTIMISE,
            wish.model,
            wish.messages,
            wish.max_tokens,
            wish.choices,
            payer,
            wish.prompt,
            temperature=wish.temperature,
        )
        try:
            reply = await self._models.complete(request)
        except ModelGarbageError as fault:
            await self._book(fault.calls)
            said = Said("", usable=False)
        except ModelError as fault:
            await self._book(fault.calls)
            raise _told(fault, wish.model) from fault
        else:
            await self._book(reply.calls)
            if reply.card and reply.card.name != wish.model:
                raise ModelDownError(f"does not answer: {reply.card.name} stood in for it", where=wish.model, fix=MEND)
            said = Said(reply.text, reply.probabilities)
        await asyncio.to_thread(self._keep, wish.key, said)
        return said

    async def greet(self, names: Sequence[str]) -> None:
        """Find out now, not after an hour, whether each model answers. Raises ModelDownError."""
        for name in dict.fromkeys(names):
            await self.ask(Wish(name, HELLO, HELLO_TOKENS, tag=self._clock.now().isoformat()))

    async def _book(self, calls: Sequence[Call]) -> None:
        self.asked += 1
        self.cost_microusd += sum(call.cost_microusd for call in calls)
        await asyncio.to_thread(self._ledger.book, self._work, self._desk, self._clock.now(), calls)

    def _keep(self, key: str, said: Said) -> None:
        self._kept[key] = said
        row = {"key": key, "text": said.text, "probabilities": said.probabilities, "usable": said.usable}
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _told(fault: ModelError, model: str) -> FrontdeskError:
    if isinstance(fault, BudgetError):
        return fault
    return ModelDownError(f"does not answer: {fault.what}", where=model, fix=MEND)


def _read(path: Path) -> dict[str, Said]:
    """The kept answers; the last line of a run that was killed may be half a one."""
    kept: dict[str, Said] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
            kept[row["key"]] = Said(row["text"], row["probabilities"], row["usable"])
        except (ValueError, KeyError):
            continue
    return kept
