"""`frontdesk optimise`: a better instruction for one prompt, searched on some rows, judged on others.

What is optimised is the prompt's system message. The search (training/gepa.py, or whatever is passed as `search`) sees the training
and validation rows only; before and after are measured on held-out rows, paired. What comes out is a new version of
the prompt that names its parent and its figures. It answers nowhere until somebody promotes it.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from domain.ports import Progress
from domain.turn import Message
from evals.paired import Paired, pair
from prompts import Prompt, PromptCase
from prompts.templates import VARIABLE, names_in
from training.asking import Asking, Said, Wish
from training.gepa import Job, StoppedError
from training.splitting import Split, split
from training.subjects import Mark, Row, Subject

PROPOSAL_TOKENS = 1_500
LONGEST = 6_000
"""Characters of an instruction; a longer one is a collection of cases."""
TRIES = 2
IDEAS = 1.0
"""The teacher's temperature, as DSPy advises: at 0 a small one copies what it is to mend."""
CASE_TOKENS = 300
SAID = 300
"""Characters of an answer that the teacher is shown."""

Search = Callable[[Job], str]


@dataclass(frozen=True, slots=True)
class Plan:
    """`student` and `teacher` are models by name; `budget`: how many times the student is asked while searching."""

    student: str
    teacher: str
    budget: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Tried:
    """A prompt on rows: the mark of each row by its id."""

    prompt: Prompt
    rows: Sequence[Row]
    marks: dict[str, Mark]

    def right(self) -> dict[str, bool]:
        """By row."""
        return {name: mark.right for name, mark in self.marks.items()}


@dataclass(frozen=True, slots=True)
class Optimised:
    """`after` is None where the search found nothing better. `pays`: whether a new version is worth having, `why` says it.

    `broken`: the prompt's own cases that held before and no longer do.
    """

    sides: Split[Row]
    before: Tried
    after: Tried | None
    broken: list[str]
    pays: bool
    why: str
    proposals: int
    unusable: int

    @property
    def paired(self) -> Paired:
        """Held-out rows before against after."""
        return pair(self.before.right(), (self.after or self.before).right())


@dataclass(slots=True)
class _Bench:
    """One run at work."""

    subject: Subject
    start: Prompt
    teacher: Prompt
    plan: Plan
    asking: Asking
    say: Callable[[str], None]
    progress: Progress
    done: int = 0
    total: int = 0
    proposals: int = 0
    unusable: int = 0
    last: dict[tuple[str, str], tuple[str, Mark]] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    async def mark(self, prompt: Prompt, row: Row) -> Mark:
        """What the student makes of a row under a prompt."""
        said = await self.asking.ask(self._wish(prompt, row))
        mark = await row.mark(said)
        self.last[_instruction(prompt), row.id] = said.text, mark
        self.done += 1
        self.progress(min(self.done, self.total), self.total)
        return mark

    def _wish(self, prompt: Prompt, row: Row) -> Wish:
        messages = prompt.render(**row.variables)
        return Wish(self.plan.student, messages, self.subject.max_tokens, self.subject.choices, prompt.label)

    async def tried(self, prompt: Prompt, rows: Sequence[Row]) -> Tried:
        """A prompt on every row."""
        return Tried(prompt, rows, {row.id: await self.mark(prompt, row) for row in rows})

    async def propose(self, instruction: str, rows: Sequence[Row]) -> str:
        """The teacher's next instruction; the same one where what it writes cannot be used."""
        names = names_in(instruction, where="instruction")
        messages = self.teacher.render(
            instruction=instruction,
            placeholders=", ".join(f"{{{{{name}}}}}" for name in names) or "none",
            examples="\n".join(self._example(instruction, row) for row in rows),
        )
        for attempt in range(TRIES):
            wish = Wish(self.plan.teacher, messages, PROPOSAL_TOKENS, (), self.teacher.label, f"{attempt}", IDEAS)
            said = await self.asking.ask(wish)
            self.proposals += 1
            text, fault = read_proposal(said.text, names)
            if not (fault := fault or self._known(instruction, text)):
                return text
            self.unusable += 1
            self.say(f"a proposal of {self.plan.teacher} cannot be used: {fault}")
            messages = [
                *messages,
                Message("assistant", said.text or "-"),
                Message("user", f"This cannot be used: {fault}."),
            ]
        return instruction

    def _known(self, instruction: str, text: str) -> str:
        """What is wrong with a proposal that says nothing new; small teachers copy. Empty: it is new, and remembered."""
        if _letters(text) == _letters(instruction):
            return "it says what the instruction says already: add what the verdicts show to be missing"
        if _letters(text) in self.read:
            return "it was proposed before: propose something else"
        self.read.add(_letters(text))
        return ""

    def _example(self, instruction: str, row: Row) -> str:
        said, mark = self.last[instruction, row.id]
        return f"message: {row.shown}\nanswer: {said[:SAID]}\nverdict: {mark.feedback}\n"


