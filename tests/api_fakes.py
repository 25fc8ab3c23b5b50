"""A desk that says what a test has scripted, and a service around it, for the HTTP door's tests."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
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
from domain.receipt import Receipt, Reply
from domain.settings import Settings
from domain.turn import Message, Outcome, Passage, Source, Step
from graph.bell import Bell
from graph.desk import Done, Retract, Sources, StepDone, Token
from store.replays import KEPT, Standing
from tracing import Metrics

PATIENCE = 10.0
BASE = "http://127.0.0.1:8000"
TOKEN = "the-owner's-token"
ANSWER = "You can return a lamp within 30 days. Đổi trả trong 30 ngày."
SOURCE = Source("returns", "Returning a lamp", "within 30 days", section="Time", passage="returns#0")
PROFILE = DeskProfile.model_validate(
    {
        "name": "Lamp Shop",
        "languages": ["en", "vi"],
        "scope": {"describe": "lamps"},
        "texts": {"greeting": {"en": "Hello!", "vi": "Xin chào!"}},
        "suggestions": [
            {"en": "How long may I keep a lamp?", "vi": "Tôi được giữ đèn bao lâu?"},
            {"en": "Do you repair lamps?"},
        ],
        "departments": [{"id": "repairs", "name": {"en": "Repairs", "vi": "Sửa chữa"}}],
        "contact": {"email": "help@lamps.example", "hours": {"en": "Mon-Fri 9-17", "vi": "T2-T6 9-17"}},
    }
)


def receipt_of(number: int, thread_id: str, answer: str, outcome: Outcome, user: str = "") -> Receipt:
    return Receipt(
        turn_id=f"turn-{number}",
        thread_id=thread_id,
        trace_id=f"{number:032x}",
        desk="lamps",
        user=user,
        at="2026-03-01T12:00:00+00:00",
        language="en",
        outcome=outcome,
        reason=None,
        question="how long?",
        answer=answer,
        release="built-in",
        rag_config="test@1",
        knowledge="k1",
        latency_ms=2.0,
        sources=[SOURCE],
        steps=[Step("guard_input", 1.5)],
    )


def reply_to(number: int, thread_id: str, answer: str = ANSWER, outcome: Outcome = "answer") -> Reply:
    return Reply.of(receipt_of(number, thread_id, answer, outcome), answer, [SOURCE])


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
    bell: Bell = field(default_factory=lambda: Bell("lamps"))
    ratings: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    receipts: dict[str, Receipt] = field(default_factory=dict)

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
        user = NoVault().user_hash(question.user_id)
        receipt = receipt_of(number, thread, self.answer, self.outcome, user)
        receipt = replace(receipt, turn_id=question.turn_id or receipt.turn_id)
        self.receipts[receipt.turn_id] = receipt
        yield Done(Reply.of(receipt, self.answer, [SOURCE]))
        self.finished += 1

    async def thread(self, thread_id, user_id):
        self._owned(thread_id, user_id)
        return [Message("user", "how long?"), Message("assistant", self.answer, "turn-1", "answer")]

    async def forget(self, thread_id, user_id):
        self._owned(thread_id, user_id)
        del self.owners[thread_id]
        self.receipts = {name: one for name, one in self.receipts.items() if one.thread_id != thread_id}

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
    converted: dict[str, str] = field(default_factory=dict)


@dataclass
class Shelf:
    """Knowledge of one passage."""

    version: str = "k1"
    trouble: str = ""
    damage: str = ""
    public: ShelfSearch = field(
        default_factory=lambda: ShelfSearch(
            [Passage("returns#0", "returns", "Returning a lamp", "within 30 days", 1.0)]
        )
    )

    async def ingest(self, path, progress=None, *, embedder=None):
        del progress, embedder
        return Report([path.name])


@dataclass
class Guarded:
    """Guards that are as a test says."""

    weighs = "words alone"

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


class NoVault:
    """Hashes, and nothing to put back."""

    def user_hash(self, user):
        return f"hash of {user}"

    def digest(self, text):
        return f"digest of {text}"

    def read(self, thread):
        del thread
        return {}


@dataclass
class DeskLedger:
    """The receipts of a scripted desk."""

    desk: ScriptedDesk

    def get(self, turn_id):
        if turn_id not in self.desk.receipts:
            raise NotFoundError("no such turn", where=turn_id)
        return self.desk.receipts[turn_id]


@dataclass
class ListedReplays:
    """What store/replays.py keeps in a database, in a dict: [body, turn, whether it ended, until when]."""

    clock: FrozenClock
    rows: dict[str, list[Any]] = field(default_factory=dict)

    def begin(self, slot, turn_id):
        self.rows = {name: row for name, row in self.rows.items() if self.clock.now() < row[3]}
        kept = self.rows.setdefault(slot.id, [slot.body, turn_id, False, self.clock.now() + KEPT])
        if kept[0] != slot.body:
            return Standing("other_body")
        if kept[1] == turn_id:
            return Standing("mine")
        return Standing("done", kept[1]) if kept[2] else Standing("running")

    def end(self, slot, turn_id):
        del turn_id
        self.rows[slot.id][2:] = [True, self.clock.now() + KEPT]

    def drop(self, slot, turn_id):
        del turn_id
        del self.rows[slot.id]


@dataclass
class Released:
    """What ships serves."""

    trouble: str = ""
    serving: str = "built-in"
    environment: str = "dev"


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
    releases: Released = field(default_factory=Released)
    local: None = None
    clock: FrozenClock = field(default_factory=FrozenClock)
    store: Any = None
    exporter: Any = None

    def __post_init__(self):
        self.store = self.store or SimpleNamespace(
            check=lambda: None,
            shared=False,
            keys=NoKeys(),
            tickets=NoTickets(),
            vault=NoVault(),
            ledger=DeskLedger(self.desk),
            replays=ListedReplays(self.clock),
        )


@asynccontextmanager
async def served(service, *, grace=5.0, patience=PATIENCE):
    """The application on a free port of loopback; its address, and the task that ends when serving does."""
    listener, ready = open_listener("127.0.0.1", 0), asyncio.Event()
    app = create_app(service, owner_token=TOKEN, heartbeat=0.05)
    serving = asyncio.create_task(listen(app, listener, grace=grace, ready=ready.set, patience=patience))
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
    service = service or FakeService()
    clock = service.clock
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
