"""The conversation as nodes use it: what the thread keeps, and how much of it a model is shown."""

from collections.abc import Sequence

from domain.turn import Message, Outcome, Turn

EARLIER = "earlier"
"""The outcome of a line that a caller brought along: nobody here has answered it."""
CHARACTERS_A_TOKEN = 3
"""A low estimate for English and Vietnamese together, so that a budget in tokens is kept."""


def exchange(turn: Turn, answer: str, outcome: Outcome) -> list[Message]:
    """The two lines that this turn adds to its thread."""
    turn_id = turn.get("turn_id", "")
    return [
        Message("user", turn.get("masked", ""), turn_id, outcome),
        Message("assistant", answer, turn_id, outcome),
    ]


def answered(history: Sequence[Message]) -> list[Message]:
    """The exchanges that a model or a rewrite may build on: refused attempts are left out."""
    return [message for message in history if message.outcome in ("", EARLIER, "answer", "dont_know")]


def trimmed(history: Sequence[Message], tokens: int) -> list[Message]:
    """The latest messages within a token budget, oldest first."""
    kept: list[Message] = []
    left = tokens * CHARACTERS_A_TOKEN
    for message in reversed(history):
        left -= len(message.text)
        if left < 0:
            break
        kept.append(message)
    return kept[::-1]


def last_question(history: Sequence[Message]) -> str:
    """What the customer asked before, or nothing."""
    return next((message.text for message in reversed(history) if message.role == "user"), "")
