"""Chroma, on disk or as a server: the only importer of chromadb.

Run as a program (`python -m retrieval.vectors FOLDER EXPECTED`) it opens a folder that may be damaged,
because Chroma aborts the whole process on a truncated segment instead of raising.
"""

import json
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from domain.errors import StoreError
from domain.ports import Vector
from domain.tls import tls_trouble
from retrieval.articles import Chunk
from retrieval.likeness import Likeness, measured

BATCH = 5_000
"""Chroma refuses more than 5,461 rows a call."""
HNSW = {"space": "cosine", "ef_construction": 200, "ef_search": 200}
"""ef_search 200: 100 nearest of 1,179 found without a miss."""
LIKENESS = "likeness"
PROBE_SECONDS = 60
FIX = "move this folder away and run `frontdesk ingest PATH --desk D`"
SERVER_FIX = "start the Chroma server, or look at FRONTDESK_CHROMA_URL"
SERVER_SECONDS = 10.0
"""How long one request to a server may take."""


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """A Chroma server and the database on it that one desk has for itself."""

    url: str
    database: str
    ca_file: str = ""
    """PEM file of the authority that has signed its certificate; empty: a public one."""


class VectorStore:
    """One Chroma folder or database. Every call blocks; several threads may read while one writes."""

    def __init__(self, place: Path | ServerPlace) -> None:
        self.local = isinstance(place, Path)
        self.where = place.url if isinstance(place, ServerPlace) else str(place)
        with self._translated():
            self._client = _connected(place) if isinstance(place, ServerPlace) else _opened(place)
        self.texts = Texts(self._client, self.where)

    def names(self) -> list[str]:
        """All collections, finished or not."""
        with self._translated():
            return [collection.name for collection in self._client.list_collections()]

    def fill(self, name: str, chunks: Sequence[Chunk], vectors: Sequence[Vector], bound_to: Mapping[str, str]) -> None:
        """Make a new collection of these chunks, with how alike they are. Raises StoreError."""
        own = np.asarray(vectors, dtype=np.float32)
        with self._translated():
            collection = self._client.create_collection(
                name,
                embedding_function=None,
                configuration={"hnsw": HNSW},
                metadata={**bound_to, LIKENESS: json.dumps(measured(chunks, own))},
            )
            for start in range(0, len(chunks), BATCH):
                part = chunks[start : start + BATCH]
                collection.add(
                    ids=[chunk.id for chunk in part],
                    embeddings=own[start : start + BATCH],
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
            raise StoreError(what, where=self.where, fix=FIX)
        return VectorShelf(collection, self.where)

    def drop(self, name: str) -> None:
        """Delete a collection. Raises StoreError."""
        with self._translated():
            self._client.delete_collection(name)

    def close(self) -> None:
        """Let go of the folder or the server."""
        self._client.close()
        _close_sessions(self._client)

    def _translated(self) -> AbstractContextManager[None]:
        return _translated(self.where)


class Texts:
    """Small texts on a Chroma server that every replica reads, and names that only one process may hold."""

    def __init__(self, client: Any, where: str) -> None:
        self._client = client
        self._where = where

    def read(self, name: str) -> list[str]:
        """The texts under a name, in order; none where it does not exist. Raises StoreError."""
        from chromadb.errors import NotFoundError  # noqa: PLC0415  # as below

        with _translated(self._where):
            try:
                collection = self._client.get_collection(name, embedding_function=None)
            except NotFoundError:
                return []
            rows = collection.get(include=["documents"])
        return [text for _, text in sorted(zip(rows["ids"], rows["documents"], strict=True))]

    def write(self, name: str, texts: Sequence[str]) -> None:
        """Put texts under a name; those in the same places are replaced. Raises StoreError."""
        with _translated(self._where):
            collection = self._client.get_or_create_collection(name, embedding_function=None)
            for start in range(0, len(texts), BATCH):
                part = texts[start : start + BATCH]
                collection.upsert(
                    ids=[f"{start + place:08}" for place in range(len(part))],
                    embeddings=[[0.0, 1.0]] * len(part),
                    documents=list(part),
                )

    def claim(self, name: str, now: float, until: float) -> bool:
        """Take a name that nobody holds; one whose time is over is set free for the next attempt. Raises StoreError."""
        from chromadb.errors import ChromaError, NotFoundError  # noqa: PLC0415  # as below

        with _translated(self._where):
            try:
                self._client.create_collection(name, embedding_function=None, metadata={"until": until})
            except ChromaError:
                try:
                    held = self._client.get_collection(name, embedding_function=None)
                except NotFoundError:
                    return False
                if float((held.metadata or {}).get("until", 0.0)) < now:
                    # By its id, not by its name: another may have taken the name since.
                    held.modify(name=f"expired-{held.id}")
                return False
        return True

    def extend(self, name: str, until: float) -> None:
        """Go on holding a name. Raises StoreError."""
        with _translated(self._where):
            self._client.get_collection(name, embedding_function=None).modify(metadata={"until": until})


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
        ids, matrix = self.matrix()
        return dict(zip(ids, matrix.tolist(), strict=True))

    def matrix(self) -> tuple[list[str], npt.NDArray[np.float32]]:
        """The ids of all chunks, and their vectors in that order. Raises StoreError."""
        with _translated(self._where):
            rows = self._collection.get(include=["embeddings"])
        return rows["ids"], np.asarray(rows["embeddings"], dtype=np.float32)

    def likeness(self) -> Likeness | None:
        """How alike its chunks are, as measured when it was filled; None for one of an earlier Frontdesk."""
        kept = (self._collection.metadata or {}).get(LIKENESS)
        return None if kept is None else dict(json.loads(kept))

    def nearest(self, vector: Vector, k: int) -> dict[str, float]:
        """Cosine of the `k` nearest chunks by their id. Raises StoreError."""
        with _translated(self._where):
            found = self._collection.query(
                query_embeddings=np.asarray([vector], dtype=np.float32), n_results=k, include=["distances"]
            )
        return {own_id: 1 - distance for own_id, distance in zip(found["ids"][0], found["distances"][0], strict=True)}


def _opened(folder: Path) -> Any:
    import chromadb  # noqa: PLC0415  # 0.6 s: only where knowledge is opened
    from chromadb.config import Settings  # noqa: PLC0415

    return chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))


