"""A person takes over: what joins the ticket, what the agent says, who is told, and how it ends."""

import asyncio
import hmac
import json
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from fakes import FrozenClock
from house import House, open_house
from structlog.testing import capture_logs

from domain.errors import NotFoundError, UsageError
from domain.profile import DeskProfile
from domain.turn import Language
from graph.bell import Bell
from graph.handoffs import withdraw
from graph.operations import run
from graph.record import Question
from graph.webhook import Webhook
from prompts import Replies
from store.tickets import Ticket

PERSON = "I want to talk to a person about my refund. I am ann@mail.example."
ASKED = "How many days do I have to return a lamp?"


def service_of(house: House) -> Any:
    """What the inbox reads of a service."""
    settings = SimpleNamespace(max_message_chars=200)
    return SimpleNamespace(desk=house.desk, store=house.store, clock=house.clock, settings=settings)


def test_a_person_takes_over_answers_and_gives_the_thread_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with open_house(tmp_path) as house:
            service = service_of(house)
            handed = await house.desk.ask(Question(PERSON, "ann"))
            assert handed.handoff is not None
            ticket = handed.handoff.ticket
            house.clock.advance(90)
            (waiting,) = (await run(service, "handoffs", {}))["handoffs"]
            assert (waiting["ticket"], waiting["department"], waiting["waiting_seconds"]) == (ticket, "returns", 90)
            assert "ann@mail.example" not in json.dumps(waiting)

            more = await house.desk.ask(Question(f"By the way: {ASKED}", "ann", handed.thread_id))
            assert more.outcome == "answer"
            shown = await run(service, "handoffs.show", {"ticket": ticket.lower()})
            assert [(one["author"], ASKED in one["text"]) for one in shown["messages"]] == [
                ("desk", False),
                ("customer", True),
            ]

            said = {"ticket": ticket, "text": "Hello! We wrote to <EMAIL_1>; call me at bob@lamps-agent.example."}
            done = await run(service, "handoffs.reply", said, who="key k1 (Linh)")
            assert done["waiting_seconds"] == 0
            assert "bob@lamps-agent.example" not in json.dumps(done)
            assert "<EMAIL_2>" in done["messages"][-1]["text"]
            last = (await house.desk.thread(handed.thread_id, "ann"))[-1]
            assert (last.role, last.outcome) == ("assistant", "agent")
            assert last.text == "Hello! We wrote to ann@mail.example; call me at bob@lamps-agent.example."
            with pytest.raises(NotFoundError):
                await house.desk.thread(handed.thread_id, "eve")

            closed = await run(service, "handoffs.close", {"ticket": ticket}, who="key k1 (Linh)")
            assert closed["closed_at"] is not None
            assert (await run(service, "handoffs", {}))["handoffs"] == []
            again = await house.desk.ask(Question(ASKED, "ann", handed.thread_id))
            assert (again.outcome, again.handoff) == ("answer", None)
            with pytest.raises(NotFoundError):
                await run(service, "handoffs.reply", said, who="x")
            assert [message.outcome for message in await house.desk.thread(handed.thread_id, "ann")] == [
                "handoff", "handoff", "answer", "answer", "agent", "answer", "answer",
            ]  # fmt: skip

            new = await house.desk.ask(Question("A person please, I want to talk to a human", "ann", handed.thread_id))
            assert new.handoff is not None
            assert new.handoff.ticket != ticket
            logged = [(entry.who, entry.what) for entry in house.store.audit.recent(5)]
            assert logged == [("key k1 (Linh)", "handoffs.close"), ("key k1 (Linh)", "handoffs.reply")]

    asyncio.run(story())
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"bob@lamps-agent.example" not in kept


def test_who_withdraws_gets_no_persons_answer_any_more_and_may_ask_for_one_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with open_house(tmp_path) as house:
            service = service_of(house)
            handed = await house.desk.ask(Question(PERSON, "ann"))
            other = await house.desk.ask(Question(PERSON, "lan"))
            assert handed.handoff is not None
            ticket, thread = handed.handoff.ticket, handed.thread_id
            for user, place in (("eve", thread), ("ann", other.thread_id), ("ann", "no such thread")):
                with pytest.raises(NotFoundError, match="no such thread"):
                    await withdraw(service, thread=place, user=user, who="x")
            house.clock.advance(60)
            assert await withdraw(service, thread=thread, user="ann", who="the user") == ticket
            assert await withdraw(service, thread=thread, user="ann", who="the user") is None

            listed = await run(service, "handoffs", {})
            assert [one["thread"] for one in listed["handoffs"]] == [other.thread_id]
            assert [(one["ticket"], one["closed_by"], one["waiting_seconds"]) for one in listed["withdrawn"]] == [
                (ticket, "customer", 0)
            ]
            with pytest.raises(NotFoundError, match="closed"):
                await run(service, "handoffs.reply", {"ticket": ticket, "text": "Here I am"}, who="x")
            assert (await run(service, "handoffs.close", {"ticket": ticket}, who="x"))["closed_by"] == "customer"
            answered = await house.desk.ask(Question(ASKED, "ann", thread))
            assert (answered.outcome, answered.handoff) == ("answer", None)
            said = await house.desk.thread(thread, "ann")
            assert [one.outcome for one in said[1::2]] == ["handoff", "answer"]
            exported = (await run(service, "data.export", {"user": "ann"}))["tickets"]
            assert [(one["ticket"], one["closed_by"]) for one in exported] == [(ticket, "customer")]

            house.clock.advance(86_401)
            assert (await run(service, "handoffs", {}))["withdrawn"] == []
            again = await house.desk.ask(Question(PERSON, "ann", thread))
            assert again.handoff is not None
            assert again.handoff.ticket != ticket
            logged = [(entry.who, entry.what, entry.after) for entry in house.store.audit.recent(9)]
            (withdrawn,) = [each for each in logged if each[1] == "handoffs.withdraw"]
            assert (withdrawn[0], withdrawn[2]["ticket"]) == ("the user", ticket)  # type: ignore[index]  # JSON

    asyncio.run(story())


