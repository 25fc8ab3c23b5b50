"""Customers' routes: replies and events, whose turn it is, repeated requests, threads, feedback."""

import asyncio
import json

import pytest
from api_fakes import ANSWER, FakeService, ScriptedDesk, at_door, events_of
from fakes import FrozenClock
from places import open_store
from structlog.testing import capture_logs

from domain.errors import NotFoundError, OverloadedError, StoreError, ThreadBusyError
from domain.ports import ModelCard

SESSION = "session-" + "a" * 43


@pytest.fixture(autouse=True)
def logged():
    with capture_logs() as lines:
        yield lines


def names(response):
    return [name for name, _ in events_of(response.text)]


def test_a_question_gets_the_reply_of_its_turn():
    async def work(door):
        answer = await door.ask(
            "Đổi trả thế nào?",
            user_id="lan",
            thread_id="t1",
            language="vi",
            context=[{"title": "Order 7", "text": "on its way"}],
        )
        return answer, door.desk.asked[0]

    answer, question = at_door(work)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["answer"], body["thread_id"], body["turn_id"]) == (ANSWER, "t1", "turn-1")
    assert body["sources"] == [
        {
            "id": "returns",
            "title": "Returning a lamp",
            "quote": "within 30 days",
            "url": None,
            "section": "Time",
            "passage": "returns#0",
        }
    ]
    assert answer.headers["x-trace-id"] == body["trace_id"]
    assert answer.headers["cache-control"] == "no-store"
    assert (question.message, question.user_id, question.thread_id, question.language) == (
        "Đổi trả thế nào?",
        "lan",
        "t1",
        "vi",
    )
    assert question.context == [{"title": "Order 7", "text": "on its way"}]


@pytest.mark.parametrize("path", ["/v1/chat", "/v1/chat/stream"])
def test_the_same_turn_comes_as_events(path):
    async def work(door):
        headers = {"Accept": "application/json;q=0.1, text/event-stream"} if path == "/v1/chat" else {}
        return await door.post(path, {"message": "how long?"}, headers=headers)

    answer = at_door(work)
    events = events_of(answer.text)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [name for name, _ in events][:2] == ["step", "token"]
    assert [name for name, _ in events][-2:] == ["sources", "done"]
    assert json.loads(events[0][1]) == {"name": "guard_input", "ms": 1.5}
    spoken = "".join(json.loads(data)["text"] for name, data in events if name == "token")
    assert spoken.strip() == ANSWER == json.loads(events[-1][1])["answer"]


@pytest.mark.parametrize("accept", ["application/json", "*/*", "text/event-stream;q=0", "text/event-streams"])
def test_only_who_asks_for_events_gets_them(accept):
    answer = at_door(lambda door: door.ask(headers={"Accept": accept}))
    assert answer.json()["answer"] == ANSWER


def test_a_quiet_turn_says_that_it_is_alive():
    async def work(door):
        door.desk.wait = asyncio.Event()
        asking = asyncio.create_task(door.ask_events())
        await door.desk.begun.wait()
        await asyncio.sleep(0.2)
        door.desk.wait.set()
        return await asking

    heard = names(at_door(work, heartbeat=0.02))
    assert heard.count(":") >= 2
    assert heard[0] == "step"
    assert heard[-1] == "done"


def test_a_turn_that_is_quiet_from_the_start_is_streamed_all_the_same():
    async def work(door):
        door.desk.wait, door.desk.silent_first = asyncio.Event(), True
        asking = asyncio.create_task(door.ask_events())
        await door.desk.begun.wait()
        await asyncio.sleep(0.05)
        door.desk.wait.set()
        return await asking

    heard = names(at_door(work, heartbeat=0.02))
    assert heard[0] == ":"
    assert heard[-1] == "done"


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        (ThreadBusyError("still being answered"), 409, "/problems/thread-busy"),
        (NotFoundError("no such thread"), 404, "/problems/not-found"),
        (OverloadedError("too many turns"), 503, "/problems/overloaded"),
        (StoreError("disk I/O error", where="/srv/secret/desk.sqlite3"), 503, "/problems/not-ready"),
        (RuntimeError("password=hunter2"), 500, "/problems/internal-error"),
    ],
)
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_turn_that_cannot_begin_is_a_problem_of_its_own_status(fault, status, kind, accept):
    answer = at_door(lambda door: door.ask(headers={"Accept": accept}), FakeService(desk=ScriptedDesk(early=fault)))
    problem = answer.json()
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["type"], problem["status"]) == (kind, status)
    assert problem["instance"].startswith("urn:uuid:")
    assert "hunter2" not in answer.text
    assert "/srv" not in answer.text
    assert ("retry-after" in answer.headers) == (status in (409, 503))


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        (RuntimeError("password=hunter2"), 500, "/problems/internal-error"),
        (StoreError("x", where="/srv/secret"), 503, "/problems/not-ready"),
    ],
)
def test_a_turn_that_breaks_in_mid_stream_ends_in_an_error_event(fault, status, kind):
    answer = at_door(lambda door: door.ask_events(), FakeService(desk=ScriptedDesk(late=fault)))
    events = events_of(answer.text)
    assert [name for name, _ in events] == ["step", "error"]
    told = json.loads(events[-1][1])
    assert (told["status"], told["type"]) == (status, kind)
    assert set(told) == {"status", "type", "title", "instance"}
    assert "hunter2" not in answer.text
    assert "srv" not in answer.text


