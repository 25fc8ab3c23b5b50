"""The desk's own cases, through the whole graph: whether the right thing is said, cited, refused, kept in.

A case passes the Desk as a customer's question does, in a thread of its own. The customer's lines of its
`history` are asked first, in order; what the desk answered then stands in the thread, not what the case
says it answered. Turns are not judged, so that times are those of answers alone.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, Field, ValidationError

from domain.errors import FrontdeskError, HomeInUseError, UsageError
from domain.receipt import Reply
from domain.turn import Outcome, Pins, Reason
from evals.matching import runs, says, says_one, shared_run
from evals.run import Figure, Miss, Result, Run, share
from evals.stats import percentile
from graph.record import Question
from graph.service import Service

NAME = "desk"
FILES = {"dev": ["dev.jsonl"], "held_out": ["held_out.jsonl"], "all": ["dev.jsonl", "held_out.jsonl"]}
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
    """What became of one case. `cost_usd` includes the turns of its history."""

    case: Case
    reply: Reply
    cost_usd: float
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
    async with _opened(run) as service:
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
        scored, unscored = await put_through(bench, cases, run)
    secret = any(path.name in SECRET_FILES for path in files)
    about: dict[str, object] = {
        "desk": service.profile.name,
        "split": str(run.data or run.split),
        "parallel": run.parallel,
        "modes": dict(Counter(one.reply.receipt.mode for one in scored)),
    }
    return summed_up(scored, [*broken, *unscored], about, secret=secret)


async def put_through(bench: Bench, cases: Sequence[Case], run: Run) -> tuple[list[Scored], list[Unscored]]:
    """Ask every case, `run.parallel` at a time; the results stand in the order of the cases."""
    gate, done = asyncio.Semaphore(run.parallel), 0

    async def one(case: Case) -> Scored | Unscored:
        nonlocal done
        async with gate:
            result = await score(bench, case)
        done += 1
        run.progress(done, len(cases))
        return result

    results = await asyncio.gather(*(one(case) for case in cases))
    return [one for one in results if isinstance(one, Scored)], [one for one in results if isinstance(one, Unscored)]


async def score(bench: Bench, case: Case) -> Scored | Unscored:
    """Ask one case in a thread of its own. A turn that could not be taken is unscored, never wrong."""
    thread, spent, user = "", 0.0, f"eval-{case.id}"
    pins = Pins(judge=False)
    try:
        for line in case.history:
            if line.role == "user":
                before = await bench.desk.ask(Question(line.text, user, thread), pins)
                thread, spent = before.thread_id, spent + before.receipt.cost_usd
        reply = await bench.desk.ask(Question(case.question, user, thread), pins)
        passages = await asyncio.to_thread(bench.passages, reply.turn_id)
    except FrontdeskError as fault:
        return Unscored(case.id, str(fault))
    shown = "\n".join([reply.answer, *(f"{source.title}\n{source.quote}" for source in reply.sources)])
    return Scored(
        case,
        reply,
        spent + reply.receipt.cost_usd,
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
    cost = sum(one.cost_usd for one in scored)
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
async def _opened(run: Run) -> AsyncIterator[Service]:
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
