"""The owner's routes: what the terminal asks of the server that owns the desk's state.

The gate lets nobody in without the token that only the owner's files hold. Bodies and results are the
CLI's `--json` objects; they are made in graph/operators.py, which also writes the audit log.
"""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response

from api.chat import whole
from api.doors import Here
from api.schemas import AskBody, GuardBody, IngestBody, RollbackBody, RouteBody, SearchBody
from graph import operators
from graph.health import health

Json = dict[str, Any]

OWNER = "owner"
"""Who stands in the audit log: the token proves that it is the owner of this machine's files."""

router = APIRouter(prefix="/admin", include_in_schema=False)


@router.post("/ask")
async def ask(request: Request, body: AskBody, doors: Here) -> Response:
    """One turn, as `POST /v1/chat`; a long message ends in the typed refusal, as in the terminal."""
    return await whole(doors.turns.start(doors.service.desk.stream(body.question())), request)


@router.post("/search")
async def search(body: SearchBody, doors: Here) -> Json:
    """The best public articles."""
    return await operators.search(doors.service, body.question, body.k)


@router.post("/guard")
async def guard(body: GuardBody, doors: Here) -> Json:
    """What the guards of one side say of a text."""
    return await operators.guard(
        doors.service, body.side, body.text, question=body.question, passages=body.passages, own=body.own
    )


@router.post("/route")
async def route(body: RouteBody, doors: Here) -> Json:
    """Where a question would go."""
    return await operators.route(doors.service, body.question)


@router.get("/receipts/{turn_id}")
async def receipt(turn_id: str, doors: Here) -> Json:
    """The whole receipt of a turn."""
    return await operators.receipt(doors.service, turn_id)


@router.post("/ingest")
async def ingest(body: IngestBody, doors: Here) -> Json:
    """Take articles of this machine in; the answer comes when it is done."""
    return await operators.ingest(doors.service, body.path, who=OWNER)


@router.get("/knowledge")
async def knowledge(doors: Here) -> Json:
    """What the desk knows, and its versions."""
    return await operators.knowledge(doors.service)


@router.post("/knowledge/rollback")
async def rollback(body: RollbackBody, doors: Here) -> Json:
    """Serve an earlier version again."""
    return await operators.rollback(doors.service, body.version, who=OWNER)


@router.get("/health")
async def report_health(doors: Here) -> Json:
    """How every part is, in words for the owner."""
    return {"dependencies": [asdict(part) for part in health(doors.service)]}
