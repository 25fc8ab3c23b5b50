"""The past in hours or days, and lists of turns: what a page of figures is drawn from. Reads; writes nothing."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Column, ColumnElement, Connection, RowMapping, func, literal_column, select

from store.costs import utc_day
from store.engine import Database
from store.figures import GUARDED, UNSURE
from store.tables import calls, feedback, receipts

Unit = Literal["hour", "day"]
Kind = Literal["", "dont_know", "guarded", "handoff", "failed", "thumbs_down", "thumbs_up"]
"""Which turns a list has; empty: all."""
FAILED = ("guard_failed", "model_down")
VERSIONS = ("release", "prompt", "rag_config", "knowledge", "model")


@dataclass(slots=True)
class Bucket:
    """One hour or day, in UTC: `at` is 2026-11-21T09 or 2026-11-21. Times are milliseconds, money micro-dollars."""

    at: str
    requests: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    guarded: int = 0
    unsure: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    cost: Counter[str] = field(default_factory=Counter)
    """By model."""


@dataclass(frozen=True, slots=True)
class InUse:
    """A release, prompt, RAG configuration, knowledge or model that turns were answered with."""

    kind: str
    name: str
    turns: int
    last_at: datetime


class Series:
    """Reads the ledger along time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def buckets(self, since: datetime, unit: Unit) -> list[Bucket]:
        """Each hour or day since then in which something happened, in their order."""
        found: dict[str, Bucket] = {}
        with self._database.read() as connection:
            at = _bucket(connection, receipts.c.at, unit)
            kinds = select(at, receipts.c.outcome, receipts.c.reason, func.count()).where(receipts.c.at >= since)
            for name, outcome, reason, count in connection.execute(
                kinds.group_by(at, receipts.c.outcome, receipts.c.reason)
            ):
                bucket = found.setdefault(str(name), Bucket(str(name)))
                bucket.requests += count
                bucket.outcomes[outcome] += count
                bucket.guarded += count * (reason in GUARDED)
                bucket.unsure += count * (reason in UNSURE and outcome in ("dont_know", "handoff"))
            for name, p50, p95 in _percentiles(connection, at, since):
                found[str(name)].p50_ms, found[str(name)].p95_ms = p50, p95
            paid = _bucket(connection, calls.c.at, unit)
            spent = select(paid, calls.c.model, func.sum(calls.c.cost_microusd)).where(calls.c.at >= since)
            for name, model, cost in connection.execute(spent.group_by(paid, calls.c.model)):
                found.setdefault(str(name), Bucket(str(name))).cost[str(model)] = int(cost)
        return [found[name] for name in sorted(found)]

    def in_use(self, since: datetime) -> list[InUse]:
        """What turns since then were answered with, the most used of each kind first."""
        columns = [receipts.c[kind] for kind in VERSIONS]
        rows = select(*columns, func.count(), func.max(receipts.c.at)).where(receipts.c.at >= since)
        counts: Counter[tuple[str, str]] = Counter()
        last: dict[tuple[str, str], datetime] = {}
        with self._database.read() as connection:
            for *names, count, at in connection.execute(rows.group_by(*columns)):
                for kind, name in zip(VERSIONS, names, strict=True):
                    if name:
                        counts[kind, name] += count
                        last[kind, name] = max(at, last.get((kind, name), at))
        order = sorted(counts, key=lambda one: (VERSIONS.index(one[0]), -counts[one], one[1]))
        return [InUse(kind, name, counts[kind, name], last[kind, name]) for kind, name in order]

    def turns(self, since: datetime, kind: Kind, most: int) -> list[Mapping[str, Any]]:
        """The newest `most` turns of a kind: what stands in their rows, the body (JSON), rating and comment."""
        shown = (receipts, feedback.c.rating, feedback.c.comment)
        asked = select(*shown).outerjoin(feedback, feedback.c.turn_id == receipts.c.turn_id)
        asked = asked.where(receipts.c.at >= since, *_of_kind(kind))
        newest = asked.order_by(receipts.c.at.desc(), receipts.c.turn_id.desc()).limit(most)
        with self._database.read() as connection:
            rows: Sequence[RowMapping] = connection.execute(newest).mappings().all()
        return [dict(row) for row in rows]

    def ids(self, since: datetime, until: datetime) -> list[str]:
        """The ids of all turns of a span, in their order."""
        every = select(receipts.c.turn_id).where(receipts.c.at >= since, receipts.c.at < until)
        with self._database.read() as connection:
            return [str(turn) for turn in connection.execute(every.order_by(receipts.c.turn_id)).scalars()]


def _bucket(connection: Connection, at: Column[Any], unit: Unit) -> ColumnElement[Any]:
    if unit == "day":
        return utc_day(connection, at)
    if connection.dialect.name == "postgresql":
        # The format as a literal: as a parameter, Postgres would not see the same expression in GROUP BY.
        return func.to_char(func.timezone("UTC", at), literal_column("""'YYYY-MM-DD"T"HH24'"""))
    return func.strftime(literal_column("'%Y-%m-%dT%H'"), at)


def _percentiles(connection: Connection, at: ColumnElement[Any], since: datetime) -> list[tuple[str, float, float]]:
    """(bucket, p50, p95): the smallest time that so many turns of the bucket did not pass."""
    # Sorting 10,000 times here takes a third of what window functions take.
    times: defaultdict[str, list[float]] = defaultdict(list)
    for name, ms in connection.execute(select(at, receipts.c.latency_ms).where(receipts.c.at >= since)):
        times[str(name)].append(ms)
    return [(name, _percentile(sorted(each), 50), _percentile(sorted(each), 95)) for name, each in times.items()]


def _percentile(ordered: Sequence[float], share: int) -> float:
    return round(ordered[(len(ordered) * share + 99) // 100 - 1], 2)


def _of_kind(kind: Kind) -> list[ColumnElement[bool]]:
    match kind:
        case "dont_know":
            return [receipts.c.reason.in_(UNSURE), receipts.c.outcome.in_(("dont_know", "handoff"))]
        case "guarded":
            return [receipts.c.reason.in_(GUARDED)]
        case "handoff":
            return [receipts.c.outcome == "handoff"]
        case "failed":
            return [receipts.c.reason.in_(FAILED)]
        case "thumbs_down" | "thumbs_up":
            return [feedback.c.rating == kind.removeprefix("thumbs_")]
        case _:
            return []
