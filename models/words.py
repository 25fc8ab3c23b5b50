"""Text as the lexicons of this room see it: lower case, one spacing, with and without diacritics."""

import re
import unicodedata

from domain import words

_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'"})
_SPACE = re.compile(r"\s+")
_SIGNS = re.compile(r"[^\w\s'<>]|_(?=\s|$)")
_STRETCHED = re.compile(r"(\w)\1{2,}")


def plain(text: str) -> str:
    """Lower case, composed, straight apostrophes, single spaces."""
    text = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES).lower()
    return _SPACE.sub(" ", text).strip()


def fold(text: str) -> str:
    """`plain` without diacritics: "Đổi trả" and "doi tra" become the same."""
    return words.fold(plain(text))


def bare(text: str) -> str:
    """Words alone: signs and emoji are spaces, "hiiii" is "hi", and "don't" is "dont"."""
    letters = _SIGNS.sub(" ", text).replace("'", "")
    return _SPACE.sub(" ", _STRETCHED.sub(r"\1", letters)).strip()