def _connected(place: ServerPlace) -> Any:
    from chromadb.config import Settings  # noqa: PLC0415

    url = urlsplit(place.url)
    ssl = url.scheme == "https"
    host, port = url.hostname or "localhost", url.port or (443 if ssl else 8000)
    settings = Settings(
        anonymized_telemetry=False,
        chroma_api_impl="chromadb.api.fastapi.FastAPI",
        chroma_server_host=host,
        chroma_server_http_port=port,
        chroma_server_ssl_enabled=ssl,
        chroma_server_ssl_verify=place.ca_file or None,
    )
    with warnings.catch_warnings():
        # httpx wants a context in place of a file's name, and chromadb takes nothing else.
        warnings.filterwarnings("ignore", message="`verify=<str>` is deprecated", category=DeprecationWarning)
        return _client_of(place, settings, host, port, ssl=ssl)


def _client_of(place: ServerPlace, settings: Any, host: str, port: int, *, ssl: bool) -> Any:
    import chromadb  # noqa: PLC0415  # as above
    from chromadb.errors import ChromaError  # noqa: PLC0415

    admin = chromadb.AdminClient(settings)
    try:
        admin.get_database(place.database)
    except ChromaError:
        with suppress(ChromaError):  # another replica has made it meanwhile; what else it may be, the client says
            admin.create_database(place.database)
    finally:
        _close_sessions(admin)
    client: Any = chromadb.HttpClient(host, port, ssl=ssl, settings=settings, database=place.database)
    # chromadb waits for ever for a server that hangs, and has no setting for it.
    client._server._session.timeout = SERVER_SECONDS  # noqa: SLF001
    return client


def _close_sessions(client: Any) -> None:
    """Close what chromadb leaves open of a client of a server; a folder's has nothing of the kind."""
    for part in (client, getattr(client, "_admin_client", None)):
        session = getattr(getattr(part, "_server", None), "_session", None)
        if session is not None:
            session.close()


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
    from httpx import HTTPError  # noqa: PLC0415

    try:
        yield
    except (ChromaError, OSError, ValueError, HTTPError) as fault:
        if trouble := tls_trouble(fault, "FRONTDESK_CA_FILE"):
            raise StoreError(f"Chroma: {trouble[0]}", where=where, fix=trouble[1]) from fault
        what = f"Chroma: {type(fault).__name__}: {fault}"
        raise StoreError(what, where=where, fix=SERVER_FIX if where.startswith("http") else FIX) from fault


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
