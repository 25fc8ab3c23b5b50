"""The knowledge of one desk: what is searched, what was brought, and the switch from one version to the next."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from domain.errors import ConflictError, FrontdeskError, KnowledgeError, StoreError
from domain.language import load_languages
from domain.ports import Clock, Embedder, Progress, Reranker
from domain.progress import stage
from retrieval.articles import Article, ArticleInfo, Audience, IngestReport, KnowledgeVersion, Skip, compared, named
from retrieval.building import Builder
from retrieval.chunking import chunk_articles
from retrieval.config import RagConfig
from retrieval.contact import DeskContact
from retrieval.opening import clean, open_store
from retrieval.pinned import PinnedVersions
from retrieval.reading import from_thread, read_articles
from retrieval.saving import Versions, save
from retrieval.search import PublicSearch
from retrieval.shared import ServerVersions
from retrieval.shelf import Shelf
from retrieval.vectors import ServerPlace, VectorStore
from retrieval.versions import Pointer, VersionRecord

LOOKS = (60.0, 120.0, 240.0, 480.0, 960.0, 1_920.0)
"""Seconds between looks at a folder that was found damaged: an hour in all."""
FOLLOW_SECONDS = 2.0
"""Between two looks at which version the replicas serve."""
READING, EMBEDDING = "reading files", "embedding passages"
"""What the two stages of an ingest count."""
WAIT = "wait, or run `frontdesk ingest PATH --desk D`"
REBUILD = "run `frontdesk ingest PATH --desk D` to rebuild it"


@dataclass(frozen=True, slots=True)
class _Opened:
    """What is read from a version to serve it."""

    articles: list[Article]
    public: Shelf | None


class Knowledge:
    """One knowledge folder, owned by this process: the caller holds the lock of the home it lies in."""

    def __init__(
        self,
        files: Versions,
        store: VectorStore,
        config: RagConfig,
        embedder: Embedder,
        clock: Clock,
        *,
        shipped: Path | None,
        reranker: Reranker | None,
        contact: DeskContact | None,
    ) -> None:
        self._files, self._store, self._config, self._embedder = files, store, config, embedder
        self._builder = Builder(files, store, config, clock, shipped)
        self._pointer = Pointer()
        self._articles: list[Article] = []
        self._search = PublicSearch(config, embedder, reranker, contact)
        self.pinned = PinnedVersions(store, embedder, config, lambda: self._pointer, reranker=reranker, contact=contact)
        self._writing = asyncio.Lock()
        self._trouble = ""
        self.damage = ""
        """What was found damaged when the folder was opened, and what became of it; empty when all was well."""
        self.mending = False
        """Whether a version that was damaged is still to be built anew."""
        self._beside: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        folder: Path,
        config: RagConfig,
        embedder: Embedder,
        clock: Clock,
        *,
        shipped: Path | None = None,
        server: ServerPlace | None = None,
        reranker: Reranker | None = None,
        contact: DeskContact | None = None,
        looks: Sequence[float] = LOOKS,
    ) -> "Knowledge":
        """Open a folder (made if absent) and serve its current version.

        With a `server` everything lies there instead, shared by replicas: one writes at a time, and a version that
        another has made or gone back to serves here within seconds.

        `shipped` is the desk's folder of vectors made in advance (retrieval/shipped.py). `reranker` is the one that the
        configuration names, if any; `contact` what desk.yaml itself answers.
        Of a damaged folder the newest whole version serves, or none, while the lost one is built anew from its
        articles; `damage` says so, until a later look (`looks`: seconds between them) finds all well. A version that another configuration filled is not served: `version` is "",
        every search raises KnowledgeError, and the next ingest rebuilds it. Raises StoreError.
        """
        if embedder.name != config.embedder.name:
            what = f"{config.label} is made for {config.embedder.name}, not {embedder.name}"
            raise KnowledgeError(what, where=config.label, fix="load the embedder that the configuration names")
        if config.reranker is not None and reranker is None:
            what = f"{config.label} is made for {config.reranker.name}"
            raise KnowledgeError(what, where=config.label, fix="load the reranker that the configuration names")
        opened = await asyncio.to_thread(open_store, folder, server, clock)
        files, store = opened.files, opened.store
        knowledge = cls(files, store, config, embedder, clock, shipped=shipped, reranker=reranker, contact=contact)
        knowledge.damage, knowledge.mending = opened.damage, bool(opened.lost)
        try:
            await knowledge._switch(opened.pointer)
        except StoreError:
            await asyncio.to_thread(opened.store.close)
            raise
        if server is not None:
            knowledge._beside = asyncio.create_task(knowledge._follow(), name="follow the knowledge")
        elif opened.damage:
            looking = knowledge._look_again(opened.damage, list(opened.lost), looks)
            knowledge._looking = asyncio.create_task(looking, name="look after the knowledge")
        if server is None and opened.lost:
            mending = knowledge._mend(opened.damage, list(opened.lost))
            knowledge._beside = asyncio.create_task(mending, name="mend the knowledge")
            await asyncio.sleep(0)  # it writes first: an ingest adds to what it builds
        return knowledge

    @property
    def trouble(self) -> str:
        """Why the knowledge cannot be searched just now, though there is some; empty when it can."""
        return self._trouble

    @property
    def version(self) -> str:
        """The version that is searched; empty when there is none, or only one of another configuration."""
        record = self._pointer.record(self._pointer.serving)
        return record.version if record is not None and self._fits(record) else ""

    @property
    def public(self) -> PublicSearch:
        """The one thing a customer's turn is given: it knows the public collection only."""
        return self._search

    def articles(self) -> list[ArticleInfo]:
        """Every article of the current version, public and internal, by id."""
        rows = (
            ArticleInfo(row.id, row.title, row.audience, row.language, row.updated, row.review_by)
            for row in self._articles
        )
        return sorted(rows, key=lambda row: row.id)

    def texts(self, audience: Audience) -> list[str]:
        """The texts of an audience's articles: what customers may read anyway, or what a guard keeps in."""
        return [article.text for article in self._articles if article.audience == audience]

    def versions(self) -> list[KnowledgeVersion]:
        """The kept versions, newest first."""
        return [
            KnowledgeVersion(
                row.version,
                row.at,
                row.config,
                row.articles,
                sum(row.chunks.values()),
                serving=row.version == self._pointer.serving,
            )
            for row in reversed(self._pointer.versions)
        ]

    async def ingest(
        self, path: Path, progress: Progress | None = None, *, embedder: Embedder | None = None
    ) -> IngestReport:
        """Take what lies at `path`; what it brought earlier and holds no more is removed.

        `embedder`: does the embedding instead of the knowledge's own, with the same weights.

        A file that is there but cannot be read keeps what it brought earlier. `progress` counts files while
        they are read, then chunks while they are embedded. Raises KnowledgeError when nothing at all could be
        taken, and StoreError; in both cases the old version serves on.
        """
        async with self._alone():
            reading = await asyncio.to_thread(read_articles, path, from_thread(progress and stage(progress, READING)))
            root = str(await asyncio.to_thread(path.resolve))
            if not reading.articles:
                raise KnowledgeError(_nothing(reading.skipped), where=str(path), fix="the knowledge is as it was")
            report, articles = await asyncio.to_thread(compared, self._articles, reading, root)
            if self.version and not (report.added or report.changed or report.removed):
                return replace(report, version=self.version)
            return await self._build(report, articles, progress, embedder or self._embedder)

    async def named(self, article: str, path: str) -> tuple[list[Article], int]:
        """The article of this id, else all that came from this path, and how many chunks they make. Raises KnowledgeError."""
        rows = named(self._articles, article, path)
        chunks = await asyncio.to_thread(chunk_articles, rows, self._config.chunking)
        return rows, sum(map(len, chunks.values()))

    async def forget(
        self, ids: Collection[str], progress: Progress | None = None, *, replaces: str = ""
    ) -> IngestReport:
        """Serve a new version without these articles; the old one can come back like any other.

        `replaces`: the version in which the caller has seen them. Raises ConflictError where another serves by now,
        and StoreError; then the knowledge is as it was.
        """
        async with self._alone():
            serving = self._pointer.serving
            if replaces and serving != replaces:
                raise ConflictError(f"{serving} serves, not {replaces}", where="knowledge", fix="look again")
            kept = [row for row in self._articles if row.id not in ids]
            gone = [row.id for row in self._articles if row.id in ids]
            report = IngestReport("", removed=gone, unchanged=[row.id for row in kept])
            return await self._build(report, kept, progress, self._embedder)

    async def rollback(self, version: str) -> None:
        """Serve a kept version again. Raises KnowledgeError."""
        async with self._alone():
            record = self._pointer.record(version)
            if record is None:
                kept = ", ".join(row.version for row in self._pointer.versions) or "none"
                raise KnowledgeError("no such kept version", where=version, fix=f"one of: {kept}")
            if not self._fits(record):
                raise self._misfit(record)
            pointer = replace(self._pointer, serving=version)
            await asyncio.to_thread(self._files.point, pointer)
            await self._switch(pointer)

    async def save(self, folder: Path) -> None:
        """Write every kept version into a new folder (retrieval/saving.py); nothing is ingested meanwhile."""
        async with self._alone():
            await asyncio.to_thread(save, self._files, self._store, self._pointer, folder)

    async def close(self) -> None:
        """Let go of the folder and mark it clean. Nothing may be called afterwards."""
        for task in (self._beside, self._looking):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        async with self._writing:
            self._search.serve(None)
            await asyncio.to_thread(self._store.close)
            if not self.mending:
                await asyncio.to_thread(self._files.release)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Write alone: in this process, and on a server among all, from what serves now."""
        async with self._writing:
            if isinstance(self._files, ServerVersions):
                async with self._files.writing():
                    await self._refresh()
                    yield
            else:
                yield

    async def _look_again(self, found: str, lost: list[Article], looks: Sequence[float]) -> None:
        """Mend again at each look while that has failed, and say no longer what is past."""
        for seconds in looks:
            await asyncio.sleep(seconds)
            if self._beside is not None:
                await asyncio.wait([self._beside])  # the first attempt may take long
            if self.mending:
                await self._mend(found, lost)
            elif await self._is_whole():
                self.damage = ""
                return

    async def _is_whole(self) -> bool:
        """Whether what serves can be read from the disk, now."""
        async with self._writing:
            try:
                await asyncio.to_thread(self._read, self._pointer)
            except StoreError:
                return False
            return bool(self.version)

    async def _mend(self, found: str, lost: list[Article]) -> None:
        """Build a version anew whose vectors are lost; what serves meanwhile is as it was."""
        self._articles = lost
        self.damage = f"{found}; {len(lost)} articles are being read anew"
        if not self.version:
            self._search.serve(None, why_not=StoreError(self.damage, where=str(self._files.folder), fix=WAIT))
        try:
            async with self._alone():
                report = await self._build(IngestReport(""), lost, None, self._embedder)
        except FrontdeskError as fault:
            self.damage = f"{found}; reading {len(lost)} articles anew failed: {fault.what}"
        else:
            self.damage = f"{found}; {len(lost)} articles were read anew: {report.version} serves"

    async def _follow(self) -> None:
        """Serve what other replicas have switched to, and notice when the server is away."""
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            try:
                async with self._writing:
                    await self._refresh()
            except StoreError as fault:
                self._trouble = fault.what
            else:
                self._trouble = ""

    async def _refresh(self) -> None:
        pointer = await asyncio.to_thread(self._files.pointer)
        if pointer.serving != self._pointer.serving:
            await self._switch(pointer)
        self._pointer = pointer

    def _fits(self, record: VersionRecord) -> bool:
        return (record.config, record.embedder) == (self._config.label, self._config.embedder.sha256)

    def _misfit(self, record: VersionRecord) -> KnowledgeError:
        other = record.config if record.config != self._config.label else f"embedder {record.embedder[:12]}"
        what = f"knowledge {record.version} was built with {other}, not with {self._config.label}"
        return KnowledgeError(what, where=str(self._files.folder), fix=REBUILD)

    async def _build(
        self, report: IngestReport, articles: list[Article], progress: Progress | None, embedder: Embedder
    ) -> IngestReport:
        """Make the next version aside, then switch to it."""
        held = await asyncio.to_thread(self.pinned.held)
        try:
            built = await self._builder.build(
                articles, self._pointer, embedder, progress and stage(progress, EMBEDDING)
            )
        except StoreError:
            # A full disk: what was written of the new version is in the way of everything else. While a lost one is
            # built anew its articles are in no pointer, and must stay.
            with suppress(StoreError, OSError):
                if not self.mending:
                    await asyncio.to_thread(clean, self._files, self._store, self._pointer)
            raise
        pointer = self._pointer.with_new(built.record, held)
        await asyncio.to_thread(self._files.point, pointer)
        await self._switch(pointer)
        self.mending = False
        await asyncio.to_thread(clean, self._files, self._store, pointer)
        chunks = sum(built.record.chunks.values())
        return replace(report, version=built.record.version, chunks=chunks, embedded=built.embedded)

    async def _switch(self, pointer: Pointer) -> None:
        """Open what the pointer names and serve it; until then the old version answers."""
        opened = await asyncio.to_thread(self._read, pointer)
        record = pointer.record(pointer.serving)
        self._pointer, self._articles = pointer, opened.articles
        misfit = self._misfit(record) if record is not None and not self._fits(record) else None
        self._search.serve(opened.public, why_not=misfit)

    def _read(self, pointer: Pointer) -> _Opened:
        record = pointer.record(pointer.serving)
        if record is None:
            return _Opened([], None)
        articles = self._files.read_articles(record.version)
        if not self._fits(record):
            return _Opened(articles, None)
        for name, count in record.collections().items():
            self._store.open(name, count)  # both are there and whole, or this version is not served
        if self._config.tells_languages:
            load_languages()  # now, not at the first question
        return _Opened(articles, self.pinned.shelf(record))


def _nothing(skipped: Sequence[Skip]) -> str:
    if not skipped:
        return "no article could be taken: there is no file in it"
    return f"no article could be taken ({len(skipped)} skipped, first {skipped[0].where}: {skipped[0].why})"
