"""Kept versions of the knowledge that are searched beside the one that serves: a release may be pinned to one."""

import asyncio
from collections.abc import Callable, Collection
from weakref import WeakValueDictionary

from domain.errors import KnowledgeError
from domain.ports import Embedder, Reranker
from retrieval.config import RagConfig, load_rag_config
from retrieval.contact import DeskContact
from retrieval.search import PublicSearch
from retrieval.shelf import AT_HAND, Shelf
from retrieval.vectors import VectorStore
from retrieval.versions import Pointer, VersionRecord, collection_name


class PinnedVersions:
    """The public collections of kept versions. Each is opened once, however many search it."""

    def __init__(
        self,
        store: VectorStore,
        embedder: Embedder,
        config: RagConfig,
        pointer: Callable[[], Pointer],
        *,
        reranker: Reranker | None = None,
        contact: DeskContact | None = None,
    ) -> None:
        """`pointer` gives what is kept now; `contact` answers beside every version."""
        self._contact = contact
        self._reranker = reranker
        self._store, self._embedder, self._config, self._pointer = store, embedder, config, pointer
        self._shelves: WeakValueDictionary[str, Shelf] = WeakValueDictionary()
        self.held: Callable[[], Collection[str]] = tuple
        """Gives the versions that releases are pinned to: no ingest removes them. May block."""

    def shelf(self, record: VersionRecord) -> Shelf:
        """The public collection of a version. Blocks while it is opened. Raises StoreError."""
        shelf = self._shelves.get(record.version)
        if shelf is None:
            name = collection_name("public", record.version)
            opened = self._store.open(name, record.collections()[name])
            # What lies on a server is asked there: a replica that has lost it must not seem to serve.
            at_hand = AT_HAND if self._store.local else 0
            shelf = self._shelves[record.version] = Shelf(opened, at_hand=at_hand)
        return shelf

    async def search(self, version: str, label: str) -> tuple[PublicSearch, RagConfig]:
        """Search a kept version under the configuration that filled it, and how that one is to be used.

        Raises KnowledgeError where the version is gone, was filled otherwise, or wants another embedder or a reranker; StoreError.
        """
        record = self._pointer().record(version)
        if record is None:
            kept = ", ".join(row.version for row in self._pointer().versions) or "none"
            raise KnowledgeError("no such kept version", where=version, fix=f"one of: {kept}")
        if record.config != label:
            what = f"was filled by {record.config}, not by {label}"
            raise KnowledgeError(what, where=version, fix="pin the two that belong together")
        config = self._config if label == self._config.label else load_rag_config(label.partition("@")[0])
        if (
            config.label != label
            or config.embedder != self._config.embedder
            or (config.reranker is not None and self._reranker is None)
            or record.embedder != config.embedder.sha256
        ):
            what = f"{label} cannot be used beside {self._config.label}: another version of it, or another model"
            raise KnowledgeError(what, where=version, fix=f"start with FRONTDESK_RAG_CONFIG={label.partition('@')[0]}")
        search = PublicSearch(config, self._embedder, self._reranker, self._contact)
        search.serve(await asyncio.to_thread(self.shelf, record))
        return search, config
