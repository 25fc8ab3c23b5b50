"""`costs`, `stats` and `budget`: what was spent, what happened, and where it ends."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from cli.options import AsJson, Desk, desk_settings, readable
from cli.terminal import Json, show, show_json, show_table
from domain.errors import UsageError

if TYPE_CHECKING:
    from domain.settings import Settings

COSTS_EXAMPLES = """\b
Examples:
  frontdesk costs
  frontdesk costs --by day --since 7d --json
  frontdesk costs --simulate 1000
\b
Users are keyed hashes. A resolved question was answered from the articles, not rated down, and its conversation
went to no person."""

STATS_EXAMPLES = """\b
Examples:
  frontdesk stats
  frontdesk stats --since 7d --json"""

SET_EXAMPLES = """\b
Examples:
  frontdesk budget set 5                                (the whole desk, a day)
  frontdesk budget set 100 --period month
  frontdesk budget set 0.05 --user each                 (every user, a day)
  frontdesk budget set 2 --model gpt-4.1 --soft         (told, not kept)
  frontdesk budget set default --user each              (forget what was set)"""

SHOW_EXAMPLES = """\b
Example:
  frontdesk budget show --json"""

NAME_LENGTH = 40

Since = Annotated[str, typer.Option("--since", metavar="SPAN", help="24h, 7d, 2w, or a date such as 2026-11-01.")]


def costs(
    *,
    by: Annotated[
        Literal["model", "user", "key", "day", "desk"], typer.Option("--by", help="What to add up by.")
    ] = "model",
    since: Since = "30d",
    simulate: Annotated[
        int, typer.Option("--simulate", metavar="N", help="What N requests would cost with three models.")
    ] = 0,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Show what was spent on models, per request, per resolved question, and what a month would come to."""
    fields = {"by": by, "since": readable(since, "--since"), "simulate": simulate}
    found = asyncio.run(_ask(desk_settings(desk), "costs", fields))
    if as_json:
        show_json(found)
        return
    _show_costs(found)
    if found.get("simulation"):
        _show_simulation(found["simulation"])


def stats(*, since: Since = "24h", desk: Desk = None, as_json: AsJson = False) -> None:
    """Show what happened: requests, outcomes, times, tokens, money, rates, feedback and judge."""
    found = asyncio.run(_ask(desk_settings(desk), "stats", {"since": readable(since, "--since")}))
    if as_json:
        show_json(found)
    else:
        _show_stats(found)


