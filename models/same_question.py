"""Whether two questions ask the same, so that one's answer serves for the other: the gate behind likeness of vectors.

Vectors put "does it ship?" beside "does it not ship?". So words decide as well. How a request is wrapped ("I don't
know how to ...") is taken off; of what is left every word that carries meaning must have its counterpart in the other
question, by itself, by its stem, or by a line of synonyms in same_question.yaml. Only light words ("automatically",
"the whole") may be left over: a number, a date, a negation, a name, a product, an action never is. Words that changed
places ("from A to B") are told apart too, and so are "what can I return" and "how can I return", "do I need a visa" and
"can I get a visa", and by models/question_shape.py who does it to whom.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from domain.turn import Language
from domain.words import fold
from models.question_shape import Shape, agree, first_person, roles
from models.question_words import YES_OR_NO, Lexicon, lexicon_of

SURPLUS = 3
"""Light words that may be left over on both sides together."""
ORDERED = 3
"""So many words of both stand in one order: "does the ticket include a bag". English may turn two about ("is my data
encrypted", "do you encrypt my data"), Vietnamese none.
"""
LEAST_KIN = 5
"""Letters that two forms of one word ("bibliographic", "bibliographical") begin with alike."""
KEPT = 4_096
"""Questions that are remembered taken apart: each is compared with up to twenty others, which come again."""
ENDING = 4
"""Letters by which forms of one word may differ at the end."""
YET = "qyet"
"""The same of "chưa": whether something has happened, which is not whether it may."""
THERE_IS = "there_is"
WRAPPINGS = 2
"""How often wrappings are taken off: one may stand in another."""

_WORD = re.compile(r"<\w+>|\d+(?:[.,:/-]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)?")
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
    r"\bfrom\b.*\bto\b|\bto\b.*\bfrom\b|\btu\b.*\b(?:den|sang|ve|di|ra|vao|toi)\b|\b(?:than|before|after|hon|truoc|sau)\b"
)
"""Where places may not be changed: "from A to B", "A before B"."""
_TO_DO = re.compile(r"\b(?:how|ways?|want|wish|need|have|like|able|possible|try|trying|going|allowed|need|order) to\b")
"""Where "to" leads to nothing but a verb."""
_TOLD = re.compile(r"\b(?:tell|show|help|assist|advise|guide|explain|give|let|teach|inform)(?: to)? (?:me|us)\b")
_MEASURED = frozenset({"how_much", "how_long", "how_far", "how_many", "deadline"})
"""Where these are asked, "what does it cost" and "how much is it" are one."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """The words of a question that carry its meaning, in order. `names`: those written as names.

    `firm`: those that have no counterpart but themselves, as figures, and may not be left over.
    `thing`: it asks for a thing ("what", "which"). `empty`: it names nothing that is asked about.
    """

    words: tuple[str, ...]
    names: frozenset[str]
    ordered: bool
    thing: bool
    empty: bool
    shape: Shape
    firm: frozenset[str]


@dataclass(frozen=True, slots=True)
class Compared:
    """How two questions differ. `over`: words that carry meaning and have no counterpart, `light` others.

    `fits`: nothing else tells them apart: who does it, what it asks for, the order of the words.
    """

    left: int
    right: int
    light: int
    common: int
    fits: bool

    @property
    def over(self) -> int:
        """On both sides together."""
        return self.left + self.right

    @property
    def counts(self) -> tuple[int, ...]:
        """As numbers to learn from."""
        return (self.left, self.right, min(self.left, self.right), self.light, self.common, int(self.fits))


def same_question(stored: str, asked: str, language: Language) -> bool:
    """Whether the words allow that both ask the same. Knows English and Vietnamese, with and without diacritics."""
    marked = _marked(stored, asked, language)
    if meaning(stored, language, marked=marked).firm != meaning(asked, language, marked=marked).firm:
        return False  # most that lie near: the same question about another sum; `compared` would say so too, in ten times as long
    found = compared(stored, asked, language)
    return found.fits and not found.over and found.light <= SURPLUS


def compared(stored: str, asked: str, language: Language) -> Compared:
    """Hold the words of two questions against each other."""
    marked = _marked(stored, asked, language)
    one, two = meaning(stored, language, marked=marked), meaning(asked, language, marked=marked)
    names, light = one.names | two.names, lexicon_of(language, marked=marked).light
    over = _left_over(one.words, two.words)
    hard = [word for word in over if word in names or word not in light]
    left = sum(word in one.words for word in hard)
    both = frozenset(one.words) & frozenset(two.words)
    fits = not (one.empty or two.empty) and one.thing == two.thing and agree(one.shape, two.shape, both)
    if fits:
        first, second = _fixed(one, two, language, marked=marked)
        free = language == "en" and len(first) < ORDERED and not (one.ordered or two.ordered)
        fits = free or first == second
    return Compared(left, len(hard) - left, len(over) - len(hard), len(both), fits)


def _marked(stored: str, asked: str, language: Language) -> bool:
    """Whether two questions are read with their diacritics."""
    # Where one of them is typed without diacritics, "chảo" and "cháo" cannot be told apart: then by letters alone.
    return language == "vi" and bool(_MARKED.search(stored)) and bool(_MARKED.search(asked))


def exact_form(question: str) -> str:
    """What two spellings of the same question share: case, spaces and end marks aside."""
    plain = unicodedata.normalize("NFC", question).casefold()
    return " ".join(re.sub(r"[?!.\s]+$", "", plain).split())


@lru_cache(maxsize=KEPT)
def meaning(question: str, language: Language, *, marked: bool = False) -> Meaning:
    """Take a question apart; `marked` compares Vietnamese with its diacritics, else by letters alone."""
    lexicon = lexicon_of(language, marked=marked)
    question = question.translate(_QUOTES)
    names = frozenset(lexicon.key(lexicon.spell(name)) for name in _NAME.findall(question))
    text = _IS.sub(r"\1 is", _NEGATED.sub(_negation, _SEPARATORS.sub("", question)))
    text = _ASKS.sub(lambda asked: f" {YET if fold(asked.group()) == 'chua' else YES_OR_NO} ", text)
    plain = _spelt_out(_APART.sub(" ", text), lexicon)
    first = first_person(_TOLD.sub(" ", plain))
    subjects = frozenset(who for who, pattern in lexicon.subjects if pattern.search(plain))
    for _ in range(WRAPPINGS):
        if not lexicon.is_framed(plain):
            break
        plain = " ".join(lexicon.frames.sub(" ", plain).split()) or plain
    for name, pattern in lexicon.asks:
        plain = pattern.sub(f" {name} ", plain)
    merged = lexicon.phrases.sub(lambda found: lexicon.same[found.group()], plain)
    read = [word if word in lexicon.soft else lexicon.key(word) for word in merged.split() if word != YES_OR_NO]
    words = lexicon.beside(tuple(word for word in read if word not in lexicon.soft))
    measured = not _MEASURED.isdisjoint(words)
    if measured:
        # "Is there a fee" asks how much it is.
        words = tuple(word for word in words if word != THERE_IS)
    figures = sum(word[0].isdigit() for word in words)
    return Meaning(
        words,
        names,
        figures > 1 or not lexicon.people.isdisjoint(words) or bool(_ORDERED.search(_TO_DO.sub(" ", fold(plain)))),
        not measured and bool(lexicon.what.search(merged)),
        lexicon.bare.issuperset(words),
        Shape(
            first,
            tuple(roles(read, lexicon.before, lexicon.articles, lexicon.soft).items()),
            tuple(roles(read, lexicon.whose, frozenset(), lexicon.soft).items()),
            frozenset(who for who, pattern in lexicon.stands if pattern.search(plain)),
            subjects,
        ),
        frozenset(word for word in words if word not in lexicon.light and not _has_forms(word)),
    )


def _spelt_out(text: str, lexicon: Lexicon) -> str:
    """The words of a question as the lists know them; of those in capitals, "US" is no "us"."""
    loud, words = text.isupper(), []
    for found in _WORD.finditer(text):
        word, plain = found.group(), _OWNERS.sub("", lexicon.spell(found.group()))
        named = word.isupper() and len(word) > 1 and not loud and plain in lexicon.soft
        words.append(f"{plain}_" if named else plain)
    return " ".join(words)


def _negation(found: re.Match[str]) -> str:
    irregular, regular, can, bare = found.groups()
    return f"{_STEMS[irregular.lower()] if irregular else regular or can or bare} not"


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


def _has_forms(word: str) -> bool:
    return word.isalpha() and word.isascii()


def _kin(one: str, two: str) -> bool:
    """Two forms of one word: a common beginning and a short different end. Never a figure."""
    if not (_has_forms(one) and _has_forms(two)):
        return False
    shared = next(
        (place for place, pair in enumerate(zip(one, two, strict=False)) if pair[0] != pair[1]), min(len(one), len(two))
    )
    return (
        shared >= LEAST_KIN
        and max(len(one), len(two)) - shared <= ENDING
        and shared >= max(len(one), len(two)) // 2 + 1
    )


def _fixed(one: Meaning, two: Meaning, language: Language, *, marked: bool) -> tuple[list[str], list[str]]:
    """The words that both have, in their order in each, without those that may stand anywhere.

    Those are what asks ("when", "how much") and where it is ("in Google Docs").
    """
    lexicon = lexicon_of(language, marked=marked)
    placed = {word for word, role in (*one.shape.roles, *two.shape.roles) if role in ("place", "surface")}
    both = {*one.words} & {*two.words} - lexicon.floating - placed
    return [word for word in dict.fromkeys(one.words) if word in both], [
        word for word in dict.fromkeys(two.words) if word in both
    ]
