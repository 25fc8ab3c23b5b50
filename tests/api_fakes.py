"""A desk that says what a test has scripted, and a service around it, for the HTTP door's tests."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from fakes import CountingIds, FrozenClock, ShelfSearch

from api import create_app
from api.server import address_of, listen, open_listener
from domain.errors import NotFoundError
from domain.ports import ModelCard
from domain.profile import DeskProfile
from domain.receipt import Reply, ReplyReceipt
from domain.settings import Settings
from domain.turn import Message, Outcome, Passage, Source, Step
from graph.desk import Done, Retract, Sources, StepDone, Token
from tracing import Metrics

PATIENCE = 10.0
BASE = "http://127.0.0.1:8000"
TOKEN = "the-owner's-token"
ANSWER = "You can return a lamp within 30 days. Đổi trả trong 30 ngày."
SOURCE = Source("returns", "Returning a lamp", "within 30 days")
PROFILE = DeskProfile.model_validate(
    {
        "name": "Lamp Shop",
        "languages": ["en", "vi"],
        "scope": {"describe": "lamps"},
        "texts": {"greeting": {"en": "Hello!", "vi": "Xin chào!"}},
        "contact": {"email": "help@lamps.example", "hours": "Mon-Fri 9-17"},
    }
)


def reply_to(number: int, thread_id: str, answer: str = ANSWER, outcome: Outcome = "answer") -> Reply:
    receipt = ReplyReceipt(
        mode="quote",
        tier="simple",
        model="",
        prompt="",
        rag_config="test@1",
        release="built-in",
        knowledge="k1",
        verdicts=[],
        steps=[Step("guard_input", 1.5)],
        tokens=0,
        cost_usd=0.0,
        latency_ms=2.0,
    )
    return Reply(
        answer=answer,
        outcome=outcome,
        sources=[SOURCE],
        thread_id=thread_id,
        turn_id=f"turn-{number}",
        trace_id=f"{number:032x}",
        language="en",
        receipt=receipt,
    )


@dataclass
class ScriptedDesk:
    """Answers every question alike; `wait` holds a turn after its first step, `early` and `late` break it.

    `retracted` is told to who reads along, and taken back.
    """

    answer: str = ANSWER
    outcome: Outcome = "answer"
    early: Exception | None = None
    late: Exception | None = None
    wait: asyncio.Event | None = None
    silent_first: bool = False
    retracted: str = ""
    asked: list[Any] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    finished: int = 0
    ratings: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)

    async def stream(self, question, pins=None):
        del pins
        self.asked.append(question)
        self.begun.set()
        number = len(self.asked)
        try:
            if self.early:
                raise self.early
            if self.silent_first and self.wait:
                await self.wait.wait()
            yield StepDone(Step("guard_input", 1.5))
            if self.wait:
                await self.wait.wait()
            if self.late:
                raise self.late
        except asyncio.CancelledError:
            self.stopped.set()
            raise
        thread = question.thread_id or f"thread-{number}"
        self.owners[thread] = question.user_id
        if self.retracted and question.live:
            yield Token(self.retracted)
            yield Retract()
        for word in self.answer.split(" "):
            yield Token(f"{word} ")
        yield Sources([SOURCE])
        yield Done(reply_to(number, thread, self.answer, self.outcome))
        self.finished += 1

    async def thread(self, thread_id, user_id):
        self._owned(thread_id, user_id)
        return [Message("user", "how long?"), Message("assistant", self.answer, "turn-1", "answer")]

    async def forget(self, thread_id, user_id):
        self._owned(thread_id, user_id)
        del self.owners[thread_id]

    async def rate(self, turn_id, user_id, rating, comment=""):
        if not turn_id.startswith("turn-"):
            raise NotFoundError("no such turn", where=turn_id)
        self.ratings[turn_id] = (user_id, rating, comment)

    def _owned(self, thread_id, user_id):
        if self.owners.get(thread_id) != user_id:
            raise NotFoundError("no such thread", where=thread_id)


@dataclass
class Report:
    added: list[str]
    version: str = "k2"
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    skipped: list[Any] = field(default_factory=list)


@dataclass
class Shelf:
    """Knowledge of one passage."""

    version: str = "k1"
    trouble: str = ""
    public: ShelfSearch = field(
        default_factory=lambda: ShelfSearch(
            [Passage("returns#0", "returns", "Returning a lamp", "within 30 days", 1.0)]
        )
    )

    async def ingest(self, path, progress=None):
        del progress
        return Report([path.name])


@dataclass
class Guarded:
    """Guards that are as a test says."""

    faults: dict[str, str] = field(default_factory=lambda: {"pii": "ok"})

    def health(self):
        return self.faults


@dataclass
class Model:
    """A model that can be asked, or none."""

    card: ModelCard | None = None

    def choose(self, tier, confidence):
        del tier, confidence
        return self.card


class NoKeys:
    """A desk for which no key was ever made."""

    def any(self):
        return False


class NoTickets:
    """A desk at which nobody waits for a person."""

    def of_thread(self, thread):
        del thread


@dataclass
class FakeService:
    """What the door reads of a service."""

    settings: Settings = field(default_factory=lambda: Settings(llm="off", max_message_chars=200))
    profile: DeskProfile = PROFILE
    desk_folder: Path = Path("desks/lamps")
    desk: ScriptedDesk = field(default_factory=ScriptedDesk)
    guards: Guarded = field(default_factory=Guarded)
    knowledge: Shelf = field(default_factory=Shelf)
    chat: Model = field(default_factory=Model)
    metrics: Metrics = field(default_factory=Metrics)
    local: None = None
    clock: FrozenClock = field(default_factory=FrozenClock)
    store: Any = field(default_factory=lambda: SimpleNamespace(keys=NoKeys(), tickets=NoTickets()))
    exporter: Any = None


@asynccontextmanager
async def served(service, *, grace=5.0):
    """The application on a free port of loopback; its address, and the task that ends when serving does."""
    listener, ready = open_listener("127.0.0.1", 0), asyncio.Event()
    app = create_app(service, owner_token=TOKEN, heartbeat=0.05)
    serving = asyncio.create_task(listen(app, listener, grace=grace, ready=ready.set))
    await asyncio.wait({asyncio.create_task(ready.wait()), serving}, return_when=asyncio.FIRST_COMPLETED)
    async with httpx.AsyncClient(base_url=address_of(listener, "127.0.0.1"), trust_env=False) as http:
        yield http, serving
    if not serving.done():
        os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(PATIENCE):
        await serving
        await app.state.doors.turns.settled()
    await app.state.doors.limits.aclose()


@dataclass
class Door:
    """An application and a client of it."""

    app: Any
    http: httpx.AsyncClient
    service: FakeService
    clock: FrozenClock

    @property
    def desk(self) -> ScriptedDesk:
        return self.service.desk

    async def post(self, path, json=None, **options):
        return await self.http.post(path, json=json, **options)

    async def ask(self, message="How long do I have?", *, headers=None, **fields):
        return await self.http.post("/v1/chat", json={"message": message, **fields}, headers=headers)

    async def ask_events(self, message="How long do I have?", *, headers=None, **fields):
        wanted = {"Accept": "text/event-stream", **(headers or {})}
        return await self.ask(message, headers=wanted, **fields)


@asynccontextmanager
async def open_door(service=None, *, heartbeat=10.0):
    """The application over a scripted service, reached without a network."""
    service, clock = service or FakeService(), FrozenClock()
    app = create_app(service, owner_token=TOKEN, clock=clock, ids=CountingIds(), heartbeat=heartbeat)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
        yield Door(app, http, service, clock)
    await app.state.doors.turns.settled()


def at_door(work, service=None, **options):
    """Run `work(door)` at a fresh door."""

    async def run():
        async with open_door(service, **options) as door:
            return await work(door)

    return asyncio.run(run())


def events_of(text):
    """The events of a stream as (name, data text); comments as (":", text)."""
    events = []
    for block in text.split("\n\n"):
        lines = [line.split(": ", 1) for line in block.splitlines()]
        if lines and lines[0][0] in (":", ""):
            events.append((":", lines[0][1]))
        elif lines:
            fields = dict(lines)
            events.append((fields["event"], fields["data"]))
    return events
