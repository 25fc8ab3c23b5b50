"""Fits the heads over an embedder's vectors (guards/heads.py `VectorHead`), beside those over words.

A logistic regression on the vector alone, or a small net for the families of `UNITS`, on English rows of the same corpus,
at most `MOST` of a source. The threshold comes, as there, from a second fit that has not seen the rows that it is chosen on.
"""

import hashlib
import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from guards.heads import CARD, VectorHead
from models.language import is_english
from training.corpus import Family, Row
from training.heads import ROUNDS, split

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST: dict[Family, dict[str, int]] = {
    "injection": {
        "s-labs": 3000,
        "neuralchemy": 1500,
        "yanismiraoui": 450,
        "giskard": 30,
        "cyberseceval": 520,
        "piguard": 70,
        "own_injection": 2000,
        "own_stern": 1500,
        "own_malicious": 700,
        "own_harm": 800,
        "own_toxicity": 300,
        "davidson": 200,
        "toxigen": 130,
        "clinc150": 400,
        "banking77": 400,
        "bitext": 400,
        "nlupp": 1300,
        "natcs": 1300,
        "delucionqa": 900,
        "stackfaq": 54,
        "mmlu": 400,
        "begin": 60,
        "desks": 60,
        "policies": 120,
        "advbench": 200,
        "donotanswer": 300,
    },
    "toxicity": {
        "davidson": 1200,
        "toxigen": 300,
        "own_toxicity": 400,
        "own_angry": 300,
        "own_stern": 150,
        "clinc150": 250,
        "banking77": 200,
        "bitext": 200,
        "nlupp": 150,
        "natcs": 150,
        "mmlu": 60,
        "delucionqa": 80,
        "stackfaq": 20,
        "begin": 20,
        "desks": 10,
    },
    "malicious": {
        "own_malicious": 400,
        "own_harm": 800,
        "own_customers": 400,
        "own_neighbours": 150,
        "own_stern": 100,
        "s-labs": 800,
        "neuralchemy": 400,
        "own_toxicity": 220,
        "davidson": 600,
        "toxigen": 120,
        "clinc150": 250,
        "banking77": 200,
        "bitext": 200,
        "nlupp": 300,
        "natcs": 300,
        "mmlu": 150,
        "delucionqa": 200,
        "stackfaq": 54,
        "begin": 20,
        "desks": 10,
    },
}
"""English rows of a source that a family's head is fitted on; of other sources none.

Few numbers are fitted, and embedding takes the time.
Surge AI's comments are only measured on, so that what ships is what was measured.
"""
COMPARED: tuple[Family, ...] = ("injection", "toxicity", "malicious")
"""Families with heads over vectors (docs/decisions/027, 042, 044)."""
UNITS: dict[Family, int] = {"injection": 32}
"""Families whose head has hidden units, and how many each of its `NETS` has. The others' are linear."""
NETS = 2
"""Nets whose logits are averaged: one alone depends on how it was begun."""
EPOCHS = 12
DECAY = 0.3
STEP = 0.002
APART: dict[Family, Family] = {"injection": "malicious"}
"""A request for harm is no injection: rows of the second family that say nothing of the first are harmless to it."""
ADDED: dict[Family, float] = {"malicious": 1.0, "injection": 2.0}
"""Families whose vector is added to the words, and what its logit weighs beside theirs. Of others the surer decides."""
ALLOWED_SUM: dict[Family, float] = {"malicious": 0.002, "injection": 0.001}
"""Share of the checked harmless texts, left out of the fitting, that a sum may block."""
MIXED = frozenset(
    {
        "own_malicious",
        "own_harm",
        "own_customers",
        "own_neighbours",
        "own_stern",
        "own_injection",
        "s-labs",
        "neuralchemy",
    }
)
"""Sources that hold other languages too; only their English rows are read."""
INVERSE_PENALTY = 1.0
"""scikit-learn's C, on vectors of length one."""
OURS = 4.0
"""What our own harmless cases weigh in the fit: angry customers, whom a guard must not turn away."""
CHECKED = "davidson"
ALLOWED_TALK = 0.4
"""Share of the harmless tweets of `CHECKED`, left out of the fitting, that a head over vectors may take for abuse.

They are rough talk, many on the border, of which a desk sees little; of customers' texts next to none score so high.
"""


def chosen(rows: Sequence[Row], family: Family) -> list[int]:
    """Places of the rows that are embedded: of each source the first `MOST` by the hash of their texts."""
    by_source: dict[str, list[int]] = {}
    for place, row in enumerate(told_apart(rows, family)):
        if row.source in MOST[family] and family in row.labels:
            by_source.setdefault(row.source, []).append(place)
    kept = []
    for source, places in by_source.items():
        places.sort(key=lambda place: zlib.crc32(rows[place].text.encode("utf-8", "replace")))
        read = (place for place in places if source not in MIXED or is_english(rows[place].text))
        kept += list(islice(read, MOST[family][source]))
    return sorted(kept)


