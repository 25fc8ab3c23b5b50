"""Vectors kept in a folder between runs, so that measuring again does not embed again."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from domain.ports import Embedder, Progress, Vector

KEPT_AT_ONCE = 256
"""Passages after which what there is is written, so that a run that is cut off goes on from there."""


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

    def ask(self, text: str) -> Vector:
        """The same; it blocks."""
        return self._inner.ask(text)

    async def passages(self, texts: Sequence[str], progress: Progress | None = None) -> list[Vector]:
        """The vectors of passages, in order; what is not known is embedded and kept."""
        keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        missing = [*{key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}.items()]
        for start in range(0, len(missing), KEPT_AT_ONCE):
            part = dict(missing[start : start + KEPT_AT_ONCE])
            vectors = await self._inner.passages(list(part.values()), _onward(progress, start, len(missing)))
            self._known.update(zip(part, vectors, strict=True))
            self._keep()
        return [self._known[key] for key in keys]

    def _keep(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        held = np.asarray(list(self._known.values()), dtype=np.float32)
        aside = self._path.with_suffix(".new.npz")
        np.savez(aside, keys=np.asarray(list(self._known)), vectors=held)
        aside.replace(self._path)


def _onward(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Progress of a part told as that of the whole."""
    return None if progress is None else lambda done, _part: progress(before + done, total)


class KeptQuestions:
    """An `Embedder` that remembers questions: for figures that hold no time of embedding.

    Each is written behind the others as soon as it is known, so that a run that was stopped is taken up again.
    """

    def __init__(self, inner: Embedder, folder: Path) -> None:
        self._inner = inner
        self._path = folder / f"{inner.name}.questions"
        self._known = _records(self._path)

    @property
    def name(self) -> str:
        """The name of the embedder behind it."""
        return self._inner.name

    async def query(self, text: str) -> Vector:
        """The vector of a question, embedded at most once."""
        key = hashlib.sha256(text.encode()).digest()
        if key not in self._known:
            vector = await self._inner.query(text)
            self._known[key] = vector
            await asyncio.to_thread(_append, self._path, key, vector)
        return self._known[key]

    def ask(self, text: str) -> Vector:
        """The same; it blocks."""
        key = hashlib.sha256(text.encode()).digest()
        if key not in self._known:
            self._known[key] = self._inner.ask(text)
            _append(self._path, key, self._known[key])
        return self._known[key]

    async def passages(self, texts: Sequence[str], progress: Progress | None = None) -> list[Vector]:
        """The vectors of passages, embedded anew."""
        return await self._inner.passages(texts, progress)


def keeping(inner: Embedder, folder: Path | None) -> Embedder:
    """The embedder, which remembers questions in the folder if there is one."""
    return KeptQuestions(inner, folder) if folder else inner


HEAD = 4
"""Bytes that say how many numbers a vector has; then come keys of 32 bytes, each with its vector."""


def _append(path: Path, key: bytes, vector: Vector) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = key + np.asarray(vector, dtype="<f4").tobytes()
    with path.open("ab") as kept:
        kept.write(whole if kept.tell() else len(vector).to_bytes(HEAD, "little") + whole)


def _records(path: Path) -> dict[bytes, Vector]:
    """What a file holds; a last record that was cut off is cut away, so that the next stands in its place."""
    if not path.is_file():
        return {}
    held = path.read_bytes()
    size = 32 + 4 * int.from_bytes(held[:HEAD], "little")
    whole = [held[start : start + size] for start in range(HEAD, len(held) - size + 1, size)]
    with path.open("r+b") as kept:
        kept.truncate(HEAD + size * len(whole) if whole else 0)
    return {one[:32]: np.frombuffer(one[32:], dtype="<f4").astype(float).tolist() for one in whole}
