"""Claims that nothing supports: a sentence of an answer that shares next to nothing with any passage or fact.

The measure is that of the judge (`scoring/grounding.py`), by words alone, handed in when the desk is put together. It
leaves numbers to `invented_numbers`, which knows what can be reckoned, and is silent on short sentences and where the passages are in another language than the answer: words tell nothing there.
What a rule of the desk appends is the desk's own word, and no claim.
"""

import re

from domain.turn import Passage
from guards.base import DeskView, Evidence, Example, Finding, Inspected, guard

THRESHOLD = 0.18
"""Support (0..1) below which a sentence is a claim of its own. What public faithfulness data say of it: docs/guards.md."""
NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
FEWEST_WORDS = 6
"""Content words from which on a sentence can be told."""

_SHELF = (Passage("p", "a", "Returns", "Unused goods can be returned within 30 days.", 1.0, language="en"),)
EXAMPLES = (
    Example("Unused goods can be returned within 30 days.", "pass", Evidence("How long?", _SHELF)),
    Example("Hàng chưa dùng được đổi trả trong 30 ngày.", "pass", Evidence("Bao lâu?", _SHELF, language="vi")),
)


@guard("output", 35, on_error="pass")
class Grounding:
    """Blocks answers with a sentence that nothing supports."""

    def __init__(self, desk: DeskView) -> None:
        self._support = desk.support
        required = [rule.text for rule in desk.profile.rules if rule.kind == "require"]
        self._own = [said for text in required for said in (text.en, text.vi) if said]

    def check(self, seen: Inspected) -> Finding | None:
        evidence = seen.evidence
        if self._support is None or evidence is None or not evidence.grounds:
            return None
        spoken = {passage.language for passage in evidence.passages if passage.language}
        if spoken and evidence.language not in spoken:
            return None
        texts = [f"{each.title}\n{each.section}\n{each.text}" for each in evidence.passages]
        texts += [f"{fact['title']}\n{fact['text']}" for fact in evidence.facts]
        texts += self._own
        claims = NUMBER.sub(" ", seen.original)
        shares = [share for share, words in self._support(claims, texts) if words >= FEWEST_WORDS]
        lowest = min(shares, default=1.0)
        return Finding("block", "ungrounded", 1.0 - lowest) if lowest < THRESHOLD else None
