"""Keys that open the API. Only a hash of a key is kept: who reads the database can open nothing with it."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Literal, get_args

from sqlalchemy import RowMapping, insert, select, update

from domain.errors import NotFoundError, UsageError
from domain.ports import Clock
from store.engine import Database
from store.prepared import Prepared
from store.tables import keys

KeyScope = Literal["chat", "server", "agent", "analyst", "admin"]
"""chat: asks as itself or for a signed user · server: says whose question it is · agent: answers tickets
· analyst: reads what happened · admin: everything."""

KEY = re.compile(r"fd_(?P<id>[0-9a-f]{12})_(?P<secret>[A-Za-z0-9_-]{43})")
"""A key as its owner holds it: 32 random bytes behind a public id."""

NAME_CHARS = 80
NOBODYS = b"\0" * 32
"""Compared with where there is no such key, so that an unknown id takes as long as a wrong secret."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as everybody may see it."""

    id: str
    name: str
    scope: KeyScope
    created_at: datetime
    revoked_at: datetime | None = None


class Keys:
    """The API keys of a desk."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, name: str, scope: str, text: str) -> ApiKey:
        """Keep the key `text`, which only the caller knows from then on. Raises UsageError."""
        found = KEY.fullmatch(text)
        if found is None:
            raise UsageError("this is no key", where="key", fix="let `frontdesk keys create` make one")
        if scope not in get_args(KeyScope):
            raise UsageError(f"no scope {scope!r}", where="scope", fix=", ".join(get_args(KeyScope)))
        if not name.strip() or len(name) > NAME_CHARS:
            raise UsageError(f"a name has 1 to {NAME_CHARS} characters", where="name", fix="say what the key is for")
        row = {
            "id": found["id"],
            "name": name.strip(),
            "scope": scope,
            "digest": _digest(found["secret"]),
            "created_at": self._clock.now(),
            "revoked_at": None,
        }
        with self._database.write() as connection:
            connection.execute(insert(keys).values(row))
            return _key(connection.execute(select(keys).where(keys.c.id == row["id"])).mappings().one())

    def check(self, text: str) -> ApiKey | None:
        """The key that `text` is, unless it is unknown or revoked; either takes the same time."""
        found = KEY.fullmatch(text)
        with self._database.read() as connection:
            wanted = select(keys).where(keys.c.id == (found["id"] if found else ""))
            row = connection.execute(wanted).mappings().one_or_none()
        same = hmac.compare_digest(_digest(found["secret"] if found else ""), row["digest"] if row else NOBODYS)
        return _key(row) if row and same and row["revoked_at"] is None else None

    def any(self) -> bool:
        """Whether a key was ever made: from then on the API asks for one, also when all are revoked."""
        with self._database.read() as connection:
            (found,) = self._database.run(connection, (_first(), {}))
        return bool(found)

    def list(self) -> list[ApiKey]:
        """Every key, the newest first."""
        with self._database.read() as connection:
            newest = select(keys).order_by(keys.c.created_at.desc(), keys.c.id)
            return [_key(row) for row in connection.execute(newest).mappings()]

    def revoke(self, key_id: str) -> ApiKey:
        """Close a key for good; it stays listed. Raises NotFoundError."""
        with self._database.write() as connection:
            now = self._clock.now()
            connection.execute(
                update(keys).where(keys.c.id == key_id, keys.c.revoked_at.is_(None)).values(revoked_at=now)
            )
            row = connection.execute(select(keys).where(keys.c.id == key_id)).mappings().one_or_none()
        if row is None:
            raise NotFoundError("no such key", where=key_id, fix="`frontdesk keys list` names them")
        return _key(row)


@cache
def _first() -> Prepared:
    """Asked for at every request of a desk without keys."""
    return Prepared(select(keys.c.id).limit(1))


def _digest(secret: str) -> bytes:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(secret.encode()).digest()


def _key(row: RowMapping) -> ApiKey:
    return ApiKey(row["id"], row["name"], row["scope"], row["created_at"], row["revoked_at"])
