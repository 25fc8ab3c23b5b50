"""Families of patterns with weights: what the rule guards are made of."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SURE = 1.0
"""The weights found in a text are summed; this much is enough to act on."""

GAP = r"(?:\W{1,4}\w{1,24}){0,%d}?\W{1,4}"
"""Between two words of a pattern: up to so many others. Bounded, so that matching stays linear."""


@dataclass(frozen=True, slots=True)
class Family:
    """One family of wordings.

    `needs`: one of these must occur before the pattern is tried (a substring search costs next to nothing).
    `pattern` is read over folded text (lower case, no diacritics). <n> stands for a gap of up to n words,
    {name} for one of the word lists given to `RuleSet`. A weight below 1 is a hint that needs another.
    `unless`: a hit that reads so from end to end is none, and the next is looked for behind its first letter.
    """

    name: str
    weight: float
    needs: tuple[str, ...]
    pattern: str
    unless: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """The families found, and their summed weight, at most 1. `alone`: one of them suffices alone."""

    names: list[str]
    score: float
    alone: bool = False


class RuleSet:
    """Families compiled; safe to use from several threads."""

    def __init__(self, families: Sequence[Family], words: Mapping[str, str] | None = None) -> None:
        self._families = [
            (
                family,
                _compiled(family.pattern, words or {}),
                _compiled(family.unless, words or {}) if family.unless else None,
            )
            for family in families
        ]

    def look(self, views: Sequence[str], *, hints: bool = True) -> Hit:
        """Search all views; a family counts once. `hints=False`: only families that suffice alone."""
        names: list[str] = []
        total, alone = 0.0, False
        for family, pattern, unless in self._families:
            if (hints or family.weight >= SURE) and _found(views, family.needs, pattern, unless):
                names.append(family.name)
                total += family.weight
                alone = alone or family.weight >= SURE
        return Hit(names, min(total, SURE), alone)


def _found(
    views: Sequence[str], needs: Sequence[str], pattern: re.Pattern[str], unless: re.Pattern[str] | None
) -> bool:
    for view in views:
        for need in needs:  # a thousand a turn: a generator takes twice as long
            if need in view:
                if _reads(view, pattern, unless):
                    return True
                break
    return False


def _reads(view: str, pattern: re.Pattern[str], unless: re.Pattern[str] | None) -> bool:
    hit = pattern.search(view)
    while hit and unless and unless.fullmatch(view, hit.start(), hit.end()):
        hit = pattern.search(view, hit.start() + 1)
    return hit is not None


def _compiled(pattern: str, words: Mapping[str, str]) -> re.Pattern[str]:
    return re.compile(_expand(pattern, words), re.MULTILINE)


def _expand(pattern: str, words: Mapping[str, str]) -> str:
    for name, alternatives in words.items():
        pattern = pattern.replace("{" + name + "}", f"(?:{alternatives})")
    return re.sub(r"<(\d+)>", lambda match: GAP % int(match[1]), pattern)
