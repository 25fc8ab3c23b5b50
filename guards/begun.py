"""A check that is under way in a thread, perhaps begun before its step asks for it.

The embedder works beside the interpreter, so the earlier it starts the more of a turn is done meanwhile.
"""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")

Told = Callable[[str], None]
"""Told the masked text of which a vector is now asked for; not called where none is."""


class Begun(Generic[T]):
    """Work on a text, begun when this is made. `done`: what comes of it; `compared`: what it has told, "" if nothing.

    Belongs to the event loop in which it is made.
    """

    def __init__(self, of: object, work: Callable[[Told], T]) -> None:
        """`of` is equal for the same work on the same text."""
        self.of = of
        self._loop = asyncio.get_running_loop()
        self.compared: asyncio.Future[str] = self._loop.create_future()
        self.done = asyncio.ensure_future(asyncio.to_thread(partial(work, self._told)))
        self.done.add_done_callback(lambda _done: self._set(""))

    def _told(self, masked: str) -> None:
        self._loop.call_soon_threadsafe(self._set, masked)

    def _set(self, masked: str) -> None:
        if not self.compared.done():
            self.compared.set_result(masked)


BEGUN: ContextVar[Begun[Any] | None] = ContextVar("begun", default=None)
"""The check of the turn that is under way. It holds raw text, and lives no longer than its turn."""
