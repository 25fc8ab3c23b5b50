"""Answers that may be given again, shared by all users of a desk. Nothing personal is in them."""

import hashlib
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update

from domain.ports import CachedAnswer, CacheKey, Clock, Vector
from domain.turn import Source
from store.engine import Database
from store.kept_vectors import KeptVectors
from store.prepared import Prepared, new_row
from store.tables import cached_answers as table

MOST = 5_000
"""Answers of one scope that are looked through; more have hardly anything to do with each other."""
AT_ONCE = 20
"""Questions that are read at a time."""
IDS = tuple(f"id_{number}" for number in range(AT_ONCE))
"""The names of their ids in the statement."""
SWEEP = timedelta(minutes=1)
"""How often answers past their time are removed: they are given to nobody meanwhile."""


@dataclass(frozen=True, slots=True)
class CacheBooks:
    """What the cache holds and what it has saved, in micro-dollars."""

    answers: int
    hits: int
    saved_microusd: int


class AnswerTable:
    """Implements models.answer_cache.AnswerShelf. `ttl` is how long an answer may be given again; zero: never."""

    def __init__(self, database: Database, clock: Clock, ttl: timedelta) -> None:
        self._database, self._clock, self._ttl = database, clock, ttl
        self._vectors = KeptVectors(MOST, clock)
        self._swept = clock.now() - SWEEP

    def find(
        self, key: CacheKey, form: str, vector: Vector, *, least: float, most: int, same: Callable[[str], bool]
    ) -> CachedAnswer | None:
        """The fresh answer to a question in this form, else to the nearest that is the `same`, if there is one.

        Of those whose vectors are at least so near, `most` are held against it, the nearest first.
        """
        scope, since = _scope(key), self._clock.now() - self._ttl
        with self._database.read() as connection:
            wanted = {"scope": scope, "form": _hash(form), "since": since}
            (rows,) = self._database.run(connection, (_exact(), wanted))
            if not rows:
                self._look(connection, scope)
                best, looked = self._vectors.nearest(scope, vector, least), 0
                # What has gone since, or is past its time, leaves room for what is a little less near.
                while not rows and best and looked < most:
                    few, best = best[:AT_ONCE], best[AT_ONCE:]
                    fresh = self._questions(connection, few, since)[: most - looked]
                    looked += len(fresh)
                    rows = next((self._whole(connection, place) for place, question in fresh if same(question)), [])
        return _answer(rows[0]) if rows else None

    def used(self, answer: CachedAnswer) -> None:
        """Count a hit."""
        with self._database.write() as connection:
            connection.execute(update(table).where(table.c.id == answer.id).values(hits=table.c.hits + 1))

    def put(self, key: CacheKey, form: str, vector: Vector, answer: CachedAnswer) -> None:
        """Keep an answer in place of an older one; those past their time go. A ttl of zero keeps nothing."""
        if not self._ttl:
            return
        now = self._clock.now()
        scope = _scope(key)
        row = {
            "scope": scope,
            "form": _hash(form),
            "question": answer.question,
            "vector": struct.pack(f"<{len(vector)}f", *vector),
            "answer": answer.text,
            "sources": json.dumps([asdict(source) for source in answer.sources], ensure_ascii=False),
            "model": answer.model,
            "cost_microusd": answer.cost_microusd,
            "hits": 0,
            "made_at": now,
        }
        with self._database.write() as connection:
            if now - self._swept >= SWEEP:
                self._swept = now
                connection.execute(delete(table).where(table.c.made_at <= now - self._ttl))
            ((kept,),) = self._database.run(connection, (_put(), row))
        self._vectors.written(scope, kept.id)

    def books(self) -> CacheBooks:
        """What is kept now, and what it has saved since it was made."""
        sums = select(
            func.count(),
            func.coalesce(func.sum(table.c.hits), 0),
            func.coalesce(func.sum(table.c.hits * table.c.cost_microusd), 0),
        )
        with self._database.read() as connection:
            answers, hits, saved = connection.execute(sums.select_from(table)).one()
        return CacheBooks(int(answers), int(hits), int(saved))

    def _look(self, connection: Connection, scope: str) -> None:
        """Take in the vectors of the scope that have come since the last look."""
        since = self._vectors.newest(scope)
        (rows,) = self._database.run(connection, (_since(), {"wanted": scope, "since": since}))
        self._vectors.add(scope, since, [(row.id, row.vector) for row in reversed(rows)])

    def _questions(self, connection: Connection, ids: Sequence[int], since: datetime) -> list[tuple[int, str]]:
        """The fresh ones of these, `AT_ONCE` at most, with their questions, in this order."""
        padded = [*ids, *[ids[-1]] * (AT_ONCE - len(ids))]
        (rows,) = self._database.run(connection, (_among(), {"since": since} | dict(zip(IDS, padded, strict=True))))
        found = {row.id: row.question for row in rows}
        return [(place, found[place]) for place in ids if place in found]

    def _whole(self, connection: Connection, place: int) -> list[Any]:
        (rows,) = self._database.run(connection, (_one(), {"place": place}))
        return rows


def _scope(key: CacheKey) -> str:
    return _hash("\x1f".join(asdict(key).values()))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


# The statements of every question are built once: to build one takes longer than the database takes to run it.


@cache
def _exact() -> Prepared:
    fits = (table.c.scope == bindparam("scope"), table.c.form == bindparam("form"))
    return Prepared(select(table).where(*fits, table.c.made_at > bindparam("since")))


@cache
def _since() -> Prepared:
    """The newest rows of a scope behind an id, the newest first."""
    # The sum keeps SQLite from the index of scopes: few rows are behind the id, many may be of the scope.
    fits = (table.c.id > bindparam("since"), table.c.scope + "" == bindparam("wanted"))
    return Prepared(select(table.c.id, table.c.vector).where(*fits).order_by(table.c.id.desc()).limit(MOST))


@cache
def _among() -> Prepared:
    fits = table.c.id.in_([bindparam(name) for name in IDS])
    return Prepared(select(table.c.id, table.c.question).where(fits, table.c.made_at > bindparam("since")))


@cache
def _one() -> Prepared:
    return Prepared(select(table).where(table.c.id == bindparam("place")))


@cache
def _put() -> Prepared:
    renewed = ("question", "vector", "answer", "sources", "model", "cost_microusd", "made_at")
    new = new_row(table, ("scope", "form", "hits", *renewed))
    keys = [table.c.scope, table.c.form]
    put = new.on_conflict_do_update(index_elements=keys, set_={name: new.excluded[name] for name in renewed})
    return Prepared(put.returning(table.c.id))


def _answer(row: Any) -> CachedAnswer:
    sources = [Source(**one) for one in json.loads(row.sources)]
    return CachedAnswer(row.question, row.answer, sources, row.model, row.cost_microusd, row.id)
