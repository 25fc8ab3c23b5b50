"""Whether two questions ask the same, so that one's answer serves for the other: the gate behind likeness of vectors.

Vectors put "does it ship?" beside "does it not ship?". So words decide as well: every word that carries
meaning must have its counterpart in the other question, by itself or by a line of synonyms in
same_question.yaml. Only light words ("automatically", "the whole") may be left over: a number, a date, a
negation, a name, a product, an action never is. Words that changed places ("from A to B") are told apart too.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import yaml

from domain.turn import Language
from domain.words import fold, stem

SURPLUS = 3
"""Light words that may be left over on both sides together."""
LEAST_KIN = 5
"""Letters that two forms of one word ("bibliographic", "bibliographical") begin with alike."""
KEPT = 4_096
"""Questions that are remembered taken apart: each is compared with up to twenty others, which come again."""
ENDING = 4
"""Letters by which forms of one word may differ at the end."""

_WORD = re.compile(r"<\w+>|\d+(?:[.,:/-]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)?")
_NAME = re.compile(r"(?<=[\w,;'\")] )[^\W\d_a-zà-ỹ]\w*")
_MARKED = re.compile(r"[^\x00-\x7f]")
_APART = re.compile(r"(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)")
_NEGATED = re.compile(r"\b(\w+)n['’]t\b|\b(can)not\b", re.IGNORECASE)
_ASKS = re.compile(r"\b(không|khong|chưa|chua|ko|hông|hong|phải không|phai khong)(?=\s*(?:vậy|ạ|a|shop|nhỉ|nhé|ha|vay|nhe|em|ad)?\s*(?:[?.!,;]|$))", re.IGNORECASE)  # fmt: skip
_SEPARATORS = re.compile(r"[.,](?=\d{3}(?!\d))")
_ORDERED = re.compile(
    r"\bfrom\b.*\bto\b|\bto\b.*\bfrom\b|\btu\b.*\b(?:den|sang|ve)\b|\b(?:than|before|after|hon|truoc|sau)\b"
)
"""Where places may not be changed: "from A to B", "A before B"."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """The words of a question that carry its meaning, in order. `names`: those written as names."""

    words: tuple[str, ...]
    names: frozenset[str]
    ordered: bool


@dataclass(frozen=True, slots=True)
class _Lexicon:
    soft: frozenset[str]
    light: frozenset[str]
    same: dict[str, str]
    phrases: re.Pattern[str]


def same_question(stored: str, asked: str, language: Language) -> bool:
    """Whether the words allow that both ask the same. Knows English and Vietnamese, with and without diacritics."""
    # Where one of them is typed without diacritics, "chảo" and "cháo" cannot be told apart: then by letters alone.
    marked = bool(_MARKED.search(stored)) and bool(_MARKED.search(asked))
    one, two = meaning(stored, language, marked=marked), meaning(asked, language, marked=marked)
    if not one.words or not two.words:
        return False
    over = _left_over(one.words, two.words)
    names, light = one.names | two.names, _lexicon(language).light
    if len(over) > SURPLUS or any(word in names or word not in light for word in over):
        return False
    return not (one.ordered or two.ordered) or _in_order(one.words, two.words)


def exact_form(question: str) -> str:
    """What two spellings of the same question share: case, spaces and end marks aside."""
    plain = unicodedata.normalize("NFC", question).casefold()
    return " ".join(re.sub(r"[?!.\s]+$", "", plain).split())


@lru_cache(maxsize=KEPT)
def meaning(question: str, language: Language, *, marked: bool = True) -> Meaning:
    """Take a question apart; `marked` False compares Vietnamese by letters without diacritics."""
    lexicon = _lexicon(language)
    names = frozenset(_key(name, lexicon, marked=marked) for name in _NAME.findall(question))
    text = _ASKS.sub(" ", _NEGATED.sub(r"\1\2 not", _SEPARATORS.sub("", question)))
    text = _APART.sub(" ", text)
    tokens = [found.group() for found in _WORD.finditer(text)]
    folded = " ".join(fold(token).replace("'s", "") for token in tokens)
    merged = lexicon.phrases.sub(lambda found: lexicon.same[found.group()], folded)
    # A phrase is known by its letters; of all else the diacritics are kept where both sides have them.
    spelt = {fold(token): unicodedata.normalize("NFC", token.lower()) for token in tokens} if marked else {}
    words = tuple(
        spelt.get(word, word) if _is_vietnamese(spelt.get(word, word)) else stem(word)
        for word in merged.split()
        if word not in lexicon.soft
    )
    return Meaning(words, names, bool(_ORDERED.search(folded)))


def _key(name: str, lexicon: _Lexicon, *, marked: bool) -> str:
    low = unicodedata.normalize("NFC", name.lower())
    return low if marked and _is_vietnamese(low) else stem(lexicon.same.get(fold(name), fold(name)))


def _is_vietnamese(word: str) -> bool:
    return not word.isascii()


def _left_over(one: Iterable[str], two: Iterable[str]) -> list[str]:
    """Words of either without a counterpart in the other; how often a word stands does not count."""
    left, right = set(one), set(two)
    only_left, only_right = sorted(left - right), sorted(right - left)
    for word in list(only_left):
        kin = next((other for other in only_right if _kin(word, other)), None)
        if kin is not None:
            only_left.remove(word)
            only_right.remove(kin)
    return only_left + only_right


def _kin(one: str, two: str) -> bool:
    """Two forms of one word: a common beginning and a short different end. Never a figure."""
    if not (one.isalpha() and two.isalpha() and one.isascii() and two.isascii()):
        return False
    shared = next(
        (place for place, pair in enumerate(zip(one, two, strict=False)) if pair[0] != pair[1]), min(len(one), len(two))
    )
    return (
        shared >= LEAST_KIN
        and max(len(one), len(two)) - shared <= ENDING
        and shared >= max(len(one), len(two)) // 2 + 1
    )


def _in_order(one: tuple[str, ...], two: tuple[str, ...]) -> bool:
    """Whether the words that both have stand in the same order."""
    left = [word for word in one if word in two]
    right = [word for word in two if word in one]
    return left == right


@cache
def _lexicon(language: Language) -> _Lexicon:
    """Read once, at the first question. Numbers in words become figures."""
    data = yaml.safe_load(Path(__file__).with_name("same_question.yaml").read_text(encoding="utf-8"))
    same: dict[str, str] = {}
    for line in data["same"]:
        for phrase in line:
            same.setdefault(phrase, line[0].replace(" ", "_"))
    for figure, spelt in data["numbers"].items():
        same |= dict.fromkeys(spelt, figure)
    for phrase in ("how long", "how much", "how many", *_spaced(data["hard"][language])):
        same.setdefault(phrase, phrase.replace(" ", "_"))
    longest_first = sorted(same, key=lambda phrase: (-len(phrase.split()), -len(phrase)))
    phrases = re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b")
    soft, hard = frozenset(data["soft"][language].split()), frozenset(data["hard"][language].split())
    # A line of synonyms is named by its first phrase, which may hold a word that is light by itself.
    light = frozenset(stem(same.get(word, word)) for word in data["light"][language].split())
    return _Lexicon(soft - hard, light - {stem(same.get(word, word)) for word in hard}, same, phrases)


def _spaced(hard: str) -> list[str]:
    return [word.replace("_", " ") for word in hard.split() if "_" in word]
