"""Every table of the store, declared once. A change here needs a numbered file in store/migrations/."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from store.columns import UtcTime, Words


def _column(name: str, *rest: Any, nullable: bool = False, **options: Any) -> Column[Any]:
    return Column(name, *rest, nullable=nullable, **options)


def _row_id() -> Column[Any]:
    # A number that the database gives. SQLite counts in 64 bits only under the name INTEGER.
    return _column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

meta = Table("meta", metadata, _column("name", String, primary_key=True), _column("value", Text))
"""Facts about the store itself: `vault` is the fingerprint of the vault's key, `upkeep` when what is old was last removed."""

receipts = Table(
    "receipts",
    metadata,
    _column("turn_id", Words, primary_key=True),
    _column("at", UtcTime, index=True),
    _column("thread_id", Words, index=True),
    _column("trace_id", Words),
    _column("desk", Words),
    _column("user_hash", Words, index=True),
    _column("key", Words, nullable=True),
    _column("language", String),
    _column("outcome", String),
    _column("reason", String, nullable=True),
    _column("mode", String),
    _column("tier", String),
    _column("model", Words),
    _column("prompt", Words),
    _column("release", Words),
    _column("rag_config", Words),
    _column("knowledge", Words),
    _column("confidence", Float),
    _column("latency_ms", Float),
    _column("tokens", BigInteger),
    _column("cost_microusd", BigInteger),
    _column("body", Text),
    _column("experiment", String, server_default="", index=True),
)
"""One row a turn. `body`: the whole Receipt as JSON but for calls and scores, which have tables of their own."""

receipts_for_figures = Index(
    "ix_receipts_figures",
    *(
        receipts.c[name]
        for name in (
            "at",
            "outcome",
            "reason",
            "mode",
            "latency_ms",
            "user_hash",
            "key",
            "desk",
            "thread_id",
            "turn_id",
        )
    ),
)
"""Holds all that figures are made of: the table itself is slow to walk through, as bodies are large."""

calls = Table(
    "calls",
    metadata,
    _row_id(),
    _column("turn_id", Words, index=True),
    _column("at", UtcTime, index=True),
    _column("desk", Words),
    _column("user_hash", Words),
    _column("key", Words, nullable=True),
    _column("purpose", Words),
    _column("model", Words),
    _column("ok", Boolean),
    _column("input_tokens", BigInteger),
    _column("cached_tokens", BigInteger),
    _column("output_tokens", BigInteger),
    _column("cost_microusd", BigInteger),
    _column("ms", Float),
    _column("error", Words),
    _column("began", Float, server_default="0"),
    _column("first_ms", Float, server_default="0"),
    _column("max_tokens", BigInteger, server_default="0"),
    _column("temperature", Float, nullable=True),
    _column("prompt", Words, server_default=""),
    _column("step", Words, server_default=""),
    sqlite_autoincrement=True,
)
"""One row an attempt at a model. Outlives its receipt, then without user and error, so that books add up."""

scores = Table(
    "scores",
    metadata,
    _row_id(),
    _column("turn_id", Words, ForeignKey("receipts.turn_id", ondelete="CASCADE"), index=True),
    _column("name", Words),
    _column("value", Float, nullable=True),
    _column("comment", Words),
)

feedback = Table(
    "feedback",
    metadata,
    _column("turn_id", Words, ForeignKey("receipts.turn_id", ondelete="CASCADE"), primary_key=True),
    _column("rating", String),
    _column("comment", Words),
    _column("at", UtcTime, index=True),
)

reviews = Table(
    "reviews",
    metadata,
    _column("turn_id", Words, ForeignKey("receipts.turn_id", ondelete="CASCADE"), primary_key=True),
    _column("state", String, index=True),
    _column("why", String),
    _column("to_rate", Boolean),
    _column("asked_at", UtcTime),
    _column("decided_at", UtcTime, nullable=True),
    _column("who", Words),
    _column("body", Words),
)
"""What reviewers decided about a turn, and turns that a report asks them to look at. `body`: the right answer as JSON."""

ratings = Table(
    "ratings",
    metadata,
    _column("turn_id", Words, ForeignKey("receipts.turn_id", ondelete="CASCADE"), primary_key=True),
    _column("who", Words, primary_key=True),
    _column("aspect", String, primary_key=True),
    _column("value", Integer),
    _column("at", UtcTime, index=True),
)
"""What a reviewer gives an answer, 1 worst to 5 best, in one aspect."""

exports = Table(
    "exports",
    metadata,
    _row_id(),
    _column("turn_id", Words, ForeignKey("receipts.turn_id", ondelete="CASCADE"), index=True),
    _column("part", String),
    sqlite_autoincrement=True,
)
"""What Langfuse has not confirmed yet, in the order in which it happened: a turn, its judge or its feedback."""

budget_limits = Table(
    "budget_limits",
    metadata,
    _column("scope", String, primary_key=True),
    _column("name", Words, primary_key=True),
    _column("period", String, primary_key=True),
    _column("kind", String, primary_key=True),
    _column("amount", BigInteger, nullable=True),
)
"""The budgets that were set, in micro-dollars; no amount: there shall be none. What is not here is a default."""

