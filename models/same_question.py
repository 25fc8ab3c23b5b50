"""Whether two questions ask the same, so that one's answer serves for the other: the gate behind likeness of vectors.

Vectors put "does it ship?" beside "does it not ship?". So words decide as well. How a request is wrapped ("I don't
know how to ...") is taken off; of what is left every word that carries meaning must have its counterpart in the other
question, by itself, by its stem, or by a line of synonyms in same_question.yaml. Only light words ("automatically",
"the whole") may be left over: a number, a date, a negation, a name, a product, an action never is. Words that changed
places ("from A to B") are told apart too, and so are "what can I return" and "how can I return".
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

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
WRAPPINGS = 2
"""How often wrappings are taken off: one may stand in another."""

_WORD = re.compile(r"<\w+>|\d+(?:[.,:/-]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)?")
_PLAIN_WORD = re.compile(r"[^\W\d_]+")
_NAME = re.compile(r"(?<=[\w,;'\")] )[^\W\d_a-zà-ỹ]\w*")
_MARKED = re.compile(r"[^\x00-\x7f]")
_APART = re.compile(r"(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'"})
_NEGATED = re.compile(
    r"\b(?:(ca|wo|sha)|(\w+))n't\b|\b(can)not\b|\b(do|does|did|is|was|are|were|has|have|had|could|would|should)nt\b",
    re.IGNORECASE,
)
_IS = re.compile(r"\b(what|where|who|how|when|why|that|there|here|it)'s\b", re.IGNORECASE)
_OWNERS = re.compile(r"'s$")
_STEMS = {"ca": "can", "wo": "will", "sha": "shall"}
_ASKS = re.compile(r"\b(không|khong|chưa|chua|ko|hông|hong|phải không|phai khong)(?=(?:\s+(?:vậy|thế|ạ|a|shop|nhỉ|nhé|ha|vay|the|nhe|em|ad|bạn|ban|ơi|oi)){0,3}\s*(?:[?.!,;]|$))", re.IGNORECASE)  # fmt: skip
_SEPARATORS = re.compile(r"[.,](?=\d{3}(?!\d))")
_ORDERED = re.compile(
    r"\bfrom\b.*\bto\b|\bto\b.*\bfrom\b|\btu\b.*\b(?:den|sang|ve)\b|\b(?:than|before|after|hon|truoc|sau)\b"
)
"""Where places may not be changed: "from A to B", "A before B"."""
_TONES = {"\u0300": "α", "\u0301": "β", "\u0303": "γ", "\u0309": "δ", "\u0323": "ε"}
"""What stands behind a word for its tone: letters, as a combining mark would end the word."""
_MEASURED = frozenset({"how_much", "how_long"})
"""Where these are asked, "what does it cost" and "how much is it" are one."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """The words of a question that carry its meaning, in order. `names`: those written as names.

    `thing`: it asks for a thing ("what", "which").
    """

    words: tuple[str, ...]
    names: frozenset[str]
    ordered: bool
    thing: bool


@dataclass(frozen=True, slots=True)
class _Lexicon:
    """The lists as they are compared: with diacritics, or by letters alone."""

    spell: Callable[[str], str]
    frames: re.Pattern[str]
    what: re.Pattern[str]
    soft: frozenset[str]
    light: frozenset[str]
    same: dict[str, str]
    kin: dict[str, str]
    phrases: re.Pattern[str]
    contexts: Sequence[tuple[frozenset[str], frozenset[str]]]

    def key(self, word: str) -> str:
        """What stands for a word: its line of synonyms, else its stem."""
        cut = stem(word) if word.isascii() else word
        return self.kin.get(cut, cut)

    def beside(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """The same words, those that mean another thing beside one of them under its name."""
        for context, same in self.contexts:
            if context & set(words):
                words = tuple(min(same) if word in same else word for word in words)
        return words


def same_question(stored: str, asked: str, language: Language) -> bool:
    """Whether the words allow that both ask the same. Knows English and Vietnamese, with and without diacritics."""
    # Where one of them is typed without diacritics, "chảo" and "cháo" cannot be told apart: then by letters alone.
    marked = language == "vi" and bool(_MARKED.search(stored)) and bool(_MARKED.search(asked))
    one, two = meaning(stored, language, marked=marked), meaning(asked, language, marked=marked)
    if not one.words or not two.words or one.thing != two.thing:
        return False
    over = _left_over(one.words, two.words)
    names, light = one.names | two.names, _lexicon(language, marked=marked).light
    if len(over) > SURPLUS or any(word in names or word not in light for word in over):
        return False
    return not (one.ordered or two.ordered) or _in_order(one.words, two.words)


def exact_form(question: str) -> str:
    """What two spellings of the same question share: case, spaces and end marks aside."""
    plain = unicodedata.normalize("NFC", question).casefold()
    return " ".join(re.sub(r"[?!.\s]+$", "", plain).split())


@lru_cache(maxsize=KEPT)
def meaning(question: str, language: Language, *, marked: bool = False) -> Meaning:
    """Take a question apart; `marked` compares Vietnamese with its diacritics, else by letters alone."""
    lexicon = _lexicon(language, marked=marked)
    question = question.translate(_QUOTES)
    names = frozenset(lexicon.key(lexicon.spell(name)) for name in _NAME.findall(question))
    text = _IS.sub(r"\1 is", _NEGATED.sub(_negation, _SEPARATORS.sub("", question)))
    text = _ASKS.sub(" ", text)
    tokens = [found.group() for found in _WORD.finditer(_APART.sub(" ", text))]
    plain = " ".join(_OWNERS.sub("", lexicon.spell(token)) for token in tokens)
    ordered = bool(_ORDERED.search(fold(" ".join(tokens))))
    for _ in range(WRAPPINGS):
        plain = " ".join(lexicon.frames.sub(" ", plain).split()) or plain
    merged = lexicon.phrases.sub(lambda found: lexicon.same[found.group()], plain)
    words = lexicon.beside(tuple(lexicon.key(word) for word in merged.split() if word not in lexicon.soft))
    return Meaning(words, names, ordered, bool(lexicon.what.search(merged)) and not _MEASURED & set(words))


def _negation(found: re.Match[str]) -> str:
    irregular, regular, can, bare = found.groups()
    return f"{_STEMS[irregular.lower()] if irregular else regular or can or bare} not"


def spelt(word: str) -> str:
    """A Vietnamese word with its tone behind it, so that "hủy" and "huỷ" are one; lower case."""
    parts = unicodedata.normalize("NFD", word.lower())
    tones = "".join(_TONES[mark] for mark in parts if mark in _TONES)
    return unicodedata.normalize("NFC", "".join(mark for mark in parts if mark not in _TONES)) + tones


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
def _lexicon(language: Language, *, marked: bool) -> _Lexicon:
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
    kin = {stem(phrase): stem(name) for phrase, name in reversed(same.items()) if phrase.isalpha()}

    def keys(words: Iterable[str]) -> frozenset[str]:
        forms = [form for word in words for form in known.forms(word)]
        named = [same.get(form, form) for form in forms]
        return frozenset(kin.get(stem(word), stem(word)) for word in named)

    return _Lexicon(
        known.spell,
        _pattern([form for frame in data["frames"][language] for form in known.forms(frame)]),
        _pattern(known.forms(data["what"][language])),
        frozenset(form for word in data["soft"][language].split() for form in known.forms(word)) - names,
        keys(data["light"][language].split()),
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
        """A word, phrase or pattern of the lists: as it is spelt, and as it is typed without diacritics where that is clear."""
        bare = _PLAIN_WORD.sub(lambda found: fold(found.group()), text)
        forms = [_PLAIN_WORD.sub(lambda found: spelt(found.group()), text)] if self.marked else []
        return forms if text.isalpha() and not text.isascii() and bare in self.ambiguous else [*forms, bare]


def _name(same: dict[str, str], known: _Spelling, phrases: Iterable[Any], name: str) -> None:
    joined = fold(name).replace(" ", "_")
    for phrase in phrases:
        for form in known.forms(phrase):
            same.setdefault(form, joined)


def _pattern(alternatives: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(alternatives)})\b")
