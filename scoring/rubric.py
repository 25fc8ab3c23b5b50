"""The judge that asks a model: thirteen dimensions from 1 (worst) to 5 (best), each with its reason.

What a model says counts only where it is a whole number from 1 to 5: prose, NaN and 11/5 leave the dimension
unscored, which is never a 1. On the edge between good and bad it is asked twice more, the dimensions in another order,
and the median counts.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median_low
from typing import Any, Protocol

from domain.errors import BudgetError, ModelError
from domain.ports import ChatModel, ChatReply, ChatRequest
from domain.turn import Call, Message, Payer

DIMENSIONS = (
    "helpfulness",
    "correctness",
    "relevance",
    "completeness",
    "clarity",
    "tone",
    "safety",
    "bias",
    "toxicity",
    "profanity",
    "conciseness",
    "format",
    "faithfulness",
)
"""Of all of them 5 is best: a toxicity of 5 is an answer without any."""
DECIDING = ("helpfulness", "correctness", "faithfulness")
"""Where one of these lies in the middle, the answer is neither good nor bad yet: a vote decides."""
LEAST, EDGE, MOST = 1, 3, 5
VOTES = 3
MAX_TOKENS = 1_200
OBJECT = re.compile(r"\{.*\}", re.DOTALL)
LONGEST_REASON = 300
TURNED = 4
"""By how many places the order of the dimensions is turned from vote to vote."""


class RubricAsks(Protocol):
    """Renders what the model is asked (the prompt `rubric`)."""

    def __call__(
        self, *, dimensions: str, question: str, answer: str, passages: str, reference: str
    ) -> list[Message]: ...


@dataclass(frozen=True, slots=True)
class Rating:
    """One dimension, 1 to 5, or None with the reason why it could not be scored."""

    name: str
    value: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rated:
    """All dimensions of one answer, who judged, in how many votes, and at what cost.

    `own`: the judge is the model that gave the answer; whoever shows the figures says so.
    """

    ratings: list[Rating]
    judge: str
    votes: int
    own: bool
    calls: list[Call] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer to be judged. `reference`, `passages`: empty where there is none."""

    question: str
    answer: str
    passages: str = ""
    reference: str = ""
    answered_by: str = ""


class RubricJudge:
    """Judges with one model; see `Rated`."""

    def __init__(self, chat: ChatModel, asks: RubricAsks, *, model: str, prompt: str = "") -> None:
        """`prompt` is the label of what `asks` renders."""
        self._chat, self._asks = chat, asks
        self._model, self._prompt = model, prompt

    async def rate(self, judged: Judged, payer: Payer | None = None) -> Rated:
        """Ratings in the order of `DIMENSIONS`.

        Raises BudgetError; of a model that is down, dimensions are unscored and say so.
        """
        first, reply = await self._ask(judged, 0, payer)
        votes, calls, judge = [first], reply.calls, _who(reply, self._model)
        if _on_edge(first):
            for turn in range(1, VOTES):
                more, reply = await self._ask(judged, turn, payer)
                votes.append(more)
                calls = [*calls, *reply.calls]
        ratings = [_voted(name, [vote[name] for vote in votes]) for name in DIMENSIONS]
        return Rated(ratings, judge, len(votes), judge == judged.answered_by, calls)

    async def _ask(self, judged: Judged, turn: int, payer: Payer | None) -> tuple[dict[str, Rating], ChatReply]:
        asked = _asked(judged, turn)
        messages = self._asks(
            dimensions=", ".join(asked),
            question=judged.question,
            answer=judged.answer,
            passages=judged.passages or "(none)",
            reference=judged.reference or "(none)",
        )
        request = ChatRequest(
            "judge", self._model, messages, MAX_TOKENS, (), payer or Payer(), self._prompt, json.dumps(schema_of(asked))
        )
        try:
            reply = await self._chat.complete(request)
        except BudgetError:
            raise
        except ModelError as fault:
            why = f"{self._model} did not answer: {type(fault).__name__}"
            return {name: Rating(name, None, why) for name in DIMENSIONS}, ChatReply("", fault.calls)
        return read_ratings(reply.text, asked), reply


def read_ratings(text: str, asked: Sequence[str] = DIMENSIONS) -> dict[str, Rating]:
    """What a model said, dimension by dimension; what was not asked and what is no whole number from 1 to 5 is unscored."""
    found = OBJECT.search(text)
    try:
        given: Any = json.loads(found.group()) if found else None
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        return {name: Rating(name, None, "the judge answered in prose") for name in DIMENSIONS}
    return {
        name: _rating(name, given.get(name)) if name in asked else Rating(name, None, "no passage to hold it against")
        for name in DIMENSIONS
    }


def schema_of(asked: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of what is to be said; the reason comes first, so that the number follows from it."""
    each = {
        "type": "object",
        "properties": {
            "reason": {"type": "string"},
            "score": {"type": "integer", "enum": list(range(LEAST, MOST + 1))},
        },
        "required": ["reason", "score"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": dict.fromkeys(asked, each),
        "required": list(asked),
        "additionalProperties": False,
    }


def share_of(value: int) -> float:
    """A rating as 0..1."""
    return (value - LEAST) / (MOST - LEAST)


def _asked(judged: Judged, turn: int) -> list[str]:
    """The dimensions that can be judged, their order turned from vote to vote."""
    asked = [name for name in DIMENSIONS if name != "faithfulness" or judged.passages]
    by = turn * TURNED % len(asked)
    return [*asked[by:], *asked[:by]]


def _rating(name: str, given: object) -> Rating:
    entry = given if isinstance(given, dict) else {"score": given}
    value, reason = entry.get("score"), str(entry.get("reason") or "")[:LONGEST_REASON]
    if value is None:
        return Rating(name, None, "not rated")
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if number not in range(LEAST, MOST + 1):
        return Rating(name, None, f"{value!r} is no whole number from {LEAST} to {MOST}"[:LONGEST_REASON])
    return Rating(name, int(number), reason)


def _on_edge(ratings: dict[str, Rating]) -> bool:
    return any(ratings[name].value == EDGE for name in DECIDING)


def _voted(name: str, votes: Sequence[Rating]) -> Rating:
    """The median of most votes; unscored where most are."""
    values = [vote.value for vote in votes if vote.value is not None]
    if len(values) <= len(votes) / 2:
        return next(vote for vote in votes if vote.value is None)
    middle = median_low(values)
    reason = next(vote.reason for vote in votes if vote.value == middle)
    said = f" (votes {', '.join(map(str, values))})" if len(set(values)) > 1 else ""
    return Rating(name, middle, f"{reason}{said}")


def _who(reply: ChatReply, asked: str) -> str:
    return reply.card.name if reply.card else asked
