"""Idempotency keys: a request that is sent again is answered from memory, never worked on twice."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from api.problems import KEY_REUSED, REQUEST_RUNNING, ProblemError
from domain.ports import Clock
from domain.receipt import Reply

SECONDS = 600.0
ROOM = 1_000

Slot = tuple[str, str]
"""A user and the key that they sent: nobody meets another user's replies."""


@dataclass(slots=True)
class _Kept:
    """`reply` is None while the first request of its kind is running."""

    body: bytes
    until: float
    reply: Reply | None = None


class Replays:
    """The last replies by key, in memory: at most `room`, each for `seconds`."""

    def __init__(self, clock: Clock, *, seconds: float = SECONDS, room: int = ROOM) -> None:
        self._clock = clock
        self._seconds = seconds
        self._room = room
        self._kept: OrderedDict[Slot, _Kept] = OrderedDict()

    def begin(self, slot: Slot, body: str) -> Reply | None:
        """The reply that was given before; None when this request is the first and now holds the slot.

        Raises ProblemError: the same request is running, or the key came with another body.
        """
        self._expire()
        digest = hashlib.sha256(body.encode()).digest()
        kept = self._kept.get(slot)
        if kept is None:
            self._kept[slot] = _Kept(digest, self._clock.monotonic() + self._seconds)
            return None
        if kept.body != digest:
            raise ProblemError(KEY_REUSED)
        if kept.reply is None:
            raise ProblemError(REQUEST_RUNNING)
        return kept.reply

    def end(self, slot: Slot, reply: Reply | None) -> None:
        """Keep the reply; without one the slot is free again, so that the request can be repeated."""
        kept = self._kept.pop(slot)
        if reply:
            self._kept[slot] = _Kept(kept.body, self._clock.monotonic() + self._seconds, reply)

    def forget(self, thread_id: str) -> None:
        """Let go of the replies of a thread that its user has deleted."""
        for slot in [slot for slot, kept in self._kept.items() if kept.reply and kept.reply.thread_id == thread_id]:
            del self._kept[slot]

    def forget_user(self, user: str) -> None:
        """Let go of the replies of a user whose data was deleted."""
        for slot in [slot for slot, kept in self._kept.items() if slot[0] == user and kept.reply]:
            del self._kept[slot]

    def _expire(self) -> None:
        """Drop what is too old, and the oldest where there is no room. Running requests stay."""
        now, ended = self._clock.monotonic(), [slot for slot, kept in self._kept.items() if kept.reply]
        surplus = len(self._kept) - self._room + 1
        for place, slot in enumerate(ended):
            if place < surplus or self._kept[slot].until <= now:
                del self._kept[slot]
            else:
                return
