"""What the door refuses and how, what it shows of itself, and what only the owner may do."""

import asyncio
import gzip
import json
import re
from pathlib import Path

import httpx
import pytest
from api_fakes import BASE, TOKEN, FakeService, ScriptedDesk, at_door
from fakes import FrozenClock
from places import open_store
from structlog.testing import capture_logs

from api.gate import is_loopback
from domain.errors import KnowledgeError, StoreError

JSON = {"Content-Type": "application/json"}
OWNER = {"Authorization": f"Bearer {TOKEN}"}
WEB = Path(__file__).resolve().parent.parent / "api" / "web"


@pytest.fixture(autouse=True)
def logged():
    with capture_logs() as lines:
        yield lines


def raw(content, headers=JSON, path="/v1/chat"):
    """Post bytes as they are; the answer, and how often the desk was asked."""

    async def work(door):
        answer = await door.http.post(path, content=content, headers=headers)
        return answer, len(door.desk.asked)

    return at_door(work)


# ---- bad input


@pytest.mark.parametrize(
    ("content", "status", "kind"),
    [
        (b'{"message": ""}', 422, "invalid-fields"),
        (b'{"message": "  \\n "}', 422, "invalid-fields"),
        (b"{}", 422, "invalid-fields"),
        (b"", 422, "invalid-fields"),
        (b"null", 422, "invalid-fields"),
        (b'["message"]', 422, "invalid-fields"),
        (b'{"message": 7}', 422, "invalid-fields"),
        (b'{"message": NaN}', 422, "invalid-fields"),
        (b'{"message": {"text": "hi"}}', 422, "invalid-fields"),
        (b'{"message": "hi", "mesage": "hi"}', 422, "invalid-fields"),
        (b'{"message": "hi", "language": "fr"}', 422, "invalid-fields"),
        (b'{"message": "hi", "thread_id": 7}', 422, "invalid-fields"),
        (b'{"message": "hi", "thread_id": ""}', 422, "invalid-fields"),
        (b'{"message": "hi", "context": [{"title": "x"}]}', 422, "invalid-fields"),
        (b'{"message": "half a pair: \\ud800"}', 422, "invalid-fields"),
        (b'{"message": "hi", "\\ud800": 1}', 422, "invalid-fields"),
        (b'{"message": "hi"', 400, "unreadable-body"),
        (b"message=hi", 400, "unreadable-body"),
        (b'{"message": "\xff\xfe"}', 400, "unreadable-body"),
        (b"[" * 60_000, 400, "unreadable-body"),
        (json.dumps({"message": "x" * 201}).encode(), 413, "message-too-long"),
        (json.dumps({"message": "x" * 100_000}).encode(), 413, "body-too-large"),
    ],
)
def test_bad_input_is_a_problem_that_no_turn_is_spent_on(content, status, kind):
    answer, asked = raw(content)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"/problems/{kind}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert set(problem) >= {"title", "detail", "instance"}
    assert asked == 0


def test_a_wrong_field_is_named_but_what_it_held_is_not_repeated():
    answer, _ = raw(b'{"message": "hi", "context": [{"title": "t", "text": 1234567}], "langage": "secret"}')
    assert answer.json()["errors"] == [
        {"field": "context.0.text", "problem": "Input should be a valid string"},
        {"field": "langage", "problem": "Extra inputs are not permitted"},
    ]
    assert "1234567" not in answer.text
    assert "secret" not in answer.text


def test_a_message_just_as_long_as_allowed_is_answered():
    answer, asked = raw(json.dumps({"message": "ế" * 200}).encode())
    assert (answer.status_code, asked) == (200, 1)


def test_a_body_without_a_length_is_measured_as_it_comes():
    async def endless():
        for _ in range(100):
            yield b" " * 1_000

    answer, asked = raw(endless())
    assert (answer.status_code, answer.json()["type"], asked) == (413, "/problems/body-too-large", 0)


@pytest.mark.parametrize("media_type", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_another_media_type_is_told_which_to_send(media_type):
    answer, asked = raw(b'{"message": "hi"}', {"Content-Type": media_type} if media_type else {})
    assert (answer.status_code, asked) == (415, 0)
    assert "application/json" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v1/nothing", 404, "no-such-route"),
        ("GET", "/web/../app.py", 404, "no-such-route"),
        ("GET", "/web/%2e%2e%2fapp.py", 404, "no-such-route"),
        ("GET", "/web/nothing.js", 404, "no-such-route"),
        ("GET", "/docs", 404, "no-such-route"),
        ("GET", "/v1/chat", 405, "wrong-method"),
        ("OPTIONS", "/v1/chat", 405, "wrong-method"),
        ("PUT", "/v1/desk", 405, "wrong-method"),
        ("GET", "/v1/threads/unknown", 404, "not-found"),
        ("GET", "/v1/threads/%00%0d%0aX-Evil:1", 404, "not-found"),
        ("GET", "/v1/threads/t?user_id=", 422, "invalid-fields"),
    ],
)
def test_what_is_not_there_is_a_problem(method, path, status, kind):
    answer = at_door(lambda door: door.http.request(method, path))
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{kind}")
    assert "x-evil" not in answer.headers
    assert ("allow" in answer.headers) == (status == 405)


