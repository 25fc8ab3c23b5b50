"""Vectors of passages kept in a folder between runs, so that measuring again does not embed again."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from domain.ports import Embedder, Progress, Vector


class KeptVectors:
    """An `Embedder` that remembers passages; a question is always embedded, since its time is measured."""

    def __init__(self, inner: Embedder, folder: Path) -> None:
        self._inner = inner
        self._path = folder / f"{inner.name}.npz"
        self._known: dict[str, Vector] = {}
        if self._path.is_file():
            with np.load(self._path) as kept:
                self._known = dict(zip(kept["keys"].tolist(), kept["vectors"].tolist(), strict=True))

    @property
    def name(self) -> str:
        """The name of the embedder behind it."""
        return self._inner.name

    async def query(self, text: str) -> Vector:
        """The vector of a question."""
        return await self._inner.query(text)

    async def passages(self, texts: Sequence[str], progress: Progress | None = None) -> list[Vector]:
        """The vectors of passages, in order; what is not known is embedded and kept."""
        keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if missing:
            vectors = await self._inner.passages(list(missing.values()), progress)
            self._known.update(zip(missing, vectors, strict=True))
            self._path.parent.mkdir(parents=True, exist_ok=True)
            held = np.asarray(list(self._known.values()), dtype=np.float32)
            np.savez(self._path, keys=np.asarray(list(self._known)), vectors=held)
        return [self._known[key] for key in keys]
