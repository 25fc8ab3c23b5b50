"""Whether the clock can be believed when what is old is to be removed for good."""

import json
from datetime import datetime, timedelta

from sqlalchemy import select

from store.engine import Database, upsert
from store.tables import meta

NAME = "upkeep"
"""The name in `meta` of the last round and, if the clock went ahead since the one before, of when that was seen."""

LEAP = timedelta(days=7)
"""So much longer than the time between two rounds that the clock may have been set, though a desk may have slept as well."""

GRACE = timedelta(days=1)
"""How long, by the clock that went ahead, somebody has to set it right."""


class Rounds:
    """The rounds in which what has outlived its retention is removed. Blocking."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, now: datetime) -> datetime | None:
        """Note a round that begins; None: it may remove. Otherwise the clock went ahead by a week: until when it waits."""
        with self._database.write(NAME) as connection:
            kept = connection.execute(select(meta.c.value).where(meta.c.name == NAME)).scalar_one_or_none()
            last, seen = (datetime.fromisoformat(each) if each else None for each in json.loads(kept or "[null, null]"))
            if seen is not None and not seen <= now < seen + GRACE:
                seen = None  # set back, or believed by now
            elif seen is None and last is not None and now - last > LEAP:
                seen = now
            row = {"name": NAME, "value": json.dumps([now.isoformat(), seen and seen.isoformat()])}
            put = upsert(connection, meta).values(row)
            connection.execute(put.on_conflict_do_update(index_elements=["name"], set_=row))
        return seen and seen + GRACE