def test_a_long_key_is_refused():
    answer = at_door(lambda door: door.ask(headers={"Idempotency-Key": "k" * 300}))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


# ---- other sites


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost:9000", 200),
        ("[::1]:8000", 200),
        ("evil.example:8000", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:8000", 421),
        ("evil.example@127.0.0.1", 421),
        ("10.0.0.7:8000", 421),
        ("", 421),
        ("127.0.0.1:port", 421),
    ],
)
def test_only_names_of_this_machine_are_served(host, status):
    answer = at_door(lambda door: door.http.get("/v1/desk", headers={"Host": host}))
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": BASE}, 200),
        ({"Origin": "http://localhost:8000", "Host": "localhost:8000"}, 200),
        ({"Origin": "http://localhost:3000"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_only_our_own_page_may_write(headers, status):
    async def work(door):
        return await door.ask(headers=headers), len(door.desk.asked)

    answer, asked = at_door(work)
    assert answer.status_code == status
    assert asked == (1 if status == 200 else 0)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("::", False),
     ("0.0.0.0", False),  # noqa: S104  # nothing is bound
     ("192.168.1.4", False), ("desk.example", False), ("", False)],
)  # fmt: skip
def test_loopback_is_this_machine_alone(host, expected):
    assert is_loopback(host) is expected


# ---- the page


def test_the_page_opens_an_anonymous_session_that_no_script_reads():
    async def work(door):
        first = await door.http.get("/")
        again = await door.http.get("/")
        other = httpx.AsyncClient(transport=httpx.ASGITransport(door.app), base_url=BASE)
        async with other:
            return first, again, await other.get("/")

    first, again, other = at_door(work)
    cookie = first.headers["set-cookie"]
    assert re.match(r"frontdesk_session=session-[A-Za-z0-9_-]{43}; ", cookie)
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "set-cookie" not in again.headers
    assert other.headers["set-cookie"] != cookie


def test_the_page_may_load_nothing_from_elsewhere():
    answer = at_door(lambda door: door.http.get("/"))
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("path", sorted(WEB.iterdir()), ids=lambda path: path.name)
def test_a_file_comes_whole_packed_and_only_once(path):
    async def work(door):
        at = f"/web/{path.name}"
        plain = await door.http.get(at, headers={"Accept-Encoding": "identity"})
        packed = await door.http.get(at, headers={"Accept-Encoding": "gzip"})
        known = await door.http.get(at, headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["etag"]})
        return plain, packed, known

    plain, packed, known = at_door(work)
    assert plain.content == packed.content == path.read_bytes()
    assert packed.headers["content-encoding"] == "gzip"
    assert len(gzip.compress(path.read_bytes())) == int(packed.headers["content-length"])
    assert plain.headers["etag"] != packed.headers["etag"]
    assert (known.status_code, known.content) == (304, b"")
    kinds = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
             ".html": "text/html; charset=utf-8", ".txt": "text/plain; charset=utf-8"}  # fmt: skip
    assert plain.headers["content-type"] == kinds[path.suffix]


# ---- probes


@pytest.mark.parametrize(
    ("faults", "knows", "status", "ready", "degraded"),
    [
        ({"pii": "ok"}, ("k1", ""), 200, True, []),
        ({"pii": "spacy is missing in /opt/secret"}, ("k1", ""), 200, True, ["guards"]),
        ({"pii": "ok"}, ("", ""), 503, False, ["knowledge"]),
        ({"pii": "ok"}, ("k1", "damaged at /opt/secret; an earlier one serves"), 200, True, ["knowledge"]),
        ({"pii": "ok"}, ("", "damaged at /opt/secret; read anew"), 503, False, ["knowledge"]),
    ],
)
def test_ready_is_who_can_answer(faults, knows, status, ready, degraded):
    service, (version, damage) = FakeService(), knows
    service.guards.faults, service.knowledge.version, service.knowledge.damage = faults, version, damage
    answer = at_door(lambda door: door.http.get("/readyz"), service)
    body = answer.json()
    assert (answer.status_code, body["ready"], body["degraded"]) == (status, ready, degraded)
    states = {part["name"]: part["state"] for part in body["dependencies"]}
    assert states["knowledge"] == (("degraded" if damage else "ok") if version else "down")
    assert states["model"] == "off"
    assert "/opt/secret" not in answer.text


def test_alive_is_who_runs_and_metrics_count():
    async def work(door):
        door.service.metrics.judge_shed()
        return await door.http.get("/healthz"), await door.http.get("/metrics"), await door.http.head("/healthz")

    alive, metrics, head = at_door(work)
    assert (alive.json(), head.status_code) == ({"status": "ok"}, 200)
    assert "frontdesk_judge_shed_total 1.0" in metrics.text
    assert metrics.headers["content-type"].startswith("text/plain")


