"""Which user a conversation belongs to, and when it was last used. Users are hashes."""

from datetime import datetime
from functools import cache

from sqlalchemy import bindparam, delete, select, update

from domain.errors import NotFoundError
from domain.ports import Clock
from store.engine import Database
from store.prepared import Prepared, new_row
from store.replays import forget_thread
from store.tables import threads


class Threads:
    """A thread belongs to the user who spoke in it first."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def claim(self, thread: str, user: str) -> None:
        """Make the thread this user's, or note that its user was here again.

        Raises NotFoundError when it is another's, in the words for a thread that does not exist.
        """
        now = self._clock.now()
        row = {"id": thread, "user_hash": user, "claimed_at": now, "touched_at": now}
        with self._database.write() as connection:
            (made,) = self._database.run(connection, (_claimed(), row))
            if made:
                return
            (own,) = self._database.run(connection, (_touched(), {"thread": thread, "user": user, "now": now}))
            if not own:
                raise NotFoundError("no such thread", where=thread)

    def belongs(self, thread: str, user: str) -> bool:
        """Whether it is this user's thread: another's takes as long to deny as one that never was."""
        own = select(threads.c.id).where(threads.c.id == thread, threads.c.user_hash == user)
        with self._database.read() as connection:
            return connection.execute(own).one_or_none() is not None

    def touched(self, thread: str) -> datetime | None:
        """Give the time of the thread's last turn; None for an unknown thread."""
        with self._database.read() as connection:
            return connection.execute(select(threads.c.touched_at).where(threads.c.id == thread)).scalar_one_or_none()

    def untouched_since(self, moment: datetime) -> list[str]:
        """Give the threads whose last turn was before `moment`: their checkpoints are due to go, before `purge`."""
        idle = select(threads.c.id).where(threads.c.touched_at < moment).order_by(threads.c.touched_at)
        with self._database.read() as connection:
            return list(connection.execute(idle).scalars())

    def delete(self, thread: str) -> None:
        """Forget whose thread it was; no repeated request is answered from it any more."""
        with self._database.write() as connection:
            forget_thread(connection, thread)
            connection.execute(delete(threads).where(threads.c.id == thread))


# Both run for every turn.


@cache
def _claimed() -> Prepared:
    """Gives a row back where there was none."""
    names = ("id", "user_hash", "claimed_at", "touched_at")
    return Prepared(new_row(threads, names).on_conflict_do_nothing().returning(threads.c.id))


@cache
def _touched() -> Prepared:
    """Gives a row back where it is that user's."""
    fits = (threads.c.id == bindparam("thread"), threads.c.user_hash == bindparam("user"))
    now = bindparam("now", type_=threads.c.touched_at.type)
    return Prepared(update(threads).where(*fits).values(touched_at=now).returning(threads.c.id))
