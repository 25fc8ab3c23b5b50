"""What happened in a span of time: the figures that `frontdesk stats` prints and the operators' page shows."""

import asyncio
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.errors import UsageError
from domain.receipt import MICRO
from graph.service import Service
from store import Store
from store.costs import CostRow, Spent
from store.figures import Figures

Json = dict[str, Any]
SPAN = re.compile(r"(\d{1,5})([mhdw])")
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass(frozen=True, slots=True)
class Overview:
    """Turns, money and models of a span of time."""

    since: datetime
    until: datetime
    figures: Figures
    spent: Spent
    models: tuple[CostRow, ...]


def overview(store: Store, since: datetime, until: datetime) -> Overview:
    """Every figure of the turns since then. Blocking; quick over tens of thousands of turns."""
    return Overview(
        since,
        until,
        store.figures.since(since),
        store.costs.spent(since),
        tuple(store.costs.by("model", since)),
    )


async def stats(service: Service, since: str = "24h") -> Json:
    """What happened: requests, outcomes, times, tokens, money, rates, feedback, judge; the rates are shares of requests.

    Raises UsageError for a time that cannot be read.
    """
    now = service.clock.now()
    found = await asyncio.to_thread(overview, service.store, moment(since, now), now)
    return as_json(found)


def as_json(found: Overview) -> Json:
    """An overview as one flat object, as docs/cli.md names its fields."""
    figures, spent = asdict(found.figures), found.spent
    judged = figures.pop("judged")
    return {
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        **figures,
        "tokens": spent.input_tokens + spent.output_tokens,
        "input_tokens": spent.input_tokens,
        "cached_tokens": spent.cached_tokens,
        "output_tokens": spent.output_tokens,
        "calls": spent.calls,
        "failed_calls": spent.failed_calls,
        "cost_microusd": spent.cost_microusd,
        "cost_usd": spent.cost_microusd / MICRO,
        "resolved": spent.resolved,
        "judge": list(judged),
        "models": [asdict(row) for row in found.models],
    }


def moment(since: str, now: datetime) -> datetime:
    """The time that `24h`, `30m`, `7d`, `2w` or an ISO date stands for. Raises UsageError."""
    if span := SPAN.fullmatch(since.strip().lower()):
        return now - int(span[1]) * UNITS[span[2]]
    try:
        found = datetime.fromisoformat(since.strip())
    except ValueError as fault:
        fix = "write it like 24h, 7d or 2026-11-01"
        raise UsageError(f"{since!r} is no span of time", where="since", fix=fix) from fault
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    if found > now:
        raise UsageError(f"{since} is yet to come", where="since", fix="give a time in the past")
    return found
