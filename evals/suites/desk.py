"""The desk's own cases, through the whole graph: whether the right thing is said, cited, refused, kept in.

A case passes the Desk as a customer's question does, in a thread of its own, with its `history` as what was
said before. Turns are not judged, so that times are those of answers alone. With `--compare` every case is put
through under two choices (`prompt=answer@2`, `model=quote`, `tier=complex,prompt=bad`), and held case against case.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from domain.errors import FrontdeskError, HomeInUseError, UsageError
from domain.receipt import Reply
from domain.turn import Line as TurnLine
from domain.turn import Outcome, Pins, Reason
from evals.matching import runs, says, says_one, shared_run
from evals.paired import difference_interval, mcnemar_p, pair
from evals.run import Figure, Miss, Result, Run, share
from evals.stats import percentile
from graph.record import Question
from graph.service import Service

NAME = "desk"
FILES = {
    "dev": ["dev.jsonl", "reviewed.jsonl"],
    "held_out": ["held_out.jsonl"],
    "all": ["dev.jsonl", "reviewed.jsonl", "held_out.jsonl"],
}
"""`reviewed.jsonl`: what reviewers made of turns (`frontdesk review to-cases`), where there is any."""
SECRET_FILES = frozenset({"held_out.jsonl"})
"""Cases that nobody may see one by one: only their totals come out."""


class Line(BaseModel):
    """A line of the conversation before the question."""

    role: Literal["user", "assistant"]
    text: str


class Case(BaseModel):
    """A question and what a right answer is. `facts`: each entry is one fact in alternative wordings."""

    id: str
    question: str = Field(min_length=1)
    outcome: Outcome
    kind: str = "all"
    reason: Reason | None = None
    history: list[Line] = Field(default_factory=list)
    relevant: list[str] = Field(default_factory=list)
    facts: list[list[str]] = Field(default_factory=list)
    must_not: list[str] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Unscored:
    """A row that nothing can be said about, and why."""

    id: str
    why: str


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of one case."""

    case: Case
    reply: Reply
    missing: list[str]
    forbidden: list[str]
    internal: str

    @property
    def outcome_right(self) -> bool:
        """The typed outcome; among answers also whether it is small talk, a question back, or neither."""
        same = self.reply.outcome == self.case.outcome
        return same and (self.case.outcome != "answer" or self.reply.reason == self.case.reason)

    @property
    def answered_right(self) -> bool:
        """Right outcome, every fact, nothing that must not be said."""
        return self.outcome_right and not self.missing and not self.forbidden

    @property
    def cited_right(self) -> bool:
        """A relevant article stands among the sources."""
        return any(source.id in self.case.relevant for source in self.reply.sources)

    @property
    def shows_internal(self) -> bool:
        """Words of an internal article, or something that must not be said."""
        return bool(self.internal or self.forbidden)

    @property
    def why(self) -> str:
        """What is wrong, in a line; empty if nothing is."""
        said = f"{self.reply.outcome}/{self.reply.reason or '-'}"
        wanted = f"{self.case.outcome}/{self.case.reason or '-'}"
        parts = [
            "" if self.outcome_right else f"{said} instead of {wanted}",
            f"without {'; '.join(self.missing)}" if self.outcome_right and self.missing else "",
            f"says {'; '.join(self.forbidden)}" if self.forbidden else "",
            f"internal words: {self.internal}" if self.internal else "",
        ]
        return ", ".join(part for part in parts if part)


class Asker(Protocol):
    """The part of the Desk that a case needs."""

    async def ask(self, question: Question, pins: Pins | None = None) -> Reply: ...


@dataclass(frozen=True, slots=True)
class Bench:
    """What cases are put through: who answers, the runs of internal articles, and a turn's public passages by its id."""

    desk: Asker
    internal: Sequence[Collection[tuple[str, ...]]]
    passages: Callable[[str], list[str]]


async def measure(run: Run) -> Result:
    """Put the cases through the desk. Raises UsageError without cases, HomeInUseError while a server owns the desk."""
    variants = [pins_of(text) for text in run.compare or ()]
    async with opened(run) as service:
        if variants:
            return await _compared(run, service, variants)
        taken = await take(run, service)
    return taken.result


@dataclass(frozen=True, slots=True)
class Taken:
    """The cases of a run as they were put through, and the figures."""

    scored: list[Scored]
    unscored: list[Unscored]
    result: Result

    def right(self) -> dict[str, bool]:
        """By case, whether it was answered right; without what could not be scored."""
        return {one.case.id: one.answered_right for one in self.scored}


