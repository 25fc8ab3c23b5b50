"""Where a command's work is done: in this process, or by the server that owns the desk's state.

Both give the same plain JSON objects, so a command need not know which one it has.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from cli.options import quiet_logging
from cli.terminal import Json, meter, note
from domain.errors import (
    ConflictError,
    FrontdeskError,
    HomeInUseError,
    NotFoundError,
    OverloadedError,
    UsageError,
)
from domain.progress import stage

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from domain.ports import Progress
    from domain.settings import Settings
    from graph.on_ray import Where
    from graph.service import Service

Heard = Callable[[str | None], None]
"""Told each piece of an answer as it is spoken; None when all that was spoken is taken back and begins anew."""

SPARE_SECONDS = 30.0
"""How much longer than a turn may take a command waits for the server."""
GLANCE_SECONDS = 0.5
"""Between two looks at how far a long operation of the server is."""
LONG_SECONDS = 3_600.0
"""How long an operation may take that tells its progress."""
ERRORS: dict[int, type[FrontdeskError]] = {
    400: UsageError,
    404: NotFoundError,
    409: ConflictError,
    413: UsageError,
    422: UsageError,
    503: OverloadedError,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as a command has it. Empty ids mean: anonymous, a new thread."""

    message: str
    user_id: str = ""
    thread_id: str = ""
    language: str = ""
    context: list[dict[str, str]] = field(default_factory=list)


class Office(Protocol):
    """What commands ask of a desk: a turn, or an operation of graph/operations.py by its name."""

    async def ask(self, asked: Asked, heard: Heard | None = None) -> Json: ...
    async def run(self, operation: str, *, progress: "Progress | None" = None, **fields: object) -> Json: ...


class LocalOffice:
    """The desk in this process."""

    def __init__(self, service: "Service") -> None:
        self._service = service

    async def ask(self, asked: Asked, heard: Heard | None = None) -> Json:
        """One turn; the Reply. Raises NotFoundError, UsageError."""
        from graph.desk import Done, Retract, Token  # noqa: PLC0415  # heavy: only where the desk is open in this process
        from graph.record import Question  # noqa: PLC0415

        reply: Json = {}
        question = Question(
            asked.message,
            asked.user_id or "anonymous",
            asked.thread_id,
            asked.language,
            [{"title": fact["title"], "text": fact["text"]} for fact in asked.context],
            live=heard is not None,
        )
        async for event in self._service.desk.stream(question):
            if isinstance(event, Token) and heard:
                heard(event.text)
            elif isinstance(event, Retract) and heard:
                heard(None)
            elif isinstance(event, Done):
                reply = event.reply.model_dump(mode="json")
        return reply

    async def run(self, operation: str, *, progress: "Progress | None" = None, **fields: object) -> Json:
        """Carry out an operation of graph/operations.py. Raises what it raises."""
        from graph import operations  # noqa: PLC0415  # as above

        return await operations.run(self._service, operation, fields, progress=progress)


class RemoteOffice:
    """The desk in the process that owns its state, by its /admin routes."""

    def __init__(self, client: "httpx.AsyncClient") -> None:
        self._client = client

    async def ask(self, asked: Asked, heard: Heard | None = None) -> Json:
        """One turn; the Reply. `heard` gets the answer as the server tells it."""
        if heard is None:
            return await self._send("POST", "/admin/ask", asdict(asked))
        import httpx  # noqa: PLC0415  # 0.2 s: only where a server is asked

        where, headers = f"{self._where}/admin/ask", {"Accept": "text/event-stream"}
        try:
            async with self._client.stream("POST", "/admin/ask", json=asdict(asked), headers=headers) as answer:
                if not answer.is_success:
                    await answer.aread()
                    return _checked(answer, where)
                return await _listened(answer, heard, where)
        except httpx.TransportError as fault:
            raise self._away(fault) from fault

    async def run(self, operation: str, *, progress: "Progress | None" = None, **fields: object) -> Json:
        """Carry out an operation there; where `progress` is wanted, the server is asked meanwhile how far it is."""
        path = f"/admin/{operation.replace('.', '/')}"
        if not progress:
            return await self._send("POST", path, fields)
        running = asyncio.create_task(self._send("POST", path, fields, seconds=LONG_SECONDS))
        try:
            while not (await asyncio.wait({running}, timeout=GLANCE_SECONDS))[0]:
                come = await self._send("GET", "/admin/progress")
                if come["total"]:
                    told = stage(progress, come["what"]) if come.get("what") else progress
                    told(come["done"], come["total"])
            return running.result()
        finally:
            running.cancel()

    async def _send(self, method: str, path: str, body: Json | None = None, *, seconds: float | None = None) -> Json:
        import httpx  # noqa: PLC0415  # 0.2 s: only where a server is asked

        try:
            extra: dict[str, Any] = {"timeout": seconds} if seconds else {}
            answer = await self._client.request(method, path, json=body, **extra)
        except httpx.TransportError as fault:
            raise self._away(fault) from fault
        return _checked(answer, f"{self._where}{path}")

    @property
    def _where(self) -> str:
        return str(self._client.base_url).rstrip("/")

    def _away(self, fault: Exception) -> FrontdeskError:
        what = f"the server that owns this desk does not answer ({type(fault).__name__})"
        return FrontdeskError(what, where=self._where, fix="stop it or start it again")


