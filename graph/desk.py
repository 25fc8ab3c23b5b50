"""The Desk: the only door to a turn. Everything that asks a question asks it here."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, cast

import structlog
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver

from domain.errors import FrontdeskError, GuardFaultError, NotFoundError, OverloadedError, UsageError
from domain.ports import Cache, CachedAnswer, CacheKey, Clock, Ids, Tracer, TurnContext
from domain.receipt import Receipt, Reply
from domain.turn import Message, Pins, Score, Source, Step, language_of, reason_named
from graph.alone import OneAtATime
from graph.bell import Bell
from graph.build import Graph
from graph.judging import Judging
from graph.record import ANONYMOUS, Labels, Question, TurnRecord, spoken
from graph.serving import Choose, Serving
from graph.threads import scrub
from guards import Guards, unmask
from prompts import Replies
from store import Store
from tracing import Metrics

MS = 1000.0

CANCELLED = "cancelled by the reader"
"""What the receipt of a turn says whose reader left, or whose service stopped, before it ended."""
AGENT = "agent"
"""The outcome of a line in a thread that a person said: no turn of the desk's has made it."""


@dataclass(frozen=True, slots=True)
class StepDone:
    """A node has finished."""

    step: Step


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the checked answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Retract:
    """Forget every token so far: the whole answer did not pass, or another takes its place, which follows."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the answer comes from."""

    sources: list[Source]


@dataclass(frozen=True, slots=True)
class Done:
    """The whole reply: the truth about the turn."""

    reply: Reply


Event = StepDone | Token | Retract | Sources | Done


@dataclass(frozen=True, slots=True)
class Limits:
    """What a desk takes on. Times are seconds."""

    turns: int
    turn_timeout: float


