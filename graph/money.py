"""What operators ask about money: what was spent, what it would cost elsewhere, and the budgets."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import cycle, islice
from typing import Any, Literal

from domain.errors import UsageError
from domain.profile import BudgetRow
from domain.receipt import MICRO
from graph.figures import moment
from graph.service import Service
from models.catalog import TIERS, Catalog, ModelRow, load_catalog
from store.budget import Standing
from store.costs import By, Spent, Tokens
from store.limits import EACH, Limit, Slot

Json = dict[str, Any]

MONTH_DAYS = 30
METHOD = f"cost since then / days since the first request in it (at least one) * {MONTH_DAYS}"
ENOUGH_TURNS = 50
"""Turns with a model from which on their own tokens are the profile of a simulation."""
PROFILE_TURNS = 1_000
PROFILE_SINCE = timedelta(days=90)
ASSUMED = Tokens(input=1_800, cached=0, output=160)
"""What a question takes where nothing is known yet: five passages, instructions and history; three sentences."""
MOST_SIMULATED = 1_000_000
DEAREST = Decimal(1_000_000)


async def costs(service: Service, by: By = "model", since: str = "30d", simulate: int = 0) -> Json:
    """What was spent since then, by model, user, key, day or desk; a projection; with `simulate`, N requests elsewhere.

    First books what budgets have paid and no receipt tells of. Raises UsageError.
    """
    if not 0 <= simulate <= MOST_SIMULATED:
        raise UsageError(f"{simulate} requests cannot be simulated", where="simulate", fix=f"0 to {MOST_SIMULATED:,}")
    now = service.clock.now()
    start = moment(since, now)
    await asyncio.to_thread(settle_books, service)
    rows = await asyncio.to_thread(service.store.costs.by, by, start)
    spent = await asyncio.to_thread(service.store.costs.spent, start)
    found: Json = {
        "since": start.isoformat(),
        "by": by,
        "rows": [asdict(row) | {"cost_usd": row.cost_microusd / MICRO} for row in rows],
        **summary(spent, now),
    }
    if simulate:
        profile = await asyncio.to_thread(service.store.costs.profile, now - PROFILE_SINCE, PROFILE_TURNS)
        found["simulation"] = simulated(load_catalog(), profile, simulate, _a_day(spent, now))
    return found


def settle_books(service: Service) -> int:
    """Book payments that no receipt tells of, in the ledger and in the metrics; how much, in micro-dollars. Blocking."""
    missing = service.store.costs.compare(service.desk_folder.name)
    if missing:
        service.metrics.judged([], missing)
    return sum(call.cost_microusd for call in missing)


def simulated(catalog: Catalog, profile: Sequence[Tokens], requests: int, a_day: float) -> Json:
    """What N requests would cost with the first paid model of each tier, and a month at the desk's own rate.

    The tokens are those of the desk's own last turns, again and again, where there are enough of them.
    """
    own = len(profile) >= ENOUGH_TURNS
    tokens = profile if own else [ASSUMED]
    daily = a_day if own else float(requests)
    models = [_cost_of(row, tokens, requests, daily) for row in _one_a_tier(catalog)]
    count = len(tokens)
    return {
        "requests": requests,
        "requests_per_day": round(daily, 2),
        "profile": f"the last {count} turns with a model" if own else "assumed, as fewer than 50 turns asked a model",
        "input_tokens": round(sum(one.input for one in tokens) / count, 1),
        "cached_tokens": round(sum(one.cached for one in tokens) / count, 1),
        "output_tokens": round(sum(one.output for one in tokens) / count, 1),
        "models": models,
    }


async def budget(service: Service) -> Json:
    """Every limit with what is spent and held of it, and when it resets."""
    found = await asyncio.to_thread(service.store.budget.standings)
    return {"closed": any(one.closed for one in found), "budgets": [standing(one) for one in found]}


async def set_budget(
    service: Service,
    usd: str,
    scope: Literal["total", "model", "user", "key"] = "total",
    name: str = "",
    *,
    period: Literal["day", "month", "ever"] = "day",
    kind: Literal["hard", "soft"] = "hard",
    who: str = "operator",
) -> Json:
    """Set a limit in US dollars ("off": none, "default": what settings and desk.yaml say); then as `budget`.

    `name` of a user is their id, of the others what the books call them; "each" for everyone. Raises UsageError.
    """
    whose = service.store.vault.user_hash(name) if scope == "user" and name not in ("", EACH) else name
    slot = Slot(scope, whose, period, kind)
    amount = None if usd in ("off", "default") else _micro(usd)
    if amount is None and usd == "off" and slot == Slot():
        raise UsageError("the daily total cannot be without a limit", where="budget", fix="set a high one")
    await asyncio.to_thread(service.store.budget.change, slot, amount, who, forget=usd == "default")
    return await budget(service)


def limits_of(rows: Sequence[BudgetRow]) -> list[Limit]:
    """The defaults that a desk.yaml gives. Raises UsageError for one that cannot be."""
    return [Limit(Slot(row.scope, row.name, row.period, row.kind), round(row.usd * MICRO)) for row in rows]


def summary(spent: Spent, now: datetime) -> Json:
    """What a span has cost, for each request and projected to a month."""
    cost = spent.cost_microusd
    projected = round(cost / _days(spent, now) * MONTH_DAYS)
    return {
        **{name: value for name, value in asdict(spent).items() if name != "first_at"},
        "cost_usd": cost / MICRO,
        "cost_per_request_usd": round(cost / spent.requests / MICRO, 8) if spent.requests else None,
        "cost_per_resolved_usd": round(cost / spent.resolved / MICRO, 8) if spent.resolved else None,
        "projection_month_usd": projected / MICRO,
        "projection_days": round(_days(spent, now), 2),
        "projection_method": METHOD,
    }


def _days(spent: Spent, now: datetime) -> float:
    begun = spent.first_at or now
    return max(1.0, (now - begun) / timedelta(days=1))


def _a_day(spent: Spent, now: datetime) -> float:
    return spent.requests / _days(spent, now)


def _one_a_tier(catalog: Catalog) -> list[ModelRow]:
    paid = [row for row in catalog.models if row.prices.output]
    return [next(row for row in paid if row.tier == tier) for tier in TIERS if any(one.tier == tier for one in paid)]


def _cost_of(row: ModelRow, tokens: Sequence[Tokens], requests: int, a_day: float) -> Json:
    cost = sum(row.prices.cost(one.input, one.output, one.cached) for one in islice(cycle(tokens), requests))
    return {
        "model": row.name,
        "tier": row.tier,
        "cost_microusd": cost,
        "cost_usd": cost / MICRO,
        "cost_per_request_usd": round(cost / requests / MICRO, 8),
        "projection_month_usd": round(cost / requests * a_day * MONTH_DAYS) / MICRO,
    }


def standing(one: Standing) -> Json:
    """A budget as operators see it."""
    limit, reset = one.limit.amount or 0, one.account.resets_at
    return {
        "scope": one.account.scope,
        "name": one.account.name,
        "for": one.limit.slot.name,
        "period": one.account.period,
        "kind": one.limit.slot.kind,
        "limit_usd": limit / MICRO,
        "settled_usd": one.settled / MICRO,
        "reserved_usd": one.reserved / MICRO,
        "share": round(one.share, 4),
        "closed": one.closed,
        "resets_at": reset.isoformat() if reset else None,
    }


def _micro(usd: str) -> int:
    fix = 'write it like 5 or 0.25, or "off", or "default"'
    try:
        amount = Decimal(usd.removeprefix("$"))
    except InvalidOperation as fault:
        raise UsageError(f"{usd!r} is no amount of dollars", where="budget", fix=fix) from fault
    if not amount.is_finite() or not 0 <= amount <= DEAREST:
        raise UsageError(f"a budget of {usd} dollars cannot be", where="budget", fix=fix)
    return int(amount * MICRO)
