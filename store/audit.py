"""The log of admin actions. Entries can be added and read; the database refuses to change or delete one."""

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from domain.ports import Clock
from store.engine import Database
from store.tables import audit


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what. `before` and `after` are plain JSON values; None where there was nothing."""

    at: datetime
    who: str
    what: str
    before: object
    after: object


class Audit:
    """Append-only."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def record(self, who: str, what: str, before: object, after: object) -> None:
        """Add an entry; `before` and `after` must be plain JSON values."""
        with self._database.write() as connection:
            self.add(connection, self._clock.now(), who, what, before=before, after=after)

    @staticmethod
    def add(connection: Connection, at: datetime, who: str, what: str, *, before: object, after: object) -> None:
        """Add an entry in the transaction of what it tells of."""
        row = {"at": at, "who": who, "what": what, "before": json.dumps(before), "after": json.dumps(after)}
        connection.execute(insert(audit).values(row))

    def recent(self, count: int) -> list[AuditEntry]:
        """Give the last `count` entries, newest first."""
        newest = select(audit).order_by(audit.c.id.desc()).limit(count)
        with self._database.read() as connection:
            return [
                AuditEntry(row["at"], row["who"], row["what"], json.loads(row["before"]), json.loads(row["after"]))
                for row in connection.execute(newest).mappings()
            ]
