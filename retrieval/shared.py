"""Versions of the knowledge on a Chroma server, for replicas: pointer, articles and the right to write.

pointer-frontdesk        one row: which version serves, and which are kept
articles-VERSION         the articles of a version, a row each
writer-frontdesk         exists while one process writes; its metadata says until when it may

Chroma has no transactions, but making a collection of a name that exists fails: that decides who writes.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict

from domain.errors import StoreError
from domain.ports import Clock
from retrieval.articles import Article
from retrieval.vectors import VectorStore
from retrieval.versions import Pointer, VersionRecord

POINTER = "pointer-frontdesk"
WRITER = "writer-frontdesk"
ARTICLES = "articles-"
LEASE = 60.0
"""Seconds after which a writer that has said nothing is taken for dead. Clocks may differ by less than half of it."""
BEAT = 15.0
WAIT = 120.0
"""How long a second writer waits for the first."""
GLANCE = 0.5
FIX = "look after the Chroma server, then run `frontdesk ingest PATH --desk D`"


class ServerVersions:
    """What VersionFiles is for a folder. Every call but `writing` blocks."""

    def __init__(self, store: VectorStore, clock: Clock) -> None:
        self.folder = store.where
        self._store = store
        self._clock = clock

    def pointer(self) -> Pointer:
        """Read the pointer; an empty one on a new server. Raises StoreError."""
        rows = self._store.texts.read(POINTER)
        if not rows:
            return Pointer()
        try:
            data = json.loads(rows[0])
            return Pointer(data["serving"], tuple(VersionRecord(**row) for row in data["versions"]))
        except (ValueError, KeyError, TypeError) as fault:
            raise StoreError("the version pointer cannot be read", where=self.folder, fix=FIX) from fault

    def point(self, pointer: Pointer) -> None:
        """Switch: one row is replaced. Raises StoreError."""
        rows = {"serving": pointer.serving, "versions": [asdict(record) for record in pointer.versions]}
        self._store.texts.write(POINTER, [json.dumps(rows)])

    def write_articles(self, version: str, articles: Iterable[Article]) -> None:
        """Keep the articles of a version, whole. Raises StoreError."""
        self._store.texts.write(ARTICLES + version, [json.dumps(asdict(row), ensure_ascii=False) for row in articles])

    def read_articles(self, version: str) -> list[Article]:
        """The articles of a kept version. Raises StoreError."""
        try:
            return [Article(**json.loads(row)) for row in self._store.texts.read(ARTICLES + version)]
        except (ValueError, TypeError) as fault:
            raise StoreError("the articles cannot be read", where=self.folder, fix=FIX) from fault

    def drop_unkept(self, pointer: Pointer) -> None:
        """Delete articles of versions that the pointer does not name."""
        for name in self._store.names():
            if name.startswith(ARTICLES) and pointer.record(name.removeprefix(ARTICLES)) is None:
                self._store.drop(name)

    def release(self) -> None:
        """Nothing of a server is ours to mark."""

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Be the only writer. Raises StoreError when another does not end."""
        waited = 0.0
        while not await asyncio.to_thread(self._store.texts.claim, WRITER, self._now(), self._now() + LEASE):
            if waited >= WAIT:
                fix = "wait until it is done"
                raise StoreError("another process is writing this knowledge", where=self.folder, fix=fix)
            await asyncio.sleep(GLANCE)
            waited += GLANCE
        beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            with suppress(StoreError):
                await asyncio.to_thread(self._store.drop, WRITER)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            with suppress(StoreError):
                await asyncio.to_thread(self._store.texts.extend, WRITER, self._now() + LEASE)

    def _now(self) -> float:
        return self._clock.now().timestamp()
