"""Who may do what once there are keys: scopes, signed users, the page's session, other origins."""

import asyncio
import statistics
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import jwt
import pytest
from api_fakes import FakeService, at_door
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fakes import FrozenClock
from places import open_store

from domain.errors import SettingsError
from domain.settings import Settings, read_settings

SESSION = "session-" + "a" * 43
SECRET = "a shared secret of more than 32 characters"
UNSIGNED = jwt.utils.base64url_encode(b'{"alg":"none"}').decode()
SCOPES = ("chat", "server", "agent", "analyst", "admin")


def key_of(scope):
    return f"fd_{SCOPES.index(scope):012x}_{scope[0] * 43}"


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


@contextmanager
def keyed(tmp_path, **settings):
    """A service with a key of every scope."""
    store = open_store(tmp_path, FrozenClock(), daily_limit=1)
    for scope in SCOPES:
        store.keys.add(f"the {scope}", scope, key_of(scope))
    yield FakeService(store=store, settings=Settings(llm="off", **settings))
    store.close()


def token(secret=SECRET, algorithm="HS256", **claims):
    now = int(datetime.now(UTC).timestamp())
    known = {"sub": "lan", "iat": now, "exp": now + 600} | claims
    return jwt.encode({name: value for name, value in known.items() if value is not None}, secret, algorithm)


def asked(tmp_path, *, headers=None, cookies=None, path="/v1/chat", body=None, **settings):
    """Ask once with these; the answer, and whose question the desk heard."""

    async def work(door):
        for name, value in (cookies or {}).items():
            door.http.cookies.set(name, value)
        answer = await door.post(path, body or {"message": "how long?", "user_id": "minh"}, headers=headers)
        return answer, [question.user_id for question in door.desk.asked]

    with keyed(tmp_path, **settings) as service:
        return at_door(work, service)


@pytest.mark.parametrize(
    ("scope", "user"),
    [("server", "minh"), ("admin", "minh"), ("chat", "key-000000000000")],
)
def test_only_a_server_says_whose_question_it_is(tmp_path, scope, user):
    answer, users = asked(tmp_path, headers=bearer(key_of(scope)))
    assert (answer.status_code, users) == (200, [user])


@pytest.mark.parametrize("path", ["/v1/chat", "/v1/chat/completions"])
@pytest.mark.parametrize(
    ("headers", "status", "kind"),
    [
        ({}, 401, "key-needed"),
        (bearer("fd_000000000000_" + "x" * 43), 401, "unknown-key"),
        (bearer("not-needed"), 401, "unknown-key"),
        ({"Authorization": "Basic eA=="}, 401, "unknown-key"),
        (bearer(key_of("agent")), 403, "wrong-scope"),
        (bearer(key_of("analyst")), 403, "wrong-scope"),
    ],
)
def test_without_a_key_for_it_nothing_is_asked(tmp_path, headers, status, kind, path):
    body = {"model": "lamps", "messages": [{"role": "user", "content": "hi"}]} if path.endswith("completions") else None
    answer, users = asked(tmp_path, headers=headers, path=path, body=body)
    assert (answer.status_code, answer.json()["type"], users) == (status, f"/problems/{kind}", [])
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert ("error" in answer.json()) == path.endswith("completions")


def test_a_revoked_key_is_closed_at_once(tmp_path):
    async def work(door):
        before = await door.ask(headers=bearer(key_of("server")))
        door.service.store.keys.revoke(f"{SCOPES.index('server'):012x}")
        return before.status_code, (await door.ask(headers=bearer(key_of("server")))).status_code

    with keyed(tmp_path) as service:
        assert at_door(work, service) == (200, 401)


def test_the_page_goes_on_with_its_session_and_speaks_for_nobody_else(tmp_path):
    answer, users = asked(tmp_path, cookies={"frontdesk_session": SESSION})
    assert (answer.status_code, users) == (200, [SESSION])


