"""Attacks on the door that need no network: made-up requests, forged callers, other sites, and what might leak."""

import asyncio
import itertools
import json
import logging
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import httpx
import jwt
import pytest
from api_fakes import BASE, TOKEN, FakeService, at_door, open_door
from cryptography.hazmat.primitives.asymmetric import rsa
from fakes import FrozenClock
from house import open_house
from openapi_fuzz import Description, check_answer, made_requests
from places import open_store
from structlog.testing import capture_logs

from api import create_app
from domain.settings import Settings
from graph.record import Question

OWNER = {"Authorization": f"Bearer {TOKEN}"}
SECRET = "a shared secret of more than 32 characters"
ASKED = "How many days do I have to return a lamp?"

DESCRIPTION = Description(create_app(FakeService()).openapi())


@asynccontextmanager
async def real_door(folder: Path, **chosen):
    """The door over a real desk with a real store."""
    async with (
        open_house(folder) as house,
        open_door(FakeService(desk=house.desk, store=house.store, settings=Settings(llm="off", **chosen))) as door,
    ):
        yield door, house


# ---- requests made from the description


@pytest.mark.parametrize(("method", "path"), DESCRIPTION.operations(), ids=lambda part: part)
def test_no_request_that_can_be_made_from_the_description_breaks_the_door(method, path, tmp_path):
    asked = made_requests(DESCRIPTION, method, path, examples=8)
    store = open_store(tmp_path, FrozenClock(), daily_limit=1_000_000)

    async def work(door):
        for request in asked:
            answer = await door.http.request(**request)
            check_answer(answer, request, DESCRIPTION.statuses(method, path))

    chosen = Settings(llm="off", rate_limit_user="", rate_limit_address="")
    at_door(work, FakeService(store=store, settings=chosen))
    store.close()
    assert len(asked) >= 1


# ---- paths


PLACES = (
    "/v1/threads/{0}", "/v1/threads/{0}?user_id=x", "/v1/users/{0}/data", "/v1/models/{0}", "/web/{0}",
    "/admin/handoffs/show?ticket={0}", "/admin/receipt?turn_id={0}", "/{0}",
)  # fmt: skip
UPWARDS = ("../../../../etc/passwd", "..%2f..%2fpyproject.toml", "/etc/passwd", "..\\..\\api\\app.py", "%00")


def test_no_id_leads_out_of_its_place(tmp_path):
    async def work():
        async with real_door(tmp_path) as (door, _):
            for upwards in UPWARDS:
                once = quote(upwards, safe="")
                for place, form in itertools.product(PLACES, (upwards, once, quote(once, safe=""))):
                    answer = await door.http.get(place.format(form), headers=OWNER)
                    # Without keys whoever reaches the port may ask for any user's data: there is none of this one.
                    expected = (200, 400, 404, 422) if "/users/" in place else (400, 404, 422)
                    assert answer.status_code in expected, (place, form)
                    assert "root:" not in answer.text
                    assert "[build-system]" not in answer.text

    asyncio.run(work())


def test_ids_of_any_kind_write_nothing_outside_the_desks_own_files(tmp_path):
    home, beside = tmp_path / "home", tmp_path / "beside"
    home.mkdir()

    async def work():
        async with real_door(home) as (door, house):
            for name in ("../beside", str(beside), "..\\beside"):
                await door.ask(ASKED, thread_id=name)
                await door.http.delete(f"/v1/users/{quote(name, safe='')}/data", params={"user_id": name})
                await house.desk.ask(Question(ASKED, name))

    asyncio.run(work())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


# ---- headers


def test_what_a_header_says_is_not_said_back_in_one(tmp_path):
    evil = "evil%0d%0aSet-Cookie: a=b\tx"

    async def work():
        async with real_door(tmp_path) as (door, _):
            for name in ("Idempotency-Key", "X-Thread-Id", "traceparent", "Cookie", "User-Agent", "Accept-Language"):
                for answer in (await door.ask(headers={name: evil}), await door.http.get("/", headers={name: evil})):
                    assert answer.status_code == 200
                    assert not any("evil" in value for value in answer.headers.values())
                    assert "a=b" not in answer.headers.get("set-cookie", "")

    asyncio.run(work())


# ---- other sites


