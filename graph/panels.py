"""What the operators' page shows, in one answer, and the lists of turns behind its figures.

Everything comes from the ledger and the running parts: texts are masked, users are keyed hashes.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, get_args

from domain.errors import UsageError
from domain.receipt import MICRO
from graph.figures import as_json, moment, overview
from graph.health import health
from graph.money import standing, summary
from graph.service import Service
from store import Store
from store.series import Bucket, InUse, Kind, Unit

Json = dict[str, Any]

HOURLY = timedelta(hours=48)
"""Spans up to this are shown by the hour, longer ones by the day."""
LISTED = 20
"""Turns of each list on the page."""
MOST_TURNS = 500
UNANSWERED = 200
"""Newest turns without an answer that are counted by their words."""


async def ops(service: Service, since: str = "24h") -> Json:
    """All figures of the operators' page; the fields are in docs/operations.md. Raises UsageError."""
    now = service.clock.now()
    start = moment(since, now)
    sums, along = await asyncio.gather(
        asyncio.to_thread(_sums, service.store, start, now), asyncio.to_thread(_along, service.store, start, now)
    )
    parts = [asdict(part) for part in health(service)]
    return {"desk": service.profile.name, **sums, **along, "health": parts}


async def turns(service: Service, since: str = "24h", kind: Kind = "", count: int = 50) -> Json:
    """The newest turns of a kind ("" for all, dont_know, guarded, handoff, failed, thumbs_down, thumbs_up).

    {kind, turns:[{turn_id, at, question, answer, outcome, reason, mode, model, latency_ms, cost_usd, rating, comment}]}.
    Raises UsageError.
    """
    if kind not in get_args(Kind):
        kinds = ", ".join(filter(None, get_args(Kind)))
        raise UsageError(f"no kind of turns is called {kind!r}", where="kind", fix=f"one of {kinds}")
    if not 1 <= count <= MOST_TURNS:
        raise UsageError(f"{count} turns cannot be listed", where="count", fix=f"ask for 1 to {MOST_TURNS}")
    start = moment(since, service.clock.now())
    found = await asyncio.to_thread(service.store.series.turns, start, kind, count)
    return {"kind": kind, "turns": [shown(row) for row in found]}


def _sums(store: Store, start: datetime, now: datetime) -> Json:
    found = overview(store, start, now)
    return {
        **as_json(found),
        "costs": summary(found.spent, now),
        "budgets": [standing(one) for one in store.budget.standings()],
    }


def _along(store: Store, start: datetime, now: datetime) -> Json:
    unit: Unit = "hour" if now - start <= HOURLY else "day"
    lists: dict[str, Kind] = {"turns": "", "rated_down": "thumbs_down", "rated_up": "thumbs_up"}
    return {
        "unit": unit,
        "series": [bucket(one) for one in store.series.buckets(start, unit)],
        "in_use": [_in_use(one) for one in store.series.in_use(start)],
        "unanswered": _by_words(store.series.turns(start, "dont_know", UNANSWERED)),
        **{name: [shown(row) for row in store.series.turns(start, kind, LISTED)] for name, kind in lists.items()},
    }


def shown(row: Mapping[str, Any]) -> Json:
    """A turn as lists show it."""
    body = json.loads(row["body"])
    plain = ("turn_id", "outcome", "reason", "mode", "model", "language", "confidence", "latency_ms", "rating")
    return {
        "at": row["at"].isoformat(),
        "question": body["question"],
        "answer": body["answer"],
        **{name: row[name] for name in plain},
        "cost_usd": row["cost_microusd"] / MICRO,
        "comment": row["comment"] or "",
    }


def _by_words(rows: Sequence[Mapping[str, Any]]) -> list[Json]:
    """Questions without a sure answer, the same words counted together; `gaps` groups them by meaning."""
    asked = [(json.loads(row["body"]), row) for row in rows]
    words = [" ".join((body.get("standalone") or body["question"]).split()) for body, _ in asked]
    counts = Counter(one.casefold() for one in words)
    newest: dict[str, Json] = {}
    for one, (_, row) in zip(words, asked, strict=True):
        newest.setdefault(
            one.casefold(),
            {
                "question": one,
                "count": counts[one.casefold()],
                "turn_id": row["turn_id"],
                "last": row["at"].isoformat(),
            },
        )
    return sorted(newest.values(), key=lambda one: -int(one["count"]))[:LISTED]


def bucket(one: Bucket) -> Json:
    """An hour or day as JSON; money in dollars."""
    return {
        "at": one.at,
        "requests": one.requests,
        "outcomes": dict(one.outcomes),
        "guarded": one.guarded,
        "unsure": one.unsure,
        "p50_ms": one.p50_ms,
        "p95_ms": one.p95_ms,
        "cost_usd": {model: cost / MICRO for model, cost in sorted(one.cost.items())},
    }


def _in_use(one: InUse) -> Json:
    return {"kind": one.kind, "name": one.name, "turns": one.turns, "last_at": one.last_at.isoformat()}
