"""The lists of same_question.yaml, made ready to compare two questions by: with diacritics, or by letters alone."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from domain.turn import Language
from domain.words import fold, stem

YES_OR_NO = "qyesno"
"""What stands where Vietnamese asks for yes or no, "không" at the end. The patterns of the lists name it."""

_PLAIN_WORD = re.compile(r"[^\W\d_]+")
_TONES = {"\u0300": "α", "\u0301": "β", "\u0303": "γ", "\u0309": "δ", "\u0323": "ε"}
"""What stands behind a word for its tone: letters, as a combining mark would end the word."""

Named = Sequence[tuple[str, re.Pattern[str]]]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The lists as they are compared: with diacritics, or by letters alone."""

    spell: Callable[[str], str]
    frames: re.Pattern[str]
    each_frame: Sequence[re.Pattern[str]]
    asks: Named
    what: re.Pattern[str]
    soft: frozenset[str]
    light: frozenset[str]
    bare: frozenset[str]
    people: frozenset[str]
    floating: frozenset[str]
    before: dict[str, str]
    whose: dict[str, str]
    stands: Named
    subjects: Named
    articles: frozenset[str]
    same: dict[str, str]
    kin: dict[str, str]
    phrases: re.Pattern[str]
    contexts: Sequence[tuple[frozenset[str], frozenset[str]]]

    def key(self, word: str) -> str:
        """What stands for a word: its line of synonyms, else its stem."""
        cut = stem(word) if word.isascii() else word
        return self.kin.get(cut, cut)

    def is_framed(self, text: str) -> bool:
        """Whether one of `frames` is found: one by one, as each knows what it begins with, that takes a third of the time."""
        return any(frame.search(text) for frame in self.each_frame)

    def beside(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """The same words, those that mean another thing beside one of them under its name."""
        for context, same in self.contexts:
            if context & set(words):
                words = tuple(min(same) if word in same else word for word in words)
        return words


def spelt(word: str) -> str:
    """A Vietnamese word with its tone behind it, so that "hủy" and "huỷ" are one; lower case."""
    parts = unicodedata.normalize("NFD", word.lower())
    tones = "".join(_TONES[mark] for mark in parts if mark in _TONES)
    return unicodedata.normalize("NFC", "".join(mark for mark in parts if mark not in _TONES)) + tones


@cache
def lexicon_of(language: Language, *, marked: bool) -> Lexicon:
    """Read once, at the first question. Numbers in words become figures."""
    data = yaml.safe_load(Path(__file__).with_name("same_question.yaml").read_text(encoding="utf-8"))
    known = _Spelling(frozenset(data["ambiguous"].split()), marked=marked)
    same: dict[str, str] = {}
    for line in data["same"][language]:
        _name(same, known, line, line[0])
    for figure, words in data["numbers"][language].items():
        _name(same, known, words, figure)
    for unit in data["units"][language]:
        _name(same, known, [unit], unit)
    names = set(same.values())
    soft = frozenset(form for word in data["soft"][language].split() for form in known.forms(word))
    frames = [form for frame in data["frames"][language] for form in known.forms(frame)]
    kin = {stem(phrase): stem(name) for phrase, name in reversed(same.items()) if phrase.isalpha()}

    def keys(words: Iterable[str]) -> frozenset[str]:
        forms = [form for word in words for form in known.forms(word)]
        named = [same.get(form, form) for form in forms]
        return frozenset(kin.get(stem(word), stem(word)) for word in named)

    return Lexicon(
        known.spell,
        _pattern(frames),
        [_pattern([frame]) for frame in frames],
        [
            (name, _pattern(form for one in patterns for form in known.forms(one)))
            for name, patterns in data["asks"][language].items()
        ],
        _pattern(known.forms(data["what"][language])),
        soft - names,
        keys(data["light"][language].split()),
        keys(data["bare"][language].split()) | soft,
        keys(data["people"][language].split()),
        keys(data["bare"][language].split()) - keys(data["fixed"][language].split()),
        _prepositions(data["before"][language], known) if known.marked or language == "en" else {},
        _prepositions(data["whose"][language], known),
        [(who, _pattern(known.forms(one))) for who, one in data["stands"][language].items()],
        [(who, re.compile("|".join(known.forms(one)))) for who, one in data["subjects"][language].items()],
        frozenset(form for word in data["articles"][language].split() for form in known.forms(word)),
        same,
        kin,
        _pattern(map(re.escape, sorted(same, key=lambda phrase: (-len(phrase.split()), -len(phrase))))),
        [(keys(one["where"]), keys(one["same"])) for one in data["beside"][language]],
    )


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How words of the lists are written where they are compared."""

    ambiguous: frozenset[str]
    marked: bool

    def spell(self, word: str) -> str:
        """A word of a question."""
        return spelt(word) if self.marked else fold(word)

    def forms(self, text: str) -> list[str]:
        """A word, phrase or pattern of the lists: as it is spelt, or as it is typed without diacritics where that is clear."""
        if self.marked:
            return [_PLAIN_WORD.sub(lambda found: spelt(found.group()), text)]
        bare = _PLAIN_WORD.sub(lambda found: fold(found.group()), text)
        return [] if not text.isascii() and bare.replace(" ", "_") in self.ambiguous else [bare]


def _name(same: dict[str, str], known: _Spelling, phrases: Iterable[Any], name: str) -> None:
    joined = fold(name).replace(" ", "_")
    for phrase in phrases:
        for form in known.forms(phrase):
            same.setdefault(form, joined)


def _prepositions(lines: dict[str, str], known: _Spelling) -> dict[str, str]:
    return {form: role for role, words in lines.items() for word in words.split() for form in known.forms(word)}


def _pattern(alternatives: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(alternatives)})\b")
