"""How like a question is to a business: meaning beside spelling, and how unusual so much unlikeness would be.

Meaning is the cosine after half of the way from the foreign things to the business has been taken out (what all texts of
one embedder share says nothing). Spelling is the cosine of character n-grams, folded, weighed by rarity. What a
likeness amounts to is told by the business's own texts, each held against the others. What lies close together must be met
more closely: a reference's likeness to its own neighbours counts against likeness to it (decision 034).
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from domain.words import fold

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float64]

NEAREST = 3
"""References whose mean likeness counts."""
FOREIGN = 0.2
SPELLING = 0.2
"""What likeness to the nearest foreign things, and spelling, weigh beside meaning (decision 013)."""
CROWDED = 0.5
"""What a reference's likeness to its own nearest weighs against likeness to it."""
ENOUGH = 50
"""So many of the business's own questions are a picture of its customers: their spread then says what is unusual."""
FEW_FOREIGN = 0.5
"""With fewer: what likeness to the nearest foreign things weighs."""
GROUND = 0.5
"""With fewer: how much is taken out of what all foreign things of a text's language share (decision 047)."""
BETWEEN = 0.1
"""With fewer: how far between the foreign things (0) and the business's own texts (1) the likeness of `UNUSUAL` lies."""
UNUSUAL = 0.015
WITHOUT_THEM = 0.15
"""How far below what its own questions say of a text the share may fall that would be said without them (decision 050)."""
GRAMS = (3, 4, 5)
LONGEST = 600
"""Characters whose spelling is compared."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A text of the business or a foreign one. `of` is the message that it is a part of: a message is no witness for itself.

    `language`: of what is foreign to any business, so that what its language alone makes alike is known.
    """

    text: str
    vector: Sequence[float]
    of: int = 0
    language: str = ""


@dataclass(frozen=True, slots=True)
class Unlike:
    """`share` (0..1) of the business's own messages that are as unlike it as a text, and the place of the nearest reference.

    `named`: it is nearer to what the business itself called foreign than to anything of the business.
    """

    share: float
    nearest: int
    named: bool


