"""One user's data: shown whole to them, and removed from everywhere, while the books add up."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from api_fakes import FakeService, open_door
from fakes import ScriptedChat
from house import House, open_house

from domain.errors import FrontdeskError, NotFoundError, UsageError
from domain.settings import Settings
from graph.operations import run
from graph.record import Question
from store.reviews import Right

ASKED = "How many days do I have to return a lamp? Write to ann@mail.example, my nickname is Quibbleton."
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SECOND = "You have 30 days to return an unused lamp."


class Traces:
    """As much of Langfuse as deletes traces."""

    def __init__(self, status: int = 200) -> None:
        outer, self.asked = self, list[tuple[str, str, Any]]()

        class Handler(BaseHTTPRequestHandler):
            def do_DELETE(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append((self.path, self.headers["authorization"], body))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def langfuse() -> Iterator[Traces]:
    server = Traces()
    yield server
    server.close()


def service_of(house: House, host: str = "") -> Any:
    settings = Settings(
        langfuse_host=host or "http://127.0.0.1:9", langfuse_public_key="pk" if host else "", langfuse_secret_key="sk"
    )
    return SimpleNamespace(desk=house.desk, store=house.store, clock=house.clock, settings=settings)


async def history_of(house: House, user: str) -> str:
    """A turn by a model, a rating, a person asked for, who answered; the thread."""
    first = await house.desk.ask(Question(ASKED, user))
    await house.desk.rate(first.turn_id, user, "down", "not what I meant, says Quibbleton")
    handed = await house.desk.ask(Question("I want to talk to a person", user, first.thread_id))
    assert handed.handoff is not None
    await run(service_of(house), "handoffs.reply", {"ticket": handed.handoff.ticket, "text": "Soon!"}, who="agent")
    await house.judging.drain()
    return first.thread_id


def kept(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_nothing_of_a_deleted_user_is_found_and_the_books_are_as_before(tmp_path: Path, langfuse: Traces) -> None:
    async def story() -> None:
        chat = ScriptedChat([SECOND] * 8)
        async with open_house(tmp_path, chat=chat) as house:
            service = service_of(house, langfuse.url)
            thread = await history_of(house, "ann")
            other = await house.desk.ask(Question(ASKED.replace("Quibbleton", "Bob"), "bob"))
            await house.judging.drain()
            ann, bob = (house.store.vault.user_hash(name) for name in ("ann", "bob"))
            traces = house.store.people.traces(ann)
            before = house.store.ledger.totals(LONG_AGO)
            found = await asyncio.to_thread(kept, tmp_path)
            assert b"Quibbleton" in found
            assert ann.encode() in found
            assert thread.encode() in found

            done = await run(service, "data.delete", {"user": "ann"}, who="key k1 (Linh)")
            assert (done["threads"], done["receipts"], done["feedback"], done["tickets"]) == (1, 2, 1, 1)
            assert 1 <= done["calls"] <= before.calls
            ((path, authorization, body),) = langfuse.asked
            assert (path, authorization.split()[0], sorted(body["traceIds"])) == (
                "/api/public/traces",
                "Basic",
                sorted(traces),
            )

            found = await asyncio.to_thread(kept, tmp_path)
            for trace in (b"Quibbleton", ann.encode(), thread.encode(), b"Soon!"):
                assert trace not in found, trace
            assert bob.encode() in found
            after = house.store.ledger.totals(LONG_AGO)
            assert (after.calls, after.cost_microusd, after.input_tokens) == (
                before.calls,
                before.cost_microusd,
                before.input_tokens,
            )
            assert before.cost_microusd > 0
            with pytest.raises(NotFoundError):
                await house.desk.thread(thread, "ann")
            assert len(await house.desk.thread(other.thread_id, "bob")) == 2
            entry = house.store.audit.recent(1)[0]
            assert (entry.who, entry.what, entry.after) == ("key k1 (Linh)", "data.delete", done)
            assert await run(service, "data.export", {"user": "ann"}) == {
                "user": "ann", "threads": [], "turns": [], "feedback": [], "tickets": [], "reviews": [],
            }  # fmt: skip

    asyncio.run(story())


def test_a_user_is_shown_all_that_is_kept_with_their_own_data_in_place(tmp_path: Path) -> None:
    async def story() -> Any:
        async with open_house(tmp_path, chat=ScriptedChat([SECOND] * 8)) as house:
            thread = await history_of(house, "ann")
            turn, handed = house.store.people.turns(house.store.vault.user_hash("ann"))
            other = await house.desk.ask(Question("What is the warranty on a lamp?", "bob"))
            for rated in (turn, other.turn_id):
                house.store.reviews.rate(rated, "Linh", {"accuracy": 2, "safety": 5})
            right = Right("answer", "Write to <EMAIL_1>.", [["30 days"]], ["returns"], ["60"], "<EMAIL_1> waits")
            house.store.reviews.decide(turn, "corrected", "Linh", right)
            house.store.reviews.ask([handed], "rate")
            shown = await run(service_of(house), "data.export", {"user": "ann"})
            assert [message["text"] for message in shown["threads"][0]["messages"]] == [
                message.text for message in await house.desk.thread(thread, "ann")
            ]
            return shown

    shown = asyncio.run(story())
    assert [turn["question"] for turn in shown["turns"]] == [ASKED, "I want to talk to a person"]
    assert [turn["outcome"] for turn in shown["turns"]] == ["answer", "handoff"]
    (review,) = shown["reviews"]
    assert review["turn_id"] == shown["turns"][0]["turn_id"]
    assert review["ratings"] == [{"aspect": "accuracy", "value": 2}, {"aspect": "safety", "value": 5}]
    assert (review["state"], review["answer"], review["facts"]) == (
        "corrected",
        "Write to ann@mail.example.",
        [["30 days"]],
    )
    assert review["note"] == "ann@mail.example waits"
    assert "Linh" not in json.dumps(shown["reviews"])  # a reviewer is another person
    assert shown["turns"][0]["answer"] == SECOND
    assert shown["turns"][0]["cost_usd"] > 0
    assert [(one["rating"], "Quibbleton" in one["comment"]) for one in shown["feedback"]] == [("down", True)]
    assert shown["tickets"][0]["messages"][-1]["text"] == "Soon!"
    assert "ann@mail.example" in shown["tickets"][0]["messages"][0]["text"]


@pytest.mark.parametrize("status", [500, 401])
def test_nothing_is_deleted_while_langfuse_does_not_say_yes(tmp_path: Path, status: int) -> None:
    server = Traces(status)

    async def story() -> None:
        async with open_house(tmp_path) as house:
            thread = await history_of(house, "ann")
            for host in (server.url, "http://127.0.0.1:9"):
                with pytest.raises(FrontdeskError, match="nothing was deleted"):
                    await run(service_of(house, host), "data.delete", {"user": "ann"}, who="x")
            assert await house.desk.thread(thread, "ann")
            with pytest.raises(UsageError):
                await run(service_of(house), "data.delete", {"user": " "}, who="x")

    try:
        asyncio.run(story())
    finally:
        server.close()


def test_only_the_user_is_shown_or_removed(tmp_path: Path) -> None:
    async def story() -> None:
        async with open_house(tmp_path) as house:
            await history_of(house, "ann")
            real = service_of(house)
            service = FakeService(desk=house.desk)
            service.store = SimpleNamespace(
                keys=house.store.keys,
                people=house.store.people,
                replays=house.store.replays,
                vault=house.store.vault,
                ledger=house.store.ledger,
                feedback=house.store.feedback,
                reviews=house.store.reviews,
                tickets=house.store.tickets,
                audit=house.store.audit,
            )

            async def work(door: Any) -> None:
                cookie = {"cookie": "frontdesk_session=session-" + "a" * 43}
                shown = await door.http.get("/v1/users/ann/data", headers=cookie)
                assert shown.status_code == 200
                assert len(shown.json()["turns"]) == 2
                again = {"Idempotency-Key": "k-1"}
                kept = await door.ask("How many days to return a lamp?", user_id="ann", headers=again)
                assert kept.status_code == 200
                gone = await door.http.delete("/v1/users/ann/data")
                assert gone.status_code == 204
                assert (await door.http.get("/v1/users/ann/data")).json()["turns"] == []
                fresh = await door.ask("How many days to return a lamp?", user_id="ann", headers=again)
                assert "idempotent-replayed" not in fresh.headers
                made = await run(real, "keys.create", {"name": "shop", "scope": "chat"}, who="owner")
                key = {"Authorization": f"Bearer {made['key']}"}
                for send in (door.http.get, door.http.delete):
                    assert (await send("/v1/users/ann/data", headers=key)).status_code == 404
                    assert (await send("/v1/users/nobody/data", headers=key)).status_code == 404
                assert len((await run(real, "data.export", {"user": "ann"}))["turns"]) == 1

            async with open_door(service) as door:
                await work(door)

    asyncio.run(story())


def test_what_was_removed_is_counted(tmp_path: Path) -> None:
    async def story() -> None:
        async with open_house(tmp_path) as house:
            erased = await asyncio.to_thread(house.store.people.erase, "nobody")
            assert set(asdict(erased).values()) == {0}

    asyncio.run(story())
