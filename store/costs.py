"""What calls cost, by whom, what and when. Money is counted in integer micro-dollars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Column, ColumnElement, Connection, Integer, case, distinct, func, insert, select, update
from sqlalchemy import cast as as_type

from domain.ports import Clock
from domain.turn import Call
from store.budget import LEASE
from store.engine import Database
from store.tables import calls, feedback, holds, receipts

By = Literal["model", "user", "key", "day", "desk"]
OPTIMISE = "optimise"
"""Purpose of calls that improve a prompt: they cost money and are no turn."""
UNREPORTED = "unreported"
"""Purpose of a call that was paid for but that no receipt tells of: its turn was killed or cut off."""


@dataclass(frozen=True, slots=True)
class CostRow:
    """What one of a kind has cost. `requests`: turns that it had; of a model, turns that asked it."""

    name: str
    requests: int
    calls: int
    failed_calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_microusd: int


@dataclass(frozen=True, slots=True)
class Spent:
    """All of a span of time. `resolved`: questions answered from the articles, not rated down, never handed over."""

    requests: int
    resolved: int
    calls: int
    failed_calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_microusd: int
    unreported_microusd: int
    first_at: datetime | None


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one turn asked of models."""

    input: int
    cached: int
    output: int


class Costs:
    """The money view of the ledger."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def by(self, kind: By, since: datetime) -> list[CostRow]:
        """Cost by kind since then, the dearest first; days in their order. Users are keyed hashes."""
        with self._database.read() as connection:
            name = _names(connection, calls)[kind]
            turns = func.count(distinct(calls.c.turn_id))
            spent = select(name, turns, *_sums()).where(calls.c.at >= since).group_by(name)
            rows = {_word(row[0]): [int(value) for value in row[1:]] for row in connection.execute(spent)}
            if kind != "model":
                asked = _names(connection, receipts)[kind]
                counted = select(asked, func.count()).where(receipts.c.at >= since).group_by(asked)
                for one, count in connection.execute(counted):
                    rows.setdefault(_word(one), [0] * 7)[0] = int(count)
        found = [CostRow(one, *values) for one, values in rows.items()]
        return sorted(found, key=lambda row: row.name if kind == "day" else (-row.cost_microusd, row.name))

    def spent(self, since: datetime) -> Spent:
        """Everything since then."""
        unreported = case((calls.c.purpose == UNREPORTED, calls.c.cost_microusd), else_=0)
        every = select(*_sums(), func.coalesce(func.sum(unreported), 0)).where(calls.c.at >= since)
        first = select(func.count(), func.min(receipts.c.at)).where(receipts.c.at >= since)
        handed = select(receipts.c.thread_id).where(receipts.c.at >= since, receipts.c.outcome == "handoff")
        disliked = select(feedback.c.turn_id).where(feedback.c.rating == "down")
        resolved = select(func.count()).where(
            receipts.c.at >= since,
            receipts.c.outcome == "answer",
            receipts.c.reason.is_(None),
            receipts.c.turn_id.not_in(disliked),
            receipts.c.thread_id.not_in(handed),
        )
        with self._database.read() as connection:
            made, failed, given, cached, out, cost, lost = (int(each) for each in connection.execute(every).one())
            requests, begun = connection.execute(first).one()
            good = int(connection.execute(resolved).scalar_one())
        return Spent(int(requests), good, made, failed, given, cached, out, cost, lost, begun)

    def profile(self, since: datetime, most: int) -> list[Tokens]:
        """Tokens of the last turns that asked a model, newest first."""
        sums = (func.sum(column) for column in (calls.c.input_tokens, calls.c.cached_tokens, calls.c.output_tokens))
        turns = (
            select(*sums)
            .where(calls.c.at >= since, calls.c.turn_id != "", calls.c.purpose != OPTIMISE, calls.c.output_tokens > 0)
            .group_by(calls.c.turn_id)
            .order_by(func.max(calls.c.at).desc(), calls.c.turn_id)
            .limit(most)
        )
        with self._database.read() as connection:
            return [Tokens(*(int(each) for each in row)) for row in connection.execute(turns)]

    def compare(self, desk: str) -> list[Call]:
        """Book what budgets paid and no receipt tells of, so that calls and budgets have the same sum; what it was.

        Looks at what is older than a turn may last; each payment once.
        """
        with self._database.write() as connection:
            before = self._clock.now() - 2 * LEASE
            waiting = (holds.c.paid.is_not(None), ~holds.c.compared, holds.c.at <= before)
            missing = [
                *_of_no_turn(connection, waiting),
                *_of_turns(connection, waiting, before),
            ]
            connection.execute(update(holds).where(*waiting).values(compared=True))
            return [_book(connection, desk, row) for row in missing]


def _sums() -> list[ColumnElement[int]]:
    failed = func.coalesce(func.sum(as_type(~calls.c.ok, Integer)), 0)
    columns = (calls.c.input_tokens, calls.c.cached_tokens, calls.c.output_tokens, calls.c.cost_microusd)
    return [func.count(), failed, *(func.coalesce(func.sum(column), 0) for column in columns)]


def _names(connection: Connection, table: Any) -> Mapping[str, ColumnElement[Any]]:
    return {
        "model": table.c.model,
        "user": table.c.user_hash,
        "key": table.c.key,
        "desk": table.c.desk,
        "day": utc_day(connection, table.c.at),
    }


def utc_day(connection: Connection, at: Column[Any]) -> ColumnElement[Any]:
    """The UTC day of a time, as the database sees it."""
    if connection.dialect.name == "postgresql":
        return func.date(func.timezone("UTC", at))
    return func.date(at)


def _word(name: object) -> str:
    return "" if name is None else str(name)


def _of_no_turn(connection: Connection, waiting: Sequence[ColumnElement[bool]]) -> list[Mapping[str, Any]]:
    """Payments outside any turn, such as warming a model up."""
    sums = (
        select(holds.c.model, func.sum(holds.c.paid).label("missing"), func.max(holds.c.at).label("at"))
        .where(*waiting, holds.c.turn_id == "")
        .group_by(holds.c.model)
    )
    rows = connection.execute(sums).mappings()
    return [{"turn_id": "", "user_hash": "", "key": "", **row} for row in rows if row["missing"]]


def _of_turns(
    connection: Connection, waiting: Sequence[ColumnElement[bool]], before: datetime
) -> list[Mapping[str, Any]]:
    turns = select(holds.c.turn_id).where(*waiting, holds.c.turn_id != "")
    paid = (
        select(
            holds.c.turn_id,
            holds.c.model,
            func.max(holds.c.user_hash).label("user_hash"),
            func.max(holds.c.key).label("key"),
            func.sum(holds.c.paid).label("paid"),
            func.max(holds.c.at).label("at"),
        )
        .where(holds.c.turn_id.in_(turns), holds.c.paid.is_not(None), holds.c.at <= before)
        .group_by(holds.c.turn_id, holds.c.model)
    ).subquery()
    told = (
        select(calls.c.turn_id, calls.c.model, func.sum(calls.c.cost_microusd).label("told"))
        .where(calls.c.turn_id.in_(turns))
        .group_by(calls.c.turn_id, calls.c.model)
    ).subquery()
    same = (told.c.turn_id == paid.c.turn_id) & (told.c.model == paid.c.model)
    gap = paid.c.paid - func.coalesce(told.c.told, 0)
    found = select(paid, gap.label("missing")).outerjoin(told, same).where(gap > 0)
    return [dict(row) for row in connection.execute(found).mappings()]


def _book(connection: Connection, desk: str, row: Mapping[str, Any]) -> Call:
    call = Call(UNREPORTED, row["model"], ok=False, cost_microusd=int(row["missing"]), error="its turn did not end")
    fields = {
        "turn_id": row["turn_id"],
        "at": row["at"],
        "desk": desk,
        "user_hash": row["user_hash"],
        "key": row["key"] or None,
        "purpose": call.purpose,
        "model": call.model,
        "ok": False,
        "input_tokens": 0,
        "cached_tokens": 0,
        "output_tokens": 0,
        "cost_microusd": call.cost_microusd,
        "ms": 0.0,
        "error": call.error,
    }
    connection.execute(insert(calls).values(fields))
    connection.execute(
        update(receipts)
        .where(receipts.c.turn_id == row["turn_id"])
        .values(cost_microusd=receipts.c.cost_microusd + call.cost_microusd)
    )
    return call