async def take(run: Run, service: Service, pins: Pins | None = None) -> Taken:
    """Put the cases through an open desk. Raises UsageError without cases."""
    files = [run.data] if run.data else [service.desk_folder / "cases" / name for name in FILES[run.split]]
    cases, broken = read_cases([path for path in files if run.data or path.is_file()])
    for row in broken:
        run.say(f"{row.id}: unscored: {row.why}")
    if not cases:
        raise UsageError("no cases", where=str(files[0]), fix="add rows, or pass --data FILE")
    bench = Bench(
        service.desk,
        [runs(text) for text in service.knowledge.internal_texts()],
        lambda turn: [passage.text for passage in service.store.ledger.get(turn).passages],
    )
    scored, unscored = await put_through(bench, cases, run, pins)
    about: dict[str, object] = {
        "desk": service.profile.name,
        "split": str(run.data or run.split),
        "parallel": run.parallel,
        "modes": dict(Counter(one.reply.receipt.mode for one in scored)),
    }
    unscored = [*broken, *unscored]
    secret = any(path.name in SECRET_FILES for path in files)
    return Taken(scored, unscored, summed_up(scored, unscored, about, secret=secret))


def pins_of(text: str) -> Pins:
    """A variant as `name=value,name=value`; a word alone is a prompt. Raises UsageError naming what may be chosen."""
    known = [each.name for each in fields(Pins) if isinstance(each.default, str)]
    chosen: dict[str, str] = {}
    for part in text.split(","):
        name, found, value = part.partition("=")
        name, value = (name.strip(), value.strip()) if found else ("prompt", name.strip())
        if name not in known or not value:
            raise UsageError("no such choice", where=part, fix=f"name=value with one of {', '.join(known)}")
        chosen[name] = value
    try:
        return TypeAdapter(Pins).validate_python({"judge": False, **chosen})
    except ValidationError as fault:
        raise UsageError("no such choice", where=text, fix=str(fault.errors()[0]["msg"])) from fault


async def _compared(run: Run, service: Service, variants: Sequence[Pins]) -> Result:
    """Both variants on the same cases; `diff_…` is the second less the first."""
    first, second = [await take(run, service, pins) for pins in variants]
    held = pair(first.right(), second.right())
    changes = [-1] * len(held.lost) + [1] * len(held.won) + [0] * (held.both - len(held.lost) - len(held.won))
    secret = not first.result.by_kind
    names = run.compare or ("", "")
    misses = [Miss(one, "lost", f"right only with {names[0]}") for one in held.lost]
    misses += [Miss(one, "won", f"right only with {names[1]}") for one in held.won]
    about = {"a": names[0], "b": names[1], **first.result.about}
    return Result(
        NAME,
        about | {"lost": len(held.lost), "won": len(held.won)},
        [
            *(replace(figure, name=f"a_{figure.name}") for figure in first.result.figures),
            *(replace(figure, name=f"b_{figure.name}") for figure in second.result.figures),
            Figure("diff_answered_right", held.difference, held.both, difference_interval(changes)),
            Figure("mcnemar_p", mcnemar_p(len(held.lost), len(held.won)), held.both),
        ],
        {},
        [] if secret else misses,
        [*first.result.failed, *second.result.failed],
    )


async def put_through(
    bench: Bench, cases: Sequence[Case], run: Run, pins: Pins | None = None
) -> tuple[list[Scored], list[Unscored]]:
    """Ask every case, `run.parallel` at a time; the results stand in the order of the cases."""
    gate, done = asyncio.Semaphore(run.parallel), 0

    async def one(case: Case) -> Scored | Unscored:
        nonlocal done
        async with gate:
            result = await score(bench, case, pins)
        done += 1
        run.progress(done, len(cases))
        return result

    results = await asyncio.gather(*(one(case) for case in cases))
    return [one for one in results if isinstance(one, Scored)], [one for one in results if isinstance(one, Unscored)]


async def score(bench: Bench, case: Case, pins: Pins | None = None) -> Scored | Unscored:
    """Ask one case in a thread of its own. A turn that could not be taken is unscored, never wrong."""
    earlier: list[TurnLine] = [{"role": line.role, "text": line.text} for line in case.history]
    question = Question(case.question, f"eval-{case.id}", earlier=earlier)
    try:
        reply = await bench.desk.ask(question, pins or Pins(judge=False))
        passages = await asyncio.to_thread(bench.passages, reply.turn_id)
    except FrontdeskError as fault:
        return Unscored(case.id, str(fault))
    shown = "\n".join([reply.answer, *(f"{source.title}\n{source.quote}" for source in reply.sources)])
    return Scored(
        case,
        reply,
        missing=[" | ".join(wordings) for wordings in case.facts if not says_one(reply.answer, wordings)],
        forbidden=[wording for wording in case.must_not if says(shown, wording)],
        internal=shared_run(shown, bench.internal, [case.question, *passages]),
    )


