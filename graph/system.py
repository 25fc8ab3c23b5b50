"""The real clock, the real ids, real randomness; tests inject others."""

import secrets
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


CONSONANTS = "bcdfghjklmnpqrstvwxz"
"""No word in any language, and no number, is made of sixteen of them."""


def new_canary() -> str:
    """Sixteen letters that nobody can guess: 69 bits."""
    return "".join(secrets.choice(CONSONANTS) for _ in range(16))
