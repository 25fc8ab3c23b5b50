"""The tables of releases: what was pinned, what serves where, who has agreed, and which two are compared."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, Text, text

from store.columns import UtcTime, Words
from store.tables import metadata

releases = Table(
    "releases",
    metadata,
    Column("name", String, primary_key=True, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("who", Words, nullable=False),
    Column("note", Words, nullable=False),
    Column("body", Words, nullable=False),
    Column("gate", Text, nullable=True),
)
"""`body` is the Release as JSON and never changes; `gate` what the gate found of it, as JSON."""

deployments = Table(
    "deployments",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, nullable=False),
    Column("environment", String, index=True, nullable=False),
    Column("release", String, nullable=False),
    Column("parent", BigInteger, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("who", Words, nullable=False),
    sqlite_autoincrement=True,
)
"""What has served where: the last row of an environment serves. `parent` is the row that a rollback goes back to, or 0."""

approvals = Table(
    "approvals",
    metadata,
    Column("environment", String, primary_key=True, nullable=False),
    Column("deed", Words, primary_key=True, nullable=False),
    Column("replaces", BigInteger, nullable=False),
    Column("who", Words, nullable=False),
    Column("at", UtcTime, nullable=False),
)
"""What somebody wants to do and a second key must want too, as long as `replaces` is the row that serves."""

experiments = Table(
    "experiments",
    metadata,
    Column("name", String, primary_key=True, nullable=False),
    Column("environment", String, nullable=False),
    Column("a", String, nullable=False),
    Column("b", String, nullable=False),
    Column("share", Float, nullable=False),
    Column("salt", String, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("who", Words, nullable=False),
    Column("stopped_at", UtcTime, nullable=True),
)
"""Two releases side by side. `share` (0..1) of the users get `b`; who, the salt decides."""

one_experiment = Index(
    "ix_experiments_one_running",
    experiments.c.environment,
    unique=True,
    sqlite_where=text("stopped_at IS NULL"),
    postgresql_where=text("stopped_at IS NULL"),
)
