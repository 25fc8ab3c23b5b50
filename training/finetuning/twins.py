"""Texts that say nearly the same: what must not stand on both sides of a split.

Texts are compared without case, diacritics, numbers and signs ("Track my parcel #12" is "track my parcel #7"), by
their runs of three words; candidates are found by MinHash, so that 50,000 rows take seconds.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from domain.words import fold

WORD = re.compile(r"[^\W\d_]+")
GRAM = 3
LIKE = 0.6
"""Share of the runs of two texts that are common, from which they are twins."""
HASHES, BAND = 64, 4
"""Sixteen bands of four: of twins at `LIKE` all but one in ten are found by their hashes, of those at .8 all but 0.02 %."""
PRIME = (1 << 61) - 1
COMPARED = 20
"""At most so many members of a bucket are compared with a new one."""


@dataclass(slots=True)
class Groups:
    """Which things belong together. `of` gives a thing's group by the first of its members."""

    size: int
    _above: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._above = list(range(self.size))

    def of(self, thing: int) -> int:
        """The group of a thing."""
        while self._above[thing] != thing:
            self._above[thing] = self._above[self._above[thing]]
            thing = self._above[thing]
        return thing

    def join(self, one: int, other: int) -> None:
        """Say that two belong together."""
        first, second = sorted((self.of(one), self.of(other)))
        self._above[second] = first

    def all(self) -> list[int]:
        """The group of each thing."""
        return [self.of(thing) for thing in range(self.size)]


def plain(text: str) -> str:
    """The words of a text alone, folded."""
    return " ".join(WORD.findall(fold(text)))


def join_twins(texts: Sequence[str], groups: Groups) -> None:
    """Put near-duplicates of the texts into the same groups; a text without a word has no twin."""
    members: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        if words := plain(text):
            members.setdefault(words, []).append(place)
    for places in members.values():
        for place in places[1:]:
            groups.join(places[0], place)
    distinct = list(members)
    grams = [_grams(words) for words in distinct]
    first = [members[words][0] for words in distinct]
    buckets: dict[tuple[int, bytes], list[int]] = {}
    for place, own in enumerate(grams):
        signature = _signature(own)
        for band in range(0, HASHES, BAND):
            bucket = buckets.setdefault((band, signature[band : band + BAND].tobytes()), [])
            for other in bucket[:COMPARED]:
                if groups.of(first[place]) != groups.of(first[other]) and _like(own, grams[other]):
                    groups.join(first[place], first[other])
            bucket.append(place)


def _grams(words: str) -> frozenset[tuple[str, ...]]:
    each = words.split()
    return frozenset(tuple(each[at : at + GRAM]) for at in range(max(1, len(each) - GRAM + 1)))


def _like(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> bool:
    return len(one & other) >= LIKE * len(one | other)


def _signature(grams: frozenset[tuple[str, ...]]) -> "np.ndarray":
    """The least value of each of `HASHES` hashes over the runs."""
    places = np.arange(1, HASHES + 1, dtype=np.uint64)
    factors, shifts = places * np.uint64(2654435761) + np.uint64(1), places * np.uint64(40503)
    values = np.asarray([zlib.crc32(" ".join(gram).encode()) for gram in grams], dtype=np.uint64)
    mixed = (values[:, None] * factors + shifts) % np.uint64(PRIME)
    # crc32 of close texts is close in some bits: a second round of mixing spreads them.
    mixed ^= mixed >> np.uint64(29)
    mixed = (mixed * np.uint64(0x9E3779B1)) % np.uint64(PRIME)
    least: np.ndarray = mixed.min(axis=0)
    return least
