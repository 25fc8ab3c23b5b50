"""Two releases side by side, and what became of the turns of either."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping, func, insert, select, update

from domain.errors import ConflictError, NotFoundError
from domain.ports import Clock
from store.audit import Audit
from store.engine import Database
from store.release_tables import experiments
from store.releases import ALONE, Deed, consented, running
from store.tables import calls, feedback, receipts, scores


@dataclass(frozen=True, slots=True)
class Experiment:
    """Release `b` for a `share` (0..1) of the users of an environment, `a` for the rest."""

    name: str
    environment: str
    a: str
    b: str
    share: float
    salt: str
    started_at: datetime
    who: str
    stopped_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Exposure:
    """One turn of an experiment: who (a hash) in which thread, under which release, when, and what came of it.

    `quality` is the mean of the judge's scores (0..1), `liked` 1 or 0; None where nobody has said.
    """

    user: str
    thread: str
    release: str
    at: datetime
    latency_ms: float
    cost_microusd: int
    quality: float | None
    liked: float | None


class ExperimentBook:
    """The experiments of a desk; at most one runs in an environment."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def start(self, name: str, deed: Deed, share: float, salt: str, *, agreed: bool) -> Experiment | None:
        """Begin to show `deed.release` beside what serves; None: it waits for a second key.

        Raises ConflictError where the name is taken, one runs already, or the environment was changed meanwhile.
        """
        with self._database.write(ALONE) as connection:
            at = self._clock.now()
            if found := running(connection, deed.environment):
                fix = "stop it first: frontdesk release ab stop"
                raise ConflictError("an experiment runs there", where=str(found["name"]), fix=fix)
            if connection.execute(select(experiments.c.name).where(experiments.c.name == name)).first():
                raise ConflictError("there was an experiment of that name", where=name, fix="choose another name")
            consent = consented(connection, deed, at, agreed=agreed)
            if consent is None:
                return None
            row = {
                "name": name,
                "environment": deed.environment,
                "a": deed.replaces.release,
                "b": deed.release,
                "share": share,
                "salt": salt,
                "started_at": at,
                "who": deed.who,
            }
            connection.execute(insert(experiments).values(row))
            Audit.add(connection, at, deed.who, deed.what, before=None, after=deed.told | consent)
        return self.get(name)

    def stop(self, name: str, who: str) -> Experiment:
        """End it: its users get what serves. Raises NotFoundError where it is not running."""
        with self._database.write(ALONE) as connection:
            at = self._clock.now()
            same = (experiments.c.name == name) & experiments.c.stopped_at.is_(None)
            if not connection.execute(update(experiments).where(same).values(stopped_at=at)).rowcount:
                raise NotFoundError("no such experiment runs", where=name, fix="see `frontdesk release ab status`")
            Audit.add(connection, at, who, "ab.stop", before={"experiment": name}, after=None)
        return self.get(name)

    def get(self, name: str) -> Experiment:
        """An experiment, running or not. Raises NotFoundError."""
        with self._database.read() as connection:
            row = connection.execute(select(experiments).where(experiments.c.name == name)).mappings().first()
        if row is None:
            raise NotFoundError("no such experiment", where=name, fix="see `frontdesk release ab status`")
        return _experiment(row)

    def all(self) -> list[Experiment]:
        """Every experiment, the newest first."""
        with self._database.read() as connection:
            newest = select(experiments).order_by(experiments.c.started_at.desc(), experiments.c.name)
            return [_experiment(row) for row in connection.execute(newest).mappings()]

    def running(self, environment: str) -> Experiment | None:
        """The one that runs in an environment."""
        with self._database.read() as connection:
            row = running(connection, environment)
        return _experiment(row) if row else None

    def exposures(self, name: str) -> list[Exposure]:
        """Every turn of an experiment, the oldest first."""
        quality = (
            select(func.avg(scores.c.value)).where(scores.c.turn_id == receipts.c.turn_id).correlate(receipts)
        ).scalar_subquery()
        cost = (
            select(func.coalesce(func.sum(calls.c.cost_microusd), 0))
            .where(calls.c.turn_id == receipts.c.turn_id)
            .correlate(receipts)
        ).scalar_subquery()
        wanted = (
            select(
                receipts.c.user_hash,
                receipts.c.thread_id,
                receipts.c.release,
                receipts.c.at,
                receipts.c.latency_ms,
                cost.label("cost"),
                quality.label("quality"),
                feedback.c.rating,
            )
            .select_from(receipts.outerjoin(feedback, feedback.c.turn_id == receipts.c.turn_id))
            .where(receipts.c.experiment == name)
            .order_by(receipts.c.at, receipts.c.turn_id)
        )
        with self._database.read() as connection:
            return [
                Exposure(
                    row["user_hash"],
                    row["thread_id"],
                    row["release"],
                    row["at"],
                    float(row["latency_ms"]),
                    int(row["cost"]),
                    None if row["quality"] is None else float(row["quality"]),
                    None if row["rating"] is None else float(row["rating"] == "up"),
                )
                for row in connection.execute(wanted).mappings()
            ]


def _experiment(row: RowMapping) -> Experiment:
    return Experiment(**{name: row[name] for name in Experiment.__slots__})
