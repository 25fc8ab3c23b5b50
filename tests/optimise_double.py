"""What the tests of `frontdesk optimise` share: a student and a teacher behind a real HTTP server, and rows to sort."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from fakes import FrozenClock
from places import open_store
from test_models_chat import Status, Upstream, row, said

from models.catalog import Endpoint, Route
from models.chat import ModelClient
from prompts import PromptLibrary
from store import Store
from training.asking import Asking
from training.gepa import Job
from training.optimise import Plan, optimise
from training.subjects import Subject, scope_subject

CARDS = ["my card is lost", "the card was swallowed", "activate this plastic", "pin does not work", "order a new visa"]
APPS = ["cannot sign in", "forgot the passcode", "app shows an error", "change my login", "website is stuck"]
OTHER = ["sing a song", "weather in hue", "who won the match", "recipe for pho", "book a flight"]
BETTER, WORSE, BROKEN = "Think of MAGIC at {{desk}}.", "Say anything at {{desk}}.", "Say MAGIC."


class Models(Upstream):
    """`student` sorts everything as out until its instruction says MAGIC; `teacher` says what `proposal` holds.

    A script stands for what goes wrong, as in Upstream; `down` names a model that never answers. `asked`: by model.
    """

    def __init__(self, proposal: str = BETTER) -> None:
        super().__init__()
        self.proposal, self.down, self.fails_after = proposal, "", 10**6

    def asked(self, model: str) -> list[dict[str, Any]]:
        return [each for each in self.requests if each["model"] == model and len(each["messages"]) > 1]

    def act(self, handler: BaseHTTPRequestHandler, what: Any) -> None:
        request = self.requests[-1]
        if request["model"] == self.down or len(self.requests) > self.fails_after:
            super().act(handler, Status(400))
        elif request["model"] == "teacher" and len(request["messages"]) > 1:
            super().act(handler, said(json.dumps({"new_instruction": self.proposal})))
        elif what != said("fine"):
            super().act(handler, what)
        else:
            super().act(handler, said(self.sorted(request)))

    def sorted(self, request: dict[str, Any]) -> str:
        system, last = request["messages"][0]["content"], request["messages"][-1]["content"]
        if "MAGIC" not in system:
            return "out"
        names = {"cards": CARDS, "apps": APPS, "out": OTHER}
        return next((name for name, texts in names.items() if any(text in last for text in texts)), "out")


def climb(job: Job) -> str:
    """The smallest search there is: one proposal from the first rows, kept if it is better on the validation rows."""
    before = sum(job.ask(job.start, one) for one in job.validation)
    for one in job.train[:3]:
        job.ask(job.start, one)
    proposal = job.propose(job.start, job.train[:3])
    after = sum(job.ask(proposal, one) for one in job.validation)
    return proposal if after > before else job.start


@dataclass
class Workshop:
    """One desk's books and models, and a run in them."""

    models: Models
    store: Store
    folder: Path
    clock: FrozenClock = field(default_factory=FrozenClock)
    lines: list[str] = field(default_factory=list)
    seen: list[tuple[int, int]] = field(default_factory=list)

    async def run(self, subject: Subject, search: Any = climb) -> Any:
        endpoint = Endpoint("custom", self.models.url, "remote", "key-1", private=True)
        client = ModelClient(
            [Route(row("student"), endpoint), Route(row("teacher", tier="complex", context=9000), endpoint)],
            budget=self.store.budget,
            clock=self.clock,
            jitter=lambda: 0.5,
            timeout=5.0,
        )
        library = PromptLibrary.load()
        self.asking = Asking(
            client, self.store.ledger, self.clock, work="optimise-scope-1", desk="bank", folder=self.folder
        )
        try:
            return await optimise(
                subject,
                library.get("scope"),
                library.get("reflect"),
                plan=Plan("student", "teacher", 60, self.folder),
                asking=self.asking,
                search=search,
                say=self.lines.append,
                progress=lambda done, total: self.seen.append((done, total)),
            )
        finally:
            await client.aclose()


@contextmanager
def workshop(folder: Path, proposal: str = BETTER) -> Iterator[Workshop]:
    models, clock = Models(proposal), FrozenClock()
    store = open_store(folder / "state", clock, daily_limit=1_000_000_000)
    try:
        yield Workshop(models, store, folder, clock)
    finally:
        store.close()
        models.close()


def written(folder: Path, rows: list[dict[str, Any]], name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(json.dumps(each) for each in rows) + "\n", encoding="utf-8")
    return path


def rows_to_sort() -> list[dict[str, Any]]:
    return [
        {"text": f"{text}{ending}", "category": name}
        for name, texts in (("cards", CARDS), ("apps", APPS), ("out", OTHER))
        for text in texts
        for ending in (", what can be done about that", "")
    ]


def subject(folder: Path, rows: list[dict[str, Any]] | None = None) -> Subject:
    return scope_subject(written(folder, rows_to_sort() if rows is None else rows), "Harbour Bank")
