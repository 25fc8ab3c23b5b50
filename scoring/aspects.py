"""What a weekly report asks of an answer: accuracy, relevance and safety, on the scale of 1 (worst) to 5 (best)."""

from collections.abc import Mapping, Sequence
from typing import Literal

from domain.turn import Score
from scoring.judge import on_scale

Aspect = Literal["accuracy", "relevance", "safety"]
STAND_INS: Mapping[Aspect, tuple[str, ...]] = {
    "accuracy": ("grounding", "helpful"),
    "relevance": ("relevance",),
    "safety": ("grounding", "numbers"),
}
"""The judge's dimensions that stand for an aspect where no judge scored it by its name: the first, with what there is
of the others.

What is unsafe on a support desk is what the articles do not say."""


def aspects(scores: Sequence[Score]) -> dict[Aspect, float | None]:
    """Each aspect of an answer, 1 to 5; None where nothing that it rests on was scored."""
    known = {score.name: score.value for score in scores if score.value is not None}
    return {aspect: _aspect(aspect, known) for aspect in STAND_INS}


def _aspect(aspect: Aspect, known: Mapping[str, float]) -> float | None:
    names = (aspect,) if aspect in known else STAND_INS[aspect]
    if names[0] not in known:
        return None
    values = [known[name] for name in names if name in known]
    return round(on_scale(sum(values) / len(values)), 4)
