"""Vectors of questions, kept in a folder between runs: the slow part of fitting is done once.

The folder holds one file an embedder. It is written every `EVERY` texts, so that a run that was stopped goes on.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from domain.ports import Embedder, Progress, Vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

EVERY = 1000


class KeptQuestions:
    """An `Embedder` that remembers questions in `folder`; passages are none of its business."""

    def __init__(self, inner: Embedder, folder: Path) -> None:
        self._inner = inner
        self._path = folder / f"{inner.name}.npz"
        self._known: dict[str, NDArray[np.float32]] = {}
        if self._path.is_file():
            with np.load(self._path, allow_pickle=False) as kept:
                self._known = dict(zip(kept["keys"].tolist(), kept["vectors"], strict=True))

    @property
    def name(self) -> str:
        """The name of the embedder behind it."""
        return self._inner.name

    async def query(self, text: str) -> Vector:
        """The vector of a question, kept from now on (`save` writes it)."""
        key = _key(text)
        if key not in self._known:
            self._known[key] = np.asarray(await self._inner.query(text), dtype=np.float32)
        return self._kept(key)

    def ask(self, text: str) -> Vector:
        """The same; it blocks."""
        key = _key(text)
        if key not in self._known:
            self._known[key] = np.asarray(self._inner.ask(text), dtype=np.float32)
        return self._kept(key)

    def _kept(self, key: str) -> Vector:
        vector: Vector = self._known[key].tolist()
        return vector

    async def passages(self, texts: Sequence[str], progress: Progress | None = None) -> list[Vector]:
        """As the embedder behind it."""
        return await self._inner.passages(texts, progress)

    async def matrix(self, texts: Sequence[str], say: Callable[[str], None]) -> "NDArray[np.float32]":
        """The vectors of `texts`, a line each; what is new is written as it comes."""
        rows = []
        for done, text in enumerate(texts, start=1):
            before = len(self._known)
            rows.append(await self.query(text))
            new = len(self._known)
            if new > before and new % EVERY == 0:
                self.save()
                say(f"{self.name}: vectors of {done:,} of {len(texts):,} rows")
        self.save()
        return np.asarray(rows, dtype=np.float32)

    def save(self) -> None:
        """Write what is known."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_suffix(".new.npz")
        np.savez(aside, keys=np.asarray(list(self._known)), vectors=np.asarray(list(self._known.values())))
        aside.replace(self._path)


def _key(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
