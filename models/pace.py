"""How many requests a model was sent within the last minute, against what its provider takes."""

from collections import deque

from domain.ports import Clock

MINUTE = 60.0


class Pace:
    """A sliding minute. It only says when it is full: a provider's own 429 decides, as accounts differ."""

    def __init__(self, clock: Clock, limit: int | None) -> None:
        """`limit` requests a minute; None: nothing is known of it."""
        self._clock, self._limit = clock, limit
        self._taken: deque[float] = deque()

    def take(self) -> None:
        """One request goes out now."""
        if self._limit is not None:
            self._drop_old()
            self._taken.append(self._clock.monotonic())

    @property
    def full(self) -> bool:
        """Whether the last minute has used up the limit."""
        if self._limit is None:
            return False
        self._drop_old()
        return len(self._taken) >= self._limit

    def _drop_old(self) -> None:
        since = self._clock.monotonic() - MINUTE
        while self._taken and self._taken[0] <= since:
            self._taken.popleft()
