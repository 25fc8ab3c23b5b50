"""Brings a database to the newest of the numbered files in store/migrations/."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from domain.errors import StoreError

HEAD = "0014"
"""The newest migration. Held equal to the files by a test, so that opening need not import Alembic."""

MIGRATIONS = Path(__file__).parent / "migrations"


def revision(connection: Connection) -> str:
    """Give the number of the last migration that ran; empty for a new database."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none() or "")


def bring_up_to_date(connection: Connection, where: str) -> bool:
    """Run what is missing inside the caller's transaction; whether anything was.

    Raises StoreError when a newer Frontdesk wrote the database.
    """
    found = revision(connection)
    if found == HEAD:
        return False
    if found > HEAD:
        msg = f"the database has version {found}, this Frontdesk knows {HEAD}"
        raise StoreError(
            msg,
            where=where,
            fix="start the newer Frontdesk, or restore a backup of before",
        )
    _upgrade(connection)
    return True


def _upgrade(connection: Connection) -> None:
    # Alembic costs about a second to import, and a store that is up to date does not need it.
    from alembic.operations import Operations  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext, MigrationStep  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    scripts = ScriptDirectory(MIGRATIONS, version_locations=[MIGRATIONS])

    def missing(heads: tuple[str, ...], _context: MigrationContext) -> list[MigrationStep]:
        newest_first = scripts.iterate_revisions("head", heads or "base")
        return [MigrationStep.upgrade_from_script(scripts.revision_map, one) for one in reversed([*newest_first])]

    context = MigrationContext.configure(connection, opts={"fn": missing})
    with Operations.context(context):
        context.run_migrations()
