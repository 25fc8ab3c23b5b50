"""Answers that say nothing, and answers without an end: a model that runs on is shown to nobody.

The quotation behind the draft answers instead. The limit is far above any answer of a few sentences.
"""

from guards.base import DeskView, Evidence, Example, Finding, Inspected, guard

LONGEST = 8_000
"""Characters."""

EXAMPLES = (
    Example("Yes.", "pass", Evidence()),
    Example("word " * 2_000, "block", Evidence()),
    Example("từ " * 4_000, "block", Evidence()),
    Example("\u200b … ", "block", Evidence()),
)


@guard("output", 5)
class AnswerLength:
    """Blocks empty and endless answers."""

    def __init__(self, desk: DeskView) -> None:
        del desk

    def check(self, seen: Inspected) -> Finding | None:
        if seen.length > LONGEST:
            return Finding("block", "ungrounded", 1.0, part="too_long")
        if not any(letter.isalnum() for letter in seen.text):
            return Finding("block", "ungrounded", 1.0, part="empty")
        return None