def test_what_was_our_fault_is_found_in_the_log_by_its_instance(logged):
    answer = at_door(lambda door: door.ask(), FakeService(desk=ScriptedDesk(late=KeyError("hunter2"))))
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert [line["trace_id"] for line in logged] == [answer.json()["instance"].removeprefix("urn:uuid:")]


def test_what_is_nobodys_fault_is_not_logged(logged):
    at_door(lambda door: door.ask(), FakeService(desk=ScriptedDesk(early=OverloadedError("too many turns"))))
    assert logged == []


# ---- whose turn it is


def test_the_user_is_the_one_named_else_the_session_else_anyone():
    async def work(door):
        await door.ask()
        await door.ask(user_id="lan")
        door.http.cookies.set("frontdesk_session", SESSION)
        await door.ask()
        await door.ask(user_id="lan")
        door.http.cookies.set("frontdesk_session", "session-forged")
        await door.ask()
        return [question.user_id for question in door.desk.asked]

    assert at_door(work) == ["anonymous", "lan", SESSION, "lan", "anonymous"]


def test_a_thread_is_read_and_deleted_by_its_user_only():
    async def work(door):
        thread = (await door.ask(user_id="lan")).json()["thread_id"]
        at = f"/v1/threads/{thread}"
        foreign = [
            await door.http.get(at),
            await door.http.get(at, params={"user_id": "minh"}),
            await door.http.delete(at, params={"user_id": "minh"}),
        ]
        own = await door.http.get(at, params={"user_id": "lan"})
        gone = await door.http.delete(at, params={"user_id": "lan"})
        after = await door.http.get(at, params={"user_id": "lan"})
        return foreign, own, gone, after

    foreign, own, gone, after = at_door(work)
    assert [answer.status_code for answer in foreign] == [404, 404, 404]
    assert own.json() == {
        "thread_id": "thread-1",
        "ticket": None,
        "messages": [
            {"role": "user", "text": "how long?", "turn_id": "", "outcome": ""},
            {"role": "assistant", "text": ANSWER, "turn_id": "turn-1", "outcome": "answer"},
        ],
    }
    assert (gone.status_code, gone.content) == (204, b"")
    assert after.status_code == 404


def test_a_thread_of_the_page_is_read_with_its_session():
    async def work(door):
        door.http.cookies.set("frontdesk_session", SESSION)
        thread = (await door.ask()).json()["thread_id"]
        return await door.http.get(f"/v1/threads/{thread}")

    assert at_door(work).status_code == 200


def test_a_request_for_a_person_is_withdrawn_by_its_user_only(tmp_path):
    store = open_store(tmp_path, FrozenClock(), daily_limit=1_000_000)
    store.threads.claim("t1", store.vault.user_hash("lan"))
    opened = store.tickets.open(
        "t1", "turn-1", store.vault.user_hash("lan"), department="repairs", reason="customer_asked", summary="lamp"
    )

    async def work(door):
        at = "/v1/threads/t1/withdraw"
        foreign = [await door.http.post(at), await door.http.post(at, params={"user_id": "minh"})]
        forged = await door.http.post(at, params={"user_id": "lan"}, headers={"Origin": "https://evil.example"})
        still = store.tickets.get(opened.id).closed_at
        own = [await door.http.post(at, params={"user_id": "lan"}) for _ in "12"]
        return foreign, forged, still, own

    foreign, forged, still, own = at_door(work, FakeService(store=store))
    kept, audit = store.tickets.get(opened.id), store.audit.recent(9)
    store.close()
    assert [answer.status_code for answer in foreign] == [404, 404]
    assert (forged.status_code, still) == (403, None)
    assert [(answer.status_code, answer.json()) for answer in own] == [
        (200, {"ticket": opened.id}),
        (200, {"ticket": None}),
    ]
    assert kept.closed_by == "customer"
    assert [(entry.who, entry.what) for entry in audit] == [("the user, or their server", "handoffs.withdraw")]


def test_a_later_rating_takes_the_place_of_the_earlier():
    async def work(door):
        first = await door.post("/v1/feedback", {"turn_id": "turn-1", "rating": "down", "user_id": "lan"})
        again = await door.post(
            "/v1/feedback", {"turn_id": "turn-1", "rating": "down", "comment": "cũ rồi", "user_id": "lan"}
        )
        unknown = await door.post("/v1/feedback", {"turn_id": "no", "rating": "up"})
        return first, again, unknown, door.desk.ratings

    first, again, unknown, ratings = at_door(work)
    assert (first.status_code, again.status_code, unknown.status_code) == (204, 204, 404)
    assert "content-type" not in first.headers  # there is nothing that could be read as JSON
    assert ratings == {"turn-1": ("lan", "down", "cũ rồi")}


