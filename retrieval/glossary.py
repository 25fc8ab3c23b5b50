"""A question's words in the other language of a desk, from a small list of what customers ask about anywhere."""

from functools import lru_cache
from pathlib import Path

import yaml

from domain.turn import Language
from domain.words import fold
from retrieval.text import WORD, words

FILE = Path(__file__).with_name("glossary.yaml")


@lru_cache(maxsize=1)
def _phrases() -> tuple[dict[tuple[str, ...], list[str]], dict[str, list[str]]]:
    """English content words by Vietnamese syllables, and Vietnamese ones by the first English word."""
    english: dict[tuple[str, ...], list[str]] = {}
    vietnamese: dict[str, list[str]] = {}
    for phrase, meaning in yaml.safe_load(FILE.read_text("utf-8")).items():
        said, meant = tuple(WORD.findall(fold(phrase))), words(meaning)
        english[said] = meant
        for word in meant[:1]:
            vietnamese.setdefault(word, words(phrase))
    return english, vietnamese


def translated(question: str, language: Language) -> list[str]:
    """Content words of a question in the other language, in order; what the list does not hold is left out."""
    english, vietnamese = _phrases()
    if language == "en":
        return [word for own in words(question) for word in vietnamese.get(own, [])]
    syllables = WORD.findall(fold(question))
    longest = max(map(len, english))
    found: list[str] = []
    place = 0
    while place < len(syllables):
        for length in range(min(longest, len(syllables) - place), 0, -1):
            meant = english.get(tuple(syllables[place : place + length]))
            if meant is not None:
                found += meant
                place += length - 1
                break
        place += 1
    return found
