"""Statements that run for every turn and every paid call: compiled once, and handed to the driver.

SQLAlchemy's own way to the driver takes longer than the database takes to run them.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Dialect, Table, TextClause, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import Select

Convert = Callable[[Any], Any]
Asked = tuple["Prepared", Mapping[str, Any]]


class Prepared:
    """A statement whose parameters are all named. A list of values needs as many parameters as it may hold."""

    def __init__(self, statement: Select[Any] | UpdateBase | TextClause) -> None:
        self._statement = statement
        self._for: dict[str, _Compiled] = {}

    def compiled(self, dialect: str) -> "_Compiled":
        """As the driver of that dialect takes it."""
        found = self._for.get(dialect)
        if found is None:
            found = self._for[dialect] = _compile(self._statement, _dialect(dialect))
        return found


@dataclass(frozen=True, slots=True)
class _Compiled:
    """Its text, what is written into it for good, and how values get in and out where the driver does not know."""

    text: str
    fixed: Mapping[str, Any]
    into: Mapping[str, Convert]
    row: Callable[..., Any]
    out: Sequence[tuple[int, Convert]]

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What the driver is handed."""
        values = {**self.fixed, **given}
        for name, convert in self.into.items():
            values[name] = convert(values[name])
        return values

    def rows(self, cursor: Any) -> list[Any]:
        """What came back, by the columns' names."""
        if cursor.description is None:
            return []
        found = []
        for row in cursor.fetchall():
            values = list(row)
            for place, convert in self.out:
                values[place] = convert(values[place])
            found.append(self.row(*values))
        return found


def new_row(table: Table, names: Sequence[str]) -> postgresql.Insert:
    """Give an INSERT of these columns, whose values are named like them. What it does on conflict is the caller's.

    Both dialects understand Postgres' kind of it.
    """
    values = {name: bindparam(name, type_=table.c[name].type) for name in names}
    return postgresql.insert(table).values(values).inline()  # else Postgres is asked for the row's number too


def run(connection: Connection, asked: Sequence[Asked]) -> list[list[Any]]:
    """Run them in order; the rows of each. Raises the driver's errors."""
    driver: Any = connection.connection.driver_connection
    found = []
    for statement, given in asked:
        one = statement.compiled(connection.dialect.name)
        found.append(one.rows(driver.execute(one.text, one.values(given))))
    return found


def _compile(statement: Select[Any] | UpdateBase | TextClause, dialect: Dialect) -> _Compiled:
    compiled = statement.compile(dialect=dialect)
    fixed = dict(compiled.params)
    binds = {
        name: bind.type.dialect_impl(dialect).bind_processor(dialect)
        for bind, name in compiled.bind_names.items()
        if name in fixed
    }
    columns = [] if isinstance(statement, TextClause) else [*statement.exported_columns]
    reads = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
    return _Compiled(
        text=str(compiled),
        fixed={name: value for name, value in fixed.items() if value is not None},
        into={name: convert for name, convert in binds.items() if convert},
        row=namedtuple("Row", [column.name for column in columns]),  # noqa: PYI024  # its fields are the statement's
        out=[(place, convert) for place, convert in enumerate(reads) if convert],
    )


@cache
def _dialect(name: str) -> Dialect:
    if name == "sqlite":
        return sqlite.dialect(paramstyle="named")
    return postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]
