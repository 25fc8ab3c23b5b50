"""The next version of a knowledge, made beside the one that serves: cut, embedded where need be, and written."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from domain.ports import Clock, Embedder, Progress, Vector
from retrieval.articles import AUDIENCES, Article, Audience, Chunk
from retrieval.chunking import chunk_articles
from retrieval.config import RagConfig
from retrieval.saving import Versions
from retrieval.shipped import key_of, read_vectors
from retrieval.vectors import VectorStore
from retrieval.versions import Pointer, VersionRecord, collection_name


@dataclass(frozen=True, slots=True)
class Built:
    """A version that is written and whole, and that nothing points to yet. `embedded`: texts that had no vector."""

    record: VersionRecord
    embedded: int


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes versions of one knowledge under one configuration. The caller sees to it that nobody else writes.

    `shipped`: folder of vectors made in advance (retrieval/shipped.py), if any.
    """

    files: Versions
    store: VectorStore
    config: RagConfig
    clock: Clock
    shipped: Path | None

    async def build(
        self, articles: Sequence[Article], pointer: Pointer, embedder: Embedder, progress: Progress | None
    ) -> Built:
        """Write a version of these articles; vectors come from the version that serves where the text is the same.

        `progress` counts chunks while they are embedded. Raises StoreError: then parts of it may lie about.
        """
        by_article = await asyncio.to_thread(chunk_articles, list(articles), self.config.chunking)
        chunks: dict[Audience, list[Chunk]] = {
            audience: [chunk for row in articles if row.audience == audience for chunk in by_article[row.id]]
            for audience in AUDIENCES
        }
        texts = list(dict.fromkeys(chunk.embedded for audience in AUDIENCES for chunk in chunks[audience]))
        vectors = await asyncio.to_thread(self._kept_vectors, pointer)
        vectors |= await asyncio.to_thread(self._shipped_vectors, [text for text in texts if text not in vectors])
        missing = [text for text in texts if text not in vectors]
        vectors.update(zip(missing, await embedder.passages(missing, progress), strict=True))
        record = VersionRecord(
            version=self._name(articles, pointer),
            at=self.clock.now().isoformat(timespec="seconds"),
            config=self.config.label,
            embedder=self.config.embedder.sha256,
            articles=len(articles),
            chunks={audience: len(chunks[audience]) for audience in AUDIENCES},
        )
        await asyncio.to_thread(self._write, record, articles, chunks, vectors)
        return Built(record, len(missing))

    def _write(
        self,
        record: VersionRecord,
        articles: Sequence[Article],
        chunks: Mapping[Audience, Sequence[Chunk]],
        vectors: Mapping[str, Vector],
    ) -> None:
        bound_to = {"config": record.config, "embedder": record.embedder}
        self.files.write_articles(record.version, articles)
        for audience in AUDIENCES:
            rows = chunks[audience]
            name = collection_name(audience, record.version)
            self.store.fill(name, rows, [vectors[chunk.embedded] for chunk in rows], bound_to)
            self.store.open(name, len(rows))

    def _kept_vectors(self, pointer: Pointer) -> dict[str, Vector]:
        """Vectors of the serving version by the text they stand for, if the same embedder made them."""
        record = pointer.record(pointer.serving)
        if record is None or record.embedder != self.config.embedder.sha256:
            return {}
        kept: dict[str, Vector] = {}
        for name, count in record.collections().items():
            shelf = self.store.open(name, count)
            vectors = shelf.vectors()
            kept.update({chunk.embedded: vectors[chunk.id] for chunk in shelf.chunks()})
        return kept

    def _shipped_vectors(self, texts: Sequence[str]) -> dict[str, Vector]:
        if self.shipped is None or not texts:
            return {}
        ready = read_vectors(self.shipped, self.config.embedder)
        return {text: ready[key_of(text)] for text in texts if key_of(text) in ready}

    def _name(self, articles: Sequence[Article], pointer: Pointer) -> str:
        """Time and content, so that no cache takes one version for another: 20260131T120000-1a2b3c4d."""
        parts = [self.config.label, self.config.embedder.sha256, *sorted(article.digest for article in articles)]
        content = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
        name = f"{self.clock.now():%Y%m%dT%H%M%S}-{content}"
        again = sum(row.version.startswith(name) for row in pointer.versions)
        return f"{name}-{again}" if again else name
