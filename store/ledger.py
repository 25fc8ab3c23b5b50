"""Receipts, and the numbers about the past. Money is counted in integer micro-dollars."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from domain.errors import NotFoundError, StoreError
from domain.receipt import Receipt
from domain.turn import Call, Handoff, Passage, Score, Source, Step, Verdict
from store.engine import Database
from store.outbox import note
from store.prepared import Prepared, new_row
from store.tables import calls, receipts, scores

SHORTEST_PREFIX = 8

_PLAIN = [
    "turn_id",
    "thread_id",
    "trace_id",
    "desk",
    "language",
    "outcome",
    "reason",
    "mode",
    "tier",
    "model",
    "prompt",
    "release",
    "rag_config",
    "knowledge",
    "confidence",
    "latency_ms",
    "tokens",
    "cost_microusd",
    "experiment",
]
_CALL = ["purpose", "model", "ok", "input_tokens", "cached_tokens", "output_tokens", "cost_microusd", "ms", "error"]
_CALL += ["began", "first_ms", "max_tokens", "temperature", "prompt", "step"]
_OF_TURN = ["turn_id", "at", "desk", "user_hash", "key"]


@dataclass(frozen=True, slots=True)
class Totals:
    """What happened in a span of time. Tokens and money include failed attempts and the judge."""

    turns: int
    outcomes: dict[str, int]
    calls: int
    failed_calls: int
    input_tokens: int
    output_tokens: int
    cost_microusd: int


class Ledger:
    """The record of every turn: answered, refused and failed ones."""

    def __init__(self, database: Database, *, exports: bool = False) -> None:
        """`exports`: whether what is kept is put down for sending too."""
        self._database = database
        self._exports = exports

    def save(self, receipt: Receipt) -> None:
        """Keep a receipt; a second one of the same turn takes the place of the first."""
        row = _row(receipt)
        with self._database.write() as connection:
            (added,) = self._database.run(connection, (_receipt_row(), row))
            if not added:
                _replace(connection, receipt.turn_id, row)
            self._add_calls(connection, row, receipt.calls)
            _add_scores(connection, receipt.turn_id, receipt.scores)
            if self._exports:
                note(connection, receipt.turn_id, "turn")

    def get(self, turn_id: str) -> Receipt:
        """Give a turn's receipt by its id, or by at least 8 characters that begin no other id.

        Raises NotFoundError.
        """
        with self._database.read() as connection:
            return _read(connection, [_find(connection, turn_id)])[0]

    def several(self, turn_ids: Collection[str]) -> dict[str, Receipt]:
        """Give the receipts that there are of these turns, without those that cannot be read."""
        asked = select(receipts).where(receipts.c.turn_id.in_(turn_ids))
        with self._database.read() as connection:
            rows = connection.execute(asked).mappings().all()
            try:
                return {receipt.turn_id: receipt for receipt in _read(connection, rows)}
            except (ValueError, KeyError, TypeError):
                if len(rows) == 1:
                    return {}
        found: dict[str, Receipt] = {}
        for row in rows:
            found |= self.several([row["turn_id"]])
        return found

    def add_scores(
        self, turn_id: str, new: Sequence[Score], spent: Sequence[Call] = (), step: Step | None = None
    ) -> None:
        """Add what the judge says, the calls it made and its step to a kept receipt.

        A score takes the place of its namesake.

        Raises NotFoundError.
        """
        with self._database.write() as connection:
            row = _find(connection, turn_id)
            names = [score.name for score in new]
            connection.execute(delete(scores).where(scores.c.turn_id == row["turn_id"], scores.c.name.in_(names)))
            _add_scores(connection, row["turn_id"], new)
            self._add_calls(connection, row, spent)
            if step:
                _add_step(connection, row, step)
            if self._exports:
                note(connection, row["turn_id"], "judge")
            if spent:
                connection.execute(
                    update(receipts)
                    .where(receipts.c.turn_id == row["turn_id"])
                    .values(
                        tokens=receipts.c.tokens + sum(call.input_tokens + call.output_tokens for call in spent),
                        cost_microusd=receipts.c.cost_microusd + sum(call.cost_microusd for call in spent),
                    )
                )

    def book(self, work: str, desk: str, at: datetime, spent: Sequence[Call]) -> None:
        """Book calls of work that is no turn, under its name: as `turn_id`, and as the key that paid."""
        row = {"turn_id": work, "at": at, "desk": desk, "user_hash": "", "key": work}
        with self._database.write() as connection:
            self._add_calls(connection, row, spent)

    def recent(self, count: int) -> list[Receipt]:
        """Give the last `count` receipts, newest first."""
        newest = select(receipts).order_by(receipts.c.at.desc(), receipts.c.turn_id.desc()).limit(count)
        with self._database.read() as connection:
            return _read(connection, connection.execute(newest).mappings().all())

    def between(self, since: datetime, until: datetime, most: int) -> list[Receipt]:
        """Give the receipts of a span of time, newest first, `most` of them, without their calls and scores."""
        asked = (
            select(receipts.c.body)
            .where(receipts.c.at >= since, receipts.c.at < until)
            .order_by(receipts.c.at.desc(), receipts.c.turn_id.desc())
            .limit(most)
        )
        with self._database.read() as connection:
            return [_receipt(body, [], []) for body in connection.execute(asked).scalars()]

    def totals(self, since: datetime) -> Totals:
        """Sum up the turns and calls from `since` on."""
        outcomes = select(receipts.c.outcome, func.count()).where(receipts.c.at >= since).group_by(receipts.c.outcome)
        sums = (calls.c.input_tokens, calls.c.output_tokens, calls.c.cost_microusd)
        books = select(func.count(), *(func.coalesce(func.sum(column), 0) for column in sums)).where(
            calls.c.at >= since
        )
        failures = select(func.count()).where(calls.c.at >= since, ~calls.c.ok)
        with self._database.read() as connection:
            counts = {str(outcome): int(count) for outcome, count in connection.execute(outcomes)}
            attempts, given, made, cost = connection.execute(books).one()
            failed = connection.execute(failures).scalar_one()
        return Totals(
            turns=sum(counts.values()),
            outcomes=counts,
            calls=int(attempts),
            failed_calls=int(failed),
            input_tokens=int(given),
            output_tokens=int(made),
            cost_microusd=int(cost),
        )

    def _add_calls(self, connection: Connection, row: Mapping[str, Any] | RowMapping, made: Sequence[Call]) -> None:
        of_turn = {name: row[name] for name in _OF_TURN}
        self._database.run(connection, *((_call_row(), {**of_turn, **_parts(call)}) for call in made))


@cache
def _receipt_row() -> Prepared:
    """Gives a row back where the turn had none."""
    names = [*_PLAIN, "user_hash", "key", "at", "body"]
    return Prepared(new_row(receipts, names).on_conflict_do_nothing().returning(receipts.c.turn_id))


@cache
def _call_row() -> Prepared:
    return Prepared(new_row(calls, [*_OF_TURN, *_CALL]))


def _row(receipt: Receipt) -> dict[str, Any]:
    body = {name: value for name, value in _parts(receipt).items() if name not in {"calls", "scores"}}
    row = {name: getattr(receipt, name) for name in _PLAIN}
    return {**row, "user_hash": receipt.user, "key": receipt.key or None, "at": _moment(receipt), "body": _json(body)}


def _json(body: Mapping[str, object]) -> str:
    # Readable letters are smaller, and a search of the file for leaked text finds them.
    plain = json.dumps(body, ensure_ascii=False, default=_parts)
    try:
        plain.encode()
    except UnicodeEncodeError:
        return json.dumps(body, default=_parts)
    return plain


def _parts(value: Any) -> dict[str, Any]:
    """A value of ours by the names of its fields, without a copy of what they hold, as `asdict` makes one."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _moment(receipt: Receipt) -> datetime:
    try:
        return datetime.fromisoformat(receipt.at)
    except ValueError as fault:
        msg = f"{receipt.at!r} is no time in ISO 8601"
        raise StoreError(msg, where=f"receipt {receipt.turn_id}") from fault


