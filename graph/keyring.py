"""API keys, and who did what: the operators' work on access."""

import asyncio
import secrets
from dataclasses import asdict
from typing import Any

from domain.errors import UsageError
from graph.service import Service
from store.keys import ApiKey

Json = dict[str, Any]

ID_BYTES = 6
SECRET_BYTES = 32
MOST_ENTRIES = 1_000


async def create(service: Service, *, name: str, scope: str, who: str) -> Json:
    """Make a key: {id, name, scope, created_at, revoked_at, key}. `key` is told this once and kept nowhere."""
    text = f"fd_{secrets.token_hex(ID_BYTES)}_{secrets.token_urlsafe(SECRET_BYTES)}"
    made = await asyncio.to_thread(service.store.keys.add, name, scope, text)
    shown = _shown(made)
    await asyncio.to_thread(service.store.audit.record, who, "keys.create", None, shown)
    return shown | {"key": text}


async def list_keys(service: Service) -> Json:
    """Every key, the newest first: {keys:[{id,name,scope,created_at,revoked_at}]}."""
    return {"keys": [_shown(key) for key in await asyncio.to_thread(service.store.keys.list)]}


async def revoke(service: Service, *, key_id: str, who: str) -> Json:
    """Close a key for good; as `list_keys`' rows. Raises NotFoundError."""
    revoked = _shown(await asyncio.to_thread(service.store.keys.revoke, key_id))
    before = revoked | {"revoked_at": None}
    await asyncio.to_thread(service.store.audit.record, who, "keys.revoke", before, revoked)
    return revoked


async def audit(service: Service, *, count: int = 50) -> Json:
    """What operators did, the newest first: {entries:[{at,who,what,before,after}]}. Raises UsageError."""
    if not 1 <= count <= MOST_ENTRIES:
        raise UsageError(f"{count} entries cannot be", where="count", fix=f"ask for 1 to {MOST_ENTRIES}")
    entries = await asyncio.to_thread(service.store.audit.recent, count)
    return {"entries": [asdict(entry) | {"at": entry.at.isoformat()} for entry in entries]}


def _shown(key: ApiKey) -> Json:
    revoked = key.revoked_at.isoformat() if key.revoked_at else None
    return asdict(key) | {"created_at": key.created_at.isoformat(), "revoked_at": revoked}
