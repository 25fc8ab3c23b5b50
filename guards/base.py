"""What a guard is, how guards are found, and the one place where a guard may fail.

A guard is a class in a file of its own in this folder, marked with `@guard`. It is found with no other
edit. Its file says in its docstring what it is for, and shows it in `EXAMPLES`, which a test runs.
"""

import importlib
import pkgutil
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeVar, cast

from domain.errors import FrontdeskError
from domain.ports import Vector
from domain.profile import DeskProfile
from domain.turn import Action, Fact, Language, Passage, Verdict
from guards.features import Places
from guards.heads import SHIPPED_THRESHOLD, Heads

Side = Literal["input", "output", "both"]
OnError = Literal["block", "pass"]
"""What a guard that cannot run does: block the text, or let it pass with a note in its verdict."""

FAILED = "guard_failed"
HEALED_AFTER = 100
"""A fault is shown in `health()` until the guard has run so many times without one."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an answer rests on. `own` maps placeholders to the customer's own data.

    `whole` False: the answer's end is not written yet, so that nothing can be missing in it. `passed`: so many of its
    characters, up to a sentence's end, have passed all guards before, on the same evidence.
    """

    question: str = ""
    passages: Sequence[Passage] = ()
    facts: Sequence[Fact] = ()
    own: Mapping[str, str] = field(default_factory=dict)
    language: Language = "en"
    whole: bool = True
    passed: int = 0

    @property
    def grounds(self) -> bool:
        """Whether there is anything that an answer could be held against."""
        return bool(self.passages or self.facts)


@dataclass(frozen=True, slots=True)
class Inspected:
    """A text as guards see it.

    original: as written, cut to what is inspected; length: in characters, before the cut
    text: readable normal form (no invisible characters, lookalikes or spaced-out letters), case kept
    folded: `text` in lower case without diacritics, so that one rule reads both ways of writing Vietnamese
    plain: `folded` with leetspeak undone; the same string where there is none
    joined: the letters of what was spaced out, run together; empty where nothing was
    decoded: payloads found inside (base64, hex, rot13, per cent, tag characters), folded
    evidence: what an answer rests on; None for a customer's text
    places: the features of the local heads; None where heads are not asked (answers, retrieved text)
    spelled: the same with the diacritics put back that bare Vietnamese lacks; None for any other text
    vector: what the desk's embedder makes of the masked text; None where heads are not asked, or words speak alone
    """

    original: str
    length: int
    text: str
    folded: str
    plain: str
    joined: str = ""
    decoded: tuple[str, ...] = ()
    evidence: Evidence | None = None
    places: Places | None = None
    spelled: Places | None = None
    vector: Vector | None = None

    @property
    def views(self) -> tuple[str, ...]:
        """The different folded texts in which a rule looks."""
        own = (self.folded,) if self.plain == self.folded else (self.folded, self.plain)
        return own + self.decoded


Support = Callable[[str, Sequence[str]], Sequence[tuple[float, int]]]


@dataclass(frozen=True, slots=True)
class DeskView:
    """What a guard may know of the desk.

    internal: gives the texts of internal articles
    vocabulary: gives the words (lower case) that the public articles write with a capital: products, brands, towns
    ner: whether the small English model looks for people's names
    heads: the local classifiers, one set for all guards
    thresholds: what the desk or the settings say instead of a head's shipped one
    prompts: gives the instructions that models are given
    canary: letters that stand in those instructions and nowhere else; empty: none do
    support: for an answer and the texts it rests on, each sentence's support (0..1) and how many words it has
    """

    profile: DeskProfile
    max_chars: int = 4000
    internal: Callable[[], Sequence[str]] = tuple
    vocabulary: Callable[[], Collection[str]] = frozenset
    ner: bool = False
    prompts: Callable[[], Sequence[str]] = tuple
    canary: str = ""
    support: Support | None = None
    heads: Heads = field(default_factory=Heads)
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def threshold(self, family: str) -> float:
        """The head's score from which on the family's guard blocks."""
        return self.thresholds.get(family, SHIPPED_THRESHOLD)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a guard found. `text` replaces the text (action mask); `part` names the rule that spoke."""

    action: Action
    reason: str = ""
    score: float = 0.0
    text: str | None = None
    part: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A text and what the guard does with it; `evidence` makes it an answer."""

    text: str
    action: Action
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class GuardSpec:
    """How a guard is run. Lower `order` first; the first block is the one that is told."""

    name: str
    side: Side
    order: int
    on_error: OnError


