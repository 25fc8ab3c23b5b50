"""Small local classifiers behind the rules: one linear head a family, over hashed words and letters.

Where the turn's embedder is one that weights were fitted for, some families judge the question's vector beside its
words: whichever is surer decides, or the two are added up, as the head says. Without a vector, or for a family that
gained nothing by it, words decide alone.

Weights lie in `weights/<family>.npz` (int8) and `weights/<embedder>.npz`, their sha256 and origin in
`weights/heads.json`; they are fitted by training/heads.py. A head whose file is missing, changed or broken raises, and
the guard that asked does what it declares for failures.
"""

import hashlib
import json
import math
import threading
from collections.abc import Mapping, Sequence
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
STEEPER = 2.0
"""What a vector's logit counts against one of words. It decides nothing at the shipped threshold (either above zero
blocks); it makes a band of logits around it hold 1 % of customers' questions and not 4 % (guards/doubt.py).
"""
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

    def value(self, places: Places) -> float:
        """How far the text lies on the family's side: above 0 the shipped threshold is reached. Not bounded."""
        value = self.bias
        for weights, scale, found in zip(
            (self.words, self.letters), self.scales, (places.words, places.letters), strict=True
        ):
            if found:
                value += scale * float(weights[list(found)].sum(dtype="int64")) / math.sqrt(len(found))
        return value


@dataclass(frozen=True, slots=True)
class VectorHead:
    """A fitted head over an embedder's vector. `adds`: its value is added to the words', else the higher one counts.

    `units`: weights and offsets of hidden units (a line each), which count where they are above 0; `weights` are then
    theirs. Without them the head is linear in the vector.
    """

    weights: "NDArray[np.float32]"
    bias: float
    adds: bool = False
    units: "tuple[NDArray[np.float32], NDArray[np.float32]] | None" = None

    def value(self, vector: Sequence[float]) -> float:
        """As `Head.value`."""
        if self.units is None:
            return float(self.weights @ vector) + self.bias
        seen = self.units[0] @ vector + self.units[1]
        return float(self.weights @ seen.clip(0)) + self.bias


class Heads:
    """The heads of a folder, each read and checked at its first use. `embedder` names whose vectors will be given."""

    def __init__(self, folder: Path | None = None, embedder: str = "") -> None:
        self._folder = folder or Path(str(files("guards"))) / FOLDER
        self._embedder = embedder
        self._read: dict[str, Head] = {}
        self._over: dict[str, VectorHead] | None = None
        self._reading = threading.Lock()

    @property
    def reads_vectors(self) -> bool:
        """Whether weights were fitted for the embedder; which is false without one."""
        try:
            return self._embedder in self._card(self._embedder)
        except WeightsError:
            return False  # a folder without a card: whatever asks a head will tell

    def score(self, family: str, places: Places, vector: Sequence[float] | None = None) -> float:
        """How surely the text is the family's concern, 0..1; one half is the shipped threshold. Raises WeightsError."""
        value = self._words(family).value(places)
        over = self.over().get(family) if vector is not None else None
        if over is not None and vector is not None:
            beside = over.value(vector)
            value = value + beside if over.adds else max(value, STEEPER * beside)
        return 1 / (1 + math.exp(-max(-STEEPEST, min(STEEPEST, value))))

    def judged(
        self, family: str, hint: float, places: Places, threshold: float, vector: Sequence[float] | None = None
    ) -> tuple[bool, float]:
        """Whether a text in which no rule is sure is the family's concern, and its score. Raises WeightsError.

        `hint` is what unsure rules weigh, 0..1; `vector` the text's, where the embedder gave one.
        """
        score = self.score(family, places, vector)
        return score >= threshold, max(score, hint * HINTED)

    def weighs(self, family: str, vector: Sequence[float] | None) -> bool:
        """Whether a family's score rests on this vector too. Raises WeightsError."""
        return vector is not None and family in self.over()

    def over(self) -> Mapping[str, VectorHead]:
        """The heads over the embedder's vectors by family; none where nothing was fitted for it. Raises WeightsError."""
        if self._over is None:
            with self._reading:
                if self._over is None:
                    self._over = self._load_over()
        return self._over

    def _words(self, family: str) -> Head:
        head = self._read.get(family)
        if head is None:
            with self._reading:
                head = self._read.setdefault(family, _head(self._arrays(family)))
        return head

    def _load_over(self) -> dict[str, VectorHead]:
        if not self.reads_vectors:
            return {}
        held = self._arrays(self._embedder)
        return {
            str(family): VectorHead(
                held[f"{family}.weights"],
                float(held["bias"][place]),
                bool(held["adds"][place]),
                _units(held, str(family)),
            )
            for place, family in enumerate(held["families"])
        }

    def _card(self, name: str) -> dict[str, Any]:
        try:
            card: dict[str, Any] = json.loads((self._folder / CARD).read_text(encoding="utf-8"))
        except (OSError, ValueError) as fault:
            where = str(self._folder / f"{name}.npz")
            raise WeightsError(f"head cannot be read: {type(fault).__name__}", where=where, fix=FIX) from fault
        return card

    def _arrays(self, name: str) -> dict[str, Any]:
        import numpy as np  # noqa: PLC0415  # a tenth of a second, at the first question only

        path = self._folder / f"{name}.npz"
        try:
            told = self._card(name)[name]["sha256"]
            data = path.read_bytes()
        except (OSError, KeyError, TypeError) as fault:
            raise WeightsError(f"head cannot be read: {type(fault).__name__}", where=str(path), fix=FIX) from fault
        if hashlib.sha256(data).hexdigest() != told:
            raise WeightsError("head is not the one that heads.json names", where=str(path), fix=FIX)
        with np.load(path, allow_pickle=False) as held:
            return dict(held)


FIX = "reinstall Frontdesk, or refit: python -m training fit"


def _units(held: Mapping[str, Any], family: str) -> "tuple[NDArray[np.float32], NDArray[np.float32]] | None":
    hidden = held.get(f"{family}.hidden")
    return None if hidden is None else (hidden.astype("float32"), held[f"{family}.offsets"])


def _head(held: Mapping[str, Any]) -> Head:
    scales = held["scales"]
    return Head(held["words"], held["letters"], (float(scales[0]), float(scales[1])), float(held["bias"]))
