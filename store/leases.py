"""Short locks among processes: a lease that its holder renews, and that ends by itself when the holder is killed."""

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import delete

from domain.errors import SettingsError
from domain.ports import Clock
from store.engine import Database, upsert
from store.tables import leases

if TYPE_CHECKING:
    from redis import Redis

SECONDS = 15
"""How long a lease lives when nobody renews it: so long is a thread closed after its replica was killed."""

MS = 1000
PREFIX = "frontdesk:lease:"
REDIS_SECONDS = 2.0
"""How long Redis may take to answer."""

KEEP = "return redis.call('get',KEYS[1])==ARGV[1] and redis.call('pexpire',KEYS[1],ARGV[2]) or 0"
RELEASE = "return redis.call('get',KEYS[1])==ARGV[1] and redis.call('del',KEYS[1]) or 0"
"""Only the holder may: who looks first and writes then may write to another's lease."""


class Leases(Protocol):
    """A name belongs to one holder at a time. Blocking."""

    def take(self, name: str, holder: str) -> bool:
        """Become the holder for `SECONDS`, or hold it as long again; False while another holds it."""

    def release(self, name: str, holder: str) -> None:
        """Give it back; nothing happens to another's."""


class DatabaseLeases:
    """Leases as rows, in any database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def take(self, name: str, holder: str) -> bool:
        """See Leases."""
        now = self._clock.now()
        row = {"name": name, "holder": holder, "until": now + timedelta(seconds=SECONDS)}
        with self._database.write() as connection:
            # One that ends later than one taken now could is a clock's fault, and does not hold.
            over = (leases.c.until <= now) | (leases.c.until > now + timedelta(seconds=SECONDS))
            free = over | (leases.c.holder == holder)
            put = upsert(connection, leases).values(row)
            # Asked and taken in one statement: no other process can come in between.
            done = connection.execute(put.on_conflict_do_update(index_elements=["name"], set_=row, where=free))
            return done.rowcount == 1

    def release(self, name: str, holder: str) -> None:
        """See Leases."""
        with self._database.write() as connection:
            connection.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))


class RedisLeases:
    """Leases as keys of Redis; while it does not answer, the database keeps them."""

    def __init__(self, redis: "Redis", fallback: Leases) -> None:
        self._redis = redis
        self._fallback = fallback
        self._fallen: set[str] = set()

    def take(self, name: str, holder: str) -> bool:
        """See Leases."""
        from redis.exceptions import RedisError  # noqa: PLC0415  # 0.1 s that a desk without Redis need not pay

        key, ms = PREFIX + name, SECONDS * MS
        try:
            return bool(self._redis.set(key, holder, nx=True, px=ms) or self._redis.eval(KEEP, 1, key, holder, ms))
        except RedisError:
            self._fallen.add(name)
            return self._fallback.take(name, holder)

    def release(self, name: str, holder: str) -> None:
        """See Leases."""
        from redis.exceptions import RedisError  # noqa: PLC0415  # see take

        if name in self._fallen:
            self._fallen.discard(name)
            self._fallback.release(name, holder)
        try:
            self._redis.eval(RELEASE, 1, PREFIX + name, holder)
        except RedisError:
            return  # it ends by itself


def connect_redis(url: str) -> "Redis":
    """A client of the Redis at `url`; it connects when it is first used. Raises SettingsError."""
    import redis  # noqa: PLC0415  # see RedisLeases.take

    try:
        return redis.Redis.from_url(
            url.replace("redis+unix://", "unix://"), socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS
        )
    except ValueError as fault:
        raise SettingsError(
            "is no address of a Redis", where="FRONTDESK_REDIS_URL", fix="redis://host:6379/0"
        ) from fault