@pytest.mark.parametrize(
    ("card", "mode"),
    [(None, "quote"), (ModelCard("m", "local", "medium"), "local"), (ModelCard("m", "remote", "medium"), "remote")],
)
def test_the_page_learns_who_it_speaks_for(card, mode):
    service = FakeService()
    service.chat.card = card
    assert at_door(lambda door: door.http.get("/v1/desk"), service).json() == {
        "name": "Lamp Shop",
        "languages": ["en", "vi"],
        "greeting": {"en": "Hello!", "vi": "Xin chào!"},
        "suggestions": {
            "en": ["How long may I keep a lamp?", "Do you repair lamps?"],
            "vi": ["Tôi được giữ đèn bao lâu?"],
        },
        "departments": {"en": {"repairs": "Repairs"}, "vi": {"repairs": "Sửa chữa"}},
        "mode": mode,
        "contact": {
            "email": "help@lamps.example",
            "phone": "",
            "hours": {"en": "Mon-Fri 9-17", "vi": "T2-T6 9-17"},
            "timezone": "UTC",
        },
    }


# ---- repeated requests

KEY = {"Idempotency-Key": "k-1"}


def test_a_repeated_request_is_answered_from_memory():
    async def work(door):
        first = await door.ask(headers=KEY)
        again = await door.ask(headers=KEY)
        streamed = await door.ask_events(headers=KEY)
        return first, again, streamed, len(door.desk.asked)

    first, again, streamed, asked = at_door(work)
    assert asked == 1
    assert again.json() == first.json() == json.loads(events_of(streamed.text)[-1][1])
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert names(streamed) == ["token", "sources", "done"]


def test_a_key_stands_for_one_body_of_one_user():
    async def work(door):
        await door.ask(headers=KEY)
        other = await door.ask("Something else?", headers=KEY)
        lan = await door.ask(headers=KEY, user_id="lan")
        return other, lan, len(door.desk.asked)

    other, lan, asked = at_door(work)
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert lan.status_code == 200
    assert asked == 2


def test_a_repeated_request_waits_for_the_first():
    async def work(door):
        door.desk.wait = asyncio.Event()
        first = asyncio.create_task(door.ask_events(headers=KEY))
        await door.desk.begun.wait()
        running = await door.ask(headers=KEY)
        door.desk.wait.set()
        return running, await first, await door.ask(headers=KEY), len(door.desk.asked)

    running, first, after, asked = at_door(work)
    assert (running.status_code, running.json()["type"]) == (409, "/problems/request-running")
    assert json.loads(events_of(first.text)[-1][1]) == after.json()
    assert asked == 1


def test_a_failed_turn_may_be_repeated():
    async def work(door):
        door.desk.early = OverloadedError("too many turns")
        failed = await door.ask(headers=KEY)
        door.desk.early = None
        return failed, await door.ask(headers=KEY)

    failed, after = at_door(work)
    assert (failed.status_code, after.status_code) == (503, 200)


def test_replies_are_not_kept_for_ever_nor_after_deletion():
    async def work(door):
        await door.ask(headers=KEY)
        door.clock.advance(599)
        await door.ask(headers=KEY)
        kept = len(door.desk.asked)
        door.clock.advance(2)
        thread = (await door.ask(headers=KEY)).json()["thread_id"]
        expired = len(door.desk.asked)
        await door.http.delete(f"/v1/threads/{thread}")
        await door.ask(headers=KEY)
        return kept, expired, len(door.desk.asked)

    assert at_door(work) == (1, 2, 3)


def test_who_reads_along_is_told_what_was_taken_back():
    desk = ScriptedDesk(retracted="You have 77 days.")

    async def work(door):
        return await door.ask_events(), await door.ask()

    events, whole = at_door(work, FakeService(desk=desk))
    told = events_of(events.text)
    place = [name for name, _ in told].index("retract")
    assert json.loads(told[place - 1][1]) == {"text": "You have 77 days."}
    spoken = "".join(json.loads(data)["text"] for name, data in told[place:] if name == "token")
    assert spoken.strip() == ANSWER == json.loads(told[-1][1])["answer"] == whole.json()["answer"]
    assert [question.live for question in desk.asked] == [True, False]


def test_an_event_is_sent_before_the_turn_goes_on():
    happened = []

    class Busy(ScriptedDesk):
        async def stream(self, question, pins=None):
            async for event in super().stream(question, pins):
                yield event
                happened.append(f"after {type(event).__name__}")

    async def work(door):
        asked = json.dumps({"message": "how long?"}).encode()
        headers = {b"host": b"127.0.0.1", b"content-type": b"application/json"}
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/v1/chat/stream",
            "query_string": b"",
        }
        given = asyncio.Queue()
        given.put_nowait({"type": "http.request", "body": asked, "more_body": False})

        async def send(message):
            happened.append(message.get("body", b"").partition(b"\n")[0].decode())

        await door.app(scope | {"headers": list(headers.items()), "client": ("127.0.0.1", 1)}, given.get, send)

    at_door(work, FakeService(desk=Busy("Yes.")))
    head, step, after, token, *_ = happened
    assert (head, step, after, token) == ("", "event: step", "after StepDone", "event: token")
