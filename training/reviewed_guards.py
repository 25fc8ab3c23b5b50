"""What reviewers say of blocked turns, as other thresholds and other examples of what a desk is for.

Nothing is asked again: the scores stand in the receipts, the texts are the masked ones that the ledger keeps. What
comes out is a candidate for the gate (training/improving.py), never a change by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from domain.profile import GuardFamily
from domain.receipt import Receipt
from evals.calibrate import FAMILIES, LAXEST, STEP
from graph.service import Service
from store.reviews import Review

HEAD = ":head"
"""Ends the name of a verdict that a classifier gave; a rule has no threshold."""
LEAST = 3
"""Wrongly blocked turns of one family without which its threshold stays: one may be a slip of its reviewer."""
MOST_EXAMPLES = 20
OUT_OF_SCOPE = "out_of_scope"


@dataclass(frozen=True, slots=True)
class Block:
    """A turn that was refused, and whether a reviewer says that it should have been."""

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


def reviewed_blocks(service: Service) -> list[Block]:
    """The refused turns that reviewers accepted or corrected. Blocks."""
    decided = service.store.reviews.decided(["accepted", "corrected"])
    found = []
    for review in decided:
        receipt = service.store.ledger.several([review.turn_id]).get(review.turn_id)
        if receipt is not None and receipt.outcome == "refuse" and receipt.question.strip():
            found.append(block_of(receipt, review))
    return found


def block_of(receipt: Receipt, review: Review) -> Block:
    """A refused turn as a reviewer sees it."""
    rightly = review.state == "accepted" or review.right.outcome == "refuse"
    text = receipt.standalone or receipt.question
    for verdict in receipt.verdicts:
        name = verdict.guard.removesuffix(HEAD)
        if verdict.action == "block" and verdict.guard.endswith(HEAD):
            family = next((one for one in FAMILIES if one == name), None)
            return Block(receipt.reason or "", text, rightly, family, verdict.score)
    return Block(receipt.reason or "", text, rightly)


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