def test_a_made_up_session_is_none(tmp_path):
    answer, users = asked(tmp_path, cookies={"frontdesk_session": "minh"})
    assert (answer.status_code, users) == (401, [])


@pytest.mark.parametrize("path", ["/metrics", "/openapi.json"])
def test_what_tells_of_the_desk_needs_an_analyst_once_there_are_keys(tmp_path, path):
    async def work(door):
        return [(await door.http.get(path, headers=bearer(key_of(scope)))).status_code for scope in SCOPES] + [
            (await door.http.get(path)).status_code
        ]

    with keyed(tmp_path) as service:
        assert at_door(work, service) == [403, 403, 403, 200, 200, 401]


def test_each_operation_takes_its_scope(tmp_path):
    async def work(door):
        async def status(scope, path, body):
            return (await door.post(path, body, headers=bearer(key_of(scope)))).status_code

        search, keys = ("/admin/search", {"question": "q"}), ("/admin/keys/list", {})
        return {scope: [await status(scope, *search), await status(scope, *keys)] for scope in SCOPES}

    with keyed(tmp_path) as service:
        assert at_door(work, service) == {
            "chat": [403, 403],
            "server": [403, 403],
            "agent": [403, 403],
            "analyst": [200, 403],
            "admin": [200, 200],
        }


def test_keys_are_made_and_closed_through_the_api_and_stand_in_the_audit_log(tmp_path):
    async def work(door):
        admin = bearer(key_of("admin"))
        made = (await door.post("/admin/keys/create", {"name": "till", "scope": "chat"}, headers=admin)).json()
        opened = await door.ask(headers=bearer(made["key"]))
        await door.post("/admin/keys/revoke", {"key_id": made["id"]}, headers=admin)
        closed = await door.ask(headers=bearer(made["key"]))
        log = (await door.http.get("/admin/audit", headers=admin)).json()["entries"]
        listed = await door.http.get("/admin/keys/list", headers=admin)
        return made, opened.status_code, closed.status_code, log, listed.text

    with keyed(tmp_path) as service:
        made, opened, closed, log, listed = at_door(work, service)
    assert (opened, closed) == (200, 401)
    assert [entry["what"] for entry in log] == ["keys.revoke", "keys.create"]
    assert log[0]["who"] == f"key {SCOPES.index('admin'):012x} (the admin)"
    assert made["key"] not in listed
    assert made["key"] not in str(log)
    assert made["id"] in listed


def test_a_wrong_secret_takes_as_long_as_an_unknown_key(tmp_path):
    store = open_store(tmp_path, FrozenClock())
    store.keys.add("shop", "chat", key_of("chat"))
    wrong, unknown = key_of("chat")[:-1] + "x", "fd_ffffffffffff_" + "c" * 43

    def seconds(text):
        started = time.thread_time()
        store.keys.check(text)
        return time.thread_time() - started

    pairs = [(seconds(wrong), seconds(unknown)) for _ in range(400)]
    ratio = statistics.median(first / second for first, second in pairs)
    store.close()
    assert 0.6 < ratio < 1.7


# ---- signed users


def test_a_signed_user_asks_as_themselves(tmp_path):
    answer, users = asked(tmp_path, headers=bearer(token()), jwt_secret=SECRET)
    assert (answer.status_code, users) == (200, ["lan"])


@pytest.mark.parametrize(
    "forged",
    [
        token(secret="another secret of more than 32 characters"),
        token(exp=1),
        token(exp=None),
        token(sub=None),
        token(sub=""),
        token(iat=0),
        token(aud="another desk"),
        token(iss="somebody"),
        token()[:-2] + "AA",
        f"{UNSIGNED}.{token().split('.')[1]}.",
        "a.b.c",
    ],
    # A token says when it was made: as a name, each process that collects the tests would see another.
    ids=[
        "other-secret", "expired", "endless", "nobody", "empty", "before-time", "other-desk", "other-issuer",
        "other-signature", "unsigned", "no-token",
    ],
)  # fmt: skip
def test_a_token_that_is_not_right_opens_nothing(tmp_path, forged):
    answer, users = asked(tmp_path, headers=bearer(forged), jwt_secret=SECRET, jwt_audience="shop", jwt_issuer="site")
    assert (answer.status_code, answer.json()["type"], users) == (401, "/problems/unknown-token", [])


