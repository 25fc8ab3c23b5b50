"""Every kept version of a knowledge in plain files, and back into a folder or a server: for a backup.

current.json             the pointer, as retrieval/versions.py writes it
articles/VERSION.jsonl   the articles of a version
COLLECTION.jsonl         its chunks, a row each
COLLECTION.npy           their vectors, float32, in the same order
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from domain.errors import StoreError
from domain.ports import Clock
from retrieval.articles import Chunk
from retrieval.shared import ServerVersions
from retrieval.vectors import ServerPlace, VectorStore
from retrieval.versions import Pointer, VersionFiles, VersionRecord

Versions = VersionFiles | ServerVersions


def save(versions: Versions, store: VectorStore, pointer: Pointer, folder: Path) -> None:
    """Write every version that `pointer` names. Blocking. Raises StoreError, OSError."""
    written = VersionFiles(folder)
    for record in pointer.versions:
        written.write_articles(record.version, versions.read_articles(record.version))
        for name, count in record.collections().items():
            shelf = store.open(name, count)
            chunks, vectors = shelf.chunks(), shelf.vectors()
            rows = "".join(f"{json.dumps(asdict(chunk), ensure_ascii=False)}\n" for chunk in chunks)
            (folder / f"{name}.jsonl").write_text(rows, "utf-8")
            np.save(folder / f"{name}.npy", np.asarray([vectors[chunk.id] for chunk in chunks], dtype=np.float32))
    written.point(pointer)


def restore_knowledge(saved: Path, folder: Path, clock: Clock, server: ServerPlace | None = None) -> str:
    """Bring what `save` wrote into a new folder, or into the desk's empty database on a server; the serving version.

    Blocking. Raises StoreError: the target holds a knowledge, or what was saved cannot be read.
    """
    pointer = VersionFiles(saved).pointer()
    store = VectorStore(server or VersionFiles(folder).chroma)
    versions: Versions = ServerVersions(store, clock) if server else VersionFiles(folder)
    try:
        if versions.pointer().versions:
            raise StoreError("the target holds a knowledge", where=store.where, fix="give an empty one")
        for record in pointer.versions:
            _bring(saved, record, versions, store)
        versions.point(pointer)
    finally:
        store.close()
    versions.release()
    return pointer.serving


def _bring(saved: Path, record: VersionRecord, versions: Versions, store: VectorStore) -> None:
    versions.write_articles(record.version, VersionFiles(saved).read_articles(record.version))
    bound_to = {"config": record.config, "embedder": record.embedder}
    for name, count in record.collections().items():
        try:
            with (saved / f"{name}.jsonl").open(encoding="utf-8") as rows:
                chunks = [Chunk(**json.loads(row)) for row in rows]
            vectors = np.load(saved / f"{name}.npy", allow_pickle=False).tolist()
        except (OSError, ValueError, TypeError) as fault:
            raise StoreError("the saved knowledge cannot be read", where=str(saved / name)) from fault
        if name in store.names():
            store.drop(name)  # of a restore that was cut off
        store.fill(name, chunks, vectors, bound_to)
        store.open(name, count)
