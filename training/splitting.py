"""Rows to learn from, rows to choose by, rows to be judged on: split so that no near-duplicate stands on two sides."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from domain.errors import UsageError
from domain.words import fold

LEAST = 12
"""Rows without which there is nothing to learn from, to choose by and to be judged on."""
NEAR = 0.75
"""Share of their letter triples that two texts have in common (Jaccard) from which on they are near-duplicates."""
PLACES = 1 << 14
BLOCK = 512
ROUND: tuple[str, ...] = ("train", "held_out", "train", "held_out", "validation")
"""Sides in their turn, within each label and language: two fifths, two fifths, one fifth."""
LEARNT: tuple[str, ...] = ("train", "validation", "train")
"""The same where the rows to be judged on came in a file of their own."""


class Splittable(Protocol):
    """What a row must tell. `stratum`: rows of one are spread evenly over the sides."""

    @property
    def id(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def stratum(self) -> str: ...


RowT = TypeVar("RowT", bound=Splittable)


@dataclass(frozen=True, slots=True)
class Split(Generic[RowT]):
    """The sides. `near_duplicates`: rows that were kept beside a like one; `dropped`: too like a held-out one of a file."""

    train: list[RowT]
    validation: list[RowT]
    held_out: list[RowT]
    near_duplicates: int
    dropped: int = 0


def split(rows: Sequence[RowT], held_out: Sequence[RowT] | None = None) -> Split[RowT]:
    """Spread rows by a hash of their text, the same each time; a group of near-duplicates goes to one side whole.

    With `held_out` from elsewhere the rows are for learning and choosing, without those that are like a held-out
    one. Raises UsageError for too few rows, or two of one id.
    """
    for side in (rows, held_out or []):
        twice = [name for name, times in Counter(row.id for row in side).items() if times > 1]
        if twice:
            raise UsageError(f"id {twice[0]!r} stands there twice", where="the cases", fix="give each row its own")
    if held_out is None:
        _enough(rows, LEAST)
        sides, near = _spread(rows, ROUND)
        return Split(sides["train"], sides["validation"], sides["held_out"], near)
    like = _like(rows, held_out)
    kept = [row for row, dropped in zip(rows, like, strict=True) if not dropped]
    _enough(kept, LEAST // 2)
    _enough(held_out, LEAST // 2)
    sides, near = _spread(kept, LEARNT)
    return Split(sides["train"], sides["validation"], list(held_out), near, sum(like))


def drawn(rows: Sequence[RowT], most: int) -> list[RowT]:
    """At most so many rows, drawn by the hash of their text, in their own order; 0: all of them."""
    if not 0 < most < len(rows):
        return list(rows)
    chosen = {row.id for row in sorted(rows, key=lambda row: (_hash(row.text), row.id))[:most]}
    return [row for row in rows if row.id in chosen]


def _enough(rows: Sequence[RowT], least: int) -> None:
    if len(rows) < least:
        what = f"{len(rows)} rows are too few: some are to learn from, some to choose by, some to be judged on"
        raise UsageError(what, where="the cases", fix=f"at least {least} are needed")


def _spread(rows: Sequence[RowT], turns: Sequence[str]) -> tuple[dict[str, list[RowT]], int]:
    """Every side has a row at least, as there are more groups than sides or an error."""
    groups: dict[int, list[RowT]] = defaultdict(list)
    for row, group in zip(rows, _groups(rows), strict=True):
        groups[group].append(row)
    strata: dict[str, list[list[RowT]]] = defaultdict(list)
    for members in groups.values():
        strata[members[0].stratum].append(members)
    sides: dict[str, list[RowT]] = {side: [] for side in turns}
    place = 0
    for stratum in sorted(strata):
        for members in sorted(strata[stratum], key=lambda group: _hash(group[0].text)):
            sides[turns[place % len(turns)]] += members
            place += 1
    if place < len(turns):
        what = f"the {len(rows)} rows are near-duplicates of {place}"
        raise UsageError(what, where="the cases", fix="add rows that ask for something else")
    return sides, len(rows) - len(groups)


def _groups(rows: Sequence[RowT]) -> list[int]:
    """For each row the first row that it is like, by way of others too."""
    matrix = _triples([row.text for row in rows])
    first = list(range(len(rows)))
    for one, other in _pairs(matrix, matrix):
        low, high = sorted((_root(first, one), _root(first, other)))
        first[high] = low
    return [_root(first, place) for place in range(len(rows))]


def _root(first: list[int], place: int) -> int:
    while first[place] != place:
        place = first[place]
    return place


def _like(rows: Sequence[RowT], others: Sequence[RowT]) -> list[bool]:
    pairs = _pairs(_triples([row.text for row in rows]), _triples([row.text for row in others]))
    near = {one for one, _ in pairs}
    return [place in near for place in range(len(rows))]


def _pairs(rows: "np.ndarray", others: "np.ndarray") -> list[tuple[int, int]]:
    """Places of near-duplicates."""
    sizes = others.sum(axis=1)
    found: list[tuple[int, int]] = []
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        common = block @ others.T
        either = block.sum(axis=1)[:, None] + sizes[None, :] - common
        found += [(start + int(one), int(other)) for one, other in zip(*np.where(common >= NEAR * either), strict=True)]
    return found


def _triples(texts: Sequence[str]) -> "np.ndarray":
    """A row a text, a column for each place that a triple of its folded letters may fall into."""
    matrix = np.zeros((len(texts), PLACES), dtype=np.float32)
    for row, text in enumerate(texts):
        plain = f" {_plain(text)} "
        for start in range(max(1, len(plain) - 2)):
            triple = hashlib.blake2b(plain[start : start + 3].encode("utf-8", "replace"), digest_size=4).digest()
            matrix[row, int.from_bytes(triple) % PLACES] = 1.0
    return matrix


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", fold(text)).strip() or text


def _hash(text: str) -> str:
    return hashlib.sha256(_plain(text).encode("utf-8", "replace")).hexdigest()