def test_a_public_key_never_passes_for_a_shared_secret(tmp_path):
    private = rsa.generate_private_key(65537, 2048)
    pem = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()  # fmt: skip
    good = token(secret=private, algorithm="RS256")
    head = jwt.utils.base64url_encode(b'{"alg":"HS256","typ":"JWT"}').decode()
    signed = f"{head}.{good.split('.')[1]}"
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(signed.encode(), pem.encode())
    confused = f"{signed}.{jwt.utils.base64url_encode(mac).decode()}"
    assert asked(tmp_path / "good", headers=bearer(good), jwt_public_key=pem)[1] == ["lan"]
    assert asked(tmp_path / "bad", headers=bearer(confused), jwt_public_key=pem)[0].status_code == 401


def test_a_token_alone_does_not_open_admin(tmp_path):
    answer, _ = asked(tmp_path, headers=bearer(token()), path="/admin/search", jwt_secret=SECRET)
    assert answer.status_code == 401


def test_a_short_secret_is_refused(monkeypatch):
    monkeypatch.setenv("FRONTDESK_JWT_SECRET", "short")
    with pytest.raises(SettingsError, match=r"FRONTDESK_JWT_SECRET.*32"):
        read_settings()


# ---- hosts and origins


@pytest.mark.parametrize(
    ("hosts", "host", "status"),
    [("", "desk.example", 200), ("desk.example", "desk.example:443", 200), ("desk.example", "evil.example", 421)],
)
def test_a_desk_with_keys_is_reached_by_its_names(tmp_path, hosts, host, status):
    answer, _ = asked(tmp_path, headers=bearer(key_of("server")) | {"Host": host}, hosts=hosts)
    assert answer.status_code == status


def test_pages_of_named_origins_may_ask_and_no_others(tmp_path):
    async def work(door):
        def headers(origin):
            return bearer(key_of("chat")) | {"Origin": origin}

        preflight = await door.http.options(
            "/v1/chat",
            headers={
                "Origin": "https://shop.example",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type",
            },
        )
        ours = await door.ask(headers=headers("https://shop.example"))
        foreign = await door.ask(headers=headers("https://evil.example"))
        return preflight, ours, foreign

    with keyed(tmp_path, origins="https://shop.example") as service:
        preflight, ours, foreign = at_door(work, service)
    assert preflight.headers["access-control-allow-origin"] == "https://shop.example"
    assert "access-control-allow-credentials" not in preflight.headers
    assert (ours.status_code, ours.headers["access-control-allow-origin"]) == (200, "https://shop.example")
    assert (foreign.status_code, "access-control-allow-origin" in foreign.headers) == (403, False)


def test_without_keys_any_bearer_is_as_good_as_none():
    async def work(door):
        return (await door.ask(headers=bearer("not-needed"), user_id="minh")).status_code, door.desk.asked[0].user_id

    assert at_door(work) == (200, "minh")


def test_a_thread_is_its_users_whoever_holds_the_key(tmp_path):
    async def work(door):
        server = bearer(key_of("server"))
        await door.ask(headers=server, user_id="lan")
        mine = await door.http.get("/v1/threads/thread-1", params={"user_id": "lan"}, headers=server)
        others = await door.http.get("/v1/threads/thread-1", headers=bearer(key_of("chat")), params={"user_id": "lan"})
        await asyncio.sleep(0)
        return mine.status_code, others.status_code

    with keyed(tmp_path) as service:
        assert at_door(work, service) == (200, 404)
