"""A command that goes through the server: what it sends, and what becomes of the server's errors."""

import asyncio
import json

import httpx
import pytest
from api_fakes import ANSWER, TOKEN, at_door

from cli.office import Asked, RemoteOffice
from domain.errors import ConflictError, FrontdeskError, NotFoundError, OverloadedError, UsageError


class Server:
    """Answers with what it was given; keeps the requests."""

    def __init__(self, status=200, body=None, content=None):
        self.status, self.body, self.content = status, body, content
        self.seen = []

    def __call__(self, request):
        self.seen.append(request)
        if self.content is not None:
            return httpx.Response(self.status, content=self.content)
        return httpx.Response(self.status, json=self.body)


def through(server, work):
    async def run():
        transport = httpx.MockTransport(server)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9") as client:
            return await work(RemoteOffice(client))

    return asyncio.run(run())


def sent(server):
    request = server.seen[-1]
    return request.method, request.url.path, json.loads(request.content) if request.content else None


def test_a_conversation_hears_the_answer_as_the_server_tells_it():
    async def work(door):
        door.desk.retracted = "Wait. "
        door.http.headers["Authorization"] = f"Bearer {TOKEN}"
        heard = []
        reply = await RemoteOffice(door.http).ask(Asked("how long?", "lan"), heard.append)
        await RemoteOffice(door.http).ask(Asked("how long?", "lan"))
        return reply, heard, [question.live for question in door.desk.asked]

    reply, heard, live = at_door(work)
    assert heard[:2] == ["Wait. ", None]
    assert "".join(heard[2:]).strip() == reply["answer"] == ANSWER
    assert len(heard) > 5
    assert live == [True, False]


@pytest.mark.parametrize(
    ("content", "kind", "what"),
    [
        (b'event: error\ndata: {"status": 503, "title": "The desk is busy"}\n\n', OverloadedError, "The desk is busy"),
        (b'event: token\ndata: {"text": "You"}\n\n: heartbeat\n\n', FrontdeskError, "middle of an answer"),
    ],
)
def test_a_conversation_that_breaks_off_is_an_error(content, kind, what):
    with pytest.raises(kind, match=what):
        through(Server(content=content), lambda office: office.ask(Asked("how long?"), lambda _: None))


def test_a_conversation_that_may_not_begin_is_the_servers_error():
    server = Server(404, {"detail": "no such thread"})
    with pytest.raises(NotFoundError, match="no such thread"):
        through(server, lambda office: office.ask(Asked("how long?"), lambda _: None))


def test_ask_sends_the_question():
    server = Server(body={"answer": "30 days"})
    reply = through(server, lambda office: office.ask(Asked("how long?", "lan", "t1", "vi")))
    assert reply == {"answer": "30 days"}
    assert sent(server) == (
        "POST",
        "/admin/ask",
        {"message": "how long?", "user_id": "lan", "thread_id": "t1", "language": "vi", "context": []},
    )


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (lambda office: office.run("search", question="q", k=3), ("POST", "/admin/search", {"question": "q", "k": 3})),
        (lambda office: office.run("route", question="q"), ("POST", "/admin/route", {"question": "q"})),
        (
            lambda office: office.run("guard", side="output", text="t", passages=["p"]),
            ("POST", "/admin/guard", {"side": "output", "text": "t", "passages": ["p"]}),
        ),
        (lambda office: office.run("receipt", turn_id="0190/x"), ("POST", "/admin/receipt", {"turn_id": "0190/x"})),
        (
            lambda office: office.run("ingest", progress=lambda *_: None, path="/data/kb"),
            ("POST", "/admin/ingest", {"path": "/data/kb"}),
        ),
        (lambda office: office.run("knowledge"), ("POST", "/admin/knowledge", {})),
        (
            lambda office: office.run("knowledge.rollback", version="v1"),
            ("POST", "/admin/knowledge/rollback", {"version": "v1"}),
        ),
    ],
)
def test_each_work_has_its_route(work, expected):
    server = Server(body={"fine": True})
    assert through(server, work) == {"fine": True}
    assert sent(server) == expected


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, UsageError),
        (404, NotFoundError),
        (409, ConflictError),
        (422, UsageError),
        (503, OverloadedError),
        (500, FrontdeskError),
        (401, FrontdeskError),
    ],
)
def test_a_problem_of_the_server_is_the_same_error_here(status, kind):
    server = Server(status, {"title": "Problem", "detail": "t9: no such thread (leave it out)"})
    with pytest.raises(kind) as caught:
        through(server, lambda office: office.run("route", question="q"))
    assert type(caught.value) is kind
    assert str(caught.value) == "t9: no such thread (leave it out)"


def test_a_server_that_talks_nonsense_is_named():
    with pytest.raises(FrontdeskError, match="502 without a JSON object"):
        through(Server(502, content=b"<html>"), lambda office: office.run("route", question="q"))


def test_a_server_that_is_gone_is_named_with_its_address():
    def gone(request):
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(FrontdeskError, match=r"http://127.0.0.1:9: the server .* does not answer"):
        through(gone, lambda office: office.run("route", question="q"))


def test_an_ingest_through_a_server_tells_how_far_it_is():
    """The server answers after three looks; what it says at each is heard here."""
    looks, looked = [], asyncio.Event()

    async def server(request):
        if request.method == "GET":
            looks.append(request.url.path)
            if len(looks) == 3:
                looked.set()
            return httpx.Response(
                200, json={"done": len(looks), "total": 3, "what": "passages" if len(looks) > 1 else ""}
            )
        await looked.wait()
        return httpx.Response(200, json={"added": 3})

    heard = []

    class Heard:
        def __call__(self, done, total):
            heard.append(("", done, total))

        def stage(self, what):
            return lambda done, total: heard.append((what, done, total))

    report = through(server, lambda office: office.run("ingest", progress=Heard(), path="/data"))
    assert report == {"added": 3}
    assert looks == ["/admin/progress"] * 3
    assert heard == [("", 1, 3), ("passages", 2, 3), ("passages", 3, 3)]
