"""What reviewers say of blocked turns, as other thresholds and other examples of what a desk is for.

Nothing is asked again: the scores stand in the receipts, the texts are the masked ones that the ledger keeps. What
comes out is a candidate for the gate (training/improving.py), never a change by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from domain.profile import GuardFamily
from evals.calibrate import FAMILIES, LAXEST, STEP

LEAST = 3
"""Wrongly blocked turns of one family without which its threshold stays: one may be a slip of its reviewer."""
MOST_EXAMPLES = 20
OUT_OF_SCOPE = "out_of_scope"


@dataclass(frozen=True, slots=True)
class Block:
    """A turn that was refused, and whether a reviewer says that it should have been: a row of `review.blocks`."""

    reason: str
    text: str
    rightly: bool
    family: GuardFamily | None = None
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the reviewed blocks ask for. `kept`: a line for each family whose threshold stays, and why."""

    blocks: int
    thresholds: dict[GuardFamily, float] = field(default_factory=dict)
    inside: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def learn(blocks: Sequence[Block], thresholds: Mapping[GuardFamily, float], known: Sequence[str]) -> Learnt:
    """Thresholds that let the wrongly blocked pass and still block the rightly blocked, and examples for the scope.

    `known`: what stands in desk.yaml already. A threshold is only ever raised, and never beyond the floor of safety.
    """
    learnt = Learnt(len(blocks))
    for family in FAMILIES:
        wrongly = [one.score for one in blocks if one.family == family and not one.rightly]
        rightly = [one.score for one in blocks if one.family == family and one.rightly]
        if len(wrongly) < LEAST:
            if wrongly:
                learnt.kept.append(f"{family}: {len(wrongly)} wrong blocks are too few ({LEAST} are needed)")
            continue
        wanted = round(max(wrongly) + STEP, 3)
        lost = sum(score < wanted for score in rightly)
        if lost:
            learnt.kept.append(f"{family}: at {wanted:g} {lost} of {len(rightly)} rightly blocked turns would pass")
        elif wanted > LAXEST:
            learnt.kept.append(f"{family}: {wanted:g} would lie beyond {LAXEST:g}, the floor of safety")
        elif wanted > thresholds.get(family, 0.5):
            learnt.thresholds[family] = wanted
    scope = [one for one in blocks if one.reason == OUT_OF_SCOPE and one.text not in known]
    learnt.inside.extend(list(dict.fromkeys(one.text for one in scope if not one.rightly))[:MOST_EXAMPLES])
    learnt.outside.extend(list(dict.fromkeys(one.text for one in scope if one.rightly))[:MOST_EXAMPLES])
    return learnt
