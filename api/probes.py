"""What machines ask: is it alive, can it answer, how much has it done."""

import asyncio
from dataclasses import replace

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from api import problems
from api.doors import Here
from graph.health import health, memory


class AliveOut(BaseModel):
    """The process runs."""

    status: str


class PartOut(BaseModel):
    """A dependency and its state: ok, degraded, down or off."""

    name: str
    state: str


class ReadyOut(BaseModel):
    """Whether the desk can answer, and which parts are not as they should be."""

    ready: bool
    degraded: list[str]
    dependencies: list[PartOut]


router = APIRouter()


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> AliveOut:
    """Always 200: nothing is asked of any dependency."""
    return AliveOut(status="ok")


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", summary="Can the desk answer?", responses=problems.documented(problems.NOT_READY))
async def readyz(doors: Here) -> ReadyOut:
    """503 only when the desk cannot answer; a desk that has lost its model still quotes."""
    counting = doors.limits.part()
    stored = await asyncio.to_thread(memory, doors.service)
    parts = [stored, *health(doors.service), *([counting] if counting else [])]
    down = [part.name for part in parts if part.needed and part.state == "down"]
    ready = ReadyOut(
        ready=not down,
        degraded=[part.name for part in parts if part.state in ("degraded", "down")],
        # No details: they name paths and models, and anyone may ask. /admin/health has them.
        dependencies=[PartOut(name=part.name, state=part.state) for part in parts],
    )
    if down:
        problem = replace(problems.NOT_READY, detail=f"down: {', '.join(down)}", extra=ready.model_dump())
        raise problems.ProblemError(problem)
    return ready


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(doors: Here) -> Response:
    """Counters and times in Prometheus' text format."""
    return Response(doors.service.metrics.render(), media_type=CONTENT_TYPE_LATEST)