@pytest.mark.parametrize(
    "origin",
    ["null", "https://shop.example.evil.example", "https://evilshop.example", "http://shop.example",
     "https://shop.example:444", "https://SHOP.example", "file://", ""],
)  # fmt: skip
def test_no_page_but_those_that_are_named_may_read_or_ask(origin):
    async def work(door):
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        preflight = await door.http.options("/v1/chat", headers={"Origin": origin, **asked})
        read = await door.http.get("/v1/desk", headers={"Origin": origin})
        wrote = await door.ask(headers={"Origin": origin})
        return preflight, read, wrote, len(door.desk.asked)

    for named in ("", "https://shop.example"):
        service = FakeService(settings=Settings(llm="off", origins=named))
        preflight, read, wrote, asked = at_door(work, service)
        for answer in (preflight, read, wrote):
            assert "access-control-allow-origin" not in answer.headers
            assert "access-control-allow-credentials" not in answer.headers
        assert (wrote.status_code, asked) == (403, 0)
        assert read.headers["cross-origin-resource-policy"] == "same-origin"


def test_no_other_site_makes_an_operators_browser_work_for_it(tmp_path):
    """Not even a site that may ask customers' questions."""
    tried = [
        ({}, 401),
        ({"Cookie": f"frontdesk_session={TOKEN}; token={TOKEN}; Authorization=Bearer {TOKEN}"}, 401),
        ({**OWNER}, 200),
        ({**OWNER, "Origin": BASE}, 200),
        ({**OWNER, "Origin": "https://evil.example"}, 403),
        ({**OWNER, "Origin": "https://shop.example"}, 403),
        ({**OWNER, "Sec-Fetch-Site": "cross-site"}, 403),
        ({**OWNER, "Sec-Fetch-Site": "same-site"}, 403),
    ]

    async def work():
        async with real_door(tmp_path, origins="https://shop.example") as (door, _):
            found = []
            for headers, _status in tried:
                read = await door.http.get("/admin/audit", headers=headers)
                wrote = await door.http.post("/admin/audit", json={}, headers=headers)
                found.append((read.status_code, wrote.status_code))
            return found

    assert asyncio.run(work()) == [(status, status) for _, status in tried]


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_no_form_of_another_site_is_an_operators_request(tmp_path, media_type):
    async def work():
        async with real_door(tmp_path) as (door, house):
            headers = {**OWNER, "Content-Type": media_type}
            answer = await door.http.post("/admin/keys/create", content='{"name":"x","scope":"admin"}', headers=headers)
            return answer.status_code, house.store.keys.any()

    assert asyncio.run(work()) == (415, False)


# ---- forged and replayed tokens


def signed(secret=SECRET, algorithm="HS256", headers=None, **claims):
    now = int(datetime.now(UTC).timestamp())
    known = {"sub": "lan", "iat": now, "exp": now + 600, "aud": "shop"} | claims
    return jwt.encode(known, secret, algorithm, headers)


def unsigned(algorithm):
    head = jwt.utils.base64url_encode(json.dumps({"alg": algorithm, "typ": "JWT"}).encode()).decode()
    return f"{head}.{signed().split('.')[1]}."


def forged():
    now = int(datetime.now(UTC).timestamp())
    own = rsa.generate_private_key(65537, 2048)
    return {
        "another key": signed(secret=SECRET[::-1]),
        "an empty key": f"{signed().rpartition('.')[0]}.",
        **{f"alg {name}": unsigned(name) for name in ("none", "None", "nOnE", "HS256", "")},
        "a key it brings": signed(
            secret=own, algorithm="RS256", headers={"jku": "http://127.0.0.1:1/k", "kid": "../x"}
        ),
        "replayed after its end": signed(iat=now - 600, exp=now - 31),
        "not yet": signed(nbf=now + 60),
        "issued in the future": signed(iat=now + 60),
        "for others": signed(aud="another desk"),
        "for nobody": jwt.encode({"sub": "lan", "iat": now, "exp": now + 600}, SECRET, "HS256"),
        "for ever": signed(exp=now + 10**12),
        "an end in words": signed(exp=str(now + 600)),
        "a beginning in words": signed(iat=str(now)),
        "no end": signed(exp=None),
        "an end that is no number": signed(exp=float("inf")),
        "a user who is none": signed(sub=""),
        "a user who is a list": signed(sub=["lan"]),
        "a user of 10 kB": signed(sub="x" * 10_000),
    }


def test_only_a_token_that_is_ours_and_fresh_names_a_user(tmp_path):
    async def work():
        found = {}
        async with real_door(tmp_path, jwt_secret=SECRET, jwt_audience="shop") as (door, _):
            for name, token in forged().items():
                answer = await door.ask(ASKED, headers={"Authorization": f"Bearer {token}"}, user_id="lan")
                found[name] = (answer.status_code, answer.json().get("type"))
            good = await door.ask(ASKED, headers={"Authorization": f"Bearer {signed()}"})
            late = signed(iat=int(time.time()) - 600, exp=int(time.time()) - 10)
            clock = await door.ask(ASKED, headers={"Authorization": f"Bearer {late}"})
            return found, good.status_code, clock.status_code

    found, good, clock = asyncio.run(work())
    assert found == dict.fromkeys(found, (401, "/problems/unknown-token"))
    assert (good, clock) == (200, 200)


