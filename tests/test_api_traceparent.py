"""A caller's own trace: who is believed, and which headers are valid."""

import pytest
from api_fakes import FakeService, at_door
from test_api_keys import bearer, key_of, keyed

from api.traceparent import read_traceparent
from domain.turn import TraceParent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f" 00-{TRACE}-{SPAN}-00 ", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"01-{TRACE}-{SPAN}-01-what-the-future-says", True),
    ],
)
def test_a_valid_header_is_the_callers_span(header: str, *, sampled: bool) -> None:
    assert read_traceparent(header) == TraceParent(TRACE, SPAN, sampled=sampled)


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE[:-1]}-{SPAN}-01",
    ],
)
def test_an_invalid_header_is_none(header: str) -> None:
    assert read_traceparent(header) is None


@pytest.mark.parametrize("path", ["/v1/chat", "/v1/chat/stream", "/v1/chat/completions"])
@pytest.mark.parametrize(
    ("scope", "believed"), [("server", True), ("admin", True), ("chat", False), ("", True)], ids=str
)
def test_who_may_speak_for_others_may_name_the_trace(tmp_path, path, scope, *, believed):
    body = {"message": "how long?"}
    if path.endswith("completions"):
        body = {"model": "lamps", "messages": [{"role": "user", "content": "how long?"}]}

    async def work(door):
        headers = {"traceparent": f"00-{TRACE}-{SPAN}-01"} | (bearer(key_of(scope)) if scope else {})
        if path.endswith("completions"):
            body["model"] = (await door.http.get("/v1/models", headers=headers)).json()["data"][0]["id"]
        answer = await door.post(path, body, headers=headers)
        assert answer.status_code == 200
        return [question.parent for question in door.desk.asked]

    if scope:
        with keyed(tmp_path) as service:
            parents = at_door(work, service)
    else:
        parents = at_door(work, FakeService())
    assert parents == [TraceParent(TRACE, SPAN) if believed else None]
