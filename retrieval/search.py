"""One question against one collection: vectors and words, fused, with a calibrated confidence."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from domain.errors import FrontdeskError
from domain.ports import Embedder, Found, Reranker, Vector
from domain.turn import Passage, Reranked
from retrieval.articles import Chunk
from retrieval.confidence import Features, confidence
from retrieval.config import RagConfig
from retrieval.contact import DeskContact
from retrieval.glossary import translated
from retrieval.language import detect_language
from retrieval.lexical import Scores
from retrieval.reranking import reranked
from retrieval.shelf import Shelf
from retrieval.text import words

COVERING = 3
"""First passages whose words count as covering the question."""
RIVALS = 10
"""Next best chunks of other articles that the best one's lead is measured against."""
_Scored = dict[int, float]
"""Scores by the chunk's place."""
FLOOR = 0.5
"""A passage's score is its place between the worst candidate (at most half of the best) and the best."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Chunks of a shelf by place, best first, with their scores, and what confidence is computed from.

    Scores are the fused ones, highest first; where a reranker has moved a chunk, it has the score of its new place.
    """

    places: list[int]
    scores: list[float]
    features: Features | None


class PublicSearch:
    """The `Searcher` of a customer's turn. It is handed a shelf of public chunks and nothing else."""

    def __init__(
        self,
        config: RagConfig,
        embedder: Embedder,
        reranker: Reranker | None = None,
        contact: DeskContact | None = None,
    ) -> None:
        """`reranker` is asked only where the configuration says how. `contact`: what the desk itself answers."""
        self._contact = contact
        self._config = config
        self._embedder = embedder
        self._reranker = reranker
        self._shelf: Shelf | None = None
        self._why_not: FrontdeskError | None = None

    def serve(self, shelf: Shelf | None, *, why_not: FrontdeskError | None = None) -> None:
        """Search this shelf from now on; without one every search raises `why_not`, or finds nothing."""
        self._shelf, self._why_not = shelf, why_not

    async def search(self, question: str, k: int = 5) -> Found:
        """The `k` best passages. Raises KnowledgeError: built for another configuration; StoreError: not there just now."""
        found = (await self.examine(question, k))[0]
        return self._contact.beside(question, found, k) if self._contact else found

    async def examine(
        self, question: str, k: int, without: Collection[str] = frozenset()
    ) -> tuple[Found, Features | None]:
        """Search the articles, as if those `without` were not there, and tell what the confidence was computed from."""
        shelf = self._shelf
        if shelf is None:
            if self._why_not is not None:
                raise self._why_not
            return Found([], 0.0), None
        if not question.strip() or not shelf.chunks:
            return Found([], 0.0), None
        vector = await self._embedder.query(question)
        rule = self._config.reranker
        if rule is None or self._reranker is None:
            return await asyncio.to_thread(_examined, shelf, question, vector, self._config, k=k, without=without)
        ranking = await asyncio.to_thread(rank, shelf, question, vector, self._config, without)
        mark: Reranked = ""
        if ranking.places:
            places, mark = await reranked(self._reranker, rule, shelf, question, ranking.places)
            ranking = replace(ranking, places=places)
        found, features = await asyncio.to_thread(_told, shelf, question, ranking, self._config, k)
        return replace(found, reranked=mark), features


def find(
    shelf: Shelf, question: str, vector: Vector, config: RagConfig, *, k: int, without: Collection[str] = frozenset()
) -> Found:
    """Search one shelf as if the articles `without` were not in it."""
    return _examined(shelf, question, vector, config, k=k, without=without)[0]


def _examined(
    shelf: Shelf, question: str, vector: Vector, config: RagConfig, *, k: int, without: Collection[str]
) -> tuple[Found, Features | None]:
    return _told(shelf, question, rank(shelf, question, vector, config, without), config, k)


def _told(shelf: Shelf, question: str, ranking: Ranking, config: RagConfig, k: int) -> tuple[Found, Features | None]:
    """The passages of a ranking, and what its confidence was computed from."""
    if ranking.features is None:
        return Found([], 0.0), None
    chosen = _choose(shelf, ranking, config, k)
    best, worst = ranking.scores[0], min(ranking.scores[-1], ranking.scores[0] * FLOOR)
    passages = [
        _passage(shelf.chunks[place], (score - worst) / (best - worst) if best > worst else 1.0)
        for place, score in chosen
    ]
    best_language = shelf.chunks[chosen[0][0]].language
    across = config.tells_languages and detect_language(question) != best_language
    calibration = config.cross_language if across and config.cross_language else config.calibration
    if shelf.is_one_article:  # nothing stands out from nothing: its own words are all that tells
        found_words = shelf.lexical.share_of_words(words(question), [place for place, _ in chosen])
        return Found(passages, found_words), ranking.features
    alike = None if across else shelf.likeness(best_language)
    return Found(passages, confidence(ranking.features, calibration), alike=alike), ranking.features


