"""Cases put through a desk as a customer's questions are, and what is noted of each."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import TypeAdapter

from domain.errors import FrontdeskError, HomeInUseError
from domain.ports import Hand, Progress
from domain.receipt import Receipt, Reply
from domain.turn import Line as TurnLine
from domain.turn import Mode, Outcome, Pins, Reason
from evals.cases import Case, Unscored
from evals.matching import runs, says, says_one, shared_run
from evals.run import Run
from evals.runner import Kept, go_through, spread
from graph.record import Question
from graph.service import Service
from guards import Guards

FAULTS = frozenset({"model_down", "guard_failed", "budget"})
"""Reasons that tell of the house and not of the answer."""
SMALL = frozenset({"small_talk", "clarify"})
"""Reasons of answers that ask no model."""
BATCH = 8
"""Cases that travel together where they are spread: a hand that dies loses a second of work."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the desk said to a case. `question` and `answer` are masked, as the ledger keeps them; `sources` are ids."""

    outcome: Outcome
    reason: Reason | None
    question: str
    answer: str
    sources: list[str]
    mode: Mode
    model: str
    cost_usd: float
    latency_ms: float
    trace_id: str
    passages: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of one case."""

    case: Case
    reply: Told
    missing: list[str] = field(default_factory=list)
    forbidden: list[str] = field(default_factory=list)
    internal: str = ""

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
        return any(source in self.case.relevant for source in self.reply.sources)

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

    def kept(self) -> dict[str, Any]:
        """All of it but the case, as JSON: what a run that is killed leaves behind."""
        return {name: value for name, value in asdict(self).items() if name != "case"}

    @classmethod
    def again(cls, case: Case, kept: Mapping[str, Any]) -> "Scored":
        """What `kept` gave, with its case. Raises ValueError for what is none."""
        return TypeAdapter(cls).validate_python({"case": case, **kept})


Hire = Callable[[], Hand[Case, "Scored | Unscored"]]
"""Makes what puts cases through elsewhere."""


class Asker(Protocol):
    """The part of the Desk that a case needs."""

    async def ask(self, question: Question, pins: Pins | None = None) -> Reply: ...


@dataclass(frozen=True, slots=True)
class Bench:
    """What cases are put through: who answers, the runs of internal articles, and a turn's receipt by its id.

    `by_model`: a language model is up, so that an answer without one is a fault of the house.
    """

    desk: Asker
    internal: Sequence[Collection[tuple[str, ...]]]
    receipt: Callable[[str], Receipt]
    by_model: bool = False


def bench_of(service: Service, *, by_model: bool) -> Bench:
    """What cases of a desk are put through."""
    internal = [runs(text) for text in service.knowledge.texts("internal")]
    return Bench(service.desk, internal, service.store.ledger.get, by_model=by_model)


async def put_through(
    bench: Bench,
    cases: Sequence[Case],
    run: Run,
    pins: Pins | None = None,
    kept: Kept | None = None,
    *,
    hire: Hire | None = None,
) -> tuple[list[Scored], list[Unscored]]:
    """Ask every case, `run.parallel` at a time; the results stand in the order of the cases.

    What `kept` holds already is not asked again. `hire`: cases are put through elsewhere, by `run.hands`.
    """

    async def keep(scored: Scored | Unscored) -> None:
        if kept and isinstance(scored, Scored):
            await asyncio.to_thread(kept.keep, scored.case.id, scored.kept())

    async def one(case: Case) -> Scored | Unscored:
        if kept and (before := kept.done.get(case.id)):
            return Scored.again(case, before)
        scored = await score(bench, case, pins)
        await keep(scored)
        return scored

    if hire and run.hands:
        asked = [case for case in cases if not (kept and case.id in kept.done)]
        told = await spread(asked, hire, run.hands, batch=BATCH, progress=run.progress, taken=keep)
        by_id = {case.id: scored for case, scored in zip(asked, told, strict=True)}
        results = [by_id[case.id] if case.id in by_id else await one(case) for case in cases]
    else:
        results = await go_through(cases, one, parallel=run.parallel, progress=run.progress)
    return [one for one in results if isinstance(one, Scored)], [one for one in results if isinstance(one, Unscored)]


async def score(bench: Bench, case: Case, pins: Pins | None = None) -> Scored | Unscored:
    """Ask one case in a thread of its own. A turn that could not be taken is unscored, never wrong."""
    earlier: list[TurnLine] = [{"role": line.role, "text": line.text} for line in case.history]
    question = Question(case.question, f"eval-{case.id}", earlier=earlier)
    pins = pins or Pins(judge=False)
    try:
        reply = await bench.desk.ask(question, pins)
        receipt = await asyncio.to_thread(bench.receipt, reply.turn_id)
    except FrontdeskError as fault:
        return Unscored(case.id, str(fault))
    if trouble := fault_of(receipt, case, by_model=bench.by_model and pins.model != "quote"):
        return Unscored(case.id, trouble)
    shown = "\n".join([reply.answer, *(f"{source.title}\n{source.quote}" for source in reply.sources)])
    return Scored(
        case,
        _told(reply, receipt),
        missing=[" | ".join(wordings) for wordings in case.facts if not says_one(reply.answer, wordings)],
        forbidden=[wording for wording in case.must_not if says(shown, wording)],
        internal=shared_run(shown, bench.internal, [case.question, *(one.text for one in receipt.passages)]),
    )


def fault_of(receipt: Receipt, case: Case, *, by_model: bool) -> str:
    """Why a turn says nothing of the desk's answers: something of the house was down. Empty if nothing was."""
    if receipt.reason in FAULTS and receipt.reason != case.reason:
        return f"the desk could not answer: {receipt.reason}"
    by_quotation = receipt.outcome == "answer" and receipt.mode == "quote" and receipt.reason not in SMALL
    answered = any(call.ok and call.purpose == "answer" for call in receipt.calls)
    if by_model and by_quotation and not answered:
        last = next((call.error for call in reversed(receipt.calls) if not call.ok), "it was not asked")
        return f"the model did not answer: {last}"
    return ""