def _find(connection: Connection, turn_id: str) -> RowMapping:
    exact = connection.execute(select(receipts).where(receipts.c.turn_id == turn_id)).mappings().one_or_none()
    if exact is not None:
        return exact
    if len(turn_id) >= SHORTEST_PREFIX:
        begins = select(receipts).where(receipts.c.turn_id.startswith(turn_id, autoescape=True)).limit(2)
        found = connection.execute(begins).mappings().all()
        if len(found) == 1:
            return found[0]
        if found:
            raise NotFoundError("several receipts begin so", where=turn_id, fix="give more of the id")
    raise NotFoundError("no such receipt", where=turn_id, fix="the id stands in the reply as turn_id")


def _replace(connection: Connection, turn_id: str, row: Mapping[str, Any]) -> None:
    connection.execute(delete(calls).where(calls.c.turn_id == turn_id))
    connection.execute(delete(scores).where(scores.c.turn_id == turn_id))
    connection.execute(update(receipts).where(receipts.c.turn_id == turn_id).values(row))


def _add_step(connection: Connection, row: RowMapping, step: Step) -> None:
    body = json.loads(row["body"])
    body["steps"] = [*(one for one in body["steps"] if one["name"] != step.name), asdict(step)]
    connection.execute(update(receipts).where(receipts.c.turn_id == row["turn_id"]).values(body=_json(body)))


def _add_scores(connection: Connection, turn_id: str, new: Sequence[Score]) -> None:
    if new:
        connection.execute(insert(scores), [{"turn_id": turn_id, **asdict(score)} for score in new])


def _read(connection: Connection, rows: Sequence[RowMapping]) -> list[Receipt]:
    ids = [row["turn_id"] for row in rows]
    made: dict[str, list[Call]] = defaultdict(list)
    judged: dict[str, list[Score]] = defaultdict(list)
    for call in connection.execute(select(calls).where(calls.c.turn_id.in_(ids)).order_by(calls.c.id)).mappings():
        made[call["turn_id"]].append(Call(**{name: call[name] for name in _CALL}))
    for score in connection.execute(select(scores).where(scores.c.turn_id.in_(ids)).order_by(scores.c.id)).mappings():
        judged[score["turn_id"]].append(Score(score["name"], score["value"], score["comment"]))
    return [_receipt(row["body"], made[row["turn_id"]], judged[row["turn_id"]]) for row in rows]


def _receipt(body: str, made: list[Call], judged: list[Score]) -> Receipt:
    kept = json.loads(body)
    parts = {
        "passages": [Passage(**one) for one in kept["passages"]],
        "sources": [Source(**one) for one in kept["sources"]],
        "verdicts": [Verdict(**one) for one in kept["verdicts"]],
        "steps": [Step(**one) for one in kept["steps"]],
        "handoff": Handoff(**kept["handoff"]) if kept["handoff"] else None,
    }
    return Receipt(**{**kept, **parts}, calls=made, scores=judged)
