"""Several processes that serve one desk behind one port: where each has its place, and what they share.

The process that starts them owns the desk's folder. Each has a numbered folder below it, so that one that is killed
leaves its place to the one that follows.
"""

import asyncio
import itertools
from pathlib import Path

from domain.errors import HomeInUseError, UsageError
from domain.settings import Settings
from graph.profiles import find_desk
from store import HomeLock


def crew_folder(settings: Settings) -> Path:
    """Where the processes of this desk have their places."""
    return settings.home / find_desk(settings.desk).name / "workers"


def counts_in(among: Path) -> Path:
    """Where they count together."""
    return among / "metrics"


async def take_place(among: Path) -> HomeLock:
    """The first place that is free. Raises StoreError."""
    for number in itertools.count(1):
        try:
            return await asyncio.to_thread(HomeLock.acquire, among / str(number))
        except HomeInUseError:
            continue
    raise AssertionError  # count() does not end


def must_share(settings: Settings, count: int) -> None:
    """Raises UsageError where several processes would each write to a file that has one owner."""
    missing = [
        name
        for name, value in (
            ("FRONTDESK_DATABASE_URL", settings.database_url.get_secret_value()),
            ("FRONTDESK_CHROMA_URL", settings.chroma_url),
        )
        if not value
    ]
    if missing:
        what = f"{count} workers cannot share a desk that lies in files"
        raise UsageError(what, where="--workers", fix=f"set {' and '.join(missing)}, or use 1")
