"""How hard a question is, by rule, in well under a millisecond: simple, medium or complex, and why.

A local language model loses to these rules at this task (measured), and a rule can say its reasons.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from domain.turn import Language, Tier
from models.words import bare, fold, plain

LONGEST = 1_000
"""Characters that are looked at: what stands further back does not make a long message simpler."""


@dataclass(frozen=True, slots=True)
class Feature:
    """What one occurrence adds to the score, and how many of them count."""

    weight: float
    cap: int
    says: str


FEATURES: Mapping[str, Feature] = {
    # A second intent needs a second article and an answer in parts.
    "intents": Feature(0.22, 2, "asks more than one thing"),
    # Each condition picks a branch of a policy; two of them rarely stand in one sentence of an article.
    "conditions": Feature(0.14, 3, "depends on conditions"),
    # Two passages must be read against each other.
    "comparisons": Feature(0.24, 1, "compares"),
    # Small models get sums and dates wrong.
    "computing": Feature(0.24, 2, "has to be worked out"),
    # A list of steps is long, but it is copied from one place.
    "steps": Feature(0.16, 1, "wants steps"),
    # An upset customer forgives no clumsy answer; how many swear words it takes says no more.
    "mood": Feature(0.22, 1, "is upset"),
    # Something went wrong: the answer is a way out, not a fact.
    "troubles": Feature(0.12, 2, "reports a problem"),
    # Counted from the signs, not from words:
    "questions": Feature(0.18, 2, "holds several questions"),
    "figures": Feature(0.10, 2, "names several figures"),
    "shouting": Feature(0.10, 1, "shouts"),
    "length": Feature(0.08, 3, "is long"),
    "history": Feature(0.04, 2, "goes on from earlier turns"),
}
MEDIUM, COMPLEX = 0.20, 0.50
"""One strong feature or two weak ones make a question medium; about three strong ones complex."""

WORDS_OF_A_SIMPLE_QUESTION = 14
WORDS_PER_LENGTH_STEP = 12
VIETNAMESE_WORDS_PER_ENGLISH = 1.3
"""Vietnamese writes a space between syllables: the same sentence has about 1.3 times as many."""
TURNS_PER_HISTORY_STEP = 4

_QUESTION_MARKS = re.compile(r"\?+")
_FIGURES = re.compile(r"(?<![\w#-])\d[\d.,/:]*(?:%|k|\b)")
_SHOUTED = re.compile(r"\b[A-ZÀ-Ỹ]{3,}\b")
_EXCLAIMED = re.compile(r"!!|\?\?|\?!|!\?")
SHOUTED_WORDS = 3


@dataclass(frozen=True, slots=True)
class RouteVerdict:
    """The tier, the score behind it (0..1), and the reasons with what each added, largest first."""

    tier: Tier
    score: float
    why: list[str]


class ComplexityRouter:
    """Judges a question on its words alone; the same question gets the same tier in both languages."""

    def judge(self, question: str, *, language: Language, history: int = 0) -> RouteVerdict:
        """`history` is the number of earlier messages of the thread."""
        question = question[:LONGEST]
        counts = _signs(question, language) | {"history": history // TURNS_PER_HISTORY_STEP}
        words = bare(fold(question))
        for name, pattern in _lexicon()[language].items():
            counts[name] = sum(1 for _ in pattern.finditer(words))
        parts = {
            name: FEATURES[name].weight * min(count, FEATURES[name].cap) for name, count in counts.items() if count > 0
        }
        score = min(1.0, sum(parts.values()))
        tier: Tier = "complex" if score >= COMPLEX else "medium" if score >= MEDIUM else "simple"
        largest = sorted(parts, key=lambda name: -parts[name])
        return RouteVerdict(
            tier,
            round(score, 3),
            [f"{FEATURES[name].says} (+{parts[name]:.2f})" for name in largest] or ["plain question"],
        )


def _signs(question: str, language: Language) -> dict[str, int]:
    """Features that are counted from signs and lengths."""
    words = len(plain(question).split())
    if language == "vi":
        words = round(words / VIETNAMESE_WORDS_PER_ENGLISH)
    shouted = len(_SHOUTED.findall(question))
    return {
        "questions": len(_QUESTION_MARKS.findall(question)) - 1,
        "figures": len(_FIGURES.findall(question)) - 1,
        "shouting": int(shouted >= SHOUTED_WORDS or bool(_EXCLAIMED.search(question))),
        "length": (words - WORDS_OF_A_SIMPLE_QUESTION) // WORDS_PER_LENGTH_STEP + 1
        if words > WORDS_OF_A_SIMPLE_QUESTION
        else 0,
    }


@cache
def _lexicon() -> dict[Language, dict[str, re.Pattern[str]]]:
    """Read once, at the first question."""
    data = yaml.safe_load(Path(__file__).with_name("router.yaml").read_text(encoding="utf-8"))
    return {
        language: {name: re.compile(rf"\b(?:{'|'.join(patterns)})\b") for name, patterns in features.items()}
        for language, features in data.items()
    }
