"""The real clock and the real ids; tests inject others."""

import time
from datetime import UTC, datetime

from uuid_utils import uuid7


class SystemClock:
    """Wall time in aware UTC, and seconds that never go back."""

    def now(self) -> datetime:
        """The time, aware UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()


class Uuid7:
    """Ids that sort by the time of their making."""

    def new(self) -> str:
        """A new UUIDv7 as 36 characters."""
        return str(uuid7())
