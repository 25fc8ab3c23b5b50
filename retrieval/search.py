"""One question against one collection: vectors and words, fused, with a calibrated confidence."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from domain.errors import KnowledgeError
from domain.ports import Embedder, Found, Vector
from domain.turn import Passage
from retrieval.articles import Chunk
from retrieval.confidence import Features, confidence
from retrieval.config import Calibration, RagConfig
from retrieval.language import detect_language
from retrieval.shelf import Shelf
from retrieval.text import words

COVERING = 3
"""First passages whose words count as covering the question."""
RIVALS = 10
"""Next best chunks of other articles that the best one's lead is measured against."""
FLOOR = 0.5
"""A passage's score is its place between the worst candidate (at most half of the best) and the best."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Chunks of a shelf by place, best first, with their fused scores, and what confidence is computed from."""

    places: list[int]
    scores: list[float]
    features: Features | None


class PublicSearch:
    """The `Searcher` of a customer's turn. It is handed a shelf of public chunks and nothing else."""

    def __init__(self, config: RagConfig, embedder: Embedder) -> None:
        self._config = config
        self._embedder = embedder
        self._shelf: Shelf | None = None
        self._why_not: KnowledgeError | None = None

    def serve(self, shelf: Shelf | None, *, why_not: KnowledgeError | None = None) -> None:
        """Search this shelf from now on; without one every search raises `why_not`, or finds nothing."""
        self._shelf, self._why_not = shelf, why_not

    async def search(self, question: str, k: int = 5) -> Found:
        """The `k` best passages. Raises KnowledgeError where the knowledge was built for another configuration."""
        return await self.search_without(question, k, frozenset())

    async def search_without(self, question: str, k: int, without: Collection[str]) -> Found:
        """Search as if the articles `without` were not there: what is said where the answer is missing."""
        shelf = self._shelf
        if shelf is None:
            if self._why_not is not None:
                raise self._why_not
            return Found([], 0.0)
        if not question.strip() or not shelf.chunks:
            return Found([], 0.0)
        vector = await self._embedder.query(question)
        return await asyncio.to_thread(find, shelf, question, vector, self._config, k=k, without=without)


def find(
    shelf: Shelf, question: str, vector: Vector, config: RagConfig, *, k: int, without: Collection[str] = frozenset()
) -> Found:
    """Search one shelf as if the articles `without` were not in it."""
    ranking = rank(shelf, question, vector, config, without)
    if ranking.features is None:
        return Found([], 0.0)
    chosen = _choose(shelf, ranking, config, k)
    best, worst = ranking.scores[0], min(ranking.scores[-1], ranking.scores[0] * FLOOR)
    passages = [
        _passage(shelf.chunks[place], (score - worst) / (best - worst) if best > worst else 1.0)
        for place, score in chosen
    ]
    return Found(passages, confidence(ranking.features, _calibration(config, question, shelf.chunks[chosen[0][0]])))


def rank(
    shelf: Shelf, question: str, vector: Vector, config: RagConfig, without: Collection[str] = frozenset()
) -> Ranking:
    """Candidates of both parts by their fused score."""
    asked = words(question)
    fusion = config.fusion
    cosines = shelf.nearest(vector, fusion.candidates, config.centring)
    lexical = shelf.lexical.scores(asked)
    by_words = np.argsort(-lexical, kind="stable")[: fusion.candidates].tolist()
    # A chunk beyond the nearest is at most as near as the last of them.
    beyond = min(cosines.values())
    both = dict.fromkeys([*cosines, *(place for place in by_words if lexical[place] > 0)])
    fused = {
        place: fusion.dense * cosines.get(place, beyond) + fusion.lexical * float(lexical[place])
        for place in both
        if shelf.chunks[place].article not in without
    }
    places = sorted(fused, key=lambda place: (-fused[place], place))
    if not places:
        return Ranking([], [], None)
    dense = sorted(((cosines[place], place) for place in cosines if place in fused), reverse=True)
    return Ranking(
        places,
        [fused[place] for place in places],
        _features(shelf, asked, places, dense, [float(lexical[place]) for place in places]),
    )


def _features(
    shelf: Shelf,
    asked: Sequence[str],
    places: Sequence[int],
    dense: Sequence[tuple[float, int]],
    lexical: Sequence[float],
) -> Features:
    top, nearest = dense[0] if dense else (0.0, places[0])
    article = shelf.chunks[nearest].article
    others = [cosine for cosine, place in dense if shelf.chunks[place].article != article][:RIVALS] or [0.0]
    return Features(
        dense_top=top,
        dense_gap=top - others[0],
        dense_lead=top - sum(others) / len(others),
        lexical_top=max(lexical),
        lexical_of_best=lexical[0],
        coverage=shelf.lexical.coverage(asked, places[:COVERING]),
        length=float(np.log1p(len(asked))),
    )


def _choose(shelf: Shelf, ranking: Ranking, config: RagConfig, k: int) -> list[tuple[int, float]]:
    """The first `k`, without near-duplicates of one article and without too many chunks of one."""
    chosen: list[tuple[int, float]] = []
    taken: Counter[str] = Counter()
    for place, score in zip(ranking.places, ranking.scores, strict=True):
        article = shelf.chunks[place].article
        alike = any(
            shelf.chunks[other].article == article and shelf.lexical.likeness(place, other) >= config.duplicate
            for other, _ in chosen
        )
        if alike or taken[article] >= config.per_article:
            continue
        chosen.append((place, score))
        taken[article] += 1
        if len(chosen) == k:
            break
    return chosen


def _calibration(config: RagConfig, question: str, best: Chunk) -> Calibration:
    if config.cross_language is None or detect_language(question) == best.language:
        return config.calibration
    return config.cross_language


def _passage(chunk: Chunk, score: float) -> Passage:
    return Passage(
        id=chunk.id,
        article=chunk.article,
        title=chunk.title,
        text=chunk.text,
        score=max(0.0, min(1.0, score)),
        section=chunk.section,
        language=chunk.language,
        url=chunk.url,
    )
