"""What desk.yaml says of how and when the business can be reached, as a passage beside those of the articles.

It lies in no version of the knowledge, so that what desk.yaml says now is what is answered. It is found by the words
that such questions have in any business (contact.yaml). A question that says nothing else is answered by it alone. One that
says more ("of your showroom"), or names a day of which only an article knows whether it is open, is for the articles,
and the contact stands behind them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import yaml

from domain.ports import Found
from domain.profile import Contact
from domain.turn import Language, Passage
from domain.words import SENTENCE_END, fold
from retrieval.language import detect_language
from retrieval.text import WORD

Subject = Literal["hours", "phone", "email", "reach"]
ARTICLE = "desk.yaml: contact"
"""What a source of this passage is called."""
SURE = 0.95
"""Confidence of a question that asks for nothing but what the passage says."""
PLAIN = re.compile(r"(?<![\\a-z])[a-z]+")
"""The words of a pattern."""
LONGEST = 160
"""Characters of a question beyond which it surely says more."""


@dataclass(frozen=True, slots=True)
class _Lexicon:
    """One language of contact.yaml, compiled."""

    asks: dict[Subject, re.Pattern[str]]
    around: frozenset[str]
    own: re.Pattern[str]
    days: re.Pattern[str]
    open: re.Pattern[str]
    title: str
    says: dict[Subject, str]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a question wants to know. `days` it names; `more`: words that are about something else."""

    language: Language
    subjects: list[Subject]
    days: list[str]
    more: list[str]


class DeskContact:
    """The contact of one desk, as a passage for the questions that ask for it."""

    def __init__(self, contact: Contact, languages: Sequence[Language], name: str = "") -> None:
        """`name`: the business's own; its words in a question change nothing."""
        self._contact, self._languages = contact, languages
        self._name = frozenset(_plain(name).split())

    def answers(self, question: str) -> bool:
        """Whether the question asks for nothing but what desk.yaml says."""
        asked = self._asked(question)
        return asked is not None and not asked.more and self._passage(asked) is not None

    def beside(self, question: str, found: Found, k: int) -> Found:
        """What was found, with the contact where the question asks for it: `k` passages at most."""
        asked = self._asked(question)
        passage = self._passage(asked) if asked else None
        if asked is None or passage is None:
            return found
        if asked.more or self._knows_better(asked, found.passages):
            last = min((one.score for one in found.passages), default=0.0)
            return replace(found, passages=[*found.passages[: k - 1], replace(passage, score=last)])
        return replace(found, passages=[passage], confidence=max(SURE, found.confidence), alike=None)

    def _asked(self, question: str) -> _Asked | None:
        text = _plain(question[: LONGEST + 1])
        if len(question) > LONGEST or any(_lexicon(language).own.search(text) for language in get_args(Language)):
            return None
        read = [one for language in get_args(Language) if (one := _read(text, language, self._name))]
        bare = [one for one in read if not one.more]
        # "hotline" and "mail" are words of both languages: where nothing else is said, or more, the look of it tells.
        if len(bare) != 1:
            spoken = self._languages[0] if len(self._languages) == 1 else detect_language(question)
            bare = [one for one in bare or read if one.language == spoken]
        return bare[0] if bare else None

    def _passage(self, asked: _Asked) -> Passage | None:
        """The sentences that answer; None where desk.yaml does not say one of them."""
        language = asked.language if asked.language in self._languages else self._languages[0]
        values = self._values(language)
        wanted: list[Subject] = [subject for subject in asked.subjects if subject != "reach"]
        if "reach" in asked.subjects and (values["phone"] or values["email"]):
            wanted = [subject for subject in ("phone", "email", "hours") if values[subject]]
        elif "phone" in wanted and "hours" not in wanted and values["hours"]:
            wanted.append("hours")  # who can be called, wants to know when
        said = _lexicon(language)
        if not wanted or not all(values[subject] for subject in wanted):
            return None
        text = " ".join(said.says[subject].format(**values) for subject in wanted)
        return Passage(f"{ARTICLE}#{language}", ARTICLE, said.title, text, 1.0, language=language)

    def _values(self, language: Language) -> dict[str, str]:
        hours = self._contact.hours.in_language(language)
        zone = self._contact.timezone if "timezone" in self._contact.model_fields_set else ""
        return {
            "hours": f"{hours} ({zone})" if hours and zone else hours,
            "phone": self._contact.phone,
            "email": self._contact.email,
        }

    def _knows_better(self, asked: _Asked, passages: Sequence[Passage]) -> bool:
        """Whether an article says of a day, in one sentence, whether it is open, where the contact names no such day."""
        said = _plain(self._contact.hours.in_language(asked.language))
        days = [day for day in asked.days if not _holds(said, day)]
        texts = (_plain(text) for one in passages for text in SENTENCE_END.split(one.text)) if days else ()
        return any(any(_holds(text, day) for day in days) and _speaks_of_hours(text) for text in texts)


def _read(text: str, language: Language, name: frozenset[str]) -> _Asked | None:
    said = _lexicon(language)
    subjects: list[Subject] = [subject for subject, pattern in said.asks.items() if pattern.search(text)]
    if not subjects:
        return None
    days = said.days.findall(text)
    around = said.around | name
    return _Asked(language, subjects, days, [word for word in said.days.sub(" ", text).split() if word not in around])


def _speaks_of_hours(text: str) -> bool:
    return any(_lexicon(language).open.search(text) for language in get_args(Language))


def _holds(text: str, day: str) -> bool:
    return re.search(rf"\b{re.escape(day.removesuffix('s'))}s?\b", text) is not None


def _plain(text: str) -> str:
    """Folded words with single blanks; "what's" is "what"."""
    return " ".join(re.split("['’]", word)[0] for word in WORD.findall(fold(text)))


@cache
def _lexicon(language: Language) -> _Lexicon:
    """Read once, at the first question."""
    data = yaml.safe_load(Path(__file__).with_name("contact.yaml").read_text(encoding="utf-8"))[language]
    return _Lexicon(
        asks={subject: _any(patterns) for subject, patterns in data["asks"].items()},
        around=frozenset(data["around"].split()).union(
            *(PLAIN.findall(one) for part in data["asks"].values() for one in part)
        ),
        own=re.compile(rf"\b(?:{data['not']})"),
        days=_any(data["days"]),
        open=_any(data["open"]),
        title=data["title"],
        says=data["says"],
    )


def _any(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile(
        rf"\b(?:{'|'.join(f'(?:{pattern})' for pattern in patterns)})\b".replace("(", "(?:").replace("(?:?:", "(?:")
    )