class Likeness:
    """The references of one business as matrices. Immutable once built; building and asking only compute."""

    def __init__(
        self, inside: Sequence[Reference], foreign: Sequence[Reference], own_out: Sequence[Reference], *, examples: int
    ) -> None:
        """The messages numbered below `examples` are customers' questions; `own_out` stands among `foreign` too."""
        import numpy as np  # noqa: PLC0415  # a tenth of a second, needed at the first question only

        raw_in, raw_out = _matrix(inside), _matrix(foreign)
        # Few texts are no picture of the business: their mean tells nothing.
        self._examples = examples if examples >= ENOUGH else 0
        self._centre = np.zeros(raw_in.shape[1])
        self._grounds = _grounds(foreign) if not self._examples else np.zeros((0, raw_in.shape[1]))
        if self._examples and len(raw_out):
            self._centre = (raw_in.mean(axis=0) + raw_out.mean(axis=0)) / 2
        self._in, self._of = self._centred(raw_in), np.asarray([each.of for each in inside])
        self._spelling = _Spelling([each.text for each in inside]) if self._examples else None
        # What no desk is for, unless it is as near to this one as its own texts are to each other.
        among = _leave_one_out(self._in)
        self._crowd = CROWDED * among if self._examples else np.zeros(len(among))
        usual = among.mean() - among.std() if len(among) > NEAREST else 1.0
        kept = [
            each
            for each in foreign
            if each in own_out or _nearest(self._in @ self._centred(np.asarray(each.vector))) < usual
        ]
        self._out = self._centred(_matrix(kept)) if kept else np.zeros((0, self._in.shape[1]))
        self._own_out = self._centred(_matrix(own_out)) if own_out else np.zeros((0, self._in.shape[1]))
        self._usual, self._spread, self._sorted = self._calibrated(inside, kept)
        # 1.5 % of fifty is less than one customer: what few questions cannot tell is judged as if there were none.
        self._without = Likeness(inside, foreign, own_out, examples=0) if self._examples else None

    def unusual(self, text: str, vector: Sequence[float]) -> Unlike:
        """How unlike a text of one sentence is."""
        import numpy as np  # noqa: PLC0415  # as above

        centred = self._centred(np.asarray(vector, dtype=float))
        cosines = self._in @ centred
        score = self._score(cosines, self._crowd, centred, self._spelled(text), _likeness(self._out, centred))
        share, nearest = self._share(score), float(cosines.max())
        if self._without is not None:
            without = self._without.unusual(text, vector).share
            share = min(share, max(without, WITHOUT_THEM * share))
        named = bool(len(self._own_out)) and float((self._own_out @ centred).max()) > nearest
        return Unlike(share, int(cosines.argmax()), named)

    def _spelled(self, text: str) -> "Vectors":
        import numpy as np  # noqa: PLC0415  # as above

        return self._spelling.likeness(text) if self._spelling else np.zeros(len(self._in))

    def _share(self, score: float) -> float:
        """Between the tail of a normal curve and what was counted: the one is smooth, the other is right."""
        curve = 0.5 * math.erfc((self._usual - score) / (self._spread * math.sqrt(2)))
        if not len(self._sorted):
            return curve
        counted = (int(self._sorted.searchsorted(score)) + 1) / (len(self._sorted) + 1)
        return (curve + counted) / 2

    def _score(
        self, cosines: "Vectors", crowd: "Vectors", centred: "Vectors", spelling: "Vectors", foreign: float
    ) -> float:
        """Likeness less that to foreign things; what the business itself called foreign counts in full where it is nearer."""
        if not self._examples:
            return _nearest(cosines) - FEW_FOREIGN * foreign
        score = _nearest(cosines - crowd) + SPELLING * _nearest(spelling) - FOREIGN * foreign
        if len(self._own_out):
            score -= max(0.0, float((self._own_out @ centred).max()) - float(cosines.max()))
        return score

    def _own_scores(self, inside: Sequence[Reference]) -> dict[int, float]:
        """The score of each message, its parts together, if it were not among the references."""
        scores: dict[int, float] = {}
        for each, centred in zip(inside, self._in, strict=True):
            others = self._of != each.of
            if others.sum() < NEAREST:
                continue
            cosines, spelling = (self._in @ centred)[others], self._spelled(each.text)[others]
            score = self._score(cosines, self._crowd[others], centred, spelling, _likeness(self._out, centred))
            scores[each.of] = min(score, scores.get(each.of, score))
        return scores

    def _calibrated(self, inside: Sequence[Reference], kept: Sequence[Reference]) -> tuple[float, float, "Vectors"]:
        """Mean and spread of what is usual, and the sorted scores of the business's own questions where they are enough."""
        import numpy as np  # noqa: PLC0415  # as above

        by_message = self._own_scores(inside)
        if self._examples:
            own = np.sort([score for of, score in by_message.items() if of < self._examples])
            return float(own.mean()), max(float(own.std()), 1e-6), own
        if not kept:
            return 0.0, 1.0, np.asarray([])  # nothing is foreign to this desk
        among = _leave_one_out(self._out)
        far = [
            self._score(self._in @ centred, self._crowd, centred, self._spelled(each.text), float(foreign))
            for each, centred, foreign in zip(kept, self._out, among, strict=True)
        ]
        # Without own texts to tell, business and foreign things are taken to lie as far apart as the other way round.
        apart = float(np.mean(among)) - float(np.mean([_nearest(self._in @ each) for each in self._out]))
        usual = (
            float(np.mean(list(by_message.values()))) if by_message else float(np.mean(far)) + (1 + FEW_FOREIGN) * apart
        )
        gap = max(usual - float(np.mean(far)), 1e-6)
        return usual, (1 - BETWEEN) * gap / -NormalDist().inv_cdf(UNUSUAL), np.asarray([])

    def _centred(self, vectors: "Vectors") -> "Vectors":
        import numpy as np  # noqa: PLC0415  # as above

        moved = vectors - self._centre
        if len(self._grounds):  # a text's language is that whose ground it is nearest to
            nearness = vectors @ self._grounds.T - (self._grounds**2).sum(axis=1) / 2
            moved = vectors - GROUND * self._grounds[nearness.argmax(axis=-1)]
        norm = np.linalg.norm(moved, axis=-1, keepdims=True)
        centred: Vectors = moved / np.where(norm > 0, norm, 1.0)
        return centred


