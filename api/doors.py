"""What the routes share: the service behind them and what this door itself keeps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, cast

from fastapi import Depends, Request

from api.limits import RateLimits
from api.replays import Replays
from api.turns import Turns
from domain.ports import Clock, Ids, Progress
from graph.service import Service


@dataclass(slots=True)
class Gauge:
    """How far the long operation that runs now, or ran last, has come."""

    done: int = 0
    total: int = 0
    what: str = ""

    def __call__(self, done: int, total: int) -> None:
        """Take note of (done, total) of work without stages."""
        self._note("", done, total)

    def stage(self, what: str) -> Progress:
        """The gauge of one stage."""
        return partial(self._note, what)

    def _note(self, what: str, done: int, total: int) -> None:
        self.what, self.done, self.total = what, done, total


@dataclass(frozen=True, slots=True)
class Doors:
    """One service at its HTTP door. `heartbeat` is in seconds, `new_session` makes an unguessable name."""

    service: Service
    turns: Turns
    replays: Replays
    ids: Ids
    clock: Clock
    new_session: Callable[[], str]
    heartbeat: float
    limits: RateLimits
    gauge: Gauge = field(default_factory=Gauge)


async def doors_of(request: Request) -> Doors:  # awaited: FastAPI sends a plain function to a thread
    """The doors that `create_app` was given."""
    return cast("Doors", request.app.state.doors)


Here = Annotated[Doors, Depends(doors_of)]
