"""Swearing. An angry customer with a real request is served: this guard notes and never blocks.

Its score tells the receipt and the handoff how heated a conversation is. Threats and slurs are `toxicity`'s work.
"""

import re

from guards.base import DeskView, Example, Finding, Inspected, guard

PER_WORD = 0.4
"""Score of one swear word; three make a text that is nothing but heated."""

ENGLISH = (
    r"f+u+c+k+\w{0,6}|f[*#@]+c?k\w{0,4}|motherf\w{3,8}|s+h+i+t+(?:ty|s|e)?|bullshit|crap(?:py)?|damn(?:ed|it)?|god ?damn(?:ed)?|"
    r"hell|bloody|piss(?:ed)?(?: off)?|ass(?:hole|hat)?s?|arse(?:hole)?s?|bastards?|bitch(?:es|y)?|dick(?:head)?s?|prick|wankers?|"
    r"bollocks|cunts?|twats?|screw you|wtf|stfu|freaking|sucks?"
)
# With diacritics, because folded they are harmless words (đéo/deo, cứt/cut, vãi/vai).
VIETNAMESE = (
    r"đ[éê]o|đ[ịi]t|đụ|đĩ|đm|đcm|đkm|vcl|vkl|vl|vãi(?: (?:lồn|l|cứt|đái))?|lồn|cặc|buồi|cứt|đái|khốn (?:nạn|kiếp)|chó (?:má|chết)|"
    r"mẹ kiếp|con mẹ (?:nó|mày)|mả mẹ|bố láo|mất dạy|dm|dcm|clgt|cmn|đếch|quái gì|chết tiệt"
)

EXAMPLES = (
    Example("WHERE THE HELL IS MY PARCEL???? this is a joke", "pass"),
    Example("your crappy fucking kettle died after 3 months", "pass"),
    Example("đm giao hàng kiểu gì mà nhầm hoài vậy", "pass"),
)


@guard("input", 60, on_error="pass")
class Profanity:
    """Scores swearing, 0..1."""

    def __init__(self, desk: DeskView) -> None:
        del desk
        self._english = re.compile(rf"\b(?:{ENGLISH})(?!\w)")
        self._vietnamese = re.compile(rf"(?<!\w)(?:{VIETNAMESE})(?!\w)")

    def check(self, seen: Inspected) -> Finding | None:
        lower = seen.text.lower()
        times = len(self._english.findall(seen.plain)) + len(self._vietnamese.findall(lower))
        return Finding("pass", "profanity" if times else "", min(1.0, PER_WORD * times))
