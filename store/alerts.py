"""Which alerts went out, and which of several processes looks after them now."""

from datetime import timedelta

from sqlalchemy import delete, or_, select, update

from domain.ports import Clock
from store.engine import Database, upsert
from store.tables import alerts, leases


class AlertBook:
    """Remembers across restarts and processes, so that an alert is sent once."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def claim(self, what: str, lease: timedelta) -> bool:
        """Whether this process is the one that does `what` for the time of the lease; no other is told so meanwhile.

        A lease that ends later than one taken now could is a clock's fault, and does not hold.
        """
        now = self._clock.now()
        with self._database.write() as connection:
            fresh = {"name": what, "until": now - lease}
            connection.execute(upsert(connection, leases).values(fresh).on_conflict_do_nothing())
            over = or_(leases.c.until <= now, leases.c.until > now + lease)
            mine = update(leases).where(leases.c.name == what, over).values(until=now + lease)
            return connection.execute(mine).rowcount == 1

    def due(self, alert: str, cooldown: timedelta) -> bool:
        """Whether an alert was not sent within its cool-down."""
        with self._database.read() as connection:
            sent = connection.execute(select(alerts.c.sent_at).where(alerts.c.id == alert)).scalar_one_or_none()
        return sent is None or not sent <= self._clock.now() < sent + cooldown

    def sent(self, alert: str, text: str, *, lasts: bool = True) -> None:
        """Note that it went out. `lasts`: until it is told that it is over."""
        row = {"id": alert, "sent_at": self._clock.now(), "text": text, "open": lasts}
        with self._database.write() as connection:
            put = upsert(connection, alerts).values(row)
            connection.execute(put.on_conflict_do_update(index_elements=["id"], set_=row))

    def lasting(self) -> dict[str, str]:
        """The texts of those that are not over, by their ids."""
        with self._database.read() as connection:
            rows = connection.execute(select(alerts).where(alerts.c.open)).mappings()
            return {row["id"]: row["text"] for row in rows}

    def over(self, alert: str, *, forget: bool) -> None:
        """Note that it is over. `forget`: it may be told again at once; else its cool-down goes on."""
        mine = alerts.c.id == alert
        with self._database.write() as connection:
            connection.execute(delete(alerts).where(mine) if forget else update(alerts).where(mine).values(open=False))