def summed_up(
    scored: Sequence[Scored], unscored: Sequence[Unscored], about: dict[str, object], *, secret: bool
) -> Result:
    """The figures; of secret cases totals only."""
    shown = [one for one in scored if one.shows_internal]
    failed = []
    if shown:
        which = "" if secret else f" ({', '.join(one.case.id for one in shown)})"
        failed.append(f"desk: internal or forbidden text was shown in {len(shown)} of {len(scored)} cases{which}")
    if not scored:
        failed.append("desk: not one case could be scored")
    counts = {"cases": len(scored) + len(unscored), "scored": len(scored), "unscored": len(unscored)}
    by_kind: dict[str, list[Scored]] = {}
    for one in scored:
        by_kind.setdefault(one.case.kind, []).append(one)
    return Result(
        NAME,
        about | counts,
        _figures(scored),
        {} if secret else {kind: _figures_of_kind(group) for kind, group in sorted(by_kind.items())},
        [] if secret else [Miss(one.case.id, one.case.kind, one.why) for one in scored if one.why],
        failed,
    )


def read_cases(files: Sequence[Path]) -> tuple[list[Case], list[Unscored]]:
    """Cases of JSONL files; a row that is none is named by file:line. Raises UsageError for a file that is not there."""
    cases: list[Case] = []
    broken: list[Unscored] = []
    for path in files:
        try:
            lines = path.read_bytes().splitlines()
        except OSError as fault:
            raise UsageError(f"cannot be read: {fault.strerror}", where=str(path), fix="give a JSONL file") from fault
        for number, raw in enumerate(lines, start=1):
            if raw.strip():
                try:
                    cases.append(_case(raw, number))
                except ValueError as fault:
                    broken.append(Unscored(f"{path}:{number}", _first(fault)))
    return cases, broken


def _case(raw: bytes, number: int) -> Case:
    """Raises ValueError: no UTF-8, no JSON, no case."""
    row = json.loads(raw.decode())
    if isinstance(row, dict):
        row["id"] = str(row.get("id", number))
    return Case.model_validate(row)


def _first(fault: ValueError) -> str:
    if isinstance(fault, ValidationError):
        first = fault.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'row'}: {first['msg']}"
    return f"not UTF-8 JSON: {fault}"


def _figures(scored: Sequence[Scored]) -> list[Figure]:
    said_unknown = [one for one in scored if one.reply.outcome == "dont_know"]
    unknown = [one for one in scored if one.case.outcome == "dont_know"]
    times = [one.reply.receipt.latency_ms for one in scored]
    cost = sum(one.reply.receipt.cost_usd for one in scored)
    return [
        *_figures_of_kind(scored),
        share("dont_know_precision", [one.case.outcome == "dont_know" for one in said_unknown]),
        share("dont_know_recall", [one.reply.outcome == "dont_know" for one in unknown]),
        share("refused_right", [one.reply.outcome == "refuse" for one in scored if one.case.outcome == "refuse"]),
        Figure("internal_shown", sum(one.shows_internal for one in scored), len(scored)),
        Figure("cost_usd", cost, len(scored)),
        Figure("ms_p50", percentile(times, 50), len(times)),
        Figure("ms_p95", percentile(times, 95), len(times)),
    ]


def _figures_of_kind(scored: Sequence[Scored]) -> list[Figure]:
    citing = [one for one in scored if one.case.outcome == "answer" and one.case.relevant]
    return [
        share("answered_right", [one.answered_right for one in scored]),
        share("outcome_right", [one.outcome_right for one in scored]),
        share("cited_right", [one.cited_right for one in citing]),
    ]


@asynccontextmanager
async def opened(run: Run) -> AsyncIterator[Service]:
    """The desk of the settings; closed when the block ends. Raises HomeInUseError while a server owns it."""
    from graph.bootstrap import close_service, open_service  # noqa: PLC0415  # seconds: not for a test of scores
    from graph.warming import wait_for_model  # noqa: PLC0415

    try:
        traced = {"langfuse_environment": run.settings.langfuse_environment or "eval"}
        service = await open_service(run.settings.model_copy(update=traced), say=run.say, progress=run.progress)
    except HomeInUseError as fault:
        fix = "stop it, or measure in a folder of its own: FRONTDESK_HOME=FOLDER"
        raise HomeInUseError(fault.what, where=fault.where, fix=fix, address=fault.address) from fault
    try:
        trouble = await wait_for_model(service, run.progress)
        if trouble:
            run.say(trouble)
        yield service
    finally:
        await close_service(service)