async def made_ready(service: Service, progress: Progress) -> str:
    """Warm a desk up: a cold first turn may run into time limits, which would measure the machine. What is wrong, if."""
    from graph.warming import wait_for_model, warm  # noqa: PLC0415  # seconds: not for a test of scores

    await warm(service)
    return await wait_for_model(service, progress)


@asynccontextmanager
async def opened(
    run: Run, *, beside: Path | None = None, guarded: Callable[[Guards], Guards] | None = None
) -> AsyncIterator[Service]:
    """The desk of the settings; closed when the block ends. Raises HomeInUseError while a server owns it.

    `beside`: the home folder whose budgets pay and whose own models are known, where the settings name a folder that goes.
    `guarded`: what is put around the desk's guards.
    """
    from graph.bootstrap import close_service, open_service  # noqa: PLC0415  # seconds: not for a test of scores

    try:
        traced = {"langfuse_environment": run.settings.langfuse_environment or "eval"}
        service = await open_service(
            run.settings.model_copy(update=traced),
            say=run.say,
            progress=run.progress,
            wrapped=run.calls.around if run.calls else None,
            beside=beside,
            guarded=guarded,
        )
    except HomeInUseError as fault:
        fix = "stop it, or measure in a folder of its own: FRONTDESK_HOME=FOLDER"
        raise HomeInUseError(fault.what, where=fault.where, fix=fix, address=fault.address) from fault
    try:
        if trouble := await made_ready(service, run.progress):
            run.say(trouble)
        yield service
    finally:
        await close_service(service)


def _told(reply: Reply, receipt: Receipt) -> Told:
    return Told(
        outcome=reply.outcome,
        reason=reply.reason,
        question=receipt.question,
        answer=receipt.answer,
        sources=[source.id for source in reply.sources],
        mode=reply.receipt.mode,
        model=reply.receipt.model,
        cost_usd=reply.receipt.cost_usd,
        latency_ms=reply.receipt.latency_ms,
        trace_id=reply.trace_id,
        passages=[passage.text for passage in receipt.passages],
    )
