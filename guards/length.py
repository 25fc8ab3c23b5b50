"""Texts longer than the desk takes. What lies behind the limit was not inspected, so it is not served either.

The limit is a setting (4,000 characters unless set). Empty texts are wrong use and never come this far.
"""

from guards.base import DeskView, Example, Finding, Inspected, guard

EXAMPLES = (
    Example("Where is my parcel?", "pass"),
    Example("parcel " * 2_000, "block"),
)


@guard("input", 10)
class Length:
    """Blocks what is longer than the desk's limit."""

    def __init__(self, desk: DeskView) -> None:
        self._limit = desk.max_chars

    def check(self, seen: Inspected) -> Finding | None:
        if seen.length > self._limit:
            return Finding("block", "too_long", 1.0)
        return None
