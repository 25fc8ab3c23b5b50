"""Which of the desk's languages a text is in. Works on two words, and on Vietnamese typed without diacritics."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import yaml

from domain.language import likelier
from domain.turn import Language
from models.words import bare, fold, plain

LANGUAGES: tuple[Language, ...] = ("en", "vi")

_PLACEHOLDER = re.compile(r"<[A-Z_]+_\d+>")
_CODE = re.compile(r"\S*\d\S*|\S+@\S+|https?://\S+")
_VIETNAMESE = re.compile(r"[ăđơưẠ-ỹ]", re.IGNORECASE)
"""Letters that Vietnamese has and the languages around English borrow nothing of ("café", "naïve")."""


def is_english(text: str) -> bool:
    """Whether `text` is in English and not in Vietnamese, with or without diacritics; a text without words is."""
    return detect_language(text, LANGUAGES) == "en"


def detect_language(text: str, allowed: Sequence[Language]) -> Language:
    """The language of `text`, one of `allowed`; its first when the text holds words."""
    if len(allowed) == 1:
        return allowed[0]
    text = _CODE.sub(" ", _PLACEHOLDER.sub(" ", text))
    if _VIETNAMESE.search(plain(text)):
        return "vi"
    words = bare(fold(text)).split()
    if not any(any(char.isalpha() for char in word) for word in words):
        return allowed[0]
    english, vietnamese = (sum(word in common for word in words) for common in _common_words())
    if english != vietnamese:
        return "en" if english > vietnamese else "vi"
    return likelier(text)


@cache
def _common_words() -> tuple[frozenset[str], frozenset[str]]:
    """English and Vietnamese, from language.yaml: the identifier is unsure of two words."""
    data = yaml.safe_load(Path(__file__).with_name("language.yaml").read_text(encoding="utf-8"))
    return frozenset(data["en"].split()), frozenset(data["vi"].split())
