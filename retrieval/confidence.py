"""From what a search saw to the probability that the question is answered by what was found."""

import math
from dataclasses import dataclass
from typing import get_args

from retrieval.config import Calibration, Doubt, Feature


@dataclass(frozen=True, slots=True)
class Features:
    """What a search saw. Cosines are absolute, lexical figures shares of the question's idf mass.

    `…_top`: the best chunk by meaning, by words, or by both (fused) · `…_gap`: its lead over the best chunk of another
    article · `…_lead`: its lead over the mean of the ten best chunks of other articles · dense_above: how far the best
    cosine lies above that of any two chunks of its language, the same on texts alike and unlike · lexical_of_best: BM25 of the
    passage ranked first · coverage: of the question's words by the first three passages, or by the first alone ·
    length: log of 1 + content words of the question.
    Where there is no other article, a gap and a lead are 0: nothing stands out from nothing.
    """

    dense_top: float
    dense_gap: float
    dense_lead: float
    dense_above: float
    lexical_top: float
    lexical_of_best: float
    lexical_gap: float
    lexical_lead: float
    fused_gap: float
    fused_lead: float
    coverage: float
    coverage_of_best: float
    length: float

    def named(self) -> dict[Feature, float]:
        """The features by the names that a configuration's weights use."""
        return {name: getattr(self, name) for name in FEATURES}


EDGE = 0.001
FEATURES: tuple[Feature, ...] = get_args(Feature)


def confidence(features: Features, calibration: Calibration) -> float:
    """P(answerable), 0..1. `calibration` has weights for features of these names only."""
    values = features.named()
    return _share(calibration.bias + sum(weight * values[name] for name, weight in calibration.weights.items()))


def quotation_answers(found: float, above: float, doubt: Doubt) -> float:
    """P(what is quoted answers the question), 0..1.

    `found`: the confidence of the search · `above`: the cosine of question and quotation less that of any two texts of the desk.
    """
    return _share(doubt.bias + doubt.confidence * log_odds(found) + doubt.likeness * above)


def log_odds(share: float) -> float:
    """Of a probability; of one that is next to 0 or 1 as if it were a thousandth away."""
    held = max(EDGE, min(1 - EDGE, share))
    return math.log(held / (1 - held))


def _share(total: float) -> float:
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, total))))