class _Spelling:
    """Character n-grams of folded words, weighed by how few references hold them."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(_grams(text)) for text in texts]
        held = Counter(gram for each in counts for gram in each)
        self._size = len(texts)
        self._rarity = {gram: math.log((1 + self._size) / (1 + number)) + 1 for gram, number in held.items()}
        postings: dict[str, list[tuple[int, float]]] = {}
        for place, count in enumerate(counts):
            for gram, weight in self._weighed(count).items():
                postings.setdefault(gram, []).append((place, weight))
        self._postings = {gram: _columns(found) for gram, found in postings.items()}

    def likeness(self, text: str) -> "Vectors":
        """The cosine to each reference."""
        import numpy as np  # noqa: PLC0415  # as above

        weighed = self._weighed(Counter(_grams(text[:LONGEST])))  # only grams of the references
        if not weighed:
            return np.zeros(self._size)
        places, others = zip(*(self._postings[gram] for gram in weighed), strict=True)
        own = np.repeat(list(weighed.values()), [len(each) for each in places])
        # Added up in the order of the grams, so that a likeness is the same to the last bit however they are taken together.
        found = np.bincount(np.concatenate(places), own * np.concatenate(others), self._size)
        return found.astype(np.float64, copy=False)

    def _weighed(self, counts: Counter[str]) -> dict[str, float]:
        weights = {
            gram: (1 + math.log(number)) * rarity if number > 1 else rarity
            for gram, number in counts.items()
            if (rarity := self._rarity.get(gram)) is not None
        }
        norm = math.sqrt(sum([weight * weight for weight in weights.values()])) or 1.0
        return {gram: weight / norm for gram, weight in weights.items()}


def _columns(postings: Sequence[tuple[int, float]]) -> "tuple[NDArray[np.intp], Vectors]":
    """Places and weights: no place stands there twice."""
    import numpy as np  # noqa: PLC0415  # as above

    places, weights = zip(*postings, strict=True)
    return np.asarray(places, dtype=np.intp), np.asarray(weights)


def _grams(text: str) -> list[str]:
    found: list[str] = []
    for word in fold(text).split():
        padded = f" {word} "
        for size in GRAMS:
            found += [padded[start : start + size] for start in range(max(1, len(padded) - size + 1))]
    return found


def _matrix(references: Sequence[Reference]) -> "Vectors":
    import numpy as np  # noqa: PLC0415  # as above

    return np.asarray([each.vector for each in references], dtype=float)


def _grounds(foreign: Sequence[Reference]) -> "Vectors":
    """What the foreign things of each language have in common: their means."""
    import numpy as np  # noqa: PLC0415  # as above

    languages = dict.fromkeys(each.language for each in foreign if each.language)
    means = [_matrix([each for each in foreign if each.language == name]).mean(axis=0) for name in languages]
    return np.asarray(means)


def _likeness(references: "Vectors", vector: "Vectors") -> float:
    return _nearest(references @ vector) if len(references) else 0.0


def _nearest(cosines: "Vectors") -> float:
    """The mean of the few highest."""
    import numpy as np  # noqa: PLC0415  # as above

    few = min(NEAREST, len(cosines))
    return float(np.partition(cosines, -few)[-few:].mean()) if few else 0.0


def _leave_one_out(references: "Vectors") -> "Vectors":
    """The likeness of each reference to the others."""
    import numpy as np  # noqa: PLC0415  # as above

    if len(references) < 2:  # noqa: PLR2004  # one has no others
        return np.zeros(len(references))
    cosines = references @ references.T
    np.fill_diagonal(cosines, -2.0)
    few = min(NEAREST, len(references) - 1)
    return np.asarray(np.partition(cosines, -few, axis=1)[:, -few:].mean(axis=1))
