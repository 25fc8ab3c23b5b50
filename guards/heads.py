"""Small local classifiers behind the rules: one linear head a family, over hashed words and letters.

Weights lie in `weights/<family>.npz` (int8), their sha256, threshold and origin in `weights/heads.json`; they are
fitted by training/heads.py. A head whose file is missing, changed or broken raises, and the guard that asked does
what it declares for failures.
"""

import hashlib
import json
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domain.errors import WeightsError
from guards.features import Places

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDER = "weights"
CARD = "heads.json"
SHIPPED_THRESHOLD = 0.5
"""Scores are shifted so that the shipped threshold is one half, whatever the family."""
PART = "head"
"""Part of a verdict where the head spoke, not a rule."""
HINTED = 0.4
"""What the strongest hint of a rule is worth as a score: it is told, and never blocks by itself."""
STEEPEST = 30.0


@dataclass(frozen=True, slots=True)
class Head:
    """A fitted head. `words` and `letters` are int8 weights of each place, `scales` what one unit is worth."""

    words: "NDArray[np.int8]"
    letters: "NDArray[np.int8]"
    scales: tuple[float, float]
    bias: float

    def score(self, places: Places) -> float:
        """How surely the text is the family's concern, 0..1; one half is the shipped threshold."""
        value = self.bias
        for weights, scale, found in zip(
            (self.words, self.letters), self.scales, (places.words, places.letters), strict=True
        ):
            if found:
                value += scale * float(weights[list(found)].sum(dtype="int64")) / math.sqrt(len(found))
        return 1 / (1 + math.exp(-max(-STEEPEST, min(STEEPEST, value))))


class Heads:
    """The heads of a folder, each read and checked at its first use."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(str(files("guards"))) / FOLDER
        self._read: dict[str, Head] = {}
        self._reading = threading.Lock()

    def score(self, family: str, places: Places) -> float:
        """The family's score of a text. Raises WeightsError."""
        head = self._read.get(family)
        if head is None:
            with self._reading:
                head = self._read.setdefault(family, self._load(family))
        return head.score(places)

    def judged(self, family: str, hint: float, places: Places, threshold: float) -> tuple[bool, float]:
        """Whether a text in which no rule is sure is the family's concern, and its score. Raises WeightsError.

        `hint` is what unsure rules weigh, 0..1.
        """
        score = self.score(family, places)
        return score >= threshold, max(score, hint * HINTED)

    def _load(self, family: str) -> Head:
        import numpy as np  # noqa: PLC0415  # a tenth of a second, at the first question only

        path = self._folder / f"{family}.npz"
        try:
            card = json.loads((self._folder / CARD).read_text(encoding="utf-8"))[family]
            data = path.read_bytes()
        except (OSError, ValueError, KeyError) as fault:
            raise WeightsError(f"head cannot be read: {type(fault).__name__}", where=str(path), fix=FIX) from fault
        if hashlib.sha256(data).hexdigest() != card["sha256"]:
            raise WeightsError("head is not the one that heads.json names", where=str(path), fix=FIX)
        with np.load(path, allow_pickle=False) as held:
            return _head(held)


FIX = "reinstall Frontdesk, or refit: python -m training fit"


def _head(held: Mapping[str, Any]) -> Head:
    scales = held["scales"]
    return Head(held["words"], held["letters"], (float(scales[0]), float(scales[1])), float(held["bias"]))
