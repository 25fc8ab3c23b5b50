"""The number that the customer gave (an order, a case, an invoice) stands in the answer; where it does not, it is appended.

So that an answer that is forwarded or printed still says what it is about. Only letters, digits and dashes of the
number are taken over, never other words of the customer.
"""

import re

from domain.turn import Language, Passage
from guards.base import DeskView, Evidence, Example, Finding, Inspected, guard
from guards.normalise import fold
from guards.placeholders import PLACEHOLDER

NUMBER = r"(?P<{0}>#?[a-z]{{0,4}}-?\d[a-z\d]{{2,11}}(?:-[a-z\d]{{1,8}}){{0,3}})(?![\w-])"
NAMED = re.compile(
    r"\b(?:orders?|cases?|tickets?|reference|ref|booking|invoice|tracking|parcel|claim|don(?: hang)?|ma(?: don(?: hang)?| van don| ho so| hoa don| yeu cau)|hoa don|yeu cau)"
    rf"(?:\W{{1,3}}(?:number|no|nr|id|code|so|la|is|ma))?\W{{1,3}}{NUMBER.format('named')}"
)
WRITTEN = re.compile(rf"(?<!\w)(?:#|[a-z]{{2,4}}-)(?=\d{{4}}){NUMBER.format('bare')}")
TEXT: dict[Language, str] = {"en": "Your reference: {}", "vi": "Mã của bạn: {}"}
LONGEST = 32

_SHELF = (Passage("p", "a", "Returns", "Unused goods go back within 30 days.", 1.0),)
EXAMPLES = (
    Example("You have 30 days.", "mask", Evidence("How long can I return order HB-2093847?", _SHELF)),
    Example("For HB 2093847 you have 30 days.", "pass", Evidence("How long can I return order HB-2093847?", _SHELF)),
    Example("You have 30 days.", "pass", Evidence("How long can I return it?", _SHELF)),
    Example("Bạn có 30 ngày.", "mask", Evidence("Đơn hàng số 10023 đổi trả được không?", _SHELF, language="vi")),
)


@guard("output", 70, on_error="pass")
class CaseNumber:
    """Appends the customer's number."""

    def __init__(self, desk: DeskView) -> None:
        del desk

    def check(self, seen: Inspected) -> Finding | None:
        evidence = seen.evidence
        if evidence is None or not evidence.grounds or not evidence.whole:
            return None
        number = _number(evidence.question)
        if not number or _plain(number) in _plain(seen.original):
            return None
        text = f"{seen.original.rstrip()}\n\n{TEXT[evidence.language].format(number)}"
        return Finding("mask", "completed", 1.0, text)


def _number(question: str) -> str:
    """The first number by which a customer names a matter, as written; empty where there is none."""
    bare = PLACEHOLDER.sub(" ", question)
    folded = fold(bare)
    match = NAMED.search(folded) or WRITTEN.search(folded)
    if not match or len(match[0]) > 2 * LONGEST:
        return ""
    found = match["named"] if "named" in match.re.groupindex else match[0]
    at = bare.lower().find(found)
    return (bare[at : at + len(found)] if at >= 0 else found.upper()).lstrip("#")[:LONGEST]


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())
