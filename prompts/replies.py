"""What the desk says without a model: refusals, don't-knows, handoffs, small talk, in both languages."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import get_args

import yaml

from domain.errors import DeskError, UsageError
from domain.profile import Contact, DeskProfile, Localised
from domain.turn import Language
from prompts.templates import fill, names_in

DEFAULTS = Path(__file__).parent / "replies.yaml"
OVERRIDES = {
    "refuse": ("out_of_scope", "injection", "malicious"),
    "dont_know": ("low_confidence", "ungrounded"),
    "handoff": ("customer_asked", "repeated_dont_know"),
    "greeting": ("greeting",),
}
"""Which replies a text of desk.yaml stands for. The others say something that its one text would not."""

FROM_THE_DESK = ("desk", "email", "phone", "hours")
FROM_THE_CALLER = ("department", "reset")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")

Sentences = tuple[str, ...]


class Replies:
    """The polite texts of one desk. A sentence whose variable is empty for this desk is left out."""

    def __init__(self, profile: DeskProfile) -> None:
        self._values = {
            "desk": profile.name,
            "email": profile.contact.email,
            "phone": profile.contact.phone,
        }
        self._hours = {language: _hours(profile.contact, language) for language in get_args(Language)}
        self._texts = dict(_defaults())
        for name, keys in OVERRIDES.items():
            own: Localised = getattr(profile.texts, name)
            for language in get_args(Language):
                if text := own.in_language(language):
                    sentences = _checked(tuple(SENTENCE_END.split(text.strip())), where=f"desk.yaml: texts.{name}")
                    self._texts |= {(key, language): sentences for key in keys}

    def text(self, key: str, language: Language, **variables: str) -> str:
        """The reply for a reason or a kind of small talk. Raises UsageError for an unknown key or variable."""
        sentences = self._texts.get((key, language))
        if sentences is None:
            raise UsageError(f"no reply {key!r}", where="replies", fix=f"there are {', '.join(self.keys())}")
        if unknown := sorted(set(variables) - set(FROM_THE_CALLER)):
            raise UsageError(f"variable {unknown[0]} is unknown", where=f"reply {key}")
        values = self._values | {"hours": self._hours[language]} | dict.fromkeys(FROM_THE_CALLER, "") | variables
        return " ".join(fill(sentence, values) for sentence in sentences if _complete(sentence, values))

    def keys(self) -> list[str]:
        """What can be replied to."""
        return sorted({key for key, _ in self._texts})


def _hours(contact: Contact, language: Language) -> str:
    """Office hours with their time zone, where desk.yaml says it."""
    zone = contact.timezone if "timezone" in contact.model_fields_set else ""
    hours = contact.hours.in_language(language)
    return f"{hours} ({zone})" if hours and zone else hours


@cache
def _defaults() -> Mapping[tuple[str, Language], Sentences]:
    read: Mapping[str, Mapping[Language, list[str]]] = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))
    return {
        (key, language): _checked(tuple(sentences), where=f"replies.yaml: {key}")
        for key, languages in read.items()
        for language, sentences in languages.items()
    }


def _checked(sentences: Sentences, *, where: str) -> Sentences:
    known = {*FROM_THE_DESK, *FROM_THE_CALLER}
    for sentence in sentences:
        try:
            names = names_in(sentence, where=where)
        except UsageError as fault:
            raise DeskError(fault.what, where=fault.where, fix=fault.fix) from fault
        if unknown := sorted(set(names) - known):
            raise DeskError(f"variable {unknown[0]} is unknown", where=where, fix=f"one of {', '.join(sorted(known))}")
    return sentences


def _complete(sentence: str, values: Mapping[str, str]) -> bool:
    return all(values[name] for name in names_in(sentence, where="replies"))
