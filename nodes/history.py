"""The conversation as nodes use it: what the thread keeps, and how much of it a model is shown."""

from collections.abc import Sequence

from domain.ports import ChatModel, ModelCard
from domain.turn import Message, Outcome, Turn
from models.followup import depends_on_history, points_back
from models.smalltalk import is_vague, matter, small_talk

EARLIER = "earlier"
"""The outcome of a line that a caller brought along: nobody here has answered it."""
CHARACTERS_A_TOKEN = 3
"""A low estimate for English and Vietnamese together, so that a budget in tokens is kept."""


def exchange(turn: Turn, answer: str, outcome: Outcome) -> list[Message]:
    """The two lines that this turn adds to its thread."""
    turn_id = turn.get("turn_id", "")
    return [
        Message("user", turn.get("masked", ""), turn_id, outcome, turn.get("topic", "")),
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


def topic_of(history: Sequence[Message]) -> str:
    """The question that the conversation is about: the customer's last one that was no small talk, or what that one leant on."""
    for line in reversed(history):
        if line.role != "user" or small_talk(line.text):
            continue
        # Nobody here has read a line that a caller brought along: what it leans on stands before it.
        if line.outcome != EARLIER or not depends_on_history(matter(line.text)):
            return line.about or matter(line.text)
    return next((matter(line.text) for line in history if line.role == "user"), "")


def rewriter(chat: ChatModel) -> ModelCard | None:
    """Who makes a line that leans on others stand alone; None: no model that can is up."""
    card = chat.choose("simple", 1.0)
    return None if card is None or card.weak else card


def readings(topic: str, asked: str) -> list[str]:
    """How a line may read: alone, and behind the talk's topic where there is one.

    One that points back, or names nothing, is not read alone: what it then finds is chance.
    """
    if not topic:
        return [asked]
    joined = behind(topic, asked)
    return [joined] if points_back(asked) or is_vague(asked) else [asked, joined]


def behind(topic: str, asked: str) -> str:
    """A question as it reads behind the one that it leans on: sentences of their own, each of which scope judges."""
    return f"{topic} {asked}" if topic.endswith((".", "?", "!", "…")) else f"{topic}. {asked}"