@pytest.mark.parametrize("text", ["  ", "x" * 201])
def test_an_answer_of_nothing_or_too_much_is_wrong_use(tmp_path: Path, text: str) -> None:
    async def story() -> None:
        async with open_house(tmp_path) as house:
            with pytest.raises(UsageError):
                await run(service_of(house), "handoffs.reply", {"ticket": "T-22222", "text": text}, who="x")
            with pytest.raises(NotFoundError):
                await run(service_of(house), "handoffs.reply", {"ticket": "T-22222", "text": "Hello"}, who="x")

    asyncio.run(story())


class Receiver:
    """An address that takes what is posted to it; the first `away` times it is out of order."""

    def __init__(self, away: int = 0) -> None:
        outer, self.got, self.away = self, list[tuple[dict[str, str], bytes]](), away

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.away -= 1
                self.send_response(500 if outer.away >= 0 else 204)
                self.end_headers()
                if outer.away < 0:
                    outer.got.append((dict(self.headers), body))

            def log_message(self, *_: Any) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def bell(receiver: Receiver, *, private: bool = True) -> tuple[Bell, list[float]]:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    url = f"http://127.0.0.1:{receiver.server.server_port}/hook"
    return Bell("lamps", Webhook(url, FrozenClock(), "s3cret", private, "HANDOFF"), sleep=sleep), pauses


def test_each_new_ticket_is_told_once_signed_and_masked(tmp_path: Path) -> None:
    receiver = Receiver(away=2)
    made, pauses = bell(receiver)

    async def story() -> str:
        async with open_house(tmp_path, bell=made) as house:
            first = await house.desk.ask(Question(PERSON, "ann"))
            await house.desk.ask(Question("A human please!", "ann", first.thread_id))
            assert first.handoff is not None
            return first.handoff.ticket

    try:
        ticket = asyncio.run(story())
    finally:
        receiver.close()
    ((headers, body),) = receiver.got
    told = json.loads(body)
    assert (told["event"], told["ticket"], told["department"]) == ("handoff.opened", ticket, "returns")
    assert "refund" in told["summary"]
    assert b"ann@mail.example" not in body
    moment, mark = (part.partition("=")[2] for part in headers["X-Frontdesk-Signature"].split(","))
    assert mark == hmac.digest(b"s3cret", f"{moment}.".encode() + body, "sha256").hex()
    assert len(pauses) == 2


def test_a_withdrawn_ticket_is_told_once_too(tmp_path: Path) -> None:
    receiver = Receiver()
    made, _ = bell(receiver)

    async def story() -> str | None:
        async with open_house(tmp_path, bell=made) as house:
            thread = (await house.desk.ask(Question(PERSON, "ann"))).thread_id
            ticket = await withdraw(service_of(house), thread=thread, user="ann", who="the user")
            assert await withdraw(service_of(house), thread=thread, user="ann", who="the user") is None
            return ticket

    try:
        ticket = asyncio.run(story())
    finally:
        receiver.close()
    told = sorted((json.loads(body) for _, body in receiver.got), key=lambda body: str(body["event"]))
    assert [(one["event"], one["ticket"], bool(one.get("closed_at"))) for one in told] == [
        ("handoff.opened", ticket, False),
        ("handoff.withdrawn", ticket, True),
    ]
    assert all("X-Frontdesk-Signature" in headers and b"ann@mail.example" not in body for headers, body in receiver.got)


def test_a_webhook_into_the_own_network_is_refused_and_said() -> None:
    receiver = Receiver()
    made, pauses = bell(receiver, private=False)
    ticket = Ticket("T-22222", "t", "turn", "u", "", "customer_asked", "", datetime(2026, 1, 1, tzinfo=UTC))

    async def ring() -> None:
        made.ring(ticket)
        await made.close()

    with capture_logs() as lines:
        asyncio.run(ring())
    receiver.close()
    assert receiver.got == []
    assert len(pauses) == 3
    (line,) = [line for line in lines if line["event"] == "ticket not told"]
    assert "FRONTDESK_HANDOFF_PRIVATE" in line["error"]


@pytest.mark.parametrize(
    ("hours", "told"),
    [
        ("Mon-Fri 9-17", {"en": "Mon-Fri 9-17", "vi": "Mon-Fri 9-17"}),
        ({"en": "Mon-Fri 9-17", "vi": "T2-T6 9-17"}, {"en": "Mon-Fri 9-17", "vi": "T2-T6 9-17"}),
        ({"vi": "T2-T6 9-17"}, {"en": "T2-T6 9-17", "vi": "T2-T6 9-17"}),
    ],
    ids=["one text", "one a language", "one language"],
)
def test_office_hours_are_told_with_their_zone_in_the_language_of_the_customer(hours: object, told: Any) -> None:
    contact = {"hours": hours, "timezone": "Asia/Ho_Chi_Minh"}
    profile = DeskProfile.model_validate({"name": "Lamp Shop", "scope": {"describe": "lamps"}, "contact": contact})
    replies = Replies(profile)
    for language in get_args(Language):
        for key in ("customer_asked", "low_confidence"):
            assert f"{told[language]} (Asia/Ho_Chi_Minh)" in replies.text(key, language)