budget_accounts = Table(
    "budget_accounts",
    metadata,
    _column("id", Words, primary_key=True),
    _column("scope", String),
    _column("name", Words),
    _column("period", String),
    _column("starts", Date),
    _column("settled", BigInteger, CheckConstraint("settled >= 0", name="settled_positive")),
    _column("reserved", BigInteger, CheckConstraint("reserved >= 0", name="reserved_positive")),
    _column("closed", Boolean),
)
"""What a scope has spent and holds in a period. `id` is made of the other four: one look-up finds a call's accounts."""

accounts_of_a_period = Index(
    "ix_budget_accounts_period", budget_accounts.c.scope, budget_accounts.c.period, budget_accounts.c.starts
)

holds = Table(
    "holds",
    metadata,
    _row_id(),
    _column("at", UtcTime),
    _column("day", Date, index=True),
    _column("model", Words),
    _column("user_hash", Words),
    _column("key", Words),
    _column("turn_id", Words, index=True),
    _column("amount", BigInteger),
    _column("expires_at", UtcTime),
    _column("expired", Boolean),
    _column("paid", BigInteger, nullable=True),
    _column("compared", Boolean),
    sqlite_autoincrement=True,
)
"""A hold is open while it is neither expired nor paid; `compared` with the ledger when it is paid and old enough.

Ids are never used twice."""

open_holds = Index(
    "ix_holds_open",
    holds.c.expires_at,
    sqlite_where=text("paid IS NULL AND NOT expired"),
    postgresql_where=text("paid IS NULL AND NOT expired"),
)

uncompared_holds = Index(
    "ix_holds_uncompared",
    holds.c.at,
    sqlite_where=text("paid IS NOT NULL AND NOT compared"),
    postgresql_where=text("paid IS NOT NULL AND NOT compared"),
)

alerts = Table(
    "alerts",
    metadata,
    _column("id", Words, primary_key=True),
    _column("sent_at", UtcTime),
    _column("text", Words),
    _column("open", Boolean, server_default=text("false")),
)
"""When each alert went out last; `open` until it is told that it is over."""

leases = Table(
    "leases",
    metadata,
    _column("name", String, primary_key=True),
    _column("until", UtcTime),
    _column("holder", Words, nullable=True),
)
"""What one process does for all, and until when it is the one. A row whose time is over means nothing."""

replays = Table(
    "replays",
    metadata,
    _column("slot", String, primary_key=True),
    _column("body", String),
    _column("user_hash", Words, index=True),
    _column("turn_id", Words, index=True),
    _column("until", UtcTime, index=True),
    _column("done", Boolean),
)
"""Requests with an idempotency key, by keyed hashes of whose and of what; `turn_id` is the turn that answers."""

threads = Table(
    "threads",
    metadata,
    _column("id", Words, primary_key=True),
    _column("user_hash", Words, index=True),
    _column("claimed_at", UtcTime),
    _column("touched_at", UtcTime, index=True),
)

vault = Table(
    "vault",
    metadata,
    _column("thread", Words, primary_key=True),
    _column("sealed", LargeBinary),
    _column("written_at", UtcTime),
)

tickets = Table(
    "tickets",
    metadata,
    _column("id", String, primary_key=True),
    _column("thread", Words, index=True),
    _column("turn_id", Words),
    _column("user_hash", Words),
    _column("department", Words),
    _column("reason", String),
    _column("summary", Words),
    _column("opened_at", UtcTime),
    _column("closed_at", UtcTime, nullable=True),
    _column("closed_by", String, server_default=""),
    _column("touched_at", UtcTime, index=True),
)

one_open_ticket = Index(
    "ix_tickets_one_open",
    tickets.c.thread,
    unique=True,
    sqlite_where=text("closed_at IS NULL"),
    postgresql_where=text("closed_at IS NULL"),
)

ticket_messages = Table(
    "ticket_messages",
    metadata,
    _row_id(),
    _column("ticket", String, ForeignKey("tickets.id", ondelete="CASCADE"), index=True),
    _column("turn_id", Words, nullable=True, unique=True),
    _column("author", String),
    _column("text", Words),
    _column("at", UtcTime),
)

keys = Table(
    "keys",
    metadata,
    _column("id", String, primary_key=True),
    _column("name", Words),
    _column("scope", String),
    _column("digest", LargeBinary),
    _column("created_at", UtcTime),
    _column("revoked_at", UtcTime, nullable=True),
)
"""`digest`: SHA-256 of the secret half of an API key; the key itself is nowhere."""

audit = Table(
    "audit",
    metadata,
    _row_id(),
    _column("at", UtcTime),
    _column("who", Words),
    _column("what", Words),
    _column("before", Text),
    _column("after", Text),
    sqlite_autoincrement=True,
)
"""Append-only: triggers made by the first migration refuse UPDATE and DELETE."""

cached_answers = Table(
    "cached_answers",
    metadata,
    _row_id(),
    _column("scope", String),
    _column("form", String),
    _column("question", Words),
    _column("vector", LargeBinary),
    _column("answer", Words),
    _column("sources", Words),
    _column("model", Words),
    _column("cost_microusd", BigInteger),
    _column("hits", BigInteger),
    _column("made_at", UtcTime, index=True),
    sqlite_autoincrement=True,
)
"""`scope` and `form` are hashes: of a CacheKey and of the question's exact form. `vector` is packed little-endian float32."""

one_answer_a_form = Index("ix_cached_answers_form", cached_answers.c.scope, cached_answers.c.form, unique=True)
