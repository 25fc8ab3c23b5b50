"""Attacks that a desk serves: neither blocked by a guard of the input side nor turned away as out of scope.

The desk knows its business by a hundred questions in scope and nothing else. Every attack passes it as a customer's
question would, once as it is and once behind a first sentence that is in scope; what it does to the business's other
customers stands beside it.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Protocol

from domain.errors import UsageError
from domain.ports import Progress
from domain.profile import DeskProfile
from domain.settings import Settings
from evals.run import Figure, Result, share
from guards import Guards, InputCheck, ScopeVerdict
from models.diacritics import with_diacritics
from models.language import is_english

NAME = "served"
EXAMPLES = 100
TEXTS = ("text", "user_input", "attack")
"""Where the attack files keep their text."""
HARMLESS = "benign"
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Attack:
    """An attack and the file that it comes from."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a text: refused by a guard, turned away, or served. `guard` is the first that blocks."""

    blocked: bool
    out: bool
    guard: str = ""

    @property
    def served(self) -> bool:
        """It reaches retrieval and a model."""
        return not self.blocked and not self.out


class Checker(Protocol):
    """The part of the guards that a text needs."""

    async def check_input(self, text: str, known: Mapping[str, str]) -> InputCheck: ...


class Judge(Protocol):
    """The part of the scope filter that a text needs."""

    async def judge(self, question: str) -> ScopeVerdict: ...


async def measure_served(
    settings: Settings, name: str, customers: Sequence[str], attacks: Sequence[Attack], progress: Progress
) -> Result:
    """Put attacks and customers through a desk of `EXAMPLES` of the customers' questions. Raises UsageError for too few."""
    from graph.rooms import open_scope  # noqa: PLC0415  # seconds: not for a test of figures

    examples, others = split(customers)
    profile = DeskProfile.model_validate(
        {"name": name, "languages": ["en"], "scope": {"describe": examples[0], "in": examples}}
    )
    scope, embedder = open_scope(settings, profile, None)
    guards = Guards.load(
        profile, max_chars=settings.max_message_chars, embedder=embedder, compared=is_english, restored=with_diacritics
    )
    await guards.warm()
    await scope.warm()
    openers = cycle(examples)
    hidden = [f"{next(openers).rstrip('.?! ')}. {attack.text}" for attack in attacks]
    texts = [*others, *(attack.text for attack in attacks), *hidden]
    fates = []
    for done, text in enumerate(texts, start=1):
        fates.append(await fate(guards, scope, text))
        progress(done, len(texts))
        if done % SHOWN == 0:
            await asyncio.sleep(0)
    own, plain = fates[: len(others)], fates[len(others) : len(others) + len(attacks)]
    behind = fates[len(others) + len(attacks) :]
    about: dict[str, object] = {
        "desk": name,
        "embedder": embedder.name,
        "examples": len(examples),
        "attacks": len(attacks),
    }
    result = summed_up(own, plain, behind, attacks, about)
    return replace(result, figures=[*result.figures, *by_length(own, others, [each.text for each in attacks], hidden)])


async def fate(guards: Checker, scope: Judge, text: str) -> Fate:
    """Guards first, then scope, on the masked text, as in a turn."""
    check = await guards.check_input(text, {})
    if check.blocked:
        return Fate(blocked=True, out=False, guard=check.blocked.guard.partition(":")[0])
    verdict = await scope.judge(check.text)
    return Fate(blocked=False, out=verdict.scope == "out")


def summed_up(
    own: Sequence[Fate],
    plain: Sequence[Fate],
    hidden: Sequence[Fate],
    attacks: Sequence[Attack],
    about: dict[str, object],
) -> Result:
    """The figures, whole and by the attacks' files."""
    places: dict[str, list[int]] = {}
    for place, attack in enumerate(attacks):
        places.setdefault(attack.source, []).append(place)
    return Result(
        NAME,
        about,
        [
            share("attacks_served", [one.served for one in plain]),
            share("attacks_served_behind", [one.served for one in hidden]),
            share("customers_turned_away", [one.out for one in own]),
            share("customers_refused", [not one.served for one in own]),
            share("attacks_blocked", [one.blocked for one in plain]),
            share("attacks_out_of_scope", [one.out for one in plain]),
        ],
        {source: _of_source([plain[n] for n in each], [hidden[n] for n in each]) for source, each in places.items()},
        failed=[] if plain and own else [f"{NAME}: no attacks or no customers"],
    )


def by_length(
    own: Sequence[Fate], others: Sequence[str], attacks: Sequence[str], hidden: Sequence[str]
) -> list[Figure]:
    """What a desk would serve that refuses by length alone, and by it as many of its customers as the guards do."""
    longest = sorted(map(len, others), reverse=True)
    refused = sum(not one.served for one in own)
    limit = longest[refused] if refused < len(longest) else 0
    return [
        share("attacks_served_by_length", [len(text) <= limit for text in attacks]),
        share("attacks_served_behind_by_length", [len(text) <= limit for text in hidden]),
        Figure("length_threshold", limit, len(others)),
    ]


def drawn(texts: Sequence[str]) -> list[str]:
    """The different texts in an order that depends on nothing but themselves."""
    return sorted(dict.fromkeys(texts), key=lambda text: hashlib.sha256(text.encode()).hexdigest())


def split(customers: Sequence[str]) -> tuple[list[str], list[str]]:
    """A hundred examples drawn by their hashes, and the other customers. Raises UsageError for too few."""
    texts = drawn(customers)
    if len(texts) < 2 * EXAMPLES:
        raise UsageError(f"only {len(texts)} questions", where="served", fix=f"at least {2 * EXAMPLES} are needed")
    return texts[:EXAMPLES], texts[EXAMPLES:]


def read_attacks(folder: Path, say: Callable[[str], None]) -> list[Attack]:
    """Every attack of a folder's JSONL files, without repetitions; a file without any is passed over."""
    found: dict[str, Attack] = {}
    for path in sorted(folder.glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        texts = [_text(row) for row in rows if row.get("label") not in (None, HARMLESS)]
        found |= {text: Attack(text, path.stem) for text in texts if text and text not in found}
        say(f"{path.name}: {sum(map(bool, texts))} attacks of {len(rows)} rows")
    return list(found.values())


def _text(row: Mapping[str, object]) -> str:
    return next((str(row[name]).strip() for name in TEXTS if row.get(name)), "")


def _of_source(plain: Sequence[Fate], hidden: Sequence[Fate]) -> list[Figure]:
    return [
        share("attacks_served", [one.served for one in plain]),
        share("attacks_served_behind", [one.served for one in hidden]),
        share("attacks_blocked", [one.blocked for one in plain]),
    ]
