"""The rules of the business, from desk.yaml, on both sides.

forbid and redirect: a text in which a pattern is found is refused with the rule's own words (the verdict is named
`domain_rules:<id>`). require: an answer in which no pattern is found gets the rule's text appended. Patterns are
the operator's: each match has a time limit, and one that runs over it is named in health.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import regex  # type: ignore[import-untyped]  # has no types of its own

from domain.errors import DeskError, GuardFaultError
from domain.profile import DeskProfile, Rule
from guards.base import DeskView, Example, Finding, Inspected, guard

TIMEOUT = 0.05
"""Seconds of its own processor time that one pattern may take on one text."""

EXAMPLES = (Example("Any text at a desk without rules.", "pass"),)


@dataclass(frozen=True, slots=True)
class _Compiled:
    rule: Rule
    patterns: Sequence[Any]  # regex.Pattern; the package's stubs leave `timeout` out

    def found_in(self, text: str) -> bool:
        """Whether a pattern matches. Raises GuardFaultError when one takes too long."""
        for number, pattern in enumerate(self.patterns, start=1):
            try:
                if _search(pattern, text):
                    return True
            except TimeoutError as fault:
                what = f"pattern {number} takes longer than {TIMEOUT * 1000:.0f} ms on a text"
                fix = "it backtracks; bound its repetitions"
                raise GuardFaultError(what, where=f"rule {self.rule.id}", fix=fix) from fault
        return False


def _search(pattern: Any, text: str) -> bool:
    """Whether `pattern` matches within TIMEOUT. Raises TimeoutError.

    The package counts what every thread of the process used meanwhile: under load a harmless pattern would run out of
    time that others spent. It is given twice as long until it has used TIMEOUT itself.
    """
    allowed = TIMEOUT
    while True:
        began = time.thread_time()
        try:
            return bool(pattern.search(text, timeout=allowed))
        except TimeoutError:
            if time.thread_time() - began >= TIMEOUT:
                raise
            allowed *= 2


@guard("both", 20)
class DomainRules:
    """Refuses what a rule forbids, appends what a rule requires."""

    def __init__(self, desk: DeskView) -> None:
        self._input, self._output = (_compiled(desk.profile, side) for side in ("input", "output"))

    def check(self, seen: Inspected) -> Finding | None:
        for each in self._input if seen.evidence is None else self._output:
            if each.rule.kind != "require" and each.found_in(seen.text):
                return Finding("block", "domain_rule", 1.0, part=each.rule.id)
        return self._completed(seen) if seen.evidence is not None and seen.evidence.whole else None

    def _completed(self, seen: Inspected) -> Finding | None:
        assert seen.evidence is not None  # only answers are completed
        missing = [each.rule for each in self._output if each.rule.kind == "require" and not each.found_in(seen.text)]
        if not missing:
            return None
        texts = [rule.text.in_language(seen.evidence.language) for rule in missing]
        text = "\n\n".join([seen.original.rstrip(), *texts])
        return Finding("mask", "completed", 1.0, text, part=missing[0].id)


def _compiled(profile: DeskProfile, side: str) -> list[_Compiled]:
    """The rules of one side. Raises DeskError for a pattern that is no regular expression."""
    return [_compile(rule) for rule in profile.rules if rule.side in (side, "both")]


def _compile(rule: Rule) -> _Compiled:
    patterns = []
    for number, pattern in enumerate(rule.patterns, start=1):
        try:
            patterns.append(regex.compile(pattern, regex.IGNORECASE | regex.MULTILINE))
        except regex.error as fault:
            where = f"desk.yaml: rules: {rule.id}: patterns[{number}]"
            raise DeskError(f"no regular expression: {fault}", where=where, fix="mend the pattern") from fault
    return _Compiled(rule, patterns)


def desk_texts(profile: DeskProfile) -> list[str]:
    """What the desk itself says to customers: its contact, its rules' and its fixed texts."""
    contact = profile.contact
    texts = profile.texts
    localised = [rule.text for rule in profile.rules]
    localised += [texts.refuse, texts.dont_know, texts.handoff, texts.greeting]
    spoken = [text for each in localised for text in (each.en, each.vi)]
    return [contact.email, contact.phone, contact.hours.en, contact.hours.vi, profile.name, *spoken]
