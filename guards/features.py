"""Texts as the local classifiers see them: hashed runs of words and of letters.

Hashed, so that nothing of the texts a head was fitted on lies in its file. The same code makes the features that
heads are fitted on (training/heads.py) and those of a customer's text.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

BITS = 17
"""Each of the two kinds of features has 2 ** BITS places."""
SIZE = 1 << BITS
MASK = SIZE - 1
WORDS = (1, 2, 3)
LETTERS = (2, 3, 4, 5)
TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Places:
    """Where a text's features lie in a head's two lists of weights."""

    words: frozenset[int]
    letters: frozenset[int]


def places_of(text: str, plain: str) -> Places:
    """The features of a text: its words with their diacritics, its letters folded (see `Inspected`)."""
    return Places(frozenset(word_places(text)), frozenset(letter_places(plain)))


def spelled_places(text: str, places: Places) -> Places:
    """The features of a text in another spelling of the same letters: its words anew, its letters as they were."""
    return Places(frozenset(word_places(text)), places.letters)


def word_places(text: str) -> set[int]:
    """The places of a text's words and punctuation marks, and of their runs of two and three."""
    tokens = [token.encode("utf-8", "replace") for token in TOKEN.findall(text.lower())]
    return {zlib.crc32(run) & MASK for run in _runs([b"^", *tokens, b"$"])}


def letter_places(text: str) -> set[int]:
    """The places of the runs of two to five characters within the words of a text."""
    crc, mask = zlib.crc32, MASK
    places: set[int] = set()
    for word in set(text.lower().split()):
        padded = f" {word} "
        starts = [(start, start + size) for size in LETTERS for start in range(max(1, len(padded) - size + 1))]
        if padded.isascii():
            letters = padded.encode()  # a letter is a byte: encoded once
            places.update([crc(letters[start:end]) & mask for start, end in starts])
        else:
            places.update([crc(padded[start:end].encode("utf-8", "replace")) & mask for start, end in starts])
    return places


def _runs(tokens: list[bytes]) -> Iterator[bytes]:
    for size in WORDS:
        for start in range(len(tokens) - size + 1):
            yield b" ".join(tokens[start : start + size])
