"""The vectors of kept answers in memory, so that a question does not read thousands of them from the database."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from domain.ports import Clock, Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

FIRST = 64
"""Rows that there is room for at first; it doubles."""
SCOPES = 8
"""Scopes that are held: those asked last."""
ANEW = timedelta(minutes=5)
"""After so long a scope is read anew: another process may have renewed an answer, or committed late behind a newer one."""


@dataclass(slots=True)
class _Scope:
    """Rows of one scope, oldest first. `matrix` has room for more than `ids`."""

    read_at: datetime
    newest: int = 0
    ids: list[int] = field(default_factory=list)
    matrix: "Matrix | None" = None


class KeptVectors:
    """By scope, at most `most` vectors; the oldest go. Safe to use from several threads."""

    def __init__(self, most: int, clock: Clock) -> None:
        self._most, self._clock = most, clock
        self._scopes: OrderedDict[str, _Scope] = OrderedDict()
        self._lock = threading.Lock()

    def newest(self, scope: str) -> int:
        """The id behind which rows are still to be read: 0 where all are."""
        with self._lock:
            held = self._scopes.get(scope)
            if held is None or self._clock.now() - held.read_at >= ANEW:
                return 0
            return held.newest

    def add(self, scope: str, since: int, rows: Sequence[tuple[int, bytes]]) -> None:
        """Take in rows (id, packed float32) behind `since`, in the order of their ids."""
        with self._lock:
            held = self._scopes.get(scope)
            if held is None or not since:
                held = self._scopes[scope] = _Scope(self._clock.now())
            for place, packed in rows:
                if place > held.newest:
                    self._append(held, place, packed)
            self._scopes.move_to_end(scope)
            while len(self._scopes) > SCOPES:
                self._scopes.popitem(last=False)

    def written(self, scope: str, place: int) -> None:
        """A row was written: one that is held already is another now, so that its scope is read anew."""
        with self._lock:
            held = self._scopes.get(scope)
            if held and place <= held.newest:
                del self._scopes[scope]

    def nearest(self, scope: str, vector: Vector, least: float) -> list[int]:
        """Ids of the rows that are at least that near, the nearest first."""
        import numpy as np  # noqa: PLC0415  # a tenth of a second, at the first question only

        with self._lock:
            held = self._scopes.get(scope)
            if held is None or held.matrix is None or held.matrix.shape[1] != len(vector):
                return []
            # Rows are only written behind these, and into a new matrix where there is no room.
            matrix: Matrix = held.matrix[: len(held.ids)]
            ids = held.ids[:]
        likeness = matrix @ np.asarray(vector, dtype=np.float32)
        near = np.flatnonzero(likeness >= least)
        return [ids[place] for place in near[np.argsort(-likeness[near], kind="stable")]]

    def _append(self, held: _Scope, place: int, packed: bytes) -> None:
        import numpy as np  # noqa: PLC0415  # as above

        row = np.frombuffer(packed, "<f4")
        if held.matrix is not None and held.matrix.shape[1] != len(row):
            held.ids, held.matrix = [], None  # of another embedder: the newest says which is used now
        count, matrix = len(held.ids), held.matrix
        if matrix is not None and count == self._most:
            half = self._most // 2
            held.ids, matrix, count = held.ids[-half:], matrix[count - half : count].copy(), half
        if matrix is None or count == len(matrix):
            grown: Matrix = np.empty((max(FIRST, 2 * count), len(row)), dtype=np.float32)
            if matrix is not None:
                grown[:count] = matrix[:count]
            matrix = grown
        matrix[count] = row
        held.matrix = matrix
        held.ids.append(place)
        held.newest = place
