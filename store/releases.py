"""Releases as they were pinned, and which of them serves in which environment."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from domain.errors import ConflictError, NotFoundError, UsageError
from domain.ports import Clock
from domain.release import BUILT_IN, Release
from store.audit import Audit
from store.engine import Database, upsert
from store.release_tables import approvals, deployments, experiments, releases

ALONE = "releases"
"""Whoever changes what serves does so alone."""

HERE = frozenset({"owner", "operator"})
"""Who sits at this machine, through a server or not: one person, who cannot be their own second key."""

Gate = dict[str, Any]
"""What the gate found of a release: {passed, at, who, figures}."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """A release, who has made it and when (None: it ships), what the gate found of it (None: not put through)."""

    release: Release
    at: datetime | None
    who: str
    note: str
    gate: Gate | None


@dataclass(frozen=True, slots=True)
class Deployment:
    """A release that has served in an environment from then on; `id` 0: nothing was ever promoted there."""

    id: int
    environment: str
    release: str
    parent: int
    at: datetime | None
    who: str


@dataclass(frozen=True, slots=True)
class Deed:
    """A change of what serves: its name in the audit log, and what is to be done, which a second key must repeat.

    `replaces` is the deployment that its doer has seen. `about` goes into the audit log beside the releases.
    """

    what: str
    environment: str
    release: str
    replaces: Deployment
    who: str
    about: Mapping[str, object]

    @property
    def key(self) -> str:
        """The same for whoever wants the same."""
        more = (f"{name} {self.about[name]}" for name in ("experiment", "share") if name in self.about)
        return " ".join((self.what, self.release, *more))

    @property
    def told(self) -> dict[str, object]:
        """As the audit log has it."""
        return {"environment": self.environment, "release": self.release, **self.about}


class ReleaseBook:
    """The releases of a desk. The built-in one stands in no table."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, release: Release, note: str, who: str) -> Pinned:
        """Keep a release under its name. Raises ConflictError where the name is taken, by whatever it pins."""
        at, pins = self._clock.now(), release.model_dump(mode="json")
        row = {"name": release.name, "at": at, "who": who, "note": note, "body": release.model_dump_json()}
        with self._database.write(ALONE) as connection:
            if release.name == BUILT_IN or _row(connection, release.name):
                raise ConflictError("there is a release of that name", where=release.name, fix="choose another name")
            connection.execute(insert(releases).values(row))
            Audit.add(connection, at, who, "release.create", before=None, after=pins)
        return Pinned(release, at, who, note, None)

    def get(self, name: str) -> Pinned:
        """A release by its name. Raises NotFoundError."""
        with self._database.read() as connection:
            row = _row(connection, name)
        if row is None:
            raise NotFoundError("no such release", where=name, fix="`frontdesk release list` names them")
        return _pinned(row)

    def all(self) -> list[Pinned]:
        """Every release, the newest first."""
        with self._database.read() as connection:
            newest = select(releases).order_by(releases.c.at.desc(), releases.c.name)
            return [_pinned(row) for row in connection.execute(newest).mappings()]

    def prove(self, name: str, gate: Gate, who: str) -> Pinned:
        """Keep what the gate has found of a release, in place of what it found before. Raises NotFoundError."""
        with self._database.write(ALONE) as connection:
            found = _row(connection, name)
            if found is not None:
                connection.execute(update(releases).where(releases.c.name == name).values(gate=json.dumps(gate)))
                before = json.loads(found["gate"]) if found["gate"] else None
                after = {"release": name} | gate
                Audit.add(connection, self._clock.now(), who, "release.gate", before=before, after=after)
        return self.get(name)

    def serving(self, environment: str) -> Deployment:
        """What was promoted last in an environment."""
        with self._database.read() as connection:
            return _last(connection, environment)

    def before(self, deployment: Deployment) -> Deployment:
        """What a rollback from there goes back to. Raises UsageError where there is nothing."""
        if not deployment.id:
            raise UsageError("nothing was promoted yet", where=deployment.environment, fix="there is nothing to undo")
        with self._database.read() as connection:
            row = (
                connection.execute(select(deployments).where(deployments.c.id == deployment.parent)).mappings().first()
            )
        return _deployment(row) if row else _nothing(deployment.environment)

    def deploy(self, deed: Deed, *, parent: int, agreed: bool = True) -> Deployment | None:
        """Let a release serve; None: it waits for a second key, as `agreed` False asks.

        Raises ConflictError where the environment is no longer as the doer saw it, or where an experiment runs, which
        only a rollback stops.
        """
        with self._database.write(ALONE) as connection:
            at = self._clock.now()
            consent = consented(connection, deed, at, agreed=agreed)
            if consent is None:
                return None
            if found := running(connection, deed.environment):
                if not deed.what.endswith("rollback"):
                    fix = "stop it first: frontdesk release ab stop"
                    raise ConflictError("an experiment runs there", where=str(found["name"]), fix=fix)
                ended = update(experiments).where(experiments.c.name == found["name"]).values(stopped_at=at)
                connection.execute(ended)
            row = {
                "environment": deed.environment,
                "release": deed.release,
                "parent": parent,
                "at": at,
                "who": deed.who,
            }
            made = connection.execute(insert(deployments).values(row).returning(deployments.c.id)).scalar_one()
            before = {"environment": deed.environment, "release": deed.replaces.release}
            Audit.add(connection, at, deed.who, deed.what, before=before, after=deed.told | consent)
        return Deployment(made, deed.environment, deed.release, parent, at, deed.who)


