"""Whether a claim stands on a context, as one figure and a verdict.

A sentence counts by the words one piece of the context says, by the pairs of words that stand together in both, and
by how much of it can be read off in order: each a third. Equal parts, not fitted ones: a regression on BEGIN leaves
out the pairs (its contexts are single sentences) and falls from AUROC .862 to .70 on the long contexts of QAGS.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.ports import Embedder
from scoring.grounding import Support, supports

SUPPORTED = 0.68
"""From here a claim is supported: the best balanced accuracy on half of BEGIN's contexts (CC-BY-4.0)."""
PARTS = 3


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """How far a claim is supported (0..1), and the sentence that is so least."""

    score: float
    weakest: Support
    sentences: int

    @property
    def supported(self) -> bool:
        """Whether it counts as supported."""
        return self.score >= SUPPORTED


async def faithfulness(claim: str, texts: Sequence[str], embedder: Embedder | None = None) -> Faithfulness | None:
    """How far the texts support the claim; None where it says nothing. Raises WeightsError.

    With an embedder a sentence that shares few words with the texts is compared in meaning: for other languages.
    """
    found = await supports(claim, texts, embedder)
    total = sum(one.words for one in found)
    if not total:
        return None
    score = sum(share(one) * one.words for one in found) / total
    return Faithfulness(score, min(found, key=share), len(found))


def share(one: Support) -> float:
    """How far one sentence is supported, the order of its words included."""
    return one.share if one.capped else ((PARTS - 1) * one.share + one.in_order) / PARTS
