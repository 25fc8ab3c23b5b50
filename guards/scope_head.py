"""A scope classifier of one business: logistic regression on the embedder's vectors, fitted to its labelled questions.

`frontdesk scope fit` writes it into the desk's folder as `scope.json`, bound to the embedder by name and to itself by
sha256; guards/scope.py uses it at the next start.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.errors import DeskError
from domain.ports import Vector

FILE = "scope.json"
PENALTY = 0.1
"""Weight of the squared weights beside the rows' loss, on vectors of length one (scikit-learn's C is its inverse)."""
STEPS = 25
STILL = 1e-8
STEEPEST = 30.0
FIX = "fit it again: frontdesk scope fit FILE --desk DESK, or remove the file"


@dataclass(frozen=True, slots=True)
class ScopeHead:
    """How surely a question is out of scope, from its vector."""

    embedder: str
    weights: Sequence[float]
    bias: float
    rows: int

    def out(self, vector: Vector) -> float:
        """0..1; above 0.5 it is out."""
        value = self.bias + _dot(self.weights, vector)
        return 1 / (1 + math.exp(-max(-STEEPEST, min(STEEPEST, value))))


def fit_scope_head(embedder: str, vectors: Sequence[Vector], out: Sequence[bool]) -> ScopeHead:
    """Newton's method on the penalised loss; both labels weigh the same in all, so that the rarer one counts."""
    import numpy as np  # noqa: PLC0415  # a tenth of a second, and only where something is fitted

    given = np.asarray(vectors, dtype=np.float64)
    matrix = np.hstack([given, np.ones((len(given), 1))])
    truth = np.asarray(out, dtype=np.float64)
    share = truth.mean()
    weighed = np.where(truth > 0, 0.5 / share, 0.5 / (1 - share))
    penalty = np.full(matrix.shape[1], PENALTY)
    penalty[-1] = STILL  # the bias is free
    weights = np.zeros(matrix.shape[1])
    for _ in range(STEPS):
        likely = 1 / (1 + np.exp(-np.clip(matrix @ weights, -STEEPEST, STEEPEST)))
        slope = matrix.T @ (weighed * (likely - truth)) + penalty * weights
        bend = (matrix * (weighed * likely * (1 - likely))[:, None]).T @ matrix + np.diag(penalty)
        step = np.linalg.solve(bend, slope)
        weights -= step
        if float(np.abs(step).max()) < STILL:
            break
    return ScopeHead(embedder, [round(float(one), 6) for one in weights[:-1]], round(float(weights[-1]), 6), len(given))


def write_scope_head(folder: Path, head: ScopeHead) -> Path:
    """Write it into the desk's folder. Raises DeskError where that cannot be written."""
    body = {"embedder": head.embedder, "rows": head.rows, "bias": head.bias, "weights": list(head.weights)}
    path = folder / FILE
    aside = folder / f"{FILE}.new"
    try:
        aside.write_text(json.dumps({"sha256": _digest(body)} | body) + "\n", encoding="utf-8")
        aside.replace(path)
    except OSError as fault:
        fix = "copy the desk to a folder of yours and pass --desk FOLDER"
        raise DeskError(f"cannot be written: {type(fault).__name__}", where=str(path), fix=fix) from fault
    return path


def read_scope_head(folder: Path, embedder: str) -> ScopeHead | None:
    """The desk's classifier; None where it has none. Raises DeskError for one that is broken or of another embedder."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        told = held.pop("sha256")
        head = ScopeHead(held["embedder"], held["weights"], held["bias"], held["rows"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise DeskError(f"cannot be read: {type(fault).__name__}", where=str(path), fix=FIX) from fault
    if told != _digest(held):
        raise DeskError("is not as it was written: its sha256 differs", where=str(path), fix=FIX)
    if head.embedder != embedder:
        what = f"was fitted to the embedder {head.embedder}, the desk uses {embedder}"
        raise DeskError(what, where=str(path), fix=FIX)
    return head


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(one * other for one, other in zip(left, right, strict=True))