class Desk:
    """Answers questions, keeps their receipts, and puts a customer's own data back at the door."""

    def __init__(
        self,
        graph: Graph,
        judging: Judging,
        *,
        choose: Choose,
        saver: BaseCheckpointSaver[str],
        store: Store,
        guards: Guards,
        replies: Replies,
        tracer: Tracer,
        metrics: Metrics,
        limits: Limits,
        clock: Clock,
        ids: Ids,
        bell: Bell,
        cache: Cache | None = None,
    ) -> None:
        """`graph` reads and continues threads, which all releases share; `choose` says on what a turn runs."""
        self._graph = graph
        self._choose = choose
        self.bell = bell
        self._cache = cache
        self._judging = judging
        self._saver = saver
        self._store = store
        self._guards = guards
        self._replies = replies
        self._tracer = tracer
        self._metrics = metrics
        self._limits = limits
        self._clock = clock
        self._ids = ids
        self._alone = OneAtATime(store, ids)

    async def ask(self, question: Question, pins: Pins | None = None) -> Reply:
        """One turn, whole. Raises NotFoundError, ThreadBusyError, OverloadedError, UsageError."""
        reply = None
        async for event in self.stream(question, pins):
            if isinstance(event, Done):
                reply = event.reply
        assert reply is not None  # stream() ends with Done or raises
        return reply

    async def stream(self, question: Question, pins: Pins | None = None) -> AsyncIterator[Event]:
        """One turn as it happens; nothing unchecked is ever in it. The last event is `Done`, which is the truth.

        It is booked by then; what nobody waits for is done behind it.

        Of a `live` question the tokens come while a model still writes; a late finding is told by `Retract`.

        A reader that goes away stops the work; what it had cost is booked all the same.
        """
        started = self._clock.monotonic()
        record = await self._admit(question)
        async with self._running(record):
            serving = await self._choose(record.thread_id if question.user_id == ANONYMOUS else record.user)
            about = _about(record, serving.labels)
            try:
                with self._tracer.turn(about) as span:
                    async with aclosing(self._run(serving, record, question, pins or Pins())) as events:
                        async for event in events:
                            yield event
                    span.record(_shown(record))
            except BaseException as fault:
                gone = isinstance(fault, GeneratorExit | asyncio.CancelledError)
                record.error = record.error or (CANCELLED if gone else type(fault).__name__)
                self._book(record, serving, started)
                raise
            receipt = await asyncio.to_thread(self._book, record, serving, started)
            if record.opened:
                self.bell.ring(record.opened)
        for event in self._speak(record, receipt):
            yield event
        await self._remember(record, receipt)
        if record.turn.get("outcome") == "answer" and record.turn.get("passages") and (pins or Pins()).judge:
            self._judging.offer(about, record.turn_id, _judgeable(record), asked_at=record.at, graph=serving.judge)

    async def thread(self, thread_id: str, user_id: str) -> list[Message]:
        """What was said in a thread, with its owner's own data in place. Raises NotFoundError for anyone else."""
        secrets = await asyncio.to_thread(self._secrets_of, thread_id, self._store.vault.user_hash(user_id))
        state = await self._graph.aget_state(_config(thread_id))
        history: list[Message] = state.values.get("history", [])
        return [replace(message, text=unmask(message.text, secrets)) for message in history]

    async def forget(self, thread_id: str, user_id: str) -> None:
        """Remove a thread and what its placeholders stood for. Raises NotFoundError."""
        # Before the thread is taken: whose it is not, must neither learn that it is busy nor keep it so.
        await asyncio.to_thread(self._secrets_of, thread_id, self._store.vault.user_hash(user_id))
        async with self._alone.on(thread_id):
            await self._saver.adelete_thread(thread_id)
            await scrub(self._saver)
            await asyncio.to_thread(self._store.vault.delete, thread_id)
            await asyncio.to_thread(self._store.threads.delete, thread_id)

    async def rate(self, turn_id: str, user_id: str, rating: str, comment: str = "") -> None:
        """Book a customer's thumb on a turn of their own; the comment is masked. Raises NotFoundError, UsageError."""
        # By the whole id alone: whoever asks with the beginning of another's must learn nothing from the answer.
        trace = await asyncio.to_thread(self._store.feedback.rateable, turn_id, self._store.vault.user_hash(user_id))
        if trace is None:
            raise NotFoundError("no such turn", where=turn_id)
        if rating not in ("up", "down"):
            raise UsageError(f"rating {rating!r} is neither up nor down", where="rating")
        masked = await self._guards.mask(comment)
        await asyncio.to_thread(self._store.feedback.add, turn_id, "up" if rating == "up" else "down", masked)
        self._tracer.score(trace, Score("feedback", 1.0 if rating == "up" else 0.0, masked))
        self._metrics.rated(rating)

    async def reply(self, ticket_id: str, text: str) -> None:
        """Let an agent speak in the thread of an open ticket; what they say is masked like a customer's words.

        Raises NotFoundError for an unknown or closed ticket, ThreadBusyError, GuardFaultError.
        """
        ticket = await asyncio.to_thread(self._store.tickets.get, ticket_id)
        async with self._alone.on(ticket.thread):
            known = await asyncio.to_thread(self._store.vault.read, ticket.thread)
            check = await self._guards.check_input(text, known)
            if any(verdict.reason == "guard_failed" and verdict.action == "block" for verdict in check.verdicts):
                raise GuardFaultError("the reply could not be masked", where=ticket.id, fix="see frontdesk doctor")
            await asyncio.to_thread(self._store.vault.write, ticket.thread, check.secrets)
            await asyncio.to_thread(self._store.tickets.say, ticket.id, "agent", check.text)
            said = {"history": [Message("assistant", check.text, outcome=AGENT)]}
            await self._graph.aupdate_state(_config(ticket.thread), said, as_node="judge")

    async def close(self) -> None:
        """Stop judging. Turns in flight are their callers' to finish first."""
        await self._judging.close()
        await self.bell.close()

    async def _admit(self, question: Question) -> TurnRecord:
        """Check who asks where, before anything is spent."""
        if not question.message.strip():
            raise UsageError("the message is empty", where="message", fix="write a question")
        if len(self._alone) >= self._limits.turns:
            raise OverloadedError("too many turns are in flight", fix="try again in a few seconds")
        user = self._store.vault.user_hash(question.user_id)
        thread, known = question.thread_id or self._ids.new(), dict[str, str]()
        if question.thread_id:
            known = await asyncio.to_thread(self._secrets_of, thread, user)
        turn, at = question.turn_id or self._ids.new(), self._clock.now()
        return TurnRecord(turn, thread, user, at, known, key=question.key, parent=question.parent)

    def _secrets_of(self, thread_id: str, user: str) -> dict[str, str]:
        """The originals behind a thread's placeholders, for its owner only."""
        if not self._store.threads.belongs(thread_id, user):
            raise NotFoundError("no such thread", where=thread_id, fix="leave thread_id out to start a new one")
        return self._store.vault.read(thread_id)

    @asynccontextmanager
    async def _running(self, record: TurnRecord) -> AsyncIterator[None]:
        async with self._alone.on(record.thread_id):
            with self._metrics.in_flight():
                self._judging.quiet.clear()
                try:
                    yield
                finally:
                    if len(self._alone) == 1:
                        self._judging.quiet.set()

    async def _run(self, serving: Serving, record: TurnRecord, question: Question, pins: Pins) -> AsyncGenerator[Event]:
        """Run the graph; a turn that takes too long ends in a typed outcome."""
        # Asked for words that steps tell, LangGraph keeps two more tasks a step: nobody waits for them but a live reader.
        stream = serving.graph.astream(
            record.given(question),
            _config(record.thread_id),
            context=pins,
            stream_mode=["updates", "custom"] if question.live else ["updates"],
            durability="exit",
        )
        parts = cast("AsyncGenerator[tuple[str, Any]]", stream)
        began = last = self._clock.monotonic()
        try:
            checking = serving.guards.begun(question.message, record.known)
            async with asyncio.timeout(self._limits.turn_timeout), aclosing(parts), checking:
                async for mode, part in parts:
                    if mode == "custom":
                        record.shown += part
                        yield Token(unmask(part, record.secrets))
                        continue
                    now = self._clock.monotonic()
                    for node, update in part.items():
                        # What LangGraph names in dunders is its own: an interrupt, or the handler of a failed step.
                        if node.startswith("__"):
                            record.take(update if isinstance(update, dict) else None)
                        else:
                            yield StepDone(record.add(node, update, (now - last) * MS, (last - began) * MS))
                    last = now
        except TimeoutError:
            language = language_of(record.turn)
            record.error = "TimeoutError"
            record.settle(
                outcome="dont_know", reason="model_down", answer=self._replies.text("model_down", language), sources=[]
            )

    def _book(self, record: TurnRecord, serving: Serving, started: float) -> Receipt:
        """Write down what happened: owner, placeholders, ticket, receipt; all or nothing. Blocking."""
        with self._store.together():
            receipt = self._booked(record, serving, started)
        self._metrics.observe(receipt)
        return receipt

    def _booked(self, record: TurnRecord, serving: Serving, started: float) -> Receipt:
        self._store.threads.claim(record.thread_id, record.user)
        self._store.vault.write(record.thread_id, record.secrets)
        if handoff := record.turn.get("handoff"):
            ticket = self._store.tickets.open(
                record.thread_id,
                record.turn_id,
                record.user,
                department=handoff.department,
                reason=record.turn.get("reason") or "",
                summary=handoff.summary,
            )
            record.booked(ticket)
        elif (waiting := self._store.tickets.of_thread(record.thread_id)) and (said := record.turn.get("masked")):
            with suppress(NotFoundError):  # closed at this moment
                self._store.tickets.say(waiting.id, "customer", said, record.turn_id)
        latency = (self._clock.monotonic() - started) * MS
        receipt = record.receipt(serving.labels, serving.knowledge(), latency)
        self._store.ledger.save(receipt)
        return receipt

    async def _remember(self, record: TurnRecord, receipt: Receipt) -> None:
        """Keep an answer that a model wrote, that passed guard_output as it stands, and that is nobody's own."""
        bounds = record.turn.get("cache_key")
        if not (self._cache and bounds and receipt.outcome == "answer" and receipt.mode in ("local", "remote")):
            return
        answer = CachedAnswer(receipt.standalone, receipt.answer, receipt.sources, receipt.model, receipt.cost_microusd)
        try:
            await self._cache.keep(receipt.standalone, CacheKey(**cast("dict[str, Any]", bounds)), answer)
        except FrontdeskError as fault:  # the customer has it, and it is booked
            structlog.get_logger().warning("answer not kept", error=type(fault).__name__)

    def _speak(self, record: TurnRecord, receipt: Receipt) -> Iterator[Event]:
        """Unmask at the door: only here does a placeholder become the customer's own data again."""
        answer, shown = unmask(receipt.answer, record.secrets), record.shown
        if not receipt.answer.startswith(shown):
            yield Retract()
            shown = ""
        for piece in spoken(unmask(receipt.answer[len(shown) :], record.secrets)):
            yield Token(piece)
        if receipt.sources:
            yield Sources(receipt.sources)
        yield Done(Reply.of(receipt, answer, receipt.sources, offered=reason_named(record.turn.get("offered", ""))))


def _about(record: TurnRecord, labels: Labels) -> TurnContext:
    experiment = (f"experiment:{labels.experiment}",) if labels.experiment else ()
    return TurnContext(
        trace_id=record.trace_id,
        thread=record.thread_id,
        user=record.user,
        desk=labels.desk,
        release=labels.release,
        environment=labels.environment,
        tags=(language_of(record.turn), *experiment),
    )


def _config(thread_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id}}


def _shown(record: TurnRecord) -> dict[str, object]:
    turn = record.turn
    return {name: turn.get(name) for name in ("masked", "answer", "outcome", "reason", "mode", "tier", "confidence")}


def _judgeable(record: TurnRecord) -> Any:
    """The masked state that the judge needs."""
    names = ("masked", "standalone", "answer", "passages", "language", "outcome")
    return {name: record.values[name] for name in names} | {
        "model": record.values.get("model", ""),
        "doubtful": record.values.get("doubtful", False),
        "user_id": record.user,
        "key": record.key,
        "turn_id": record.turn_id,
    }