def test_the_description_holds_every_public_route_and_no_other():
    paths = at_door(lambda door: door.http.get("/openapi.json")).json()["paths"]
    assert set(paths) == {
        "/v1/chat", "/v1/chat/stream", "/v1/threads/{thread_id}", "/v1/feedback", "/v1/desk", "/healthz", "/readyz",
        "/metrics", "/v1/chat/completions", "/v1/models", "/v1/models/{model}",
        "/v1/users/{user_id}/data", "/v1/threads/{thread_id}/withdraw",
    }  # fmt: skip
    answers = paths["/v1/chat"]["post"]["responses"]
    assert set(answers) >= {"200", "400", "404", "409", "413", "422", "503"}
    assert set(answers["200"]["content"]) == {"application/json", "text/event-stream"}
    assert set(answers["422"]["content"]) == {"application/problem+json"}


# ---- the owner


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer ế"]
)
@pytest.mark.parametrize("path", ["/admin/health", "/admin/nothing", "/admin"])
def test_nobody_else_is_let_in(authorization, path):
    headers = {"Authorization": authorization.encode()}
    answer = at_door(lambda door: door.http.get(path, headers=headers))
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/owner-only")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_foreign_body_is_not_even_read():
    answer, _ = raw(b"{", path="/admin/ask")
    assert answer.status_code == 401


def test_the_owner_asks_as_the_terminal_does():
    async def work(door):
        body = {"message": "x" * 300, "user_id": "", "thread_id": "", "language": "", "context": []}
        answer = await door.post("/admin/ask", body, headers=OWNER)
        large = await door.post("/admin/ask", {"message": "x" * 100_000}, headers=OWNER)
        return answer, large, door.desk.asked[0]

    answer, large, question = at_door(work)
    assert (answer.status_code, answer.json()["outcome"], large.status_code) == (200, "answer", 200)
    assert (question.user_id, question.thread_id) == ("anonymous", "")


def test_the_owner_searches_ingests_and_is_written_down(tmp_path):
    articles = tmp_path / "articles"
    articles.mkdir()
    store = open_store(tmp_path, FrozenClock(), daily_limit=1_000_000)

    async def work(door):
        found = await door.post("/admin/search", {"question": "how long?", "k": 1}, headers=OWNER)
        none = await door.post("/admin/search", {"question": "how long?", "k": 0}, headers=OWNER)
        taken = await door.post("/admin/ingest", {"path": str(articles)}, headers=OWNER)
        missing = await door.post("/admin/ingest", {"path": "/no/where"}, headers=OWNER)
        health = await door.http.get("/admin/health", headers=OWNER)
        unknown = await door.http.get("/admin/receipt", params={"turn_id": "0190aaaa"}, headers=OWNER)
        return found, none, taken, missing, health, unknown

    found, none, taken, missing, health, unknown = at_door(work, FakeService(store=store))
    assert found.json()["results"] == [
        {"id": "returns", "title": "Returning a lamp", "score": 1.0, "quote": "within 30 days"}
    ]
    assert (none.status_code, none.json()["type"]) == (400, "/problems/wrong-request")
    assert (taken.json()["added"], taken.json()["version"]) == (1, "k2")
    assert missing.status_code == 400
    assert "/no/where" in missing.json()["detail"]
    assert {"name", "state", "detail", "needed"} == set(health.json()["dependencies"][0])
    assert unknown.status_code == 404
    assert [(entry.who, entry.what) for entry in store.audit.recent(9)] == [("owner", "knowledge.ingest")]
    store.close()


@pytest.mark.parametrize("fault", [StoreError("is corrupt", where="/srv/desk.sqlite3", fix="restore a backup"),
                                   KnowledgeError("no title", where="/srv/a.md:1", fix="add one")])  # fmt: skip
def test_only_the_owner_reads_sentences_about_files(fault):
    async def work(door):
        customer = await door.ask()
        owner = await door.post("/admin/ask", {"message": "hi"}, headers=OWNER)
        return customer, owner

    customer, owner = at_door(work, FakeService(desk=ScriptedDesk(early=fault)))
    assert (customer.status_code in (500, 503), "/srv" in customer.text) == (True, False)
    assert owner.json()["detail"] == str(fault)


def test_the_owners_token_is_needed_even_if_none_was_given():
    from api import create_app  # noqa: PLC0415  # the one test that wires by hand

    async def work():
        app = create_app(FakeService())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as http:
            return await http.get("/admin/health", headers={"Authorization": "Bearer "})

    assert asyncio.run(work()).status_code == 401


def test_a_desk_whose_knowledge_is_away_is_not_ready_and_says_no_more_than_that():
    service = FakeService()
    service.knowledge.trouble = "Chroma: ConnectError: http://10.0.0.9:8000"
    answer = at_door(lambda door: door.http.get("/readyz"), service)
    assert (answer.status_code, answer.json()["detail"]) == (503, "down: knowledge")
    assert "10.0.0.9" not in answer.text
