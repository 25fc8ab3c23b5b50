"""Cases from templates: `[a|b]` picks one, `{slot}` draws from a list, and what is drawn may hold both again."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

CHOICE = re.compile(r"\[([^\[\]]*)\]")
SLOT = re.compile(r"\{(\w+)\}")
TRIES = 4
"""Draws for each case wanted, before a template counts as exhausted."""


def written(
    patterns: Sequence[str], slots: Mapping[str, Sequence[str]], count: int, rng: np.random.Generator
) -> list[str]:
    """Up to `count` different texts, spread evenly over the patterns."""
    share = max(1, count // max(1, len(patterns)))
    texts: dict[str, None] = {}
    for pattern in patterns:
        own: dict[str, None] = {}
        for _ in range(share * TRIES):
            own.setdefault(_draw(pattern, slots, rng))
            if len(own) == share:
                break
        texts |= own
    return list(texts)


def _draw(pattern: str, slots: Mapping[str, Sequence[str]], rng: np.random.Generator) -> str:
    """One text. Raises KeyError for a slot that has no list."""
    text = pattern
    while SLOT.search(text) or CHOICE.search(text):
        text = CHOICE.sub(lambda match: _one(match[1].split("|"), rng), text)
        text = SLOT.sub(lambda match: _one(slots[match[1]], rng), text)
    text = re.sub(r"\s+([,.?!])", r"\1", re.sub(r"\s+", " ", text)).strip()
    return text[:1].upper() + text[1:] if rng.random() < 0.5 else text  # noqa: PLR2004  # half of them as people type


def _one(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
