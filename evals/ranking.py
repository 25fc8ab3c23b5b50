"""How good a ranking of articles is, and the two plain rankings that ours has to beat."""

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evals.run import Figure, share
from evals.stats import percentile

WORD = re.compile(r"\w+")
K1, B = 1.2, 0.75
DEPTH = 10
"""Articles of a ranking that are looked at."""
PRECISION_AT = 5
RESAMPLES = 2000
SEED = 20261121
MEANS = ("hit@1", "hit@5", "hit@10", "mrr@10", "precision@5", "recall@10")


@dataclass(frozen=True, slots=True)
class Ranked:
    """Ids of articles, best first, for one question, and how long it took to find them."""

    ids: list[str]
    ms: float = 0.0


class PlainBm25:
    """BM25 (k1 1.2, b .75) over whole articles and plain lower-case words: the row that everybody can compute."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(plain_words(text)) for text in texts]
        lengths = np.asarray([sum(count.values()) for count in counts], dtype=np.float64)
        self._norm = K1 * (1 - B + B * lengths / max(1.0, float(lengths.mean())))
        self._held: dict[str, list[tuple[int, int]]] = {}
        for place, count in enumerate(counts):
            for word, times in count.items():
                self._held.setdefault(word, []).append((place, times))
        self._size = len(texts)

    def scores(self, question: str) -> npt.NDArray[np.float64]:
        """One score per text."""
        total = np.zeros(self._size)
        for word in plain_words(question):
            held = self._held.get(word, [])
            weight = math.log(1 + (self._size - len(held) + 0.5) / (len(held) + 0.5))
            for place, times in held:
                total[place] += weight * times * (K1 + 1) / (times + self._norm[place])
        return total

    def best(self, question: str, k: int) -> list[int]:
        """Places of the `k` best texts."""
        places: list[int] = np.argsort(-self.scores(question), kind="stable")[:k].tolist()
        return places


def plain_words(text: str) -> list[str]:
    """Words as they stand, in lower case."""
    return WORD.findall(text.lower())


def values(ranked: Ranked, relevant: Collection[str]) -> dict[str, float]:
    """What each figure of MEANS is for one question with at least one relevant article."""
    hits = [own_id in relevant for own_id in ranked.ids[:DEPTH]]
    first = next((place for place, hit in enumerate(hits, start=1) if hit), 0)
    return {
        "hit@1": float(any(hits[:1])),
        "hit@5": float(any(hits[:5])),
        "hit@10": float(any(hits)),
        "mrr@10": 1 / first if first else 0.0,
        "precision@5": sum(hits[:PRECISION_AT]) / PRECISION_AT,
        "recall@10": sum(hits) / len(frozenset(relevant)),
    }


def figures(rankings: Sequence[Ranked], relevant: Sequence[Collection[str]], prefix: str = "") -> list[Figure]:
    """The figures over all questions: shares with Wilson's interval, means with a bootstrapped one."""
    each = [values(one, right) for one, right in zip(rankings, relevant, strict=True)]
    told = [
        share(f"{prefix}{name}", [row[name] == 1.0 for row in each])
        if name.startswith("hit")
        else mean(f"{prefix}{name}", [row[name] for row in each])
        for name in MEANS
    ]
    times = [one.ms for one in rankings]
    told += [Figure(f"{prefix}ms_p{part}", percentile(times, part), len(times)) for part in (50, 95) if any(times)]
    return told


def differences(one: Sequence[Ranked], other: Sequence[Ranked], relevant: Sequence[Collection[str]]) -> list[Figure]:
    """The second's figures less the first's on the same questions, with paired bootstrap intervals."""
    pairs = [(values(a, right), values(b, right)) for a, b, right in zip(one, other, relevant, strict=True)]
    return [mean(f"diff_{name}", [b[name] - a[name] for a, b in pairs]) for name in MEANS]


def mean(name: str, numbers: Sequence[float]) -> Figure:
    """A mean with its 95 % interval by bootstrap (fixed seed)."""
    if not numbers:
        return Figure(name, None, 0)
    array = np.asarray(numbers, dtype=np.float64)
    drawn = np.random.default_rng(SEED).integers(0, len(array), (RESAMPLES, len(array)))
    low, high = np.percentile(array[drawn].mean(axis=1), [2.5, 97.5])
    return Figure(name, float(array.mean()), len(array), (float(low), float(high)))
