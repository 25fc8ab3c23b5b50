"""Which questions the local classifiers are unsure of, and what becomes of their verdicts when somebody else has ruled.

A score is unsure when it lies near the family's threshold, counted in logits, so that the band is as wide on either
side of any threshold. What a rule has blocked, or another guard, or a classifier that is sure, is decided.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import get_args

from domain.profile import GuardFamily
from domain.turn import Verdict
from guards.heads import PART

WIDTH = 1.5
"""Logits on either side of the threshold: scores from .18 to .82 around one half (docs/decisions says what decided)."""
HARMLESS = "harmless"
SECOND_LOOK = "second_look"
FAMILIES: tuple[str, ...] = get_args(GuardFamily)
LEFT = "left to a second look"
UNHEARD = "no ruling: the classifiers' verdicts stand"


def doubtful(verdicts: Sequence[Verdict], threshold: Callable[[str], float]) -> list[Verdict]:
    """The verdicts of classifiers that are unsure; none where the question is blocked in any other way."""
    unsure = [verdict for verdict in verdicts if _unsure(verdict, threshold)]
    decided = any(verdict.action == "block" and verdict not in unsure for verdict in verdicts)
    return [] if decided else unsure


def settled(verdicts: Sequence[Verdict], unsure: Sequence[Verdict], ruling: str) -> list[Verdict]:
    """The verdicts after a ruling: a family that blocks, HARMLESS, or nothing, which leaves them as they are."""
    if not ruling:
        return [*verdicts, Verdict(SECOND_LOOK, "pass", UNHEARD)]
    left = [replace(one, action="pass", reason=LEFT) if one in unsure and one.action == "block" else one for one in verdicts]  # fmt: skip
    if ruling == HARMLESS:
        return [*left, Verdict(SECOND_LOOK, "pass", HARMLESS)]
    return [*left, Verdict(SECOND_LOOK, "block", ruling, 1.0)]


def _unsure(verdict: Verdict, threshold: Callable[[str], float]) -> bool:
    family, _, part = verdict.guard.partition(":")
    if family not in FAMILIES or part not in ("", PART) or not 0 < verdict.score < 1:
        return False
    return abs(_logit(verdict.score) - _logit(threshold(family))) <= WIDTH


def _logit(share: float) -> float:
    kept = min(max(share, 1e-6), 1 - 1e-6)
    return math.log(kept / (1 - kept))
