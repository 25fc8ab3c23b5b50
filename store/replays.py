"""Which turn answers a request that is sent again, for every replica: rows by the hash of its user and key.

No text is here: the reply is made again from the turn's receipt and the vault.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, delete, insert, select, update

from domain.ports import Clock
from store.engine import Database
from store.leases import SECONDS
from store.tables import receipts, replays

KEPT = timedelta(minutes=10)
"""How long a reply can be had again."""
RUNNING = timedelta(seconds=SECONDS)
"""How long a request that nobody works on any more holds its key: its replica was killed."""

State = Literal["mine", "running", "done", "other_body"]


@dataclass(frozen=True, slots=True)
class Slot:
    """A request as it is known here: keyed hashes of (user and key), of its body, and of its user."""

    id: str
    body: str
    user: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How a request stands. `turn_id`: of `done`, the turn that answered it; of `mine`, the one that never ended."""

    state: State
    turn_id: str = ""


class ReplayBook:
    """One row for each request under way or answered lately. Blocking."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(self, slot: Slot, turn_id: str) -> Standing:
        """Take a request on as this turn, unless it is being answered or was."""
        now = self._clock.now()
        with self._database.write(f"replay {slot.id}") as connection:
            _expire(connection, now)
            row = connection.execute(select(replays).where(replays.c.slot == slot.id)).one_or_none()
            if row is None:
                own = {"slot": slot.id, "body": slot.body, "user_hash": slot.user}
                connection.execute(
                    insert(replays).values(own | {"turn_id": turn_id, "until": now + RUNNING, "done": False})
                )
                return Standing("mine")
            if row.body != slot.body:
                return Standing("other_body")
            if row.done:
                return Standing("done", row.turn_id)
            # One that ends later than one begun now could is a clock's fault, and does not hold.
            if now < row.until <= now + RUNNING:
                return Standing("running")
            taken = update(replays).where(replays.c.slot == slot.id)
            connection.execute(taken.values(turn_id=turn_id, until=now + RUNNING))
            return Standing("mine", row.turn_id)

    def renew(self, slot: Slot, turn_id: str) -> None:
        """Say that the turn is still at work."""
        mine = replays.c.slot == slot.id, replays.c.turn_id == turn_id, replays.c.done.is_(False)
        with self._database.write() as connection:
            connection.execute(update(replays).where(*mine).values(until=self._clock.now() + RUNNING))

    def end(self, slot: Slot, turn_id: str) -> None:
        """Let the request be answered by this turn from now on."""
        with self._database.write() as connection:
            ended = update(replays).where(replays.c.slot == slot.id)
            connection.execute(ended.values(turn_id=turn_id, until=self._clock.now() + KEPT, done=True))

    def drop(self, slot: Slot, turn_id: str) -> None:
        """Set the request free, so that it can be repeated."""
        with self._database.write() as connection:
            connection.execute(delete(replays).where(replays.c.slot == slot.id, replays.c.turn_id == turn_id))


def forget_thread(connection: Connection, thread: str) -> None:
    """No request is answered any more by a turn of this thread."""
    turns = select(receipts.c.turn_id).where(receipts.c.thread_id == thread)
    connection.execute(delete(replays).where(replays.c.turn_id.in_(turns)))


def _expire(connection: Connection, now: datetime) -> None:
    # A turn that was cut off may still be found in the ledger, for as long as one that ended.
    over = (replays.c.until < now) & replays.c.done
    connection.execute(delete(replays).where(over | (replays.c.until < now - KEPT)))
