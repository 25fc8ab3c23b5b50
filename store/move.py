"""A store from a file into an empty Postgres database: every row, or none."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, Table, func, insert, select

from domain.errors import StoreError
from store.engine import Database
from store.tables import leases, meta, metadata

BATCH = 500
OF_THE_PLACE = frozenset({meta.name, leases.name})
"""Tables that a new database fills by itself, or that mean nothing elsewhere."""
OF_A_FRESH_STORE = frozenset({"budget_accounts"})
"""Tables in which the migrations leave a row, which the moved one takes the place of."""

Tell = Callable[[str, int], None]
"""Told each table and its rows when they are copied."""


def move_rows(file: Path, url: str, tell: Tell) -> dict[str, int]:
    """Copy all rows of the store in `file` to the migrated, empty one at `url`, in one transaction; rows by table.

    Raises StoreError, with nothing written, when the target holds anything.
    """
    source, target = Database(file), Database(url)
    moved = {}
    try:
        with source.read() as old, target.write("move") as new:
            tables = [table for table in metadata.sorted_tables if table.name not in OF_THE_PLACE]
            _must_be_empty(new, tables, target.where)
            for table in tables:
                moved[table.name] = _copy(old, new, table)
                tell(table.name, moved[table.name])
    finally:
        source.close()
        target.close()
    return moved


def _must_be_empty(connection: Connection, tables: list[Table], where: str) -> None:
    for table in tables:
        held = connection.execute(select(func.count()).select_from(table)).scalar_one()
        if held > (1 if table.name in OF_A_FRESH_STORE else 0):
            raise StoreError(f"the target is not empty: {held} rows in {table.name}", where=where, fix="give a new one")


def _copy(old: Connection, new: Connection, table: Table) -> int:
    if table.name in OF_A_FRESH_STORE:
        new.execute(table.delete())
    count = 0
    rows = old.execution_options(yield_per=BATCH).execute(select(table)).mappings()
    for batch in rows.partitions(BATCH):
        new.execute(insert(table), [dict(row) for row in batch])
        count += len(batch)
    key = table.autoincrement_column
    if count and key is not None:
        # Numbers go on behind the ones that came along.
        newest = select(func.max(key)).scalar_subquery()
        new.execute(select(func.setval(func.pg_get_serial_sequence(table.name, key.name), newest)))
    return count
