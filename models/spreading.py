"""Passages embedded by many processes at once, each with the same pinned weights."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from domain.ports import Embedder, Hands, Progress, Vector
from models.embedder import load_embedder

BATCH = 64
"""Passages that travel together: two seconds of work, so that a hand that dies has lost no more."""


class SpreadEmbedder:
    """An `Embedder` whose passages are embedded by hands; questions stay with the one behind it."""

    def __init__(self, inner: Embedder, hands: Hands) -> None:
        self._inner, self._hands = inner, hands

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
        """The vectors of passages, in order. Raises what the hands raise."""
        vectors: dict[int, Vector] = {}
        async with aclosing(self._hands.each(Embedding(self.name), texts, batch=BATCH)) as done:
            async for place, vector in done:
                vectors[place] = vector
                if progress is not None:
                    progress(len(vectors), len(texts))
        return [vectors[place] for place in range(len(texts))]


@dataclass(frozen=True, slots=True)
class Embedding:
    """Makes a hand that embeds passages. Raises SettingsError, WeightsError."""

    name: str

    def __call__(self) -> "EmbeddingHand":
        return EmbeddingHand(self.name)


class EmbeddingHand:
    """Embeds passages by the embedder of a name."""

    def __init__(self, name: str) -> None:
        self._embedder = load_embedder(name)

    def do(self, items: Sequence[str]) -> list[Vector]:
        """The vectors of the passages, in order."""
        return asyncio.run(self._embedder.passages(items))

    def close(self) -> None:
        """Nothing is open."""
