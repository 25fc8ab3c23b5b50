"""Chroma on disk: the only importer of chromadb.

Run as a program (`python -m retrieval.vectors FOLDER EXPECTED`) it opens a folder that may be damaged,
because Chroma aborts the whole process on a truncated segment instead of raising.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from domain.errors import StoreError
from domain.ports import Vector
from retrieval.articles import Chunk

BATCH = 5_000
"""Chroma refuses more than 5,461 rows a call."""
HNSW = {"space": "cosine", "ef_construction": 200, "ef_search": 200}
"""ef_search 200: 100 nearest of 1,179 found without a miss."""
PROBE_SECONDS = 60
FIX = "move this folder away and run `frontdesk ingest PATH --desk D`"


class VectorStore:
    """One Chroma folder. Every call blocks; several threads may read while one writes."""

    def __init__(self, folder: Path) -> None:
        import chromadb  # noqa: PLC0415  # 0.6 s: only where knowledge is opened
        from chromadb.config import Settings  # noqa: PLC0415

        self._folder = folder
        with self._translated():
            self._client = chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))

    def names(self) -> list[str]:
        """All collections, finished or not."""
        with self._translated():
            return [collection.name for collection in self._client.list_collections()]

    def fill(self, name: str, chunks: Sequence[Chunk], vectors: Sequence[Vector], bound_to: Mapping[str, str]) -> None:
        """Make a new collection of these chunks. Raises StoreError."""
        with self._translated():
            collection = self._client.create_collection(
                name,
                embedding_function=None,
                configuration={"hnsw": HNSW},  # type: ignore[arg-type]  # chromadb's stub wants its TypedDict
                metadata=dict(bound_to),
            )
            for start in range(0, len(chunks), BATCH):
                part = chunks[start : start + BATCH]
                collection.add(
                    ids=[chunk.id for chunk in part],
                    embeddings=np.asarray(vectors[start : start + BATCH], dtype=np.float32),
                    documents=[chunk.text for chunk in part],
                    metadatas=[_metadata(chunk) for chunk in part],
                )

    def open(self, name: str, expected: int) -> "VectorShelf":
        """A filled collection that holds `expected` chunks. Raises StoreError."""
        with self._translated():
            collection = self._client.get_collection(name, embedding_function=None)
            count = collection.count()
        if count != expected:
            what = f"collection {name} holds {count} chunks, {expected} were written"
            raise StoreError(what, where=str(self._folder), fix=FIX)
        return VectorShelf(collection, str(self._folder))

    def drop(self, name: str) -> None:
        """Delete a collection. Raises StoreError."""
        with self._translated():
            self._client.delete_collection(name)

    def close(self) -> None:
        """Let go of the folder."""
        # chromadb's stub of the client has no close; the client has.
        self._client.close()  # type: ignore[attr-defined]

    def _translated(self) -> AbstractContextManager[None]:
        return _translated(str(self._folder))


class VectorShelf:
    """One collection, to read from."""

    def __init__(self, collection: Any, where: str) -> None:
        self._collection = collection
        self._where = where

    def chunks(self) -> list[Chunk]:
        """Every chunk, in the order in which they were written. Raises StoreError."""
        with _translated(self._where):
            rows = self._collection.get(include=["documents", "metadatas"])
        return [
            _chunk(own_id, text, metadata)
            for own_id, text, metadata in zip(rows["ids"], rows["documents"], rows["metadatas"], strict=True)
        ]

    def vectors(self) -> dict[str, Vector]:
        """The vector of every chunk by its id. Raises StoreError."""
        with _translated(self._where):
            rows = self._collection.get(include=["embeddings"])
        return dict(zip(rows["ids"], rows["embeddings"].tolist(), strict=True))

    def nearest(self, vector: Vector, k: int) -> dict[str, float]:
        """Cosine of the `k` nearest chunks by their id. Raises StoreError."""
        with _translated(self._where):
            found = self._collection.query(
                query_embeddings=np.asarray([vector], dtype=np.float32), n_results=k, include=["distances"]
            )
        return {own_id: 1 - distance for own_id, distance in zip(found["ids"][0], found["distances"][0], strict=True)}


def probe(folder: Path, expected: Mapping[str, int]) -> None:
    """Open a suspect folder in a process of its own and read everything. Raises StoreError."""
    command = [sys.executable, "-m", "retrieval.vectors", str(folder.resolve()), json.dumps(dict(expected))]
    try:
        done = subprocess.run(  # noqa: S603  # our own module, by our own interpreter
            command,
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as fault:
        what = f"the knowledge store did not open within {PROBE_SECONDS} s"
        raise StoreError(what, where=str(folder), fix=FIX) from fault
    if done.returncode:
        said = done.stdout.strip().splitlines()
        what = f"the knowledge store is damaged: {said[-1] if said else f'Chroma ended with code {done.returncode}'}"
        raise StoreError(what, where=str(folder), fix=FIX)


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """Chroma's errors as a StoreError."""
    from chromadb.errors import ChromaError  # noqa: PLC0415  # as above

    try:
        yield
    except (ChromaError, OSError, ValueError) as fault:
        what = f"Chroma: {type(fault).__name__}: {fault}"
        raise StoreError(what, where=where, fix=FIX) from fault


def _metadata(chunk: Chunk) -> dict[str, str]:
    return {
        "article": chunk.article,
        "title": chunk.title,
        "section": chunk.section,
        "language": chunk.language,
        "url": chunk.url or "",
    }


def _chunk(own_id: str, text: str, metadata: Mapping[str, Any]) -> Chunk:
    return Chunk(
        id=own_id,
        article=metadata["article"],
        title=metadata["title"],
        section=metadata["section"],
        text=text,
        language=metadata["language"],
        url=metadata["url"] or None,
    )


def _main(folder: str, expected: str) -> None:
    """Read every collection whole; say what is wrong on stdout and end with 1."""
    try:
        store = VectorStore(Path(folder))
        for name, count in json.loads(expected).items():
            shelf = store.open(name, count)
            vectors = shelf.vectors()
            if len(shelf.chunks()) != count or len(vectors) != count:
                what = f"collection {name} cannot be read whole"
                raise StoreError(what, where=folder)  # noqa: TRY301  # said below as Chroma's own are
            if vectors:
                shelf.nearest(next(iter(vectors.values())), min(count, 10))
        store.close()
    except StoreError as fault:
        sys.stdout.write(f"{fault.what}\n")
        sys.exit(1)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2])
