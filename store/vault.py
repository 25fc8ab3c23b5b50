"""The only place that knows what a placeholder stands for: sealed, per thread. And the keyed hash of users."""

import base64
import binascii
import hmac
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, select

from domain.errors import SettingsError, StoreError
from domain.ports import Clock
from store.engine import Database, upsert
from store.tables import meta, vault

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY_FILE = "vault.key"
KEY_BYTES = 32
SHORTEST_KEY = 16
CONTENT = "base64:"
"""Before a configured key: it is the content of a key file, as when a desk moves to another database."""


class Vault:
    """Placeholders and their originals, encrypted at rest under a key that is not in the database."""

    def __init__(self, database: Database, clock: Clock, secret: bytes) -> None:
        self._database = database
        self._clock = clock
        self._sealing_key = _derive(secret, "vault")
        self._user_key = _derive(secret, "user")
        self._digest_key = _derive(secret, "digest")
        self._fingerprint = _derive(secret, "fingerprint").hex()[:32]

    def read(self, thread: str) -> dict[str, str]:
        """Give the originals of a thread by placeholder; empty for an unknown thread. Raises StoreError."""
        with self._database.read() as connection:
            return self._opened(connection, thread)

    def write(self, thread: str, secrets: Mapping[str, str]) -> None:
        """Add placeholders and their originals to what the thread has."""
        if not secrets:
            return
        with self._database.write(f"vault of {thread}") as connection:
            known = self._opened(connection, thread)
            together = {**known, **secrets}
            if together != known:
                row = {"thread": thread, "sealed": self._sealed(thread, together), "written_at": self._clock.now()}
                put = upsert(connection, vault).values(row)
                connection.execute(put.on_conflict_do_update(index_elements=["thread"], set_=row))

    def delete(self, thread: str) -> None:
        """Forget a thread's originals."""
        with self._database.write() as connection:
            connection.execute(delete(vault).where(vault.c.thread == thread))

    def user_hash(self, user_id: str) -> str:
        """Give the name under which everything else knows a user: 32 hex digits, the same for the same key."""
        return hmac.digest(self._user_key, user_id.encode("utf-8", "surrogatepass"), "sha256").hex()[:32]

    def digest(self, text: str) -> str:
        """Give a text's keyed hash, 64 hex digits: to know it again, and nothing else."""
        return hmac.digest(self._digest_key, text.encode("utf-8", "surrogatepass"), "sha256").hex()

    def check_key(self) -> None:
        """Tie the store to its key at the first time, and raise StoreError at any other key later."""
        with self._database.read() as connection:
            bound = bound_key(connection)
        if bound is None:
            with self._database.write() as connection:
                row = {"name": "vault", "value": self._fingerprint}
                connection.execute(upsert(connection, meta).values(row).on_conflict_do_nothing())
                bound = bound_key(connection)
        if bound != self._fingerprint:
            raise _wrong_key(self._database.where)

    def _opened(self, connection: Connection, thread: str) -> dict[str, str]:
        sealed = connection.execute(select(vault.c.sealed).where(vault.c.thread == thread)).scalar_one_or_none()
        if sealed is None:
            return {}
        from cryptography.fernet import InvalidToken  # noqa: PLC0415  # 0.1 s that a turn without secrets need not pay

        try:
            plain = json.loads(self._fernet().decrypt(sealed))
        except InvalidToken as fault:
            raise _wrong_key(self._database.where) from fault
        if plain["thread"] != thread:
            raise StoreError("a vault row was moved to another thread", where=self._database.where)
        return dict(plain["secrets"])

    def _sealed(self, thread: str, secrets: Mapping[str, str]) -> bytes:
        plain = json.dumps({"thread": thread, "secrets": dict(secrets)}).encode()
        return self._fernet().encrypt_at_time(plain, int(self._clock.now().timestamp()))

    def _fernet(self) -> "Fernet":
        from cryptography.fernet import Fernet  # noqa: PLC0415  # see _opened

        return Fernet(base64.urlsafe_b64encode(self._sealing_key))


def bound_key(connection: Connection) -> str | None:
    """Give the fingerprint of the key that the store was first opened with."""
    return connection.execute(select(meta.c.value).where(meta.c.name == "vault")).scalar_one_or_none()


def read_secret(folder: Path, configured: str, *, may_create: bool) -> bytes:
    """Give the configured key, else the one in the folder's key file, which is made once (0600).

    Raises SettingsError for a key too short, StoreError for a file that is damaged or gone.
    """
    if configured.startswith(CONTENT):
        return _of_file(configured.removeprefix(CONTENT).encode(), "FRONTDESK_VAULT_KEY")
    if configured:
        if len(configured) < SHORTEST_KEY:
            msg = f"shorter than {SHORTEST_KEY} characters"
            raise SettingsError(msg, where="FRONTDESK_VAULT_KEY", fix="openssl rand -base64 32")
        return configured.encode()
    path = folder / KEY_FILE
    try:
        if may_create and not path.exists():
            _create(path)
        content = path.read_bytes()
    except FileNotFoundError as fault:
        raise StoreError(
            "the vault's key is missing",
            where=str(path),
            fix="restore it or set FRONTDESK_VAULT_KEY; without the key, move desk.sqlite3 away to start afresh",
        ) from fault
    except OSError as fault:
        msg = f"the vault's key cannot be read or made: {fault.strerror}"
        raise StoreError(msg, where=str(path)) from fault
    return _of_file(content, str(path))


def _of_file(content: bytes, where: str) -> bytes:
    damaged = StoreError("the vault's key is damaged", where=where, fix="restore it from a backup")
    try:
        secret = base64.urlsafe_b64decode(content)
    except binascii.Error as fault:
        raise damaged from fault
    if len(secret) != KEY_BYTES:
        raise damaged
    return secret


def _create(path: Path) -> None:
    """Make the key file so that it is there whole or not at all, and so that the first of two processes wins."""
    from cryptography.fernet import Fernet  # noqa: PLC0415  # see Vault._opened

    draft = path.with_suffix(f".{os.getpid()}")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(Fernet.generate_key())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()


def _derive(secret: bytes, use: str) -> bytes:
    return hmac.digest(secret, f"frontdesk {use}".encode(), "sha256")


def _wrong_key(where: str) -> StoreError:
    return StoreError(
        "the vault's key is not the one that this store was written with",
        where=where,
        fix="restore vault.key or FRONTDESK_VAULT_KEY; without it, start afresh with an empty database",
    )