def consented(connection: Connection, deed: Deed, at: datetime, *, agreed: bool) -> dict[str, str] | None:
    """What the audit log adds of a deed's consent; None where it waits for a second key, which is logged too.

    Raises ConflictError if what serves is not what the doer has seen, UsageError if the same key asks twice.
    """
    now = _last(connection, deed.environment)
    if now.id != deed.replaces.id:
        raise _overtaken(now)
    asked_by = "" if agreed else _asked_by(connection, deed, at)
    if asked_by is None:
        Audit.add(connection, at, deed.who, f"{deed.what}.ask", before=None, after=deed.told)
        return None
    connection.execute(delete(approvals).where(approvals.c.environment == deed.environment))
    return {"asked_by": asked_by, "agreed_by": deed.who} if asked_by else {}


def running(connection: Connection, environment: str) -> RowMapping | None:
    """The row of the experiment that runs in an environment."""
    wanted = select(experiments).where(experiments.c.environment == environment, experiments.c.stopped_at.is_(None))
    return connection.execute(wanted).mappings().first()


def _asked_by(connection: Connection, deed: Deed, at: datetime) -> str | None:
    """Who else has asked for the same; None: nobody yet, and now this one has. Raises UsageError for the same one."""
    same = (approvals.c.environment == deed.environment) & (approvals.c.deed == deed.key)
    row = connection.execute(select(approvals).where(same)).mappings().first()
    if row and row["replaces"] == deed.replaces.id:
        if row["who"] == deed.who or {row["who"], deed.who} <= HERE:
            raise UsageError("waits for a second key", where=deed.key, fix=f"{deed.who} has asked; another must agree")
        return str(row["who"])
    asked = {"environment": deed.environment, "deed": deed.key, "replaces": deed.replaces.id, "who": deed.who, "at": at}
    put = upsert(connection, approvals).values(asked)
    connection.execute(put.on_conflict_do_update(index_elements=["environment", "deed"], set_=asked))
    return None


def _overtaken(now: Deployment) -> ConflictError:
    what = f"it was changed meanwhile: {now.release} serves since {now.at:%H:%M:%S} UTC, by {now.who}"
    return ConflictError(what, where=now.environment, fix="look at `frontdesk release list` and decide again")


def _last(connection: Connection, environment: str) -> Deployment:
    newest = select(deployments).where(deployments.c.environment == environment).order_by(deployments.c.id.desc())
    row = connection.execute(newest.limit(1)).mappings().first()
    return _deployment(row) if row else _nothing(environment)


def _nothing(environment: str) -> Deployment:
    return Deployment(0, environment, BUILT_IN, 0, None, "")


def _deployment(row: RowMapping) -> Deployment:
    return Deployment(row["id"], row["environment"], row["release"], row["parent"], row["at"], row["who"])


def _row(connection: Connection, name: str) -> RowMapping | None:
    return connection.execute(select(releases).where(releases.c.name == name)).mappings().first()


def _pinned(row: RowMapping) -> Pinned:
    gate = json.loads(row["gate"]) if row["gate"] else None
    return Pinned(Release.model_validate_json(row["body"]), row["at"], row["who"], row["note"], gate)