class Guard(Protocol):
    """One check. Built once a desk; called from threads, so `check` changes nothing."""

    def __init__(self, desk: DeskView) -> None: ...
    def check(self, seen: Inspected) -> Finding | None:
        """None: nothing to say. Blocking work is fine here; an exception becomes the declared `on_error`."""


G = TypeVar("G", bound=Guard)


def guard(side: Side, order: int, *, on_error: OnError = "block") -> Callable[[type[G]], type[G]]:
    """Mark a class as the guard of its file."""

    def mark(cls: type[G]) -> type[G]:
        name = cls.__module__.rpartition(".")[2]
        cls.__guard__ = GuardSpec(name, side, order, on_error)  # type: ignore[attr-defined]  # read by discover()
        return cls

    return mark


@dataclass(frozen=True, slots=True)
class Found:
    """A guard of this folder: how it runs, its class, and the file's examples."""

    spec: GuardSpec
    make: type[Guard]
    about: str
    examples: Sequence[Example]


def discover(package: str = "guards") -> list[Found]:
    """Every guard in the package's folder, in the order in which they run."""
    folder = importlib.import_module(package).__path__
    names = [module.name for module in pkgutil.iter_modules(folder) if not module.ispkg]
    found = [each for name in names for each in _guards_in(f"{package}.{name}")]
    return sorted(found, key=lambda each: (each.spec.order, each.spec.name))


def _guards_in(name: str) -> Iterator[Found]:
    module = importlib.import_module(name)
    for value in vars(module).values():
        spec = getattr(value, "__guard__", None)
        if isinstance(spec, GuardSpec) and value.__module__ == name:
            yield Found(spec, value, module.__doc__ or "", cast("Sequence[Example]", getattr(module, "EXAMPLES", ())))


class Watch:
    """Runs guards and remembers how they fare. The one place where a guard may fail."""

    def __init__(self) -> None:
        self._faults: dict[str, tuple[str, int]] = {}
        self._known: dict[str, None] = {}

    def know(self, name: str) -> None:
        """Name a guard, so that health tells of it before it has run."""
        self._known.setdefault(name)

    def run(self, name: str, work: Callable[[], T], without: str = "") -> tuple[T] | None:
        """The result in a tuple, or None where the guard failed: the caller then does what the guard declares.

        `without` tells in health how the guards go on when it fails.
        """
        self.know(name)
        try:
            result = work()
        except Exception as fault:  # noqa: BLE001  # whatever breaks in a guard, its `on_error` decides, never the customer's luck
            self._faults[name] = (f"{without}: {_words(fault)}" if without else _words(fault), 0)
            return None
        self._ran(name)
        return (result,)

    def check(self, spec: GuardSpec, work: Callable[[], Finding | None]) -> tuple[Verdict, str | None]:
        """A guard's verdict on a text, and the text that replaces it, if it changed it."""
        done = self.run(spec.name, work)
        if done is None:
            return failed(spec.name, spec.on_error), None
        finding = done[0] or Finding("pass")
        name = f"{spec.name}:{finding.part}" if finding.part else spec.name
        return Verdict(name, finding.action, finding.reason, round(finding.score, 3)), finding.text

    def _ran(self, name: str) -> None:
        if name in self._faults:
            words, runs = self._faults[name]
            self._faults[name] = (words, runs + 1)
            if runs + 1 >= HEALED_AFTER:
                del self._faults[name]

    def health(self) -> dict[str, str]:
        """Each guard: "ok", or its last fault in words that hold nothing of any text."""
        return {name: self._faults[name][0] if name in self._faults else "ok" for name in self._known}


def failed(name: str, on_error: OnError) -> Verdict:
    """The verdict of a guard that could not run."""
    return Verdict(name, "block" if on_error == "block" else "pass", FAILED, 1.0)


def _words(fault: Exception) -> str:
    """A library's message may quote the text it was given: of those only the kind and the place are told."""
    if isinstance(fault, FrontdeskError):
        return str(fault)
    frames = traceback.extract_tb(fault.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(fault).__name__}{place}"