def told_apart(rows: Sequence[Row], family: Family) -> Sequence[Row]:
    """The rows as a head over vectors reads them (`APART`)."""
    other = APART.get(family)
    if other is None:
        return rows
    return [
        replace(row, labels={**row.labels, family: False})
        if row.labels.get(other) and family not in row.labels
        else row
        for row in rows
    ]


def fit_vector_head(
    rows: Sequence[Row],
    vectors: Mapping[int, "NDArray[np.float32]"],
    family: Family,
    without: Collection[str] = (),
    drop: Collection[str] = (),
    *,
    words: Mapping[int, float] | None = None,
) -> VectorHead:
    """Fit a family's head on its rows that have a vector, by place, but those of `without` and `drop` (`fit_head`).

    `words`: what `fit_checked` tells of the words' head, for a family whose two values are added up.
    """
    rows = told_apart(rows, family)
    used, checks = ([place for place in places if place in vectors] for places in split(rows, family, without, drop))
    fitted = _netted if family in UNITS else _linear
    trial = fitted(rows, vectors, family, sorted(set(used) - set(checks)))
    head = fitted(rows, vectors, family, used)
    adds = ADDED.get(family)
    if adds is not None and words is not None:
        sums = [words[place] + adds * trial.value(vectors[place].tolist()) for place in checks if place in words]
        limit = float(np.quantile(sums, 1 - ALLOWED_SUM[family])) if sums else 0.0
        return replace(head, weights=(adds * head.weights).astype(np.float32), bias=adds * head.bias - limit, adds=True)
    harmless = [place for place in checks if rows[place].source == CHECKED and not rows[place].labels[family]]
    values = [trial.value(vectors[place].tolist()) for place in harmless]
    limit = float(np.quantile(values, 1 - ALLOWED_TALK)) if values else 0.0
    return replace(head, bias=head.bias - limit)


def fit_over(
    rows: Sequence[Row], vectors: Mapping[int, "NDArray[np.float32]"], family: Family
) -> tuple["NDArray[np.float64]", float]:
    """Weights and bias, fitted on every row that says something of the family; no threshold."""
    return _fitted(rows, vectors, family, split(rows, family, (), ())[0])


def add_vector_heads(heads: Mapping[Family, VectorHead], embedder: str, folder: Path, about: dict[str, Any]) -> None:
    """Write an embedder's heads beside those of the words, and name them in the card."""
    path = folder / f"{embedder}.npz"
    held = list(heads.values())
    arrays: dict[str, Any] = {
        f"{family}.{part}": each for family, head in heads.items() for part, each in _arrays(head)
    }
    with path.open("wb") as stream:
        np.savez_compressed(
            stream,
            families=np.asarray(list(heads)),
            bias=np.asarray([head.bias for head in held]),
            adds=np.asarray([head.adds for head in held]),
            **arrays,
        )
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    card[embedder] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "families": list(heads), **about}
    (folder / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def _arrays(head: VectorHead) -> list[tuple[str, "NDArray[np.float32]"]]:
    """What is kept of a head, by name; hidden units in half precision."""
    kept = [("weights", head.weights.astype(np.float32))]
    if head.units is not None:
        kept += [("hidden", head.units[0].astype(np.float16)), ("offsets", head.units[1].astype(np.float32))]
    return kept


def _linear(
    rows: Sequence[Row], vectors: Mapping[int, "NDArray[np.float32]"], family: Family, used: Sequence[int]
) -> VectorHead:
    weights, bias = _fitted(rows, vectors, family, used)
    return VectorHead(weights.astype(np.float32), bias)


def _netted(
    rows: Sequence[Row], vectors: Mapping[int, "NDArray[np.float32]"], family: Family, used: Sequence[int]
) -> VectorHead:
    """Nets of one hidden layer side by side: the mean of their logits."""
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415  # heavy, and only here

    seen = np.asarray([vectors[place] for place in used])
    labels = np.asarray([rows[place].labels[family] for place in used])
    nets = []
    for seed in range(NETS):
        net = MLPClassifier((UNITS[family],), alpha=DECAY, learning_rate_init=STEP, random_state=seed)
        for _ in range(EPOCHS):
            net.partial_fit(seen, labels, classes=[False, True])
        nets.append(net)
    return VectorHead(
        np.concatenate([net.coefs_[1][:, 0] / NETS for net in nets]).astype(np.float32),
        float(np.mean([net.intercepts_[1][0] for net in nets])),
        units=(
            np.concatenate([net.coefs_[0].T for net in nets]).astype(np.float32),
            np.concatenate([net.intercepts_[0] for net in nets]).astype(np.float32),
        ),
    )


def _fitted(
    rows: Sequence[Row], vectors: Mapping[int, "NDArray[np.float32]"], family: Family, used: Sequence[int]
) -> tuple["NDArray[np.float64]", float]:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  # heavy, and only here

    labels = np.asarray([rows[place].labels[family] for place in used])
    ours = [rows[place].source.startswith("own_") for place in used]
    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=ROUNDS)
    weights = np.where(np.asarray(ours) & ~labels, OURS, 1.0)
    model.fit(np.asarray([vectors[place] for place in used]), labels, sample_weight=weights)
    return model.coef_[0], float(model.intercept_[0])