async def optimise(
    subject: Subject,
    start: Prompt,
    teacher: Prompt,
    *,
    plan: Plan,
    asking: Asking,
    search: Search,
    say: Callable[[str], None],
    progress: Progress,
) -> Optimised:
    """Search, and judge what was found on the held-out rows; registers nothing.

    A killed run goes on where it was when it is started again with the same folder. Raises UsageError for too few
    rows, ModelDownError for a model that does not answer, BudgetError where the cost limit leaves no room.
    """
    sides = split(subject.rows, subject.held_out)
    for line in (*subject.notes, *told(sides)):
        say(line)
    await asking.greet([plan.student, plan.teacher])
    bench = _Bench(subject, start, teacher, plan, asking, say, progress)
    bench.total = 2 * len(sides.held_out) + plan.budget
    before = await bench.tried(start, sides.held_out)
    say(f"{start.label}: {sum(before.right().values())} of {len(sides.held_out)} held-out rows right")
    best = await _searched(bench, sides, search)
    if best is None:
        return Optimised(
            sides, before, None, [], False, "nothing was better on the validation rows", bench.proposals, bench.unusable
        )
    bench.done = bench.total - len(sides.held_out)
    after = await bench.tried(best, sides.held_out)
    held, broke = [await _cases_held(bench, prompt) for prompt in (start, best)]
    broken = sorted(held - broke)
    pays, why = verdict(before, after, broken)
    return Optimised(sides, before, after, broken, pays, why, bench.proposals, bench.unusable)


def verdict(before: Tried, after: Tried, broken: Sequence[str]) -> tuple[bool, str]:
    """Whether the new version is worth having: more held-out rows right, and no case of the prompt lost."""
    held = pair(before.right(), after.right())
    told_why = f"{len(held.won)} held-out rows won, {len(held.lost)} lost"
    if broken:
        return False, f"{told_why}, but the prompt's own cases {', '.join(broken)} no longer hold"
    scores = [fmean(mark.score for mark in one.marks.values()) for one in (before, after)]
    if held.difference < 0 or (held.difference == 0 and scores[1] <= scores[0]):
        return False, f"no better on the held-out rows: {told_why}"
    return True, told_why


def told(sides: Split[Row]) -> list[str]:
    """How the rows were split, in lines."""
    lines = [
        f"{len(sides.train)} rows to learn from, {len(sides.validation)} to choose by, {len(sides.held_out)} held out"
    ]
    if sides.near_duplicates:
        lines.append(f"{sides.near_duplicates} rows are near-duplicates of another: each kept on the side of the other")
    if sides.dropped:
        lines.append(f"{sides.dropped} rows are near-duplicates of a held-out row: left out")
    return lines


def read_proposal(text: str, names: Sequence[str]) -> tuple[str, str]:
    """The instruction in a teacher's answer, and what is wrong with it (empty: nothing)."""
    begin, end = text.find("{"), text.rfind("}")
    try:
        found = json.loads(text[begin : end + 1], strict=False)["new_instruction"].strip()
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", 'it is no JSON object {"new_instruction": "..."}'
    return (found, _unusable(found, names)) if found else ("", "its new_instruction is empty")


def _letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def _unusable(found: str, names: Sequence[str]) -> str:
    used, rest = set(VARIABLE.findall(found)), VARIABLE.sub("", found)
    if len(found) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    if missing := [name for name in names if name not in used]:
        return f"the placeholder {{{{{missing[0]}}}}} is missing"
    if strange := sorted(used - set(names)):
        return f"there is no placeholder {{{{{strange[0]}}}}}"
    return "it holds braces that are no placeholder" if "{" in rest or "}" in rest else ""


def with_instruction(prompt: Prompt, instruction: str) -> Prompt:
    """The prompt with another system message."""
    place = next(place for place, line in enumerate(prompt.messages) if line.role == "system")
    messages = list(prompt.messages)
    messages[place] = Message("system", instruction)
    return replace(prompt, messages=tuple(messages))


async def _searched(bench: _Bench, sides: Split[Row], search: Search) -> Prompt | None:
    """The best prompt of the search, which runs in a thread and asks through this loop; None: the start is."""
    loop, rows = asyncio.get_running_loop(), {row.id: row for row in (*sides.train, *sides.validation)}
    instruction = _instruction(bench.start)

    def wait_for(work: Coroutine[Any, Any, Any]) -> Any:
        if bench.over.is_set():
            work.close()
            raise StoppedError(InterruptedError("stopped"))
        waiting = asyncio.run_coroutine_threadsafe(work, loop)
        wait([waiting])
        if waiting.cancelled():
            raise StoppedError(InterruptedError("stopped"))
        fault = waiting.exception()
        if isinstance(fault, Exception):
            raise StoppedError(fault)
        return waiting.result()

    def ask(text: str, row: str) -> float:
        mark: Mark = wait_for(bench.mark(with_instruction(bench.start, text), rows[row]))
        return mark.score

    def propose(text: str, seen: Sequence[str]) -> str:
        return str(wait_for(bench.propose(text, [rows[row] for row in seen])))

    names = [[row.id for row in side] for side in (sides.train, sides.validation)]
    job = Job(instruction, names[0], names[1], ask, propose, bench.plan.budget, bench.plan.folder)
    try:
        found = await asyncio.to_thread(search, job)
    except StoppedError as stopped:
        raise stopped.cause from stopped
    finally:
        bench.over.set()
    return None if found == instruction else with_instruction(bench.start, found)


async def _cases_held(bench: _Bench, prompt: Prompt) -> set[str]:
    """The prompt's own cases that hold: what must never be lost for a better figure."""
    held = set()
    for case in prompt.cases:
        messages = prompt.render(**case.variables)
        said = await bench.asking.ask(Wish(bench.plan.student, messages, CASE_TOKENS, (), prompt.label))
        if case_holds(case, said):
            held.add(case.id)
    return held


def case_holds(case: PromptCase, said: Said) -> bool:
    """Whether an answer is what the case wants."""
    text = said.text.casefold()
    named = all(any(each.casefold() in text for each in wordings) for wordings in case.contains)
    clean = not any(each.casefold() in text for each in case.not_contains)
    brief = case.max_words is None or len(text.split()) <= case.max_words
    return said.usable and named and clean and brief


def _instruction(prompt: Prompt) -> str:
    return next(line.text for line in prompt.messages if line.role == "system")
