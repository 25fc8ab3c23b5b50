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
    # Another question needs another place to look, and an answer in parts. Counted by clause, the first is free.
    "asks": Feature(0.20, 3, "asks several things"),
    # The customer counts their matters themselves.
    "intents": Feature(0.22, 2, "brings several matters"),
    # Each condition of this customer's case picks a branch of a policy.
    "conditions": Feature(0.20, 2, "depends on conditions"),
    # Two passages must be read against each other.
    "comparisons": Feature(0.24, 1, "compares"),
    # Small models get sums and dates wrong.
    "computing": Feature(0.24, 1, "has to be worked out"),
    # A procedure has an order that must not be lost.
    "steps": Feature(0.20, 1, "wants steps"),
    # An upset customer forgives no clumsy answer; how many swear words it takes says no more.
    "mood": Feature(0.26, 1, "is upset"),
    # Something went wrong: the answer is a way out, not a fact.
    "troubles": Feature(0.20, 1, "reports a problem"),
    # Counted from the signs, not from words:
    "figures": Feature(0.10, 2, "names several figures"),
    "shouting": Feature(0.10, 1, "shouts"),
    "length": Feature(0.06, 3, "is long"),
    # Facts of a case that have to be held together.
    "story": Feature(0.10, 2, "tells several things"),
    "history": Feature(0.04, 2, "goes on from earlier turns"),
}
MEDIUM, COMPLEX = 0.20, 0.45
"""One feature makes a question medium, two strong ones or three weak ones complex."""

WORDS_OF_A_SIMPLE_QUESTION = 14
WORDS_PER_LENGTH_STEP = 12
VIETNAMESE_WORDS_PER_ENGLISH = 1.3
"""Vietnamese writes a space between syllables: the same sentence has about 1.3 times as many."""
TURNS_PER_HISTORY_STEP = 4
WORDS_OF_A_FACT, FACTS_FREE = 2, 3
"""Clauses of so many words that a message may have before it is a story."""

_CLAUSE = re.compile(r"[.,;:?!\n]+|\b(?:and|va)\b(?=\s)")
"""Where one question may end and the next begin; "va" is folded "và"."""
_FIGURES = re.compile(r"(?<![\w#-])(?<!tháng )(?<!thang )\d[\d.,/:]*(?:%|k|st|nd|rd|th|\b)")
"""Figures; a Vietnamese month is one by its name, as an English one."""
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
        counts = signals(question, language) | {"history": history // TURNS_PER_HISTORY_STEP}
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


def signals(question: str, language: Language) -> dict[str, int]:
    """How often each feature of `FEATURES` occurs in the question itself, below 1 where it does not."""
    question = question[:LONGEST]
    folded, counts = fold(question), _signs(question, language)
    words = bare(folded)
    for name, pattern in _lexicon()[language].items():
        if name == "asks":
            clauses = (bare(clause) for clause in _CLAUSE.split(folded))
            counts[name] = sum(bool(pattern.search(clause)) for clause in clauses) - 1
        else:
            counts[name] = sum(1 for _ in pattern.finditer(words))
    # Friendly words around a plain question are no story.
    plain_question = not any(counts[name] > 0 for name in _lexicon()[language])
    return counts | ({"story": 0} if plain_question else {})


def _signs(question: str, language: Language) -> dict[str, int]:
    """Features that are counted from signs and lengths."""
    words = len(plain(question).split())
    if language == "vi":
        words = round(words / VIETNAMESE_WORDS_PER_ENGLISH)
    shouted = len(_SHOUTED.findall(question))
    return {
        "figures": len(_FIGURES.findall(question)) - 1,
        "shouting": int(shouted >= SHOUTED_WORDS or bool(_EXCLAIMED.search(question))),
        "length": (words - WORDS_OF_A_SIMPLE_QUESTION) // WORDS_PER_LENGTH_STEP + 1
        if words > WORDS_OF_A_SIMPLE_QUESTION
        else 0,
        "story": sum(len(clause.split()) >= WORDS_OF_A_FACT for clause in _CLAUSE.split(fold(question))) - FACTS_FREE,
    }


@cache
def _lexicon() -> dict[Language, dict[str, re.Pattern[str]]]:
    """Read once, at the first question."""
    data = yaml.safe_load(Path(__file__).with_name("router.yaml").read_text(encoding="utf-8"))
    return {
        language: {name: re.compile(rf"\b(?:{'|'.join(patterns)})\b") for name, patterns in features.items()}
        for language, features in data.items()
    }