def test_a_thread_that_is_anothers_is_as_one_that_never_was(tmp_path):
    async def work():
        async with real_door(tmp_path) as (door, _):
            mine = (await door.ask(ASKED, user_id="ann")).json()
            told = []
            for thread, turn in ((mine["thread_id"], mine["turn_id"]), ("01900000-dead", "01900000-dead")):
                bob = {"user_id": "bob"}
                answers = [
                    await door.ask("And the cost?", thread_id=thread, **bob),
                    await door.http.get(f"/v1/threads/{thread}", params=bob),
                    await door.http.delete(f"/v1/threads/{thread}", params=bob),
                    await door.post("/v1/feedback", {"turn_id": turn, "rating": "up", **bob}),
                    # What only begins so must not be told from what is nothing either.
                    await door.post("/v1/feedback", {"turn_id": turn[:12], "rating": "up", **bob}),
                ]
                told.append(
                    [
                        (
                            one.status_code,
                            one.json()["title"],
                            one.json()["detail"].replace(thread, "").replace(turn, ""),
                        )
                        for one in answers
                    ]
                )
            return told

    known, unknown = asyncio.run(work())
    shown = [
        (status, title, detail.replace("01900000-000", "").replace("01900000-dea", ""))
        for status, title, detail in known
    ]
    assert {status for status, *_ in known} == {404}
    assert shown == [(s, t, d.replace("01900000-dea", "")) for s, t, d in unknown]


# ---- secrets

SECRETS = {
    "vault_key": "vault-key-XYZZY-0123456789-0123456789-abc",
    "jwt_secret": "jwt-secret-XYZZY-0123456789-0123456789",
    "llm_api_key": "sk-llm-XYZZY",
    "openai_api_key": "sk-openai-XYZZY",
    "anthropic_api_key": "sk-ant-XYZZY",
    "gemini_api_key": "gem-XYZZY",
    "alert_webhook": "https://hooks.example/services/XYZZY-path",
    "alert_webhook_secret": "whsec-XYZZY-alert",
    "handoff_webhook": "https://hooks.example/handoff/XYZZY-path",
    "handoff_webhook_secret": "whsec-XYZZY-handoff",
    "langfuse_secret_key": "sk-lf-XYZZY",
    "database_url": "postgresql://desk:XYZZY-password@db.example/desk",
    "redis_url": "redis://:XYZZY-password@redis.example:6379/0",
}


def test_no_secret_is_in_an_answer_a_log_line_or_the_settings_own_words(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    chosen = Settings(llm="off", **SECRETS)

    async def work():
        texts = [repr(chosen), str(chosen), chosen.model_dump_json()]
        async with open_house(tmp_path) as house:
            plain = chosen.model_copy(update={"redis_url": Settings().redis_url})
            service = FakeService(desk=house.desk, store=house.store, settings=plain)
            house.store.keys.add("till", "admin", "fd_" + "0" * 12 + "_" + "XYZZY" + "s" * 38)
            async with open_door(service) as door:
                for path in (
                    "/", "/ops", "/readyz", "/healthz", "/metrics", "/openapi.json", "/v1/desk", "/admin/health",
                    "/admin/audit", "/admin/keys/list", "/admin/ops", "/admin/turns", "/admin/stats", "/admin/costs",
                    "/admin/handoffs", "/admin/receipt?turn_id=XYZ", "/admin/nothing",
                ):  # fmt: skip
                    answer = await door.http.get(path, headers=OWNER)
                    texts += [answer.text, str(answer.headers)]
                wrong = {"Authorization": "Bearer fd_000000000000_XYZZY-wrong"}
                for answer in (
                    await door.ask(headers=wrong),
                    await door.ask(headers={"Authorization": f"Bearer {signed(secret='XYZZY' * 10)}"}),
                    await door.post("/v1/chat", {"message": "hi"}, headers={"Cookie": "frontdesk_session=XYZZY"}),
                ):
                    assert answer.status_code == 401
                    texts += [answer.text, str(answer.headers)]
        return texts

    with capture_logs() as lines:
        texts = asyncio.run(work())
    for text in [*texts, str(lines), caplog.text]:
        assert "XYZZY" not in text


def test_an_error_nobody_foresaw_says_nothing_of_what_it_holds():
    class Broken(FakeService):
        @property
        def profile(self):
            raise RuntimeError(f"XYZZY {SECRET}")

    async def work():
        service = FakeService()
        app = create_app(service, owner_token=TOKEN)
        service.__class__ = Broken
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as http:
            return await http.get("/v1/desk")

    with capture_logs():
        answer = asyncio.run(work())
    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/internal-error")
    assert "XYZZY" not in answer.text
