"""The figures of a span of time, as aggregates that the database makes: quick over tens of thousands of turns."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from sqlalchemy import Connection, func, select

from store.engine import Database
from store.tables import feedback, receipts, scores

GUARDED = frozenset({"injection", "malicious", "toxicity", "domain_rule", "too_long", "guard_failed"})
"""Reasons of the turns that a guard stopped. Out of scope is the router's, ungrounded the answer's."""
FAULTS = frozenset({"guard_failed", "model_down"})
"""Reasons in which every step that fails ends."""
UNSURE = frozenset({"low_confidence", "ungrounded", "repeated_dont_know"})


@dataclass(frozen=True, slots=True)
class Judged:
    """One dimension of the judge over many turns, 0..1. `unscored` turns are no zeros: they are left out."""

    dimension: str
    mean: float | None
    scored: int
    unscored: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened. Rates are shares of all requests, None where there were none; times are milliseconds."""

    requests: int
    outcomes: Mapping[str, int]
    reasons: Mapping[str, int]
    modes: Mapping[str, int]
    p50_ms: float | None
    p95_ms: float | None
    guard_rate: float | None
    dont_know_rate: float | None
    error_rate: float | None
    cache_hit_rate: float | None
    thumbs_up: int
    thumbs_down: int
    judged: tuple[Judged, ...]


class FigureBook:
    """Reads figures; writes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def since(self, moment: datetime) -> Figures:
        """The figures of the turns from `moment` on."""
        kinds = (
            select(receipts.c.outcome, receipts.c.reason, receipts.c.mode, func.count())
            .where(receipts.c.at >= moment)
            .group_by(receipts.c.outcome, receipts.c.reason, receipts.c.mode)
        )
        thumbs = select(feedback.c.rating, func.count()).where(feedback.c.at >= moment).group_by(feedback.c.rating)
        judged = (
            select(scores.c.name, func.avg(scores.c.value), func.count(scores.c.value), func.count())
            .join(receipts, receipts.c.turn_id == scores.c.turn_id)
            .where(receipts.c.at >= moment)
            .group_by(scores.c.name)
            .order_by(scores.c.name)
        )
        with self._database.read() as connection:
            rows = [(out, why or "", mode, int(count)) for out, why, mode, count in connection.execute(kinds)]
            total = sum(count for *_, count in rows)
            p50, p95 = (_percentile(connection, moment, total, share) for share in (0.5, 0.95))
            rated = {str(rating): int(count) for rating, count in connection.execute(thumbs)}
            dimensions = tuple(
                Judged(name, None if mean is None else round(float(mean), 4), int(known), int(every) - int(known))
                for name, mean, known, every in connection.execute(judged)
            )
        reasons = _sum(rows, 1)
        unsure = sum(count for out, why, _, count in rows if why in UNSURE and out in ("dont_know", "handoff"))
        return Figures(
            requests=total,
            outcomes=_sum(rows, 0),
            reasons={name: count for name, count in reasons.items() if name},
            modes=_sum(rows, 2),
            p50_ms=p50,
            p95_ms=p95,
            guard_rate=_rate(sum(reasons.get(name, 0) for name in GUARDED), total),
            dont_know_rate=_rate(unsure, total),
            error_rate=_rate(sum(reasons.get(name, 0) for name in FAULTS), total),
            cache_hit_rate=_rate(_sum(rows, 2).get("cache", 0), total),
            thumbs_up=rated.get("up", 0),
            thumbs_down=rated.get("down", 0),
            judged=dimensions,
        )


def _sum(rows: list[tuple[str, str, str, int]], place: int) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in rows:
        name = str(row[place])
        sums[name] = sums.get(name, 0) + row[3]
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def _rate(part: int, total: int) -> float | None:
    return round(part / total, 4) if total else None


def _percentile(connection: Connection, since: datetime, total: int, share: float) -> float | None:
    """The smallest time that `share` of the turns did not pass."""
    if not total:
        return None
    place = ceil(total * share) - 1
    times = select(receipts.c.latency_ms).where(receipts.c.at >= since).order_by(receipts.c.latency_ms)
    return round(float(connection.execute(times.limit(1).offset(place)).scalar_one()), 2)
