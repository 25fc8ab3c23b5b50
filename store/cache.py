"""Answers that may be given again, shared by all users of a desk. Nothing personal is in them."""

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, RowMapping, delete, func, select, update

from domain.ports import CachedAnswer, CacheKey, Clock, Vector
from domain.turn import Source
from store.engine import Database, upsert
from store.tables import cached_answers as table

FLOAT = 4
"""Bytes of one number of a vector."""

MOST = 5_000
"""Answers of one scope that are looked through; more have hardly anything to do with each other."""


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

    def exact(self, key: CacheKey, form: str) -> CachedAnswer | None:
        """The fresh answer to a question in this form."""
        wanted = select(table).where(table.c.scope == _scope(key), table.c.form == _hash(form), *self._fresh())
        with self._database.read() as connection:
            row = connection.execute(wanted).mappings().one_or_none()
        return _answer(row) if row else None

    def near(self, key: CacheKey, vector: Vector, least: float, k: int) -> Sequence[CachedAnswer]:
        """Fresh answers whose questions are at least that near, the nearest first."""
        wanted = (
            select(table.c.id, table.c.vector)
            .where(table.c.scope == _scope(key), *self._fresh())
            .order_by(table.c.made_at.desc())
            .limit(MOST)
        )
        with self._database.read() as connection:
            best = _nearest(connection.execute(wanted).all(), vector, least, k)
            rows = connection.execute(select(table).where(table.c.id.in_(best))).mappings().all()
        return sorted((_answer(row) for row in rows), key=lambda answer: best.index(answer.id))

    def used(self, answer: CachedAnswer) -> None:
        """Count a hit."""
        with self._database.write() as connection:
            connection.execute(update(table).where(table.c.id == answer.id).values(hits=table.c.hits + 1))

    def put(self, key: CacheKey, form: str, vector: Vector, answer: CachedAnswer) -> None:
        """Keep an answer in place of an older one; those past their time go. A ttl of zero keeps nothing."""
        if not self._ttl:
            return
        row = {
            "scope": _scope(key),
            "form": _hash(form),
            "question": answer.question,
            "vector": struct.pack(f"<{len(vector)}f", *vector),
            "answer": answer.text,
            "sources": json.dumps([asdict(source) for source in answer.sources], ensure_ascii=False),
            "model": answer.model,
            "cost_microusd": answer.cost_microusd,
            "hits": 0,
            "made_at": self._clock.now(),
        }
        with self._database.write() as connection:
            connection.execute(delete(table).where(table.c.made_at <= self._clock.now() - self._ttl))
            fresh = {
                name: row[name]
                for name in ("question", "vector", "answer", "sources", "model", "cost_microusd", "made_at")
            }
            connection.execute(
                upsert(connection, table)
                .values(row)
                .on_conflict_do_update(index_elements=[table.c.scope, table.c.form], set_=fresh)
            )

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

    def _fresh(self) -> list[ColumnElement[bool]]:
        return [table.c.made_at > self._clock.now() - self._ttl]


def _scope(key: CacheKey) -> str:
    return _hash("\x1f".join(asdict(key).values()))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _nearest(rows: Sequence[Row[Any, Any]], vector: Vector, least: float, k: int) -> list[int]:
    """Ids of the rows that are near enough. A vector of another embedder has another length, and is passed over."""
    import numpy as np  # noqa: PLC0415 - most questions need none of it

    fitting = [row for row in rows if len(row.vector) == FLOAT * len(vector)]
    if not fitting:
        return []
    kept = np.frombuffer(b"".join(row.vector for row in fitting), "<f4").reshape(len(fitting), -1)
    likeness = kept @ np.asarray(vector, dtype=np.float32)
    return [int(fitting[place].id) for place in np.argsort(-likeness)[:k] if likeness[place] >= least]


def _answer(row: RowMapping) -> CachedAnswer:
    sources = [Source(**one) for one in json.loads(row["sources"])]
    return CachedAnswer(row["question"], row["answer"], sources, row["model"], row["cost_microusd"], row["id"])
