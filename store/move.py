"""A store from one database into another that is empty: every row, or none."""

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


def move_rows(old_place: Path | str, new_place: Path | str, tell: Tell, *, key_too: bool = False) -> dict[str, int]:
    """Copy all rows of a store to a migrated, empty one, in one transaction; rows by table.

    Each place is a file or a postgresql:// address. `key_too`: what the vault's key is known by comes along, which a
    store that was never opened does not have. Raises StoreError, with nothing written, when the target holds anything.
    """
    source, target = Database(old_place), Database(new_place)
    moved, left = {}, OF_THE_PLACE - ({meta.name} if key_too else set())
    try:
        with source.read() as old, target.write("move") as new:
            tables = [table for table in metadata.sorted_tables if table.name not in left]
            _must_be_empty(new, tables, target.where)
            for table in tables:
                moved[table.name] = _copy(old, new, table, counts=target.shared)
                tell(table.name, moved[table.name])
    finally:
        source.close()
        target.close()
    return moved


def count_rows(file: Path) -> dict[str, int]:
    """The rows of a store in a file, by table. Raises StoreError."""
    database = Database(file)
    try:
        with database.read() as connection:
            return {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in metadata.sorted_tables
            }
    finally:
        database.close()


def check_empty(place: Path | str) -> None:
    """Raises StoreError when a migrated store holds anything."""
    database = Database(place)
    try:
        with database.read() as connection:
            tables = [table for table in metadata.sorted_tables if table.name not in OF_THE_PLACE]
            _must_be_empty(connection, tables, database.where)
    finally:
        database.close()


def _must_be_empty(connection: Connection, tables: list[Table], where: str) -> None:
    for table in tables:
        held = connection.execute(select(func.count()).select_from(table)).scalar_one()
        if held > (1 if table.name in OF_A_FRESH_STORE else 0):
            raise StoreError(f"the target is not empty: {held} rows in {table.name}", where=where, fix="give a new one")


def _copy(old: Connection, new: Connection, table: Table, *, counts: bool) -> int:
    if table.name in OF_A_FRESH_STORE:
        new.execute(table.delete())
    count = 0
    rows = old.execution_options(yield_per=BATCH).execute(select(table)).mappings()
    for batch in rows.partitions(BATCH):
        new.execute(insert(table), [dict(row) for row in batch])
        count += len(batch)
    key = table.autoincrement_column
    if counts and count and key is not None:
        # Postgres' numbers go on behind the ones that came along.
        newest = select(func.max(key)).scalar_subquery()
        new.execute(select(func.setval(func.pg_get_serial_sequence(table.name, key.name), newest)))
    return count