def rank(
    shelf: Shelf, question: str, vector: Vector, config: RagConfig, without: Collection[str] = frozenset()
) -> Ranking:
    """Candidates of both parts by their fused score."""
    asked = words(question)
    fusion = config.fusion
    cosines = shelf.nearest(vector, fusion.candidates, config.centring)
    scores = shelf.lexical.scores(asked)
    if config.translated:
        # A chunk earns what the question earns in the language in which it does better.
        language = detect_language(question)
        other = shelf.lexical.scores(translated(question, language))
        scores = scores.or_better(other, config.translated.get(language, 0.0))
    lexical = scores.text
    by_words = _highest(lexical, fusion.candidates)
    # A chunk beyond the nearest is at most as near as the last of them.
    beyond = min(cosines.values())
    both = [place for place in dict.fromkeys([*cosines, *by_words]) if shelf.chunks[place].article not in without]
    fused = {
        place: fusion.dense * cosines.get(place, beyond)
        + fusion.lexical * float(lexical[place])
        + fusion.title * float(scores.title[place])
        + fusion.pairs * float(scores.pairs[place])
        for place in both
    }
    places = sorted(fused, key=lambda place: (-fused[place], place))
    if not places:
        return Ranking([], [], None)
    dense = {place: cosine for place, cosine in cosines.items() if place in fused}
    found = {place: float(lexical[place]) for place in places}
    features = _features(shelf, asked, places, (dense, found, fused))
    return Ranking(places, [fused[place] for place in places], features)


def _highest(scores: Scores, k: int) -> list[int]:
    """Places of the `k` highest above 0, highest first."""
    k = min(k, len(scores))
    some = np.argpartition(-scores, k - 1)[:k]
    ordered: list[int] = some[np.lexsort((some, -scores[some]))].tolist()
    return [place for place in ordered if scores[place] > 0]


def _features(
    shelf: Shelf, asked: Sequence[str], places: Sequence[int], scored: tuple[_Scored, _Scored, _Scored]
) -> Features:
    """`places`: by the fused score; `scored`: by meaning, by words, fused."""
    cosine, by_words, both = (_standing(shelf, scores) for scores in scored)
    coverage = shelf.lexical.coverage
    return Features(
        dense_top=cosine[0],
        dense_gap=cosine[1],
        dense_lead=cosine[2],
        dense_above=cosine[0] - shelf.likeness(shelf.chunks[places[0]].language),
        lexical_top=by_words[0],
        lexical_of_best=scored[1][places[0]],
        lexical_gap=by_words[1],
        lexical_lead=by_words[2],
        fused_gap=both[1],
        fused_lead=both[2],
        coverage=coverage(asked, places[:COVERING]),
        coverage_of_best=coverage(asked, places[:1]),
        length=float(np.log1p(len(asked))),
    )


def _standing(shelf: Shelf, scores: dict[int, float]) -> tuple[float, float, float]:
    """The best score, its lead over the next article's, and over the mean of ten chunks of other articles."""
    if not scores:
        return 0.0, 0.0, 0.0
    ordered = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
    place, top = ordered[0]
    article = shelf.chunks[place].article
    rivals = (score for place, score in ordered if shelf.chunks[place].article != article)
    others = list(islice(rivals, RIVALS)) or [top]
    return top, top - others[0], top - sum(others) / len(others)


def _choose(shelf: Shelf, ranking: Ranking, config: RagConfig, k: int) -> list[tuple[int, float]]:
    """The first `k`, without near-duplicates of one article and without too many chunks of one."""
    chosen: list[tuple[int, float]] = []
    taken: defaultdict[str, list[int]] = defaultdict(list)
    for place, score in zip(ranking.places, ranking.scores, strict=True):
        same = taken[shelf.chunks[place].article]
        if len(same) >= config.per_article:
            continue
        if any(shelf.lexical.likeness(place, other) >= config.duplicate for other in same):
            continue
        chosen.append((place, score))
        same.append(place)
        if len(chosen) == k:
            break
    return chosen


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