async def _listened(answer: "httpx.Response", heard: Heard, where: str) -> Json:
    """The Reply at the end of a stream of events, what is told before it said to `heard`."""
    event = ""
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            event = value
        if name != "data":
            continue
        data = json.loads(value)
        match event:
            case "token":
                heard(data["text"])
            case "retract":
                heard(None)
            case "error":
                raise ERRORS.get(data["status"], FrontdeskError)(str(data["title"]), where=where)
            case "done":
                return cast("Json", data)
    raise FrontdeskError("the server ended in the middle of an answer", where=where, fix="ask again")


def _checked(answer: "httpx.Response", where: str) -> Json:
    """The JSON object of a good answer. Raises the error that a bad one stands for."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise FrontdeskError(f"the server answers {answer.status_code} without a JSON object", where=where)
    if answer.is_success:
        return body
    kind = ERRORS.get(answer.status_code, FrontdeskError)
    raise kind(str(body.get("detail") or body.get("title") or f"the server answers {answer.status_code}"))


def state_folder(settings: "Settings") -> "Path":
    """Where this desk keeps its state. Raises DeskError."""
    from graph.profiles import find_desk  # noqa: PLC0415  # reads YAML and pydantic: not for --help

    return settings.home / find_desk(settings.desk).name


@asynccontextmanager
async def open_office(settings: "Settings", *, model: bool = False, on: "Where" = "") -> AsyncIterator[Office]:
    """Own the desk's state, or go through the server that does; two owners never are.

    `model`: the language model is wanted too, and waited for. `on`: where a first start embeds. Raises HomeInUseError when the owner is no
    server, and whatever opening a desk raises.
    """
    from graph.profiles import find_desk, read_profile  # noqa: PLC0415  # heavy: not for --help
    from store import read_owner  # noqa: PLC0415

    folder = state_folder(settings)
    owner = read_owner(folder)
    if owner and owner.address:
        # Known before the heavy rooms are imported: a command through a server is quick.
        async with remote_office(settings, owner.address, owner.token) as office:
            yield office
        return
    # A wrong desk.yaml is told at once, not after the seconds that the heavy rooms take.
    read_profile(find_desk(settings.desk))
    try:
        async with local_service(settings, model=model, on=on) as service:
            yield LocalOffice(service)
    except HomeInUseError as fault:
        owner = read_owner(folder)
        if not owner or not owner.address:
            raise
        note(str(fault))
        raise FrontdeskError("a server has just taken this desk over", where=owner.address, fix="try again") from fault


def run_operation(settings: "Settings", operation: str, **fields: Any) -> Json:
    """One operation of graph/operations.py, for a command that needs no more. Raises what it raises."""

    async def work() -> Json:
        async with open_office(settings) as office:
            return await office.run(operation, **fields)

    return asyncio.run(work())


@asynccontextmanager
async def local_service(settings: "Settings", *, model: bool = False, on: "Where" = "") -> AsyncIterator["Service"]:
    """The desk opened in this process, and closed again. Raises HomeInUseError."""
    from graph.bootstrap import close_service, open_service  # noqa: PLC0415  # heavy: not for --help
    from graph.health import banner  # noqa: PLC0415
    from graph.on_ray import open_hands  # noqa: PLC0415
    from graph.warming import wait_for_model  # noqa: PLC0415

    quiet_logging(settings)
    wanted = settings if model else settings.model_copy(update={"llm": "off"})
    async with open_hands(on, settings.ray_address) as hands:
        with meter("reading the knowledge") as reading:
            service = await open_service(wanted, say=note, progress=reading, hands=hands)
    try:
        if model:
            note(banner(service))
            with meter("MB of the local model") as fetching:
                trouble = await wait_for_model(service, fetching)
            if trouble:
                note(trouble)
        yield service
    finally:
        await close_service(service)


@asynccontextmanager
async def remote_office(settings: "Settings", address: str, token: str) -> AsyncIterator[RemoteOffice]:
    """The office of the server at `address`."""
    import httpx  # noqa: PLC0415  # 0.2 s: only where a server is asked

    # trust_env=False: a proxy of the environment must not see what stays on this machine.
    async with httpx.AsyncClient(
        base_url=address,
        headers={"Authorization": f"Bearer {token}"},
        timeout=settings.turn_timeout + SPARE_SECONDS,
        trust_env=False,
    ) as client:
        yield RemoteOffice(client)