def set_budget(
    *,
    usd: Annotated[str, typer.Argument(metavar="USD|off|default", help="Dollars; off: none; default: forget it.")],
    period: Annotated[Literal["day", "month", "ever"], typer.Option("--period", help="How long it is for.")] = "day",
    model: Annotated[str, typer.Option("--model", metavar="NAME|each", help="Of a model, or of each.")] = "",
    user: Annotated[str, typer.Option("--user", metavar="ID|each", help="Of a user, or of each.")] = "",
    key: Annotated[str, typer.Option("--key", metavar="ID|each", help="Of an API key, or of each.")] = "",
    soft: Annotated[bool, typer.Option("--soft", help="Tell when it is passed; stop nothing.")] = False,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Set a budget; without --model, --user or --key the whole desk's. It holds at once, and the audit log has it."""
    given = [(scope, name) for scope, name in (("model", model), ("user", user), ("key", key)) if name]
    if len(given) > 1:
        raise UsageError("give one of --model, --user and --key", where="budget")
    scope, name = given[0] if given else ("total", "")
    kind = "soft" if soft else "hard"
    fields = {"usd": usd, "scope": scope, "name": readable(name, f"--{scope}"), "period": period, "kind": kind}
    _show_budgets(asyncio.run(_ask(desk_settings(desk), "budget.set", fields)), as_json=as_json)


def show_budgets(*, desk: Desk = None, as_json: AsJson = False) -> None:
    """Show every budget: what is spent and held of it, and when it begins anew."""
    _show_budgets(asyncio.run(_ask(desk_settings(desk), "budget", {})), as_json=as_json)


async def _ask(settings: "Settings", operation: str, fields: Json) -> Json:
    from cli.office import open_office  # noqa: PLC0415  # --help need not wait for it

    async with open_office(settings) as office:
        return await office.run(operation, **fields)


def _show_costs(found: Json) -> None:
    rows = [
        [
            row["name"][:NAME_LENGTH] or "(none)",
            row["requests"],
            row["calls"],
            row["failed_calls"],
            row["input_tokens"],
            row["cached_tokens"],
            row["output_tokens"],
            _usd(row["cost_usd"]),
        ]
        for row in found["rows"]
    ]
    columns = [found["by"], "requests", "calls", "failed", "input", "cached", "output", "cost"]
    show_table(columns, rows, title=f"since {found['since'][:16]} UTC")
    show(f"total                  {_usd(found['cost_usd'])} for {found['requests']} requests")
    show(f"per request            {_usd(found['cost_per_request_usd'])}")
    show(f"per resolved question  {_usd(found['cost_per_resolved_usd'])} ({found['resolved']} resolved)")
    show(f"a month at this pace   {_usd(found['projection_month_usd'])} ({found['projection_method']})")
    if found["unreported_microusd"]:
        show(f"of turns cut off       {_usd(found['unreported_microusd'] / 1_000_000)}")


def _show_simulation(found: Json) -> None:
    show()
    rows = [
        [
            row["model"],
            row["tier"],
            _usd(row["cost_usd"]),
            _usd(row["cost_per_request_usd"]),
            _usd(row["projection_month_usd"]),
        ]
        for row in found["models"]
    ]
    columns = ["model", "tier", f"{found['requests']} requests", "a request", "a month"]
    show_table(columns, rows, title=f"{found['requests']} requests, {found['requests_per_day']:g} a day")
    tokens = f"{found['input_tokens']:g} input ({found['cached_tokens']:g} cached), {found['output_tokens']:g} output"
    show(f"tokens a request: {tokens}; {found['profile']}")


def _show_stats(found: Json) -> None:
    show(f"since {found['since'][:16]} UTC: {found['requests']} requests")
    show(f"outcomes    {_counts(found['outcomes'])}")
    show(f"reasons     {_counts(found['reasons'])}")
    show(f"answered    {_counts(found['modes'])}")
    show(f"time        p50 {_ms(found['p50_ms'])}, p95 {_ms(found['p95_ms'])}")
    show(f"tokens      {found['input_tokens']} in ({found['cached_tokens']} cached), {found['output_tokens']} out")
    show(f"money       {_usd(found['cost_usd'])} in {found['calls']} calls ({found['failed_calls']} failed)")
    names = {"guard_rate": "guards", "dont_know_rate": "don't know", "error_rate": "errors", "cache_hit_rate": "cache"}
    show("shares      " + ", ".join(f"{words} {_share(found[name])}" for name, words in names.items()))
    show(f"feedback    {found['thumbs_up']} up, {found['thumbs_down']} down")
    if found["judge"]:
        rows = [
            [one["dimension"], "none" if one["mean"] is None else one["mean"], one["scored"], one["unscored"]]
            for one in found["judge"]
        ]
        show_table(["judge", "mean", "scored", "unscored"], cast("list[list[object]]", rows))


def _show_budgets(found: Json, *, as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    rows = [
        [
            one["scope"] + (f" {one['name'][:NAME_LENGTH]}" if one["name"] else ""),
            one["period"],
            one["kind"],
            _usd(one["limit_usd"]),
            _usd(one["settled_usd"]),
            _usd(one["reserved_usd"]),
            "closed" if one["closed"] else f"{one['share']:.0%}",
            (one["resets_at"] or "never")[:16],
        ]
        for one in found["budgets"]
    ]
    show_table(["budget of", "period", "kind", "limit", "spent", "held", "used", "resets (UTC)"], rows)


def _usd(value: float | None) -> str:
    return "-" if value is None else f"${value:.6f}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _counts(counts: Json) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
