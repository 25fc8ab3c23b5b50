"""Answers given once, given again: to the same question in the same words, or to one that asks the same.

What may be kept, and who may see it, is the caller's: see `CacheKey` and nodes/generate.py. Implements
domain.ports.Cache over store/cache.py, which it knows by the protocol below only.
"""

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from typing import Protocol

from domain.ports import CachedAnswer, CacheKey, Embedder, Vector
from models.same_question import exact_form, same_question

LEAST_LIKENESS = {"bge-small-en-v1.5": 0.80, "multilingual-e5-small": 0.88}
"""Cosine below which two questions are not even compared, by embedder: below it no pair of suites/cache was the same."""
LEAST_LIKENESS_ELSEWHERE = 0.90
CANDIDATES = 20


class AnswerShelf(Protocol):
    """Where answers lie; blocking."""

    def find(
        self, key: CacheKey, form: str, vector: Vector, *, least: float, most: int, same: Callable[[str], bool]
    ) -> CachedAnswer | None: ...
    def used(self, answer: CachedAnswer) -> None: ...
    def put(self, key: CacheKey, form: str, vector: Vector, answer: CachedAnswer) -> None: ...


class AnswerCache:
    """Implements domain.ports.Cache."""

    def __init__(self, shelf: AnswerShelf, embedder: Embedder) -> None:
        self._shelf, self._embedder = shelf, embedder
        self._least = LEAST_LIKENESS.get(embedder.name, LEAST_LIKENESS_ELSEWHERE)

    async def find(self, question: str, key: CacheKey, articles: Collection[str]) -> CachedAnswer | None:
        """The fresh answer to this question, or to one that asks the same, if it leans on one of `articles`; else None."""
        vector = await self._embedder.query(question)

        def same(stored: str) -> bool:
            return same_question(stored, question, key.language)

        find = partial(self._shelf.find, least=self._least, most=CANDIDATES, same=same)
        found = await asyncio.to_thread(find, key, exact_form(question), vector)
        if found is not None and found.sources and not any(source.id in articles for source in found.sources):
            return None
        if found is not None:
            await asyncio.to_thread(self._shelf.used, found)
        return found

    async def keep(self, question: str, key: CacheKey, answer: CachedAnswer) -> None:
        """Keep an answer that has passed every check; it takes the place of an older one."""
        vector = await self._embedder.query(question)
        await asyncio.to_thread(self._shelf.put, key, exact_form(question), vector, answer)
