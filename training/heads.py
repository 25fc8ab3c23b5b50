"""Fits the small classifiers of guards/heads.py: logistic regression over hashed words and letters, kept as int8.

`python -m training fit` writes them; training/left_out.py measures them on sources left out of the fitting.
"""

import hashlib
import json
import math
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from guards.features import SIZE, places_of
from guards.heads import CARD, Head
from guards.normalise import inspect
from training.corpus import MAX_CHARS, Family, Row

if TYPE_CHECKING:
    from numpy.typing import NDArray

INVERSE_PENALTY: dict[Family, float] = {"injection": 30.0, "malicious": 10.0, "toxicity": 10.0}
"""scikit-learn's C of each head."""
ROUNDS = 400
BYTE = 127

CHECKS: dict[Family, tuple[str, ...]] = {
    "injection": ("nlupp", "natcs", "stackfaq", "delucionqa"),
    "malicious": ("nlupp", "natcs", "stackfaq", "delucionqa", "mmlu", "own_customers"),
    "toxicity": ("davidson", "vihos"),
}
"""Sources that thresholds are chosen on. Of `TALK` only a fifth of the rows, the others stay in the fitting."""
ALLOWED: dict[Family, float] = {"injection": 0.002, "malicious": 0.0005, "toxicity": 0.04}
"""Share of the harmless texts of `CHECKS`, left out of the fitting, that a head may block.

Words alone know little of a request for harm, and decide where no vector is: Vietnamese ones were refused at .002.
"""
TALK = frozenset({"davidson", "toxigen", "surge", "vihos", "own_toxicity"})
"""Sources of people talking freely."""
VECTORS_ONLY = frozenset({"own_angry"})
"""Our cases that only heads over vectors are fitted on; those over words gain nothing by them."""
EASY = frozenset({"own_stern"})
"""Our cases that a head is fitted on while its threshold is chosen without them: with them it would only sink."""
FULL = TALK | {"own_injection", "own_malicious", "own_customers", "own_neighbours", "desks"}
"""The toxicity head weighs the polite English texts of all other sources at `POLITE`: they are many and easy."""
POLITE = 0.1
FIFTH = 5


@dataclass(frozen=True, slots=True)
class Features:
    """Rows as a matrix: one line a row, the words' places first, then the letters'."""

    rows: Sequence[Row]
    matrix: Any  # scipy.sparse.csr_matrix; the package has no types


def featured(rows: Sequence[Row], progress: Callable[[int, int], None] = lambda *_: None) -> Features:
    """Compute the features of rows: the same code as for a customer's text."""
    from scipy import sparse  # noqa: PLC0415  # came with scikit-learn

    ends, places, values = [0], [], []
    for done, row in enumerate(rows, start=1):
        seen = inspect(row.text, limit=MAX_CHARS)
        found = places_of(seen.text, seen.plain)
        for offset, own in ((0, found.words), (SIZE, found.letters)):
            places += [offset + place for place in own]
            values += [1 / math.sqrt(len(own))] * len(own)
        ends.append(len(places))
        progress(done, len(rows))
    shape = (len(rows), 2 * SIZE)
    return Features(rows, sparse.csr_matrix((np.asarray(values, np.float32), places, ends), shape=shape))


def fit_head(features: Features, family: Family, without: Collection[str] = (), drop: Collection[str] = ()) -> Head:
    """Fit a family's head on all rows but those of the sources in `without` and the texts in `drop`."""
    return fit_checked(features, family, without, drop)[0]


def fit_checked(
    features: Features, family: Family, without: Collection[str] = (), drop: Collection[str] = ()
) -> tuple[Head, dict[int, float]]:
    """A family's head, and by place how far the harmless rows that its threshold was chosen on lie above it.

    The threshold comes from a second fit without `CHECKS` and `EASY`, on the harmless texts of `CHECKS`.
    """
    used, checked = split(features.rows, family, {*without, *VECTORS_ONLY}, drop)
    easy = {place for place in used if features.rows[place].source in EASY}
    trial = _fitted(features, family, sorted(set(used) - set(checked) - easy))
    harmless = [place for place in checked if not features.rows[place].labels[family]]
    margins = features.matrix[harmless] @ trial[0] + trial[1]
    threshold = float(np.quantile(margins, 1 - ALLOWED[family])) if harmless else 0.0
    weights, bias = _fitted(features, family, used)
    above = {place: float(margin) - threshold for place, margin in zip(harmless, margins, strict=True)}
    return quantised(weights, bias - threshold), above


def fit_linear(features: Features, family: Family) -> tuple["NDArray[np.float64]", float]:
    """Weights of all places and the bias, fitted on every row that says something of the family; no threshold."""
    return _fitted(features, family, split(features.rows, family, VECTORS_ONLY, ())[0])


def split(
    rows: Sequence[Row], family: Family, without: Collection[str], drop: Collection[str]
) -> tuple[list[int], list[int]]:
    """Places of the rows that a family's head is fitted on, and of those among them that its threshold is chosen on."""
    used = [
        place
        for place, row in enumerate(rows)
        if family in row.labels and row.source not in without and row.text not in drop
    ]
    return used, [place for place in used if _checks(rows[place], family)]


def quantised(weights: "NDArray[np.float64]", bias: float) -> Head:
    """A head whose weights are whole numbers of -127..127 times a scale, one for words and one for letters."""
    words, letters = weights[:SIZE], weights[SIZE:]
    scales = [float(np.abs(part).max()) / BYTE or 1.0 for part in (words, letters)]
    each = [np.round(part / scale).astype(np.int8) for part, scale in zip((words, letters), scales, strict=True)]
    return Head(each[0], each[1], (scales[0], scales[1]), bias)


def write_heads(heads: dict[Family, Head], folder: Path, about: dict[str, Any]) -> None:
    """Write each head and the card that names its sha256."""
    folder.mkdir(parents=True, exist_ok=True)
    card: dict[str, Any] = {}
    for family, head in heads.items():
        path = folder / f"{family}.npz"
        with path.open("wb") as stream:
            np.savez_compressed(
                stream, words=head.words, letters=head.letters, scales=np.asarray(head.scales), bias=head.bias
            )
        card[family] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **about}
    (folder / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def _checks(row: Row, family: Family) -> bool:
    """Whether the threshold is chosen on this row."""
    return row.source in CHECKS[family] and (row.source not in TALK or zlib.crc32(row.text.encode()) % FIFTH == 0)


def _fitted(features: Features, family: Family, used: Sequence[int]) -> tuple["NDArray[np.float64]", float]:
    """Weights of all places, and the bias."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  # heavy, and only here

    labels = np.asarray([features.rows[place].labels[family] for place in used])
    balance = None if family == "toxicity" else "balanced"
    polite = [family == "toxicity" and features.rows[place].source not in FULL for place in used]
    matrix = features.matrix[used]
    there = np.unique(matrix.indices)  # places that no row has stay at 0: fitting them would only take time
    model = LogisticRegression(C=INVERSE_PENALTY[family], max_iter=ROUNDS, class_weight=balance)
    model.fit(matrix[:, there], labels, sample_weight=np.where(polite, POLITE, 1.0))
    weights = np.zeros(2 * SIZE)
    weights[there] = model.coef_[0]
    return weights, float(model.intercept_[0])
