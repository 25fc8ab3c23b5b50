"""Names in an answer that stand nowhere in what it rests on: a brand, a person, a place, a product that a model made up.

A name is a word with a capital inside of a sentence. It must stand in a passage, a fact, the question or the desk's own
texts, however its letters are accented or spaced. The first word of a sentence, a heading, months and the like are no
names. Without passages and facts there is nothing to hold an answer to.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from domain.turn import Passage
from guards.base import DeskView, Evidence, Example, Finding, Inspected, guard
from guards.domain_rules import desk_texts
from guards.names import NO_NAMES
from guards.normalise import UPPER, fold, fold_each
from guards.placeholders import PLACEHOLDER

WORD = re.compile(rf"(?<![\w@./-])(?P<word>{UPPER}[\w'’&-]*)(?![\w@]|\.\w)")
STARTS = re.compile(r"(?:\A|[.!?:;…•|>*_#(\[\"“'‘-]|\d[.)]|\n)[\s*_\"“'‘(\[#>-]*\Z")
"""What stands before the first word of a sentence, a list item, a quotation, a bracket."""
LOOK_BACK = 12
SHORTEST = 3
GENERAL = frozenset(
    """faq pdf sms url usb qr id pin otp vat gmt utc kg cm mm km mr mrs ms dr internet web wifi bluetooth christmas easter tet tết eu uk us usa usd eur gbp vnd
    god bank enter click email api html monday mon tue wed thu fri sat sun jan feb mar apr jun jul aug sep oct nov dec english vietnamese
    yes no note tip step however also""".split()  # noqa: SIM905  # words read better as a text
)
VIETNAMESE = re.compile(r"[ăâđêôơưĂÂĐÊÔƠƯ\u1ea0-\u1ef9]")

_SHELF = (Passage("p", "a", "Payment", "Pay with Visa, MoMo or cash. We ship from Da Nang with Swift Parcel.", 1.0),)
_VIETNAMESE = (Passage("p", "a", "Giao hàng", "Hàng gửi từ Đà Nẵng qua Swift Parcel.", 1.0, language="vi"),)
EXAMPLES = (
    Example("You can pay with Visa or MoMo.", "pass", Evidence("How can I pay?", _SHELF)),
    Example("You can pay with Visa, MoMo or Klarnix.", "block", Evidence("How can I pay?", _SHELF)),
    Example("Parcels leave from Đà Nẵng in October.", "pass", Evidence("From where?", _SHELF)),
    Example("Hàng được gửi qua Swift Parcel.", "pass", Evidence("Ai giao?", _VIETNAMESE, language="vi")),
    Example("Hàng được gửi qua Viettrans.", "block", Evidence("Ai giao?", _VIETNAMESE, language="vi")),
)


@guard("output", 32)
class InventedNames:
    """Blocks answers with invented names."""

    def __init__(self, desk: DeskView) -> None:
        scope = desk.profile.scope
        self._desk = _letters(" ".join([*desk_texts(desk.profile), scope.describe, *scope.in_]))

    def check(self, seen: Inspected) -> Finding | None:
        evidence = seen.evidence
        if evidence is None or not evidence.grounds:
            return None
        names = [name for name in _names(seen.original) if fold(name) not in GENERAL | NO_NAMES]
        if not names:
            return None
        texts = [f"{fact['title']} {fact['text']}" for fact in evidence.facts]
        texts += [f"{passage.title} {passage.section} {passage.text}" for passage in evidence.passages]
        known = "".join([self._desk, *map(_known, [evidence.question, *texts])])
        translated = not any(VIETNAMESE.search(passage.text) for passage in evidence.passages)
        for name in names:
            stem = _letters(name.removesuffix("'s").removesuffix("’s"))
            if (
                stem not in known
                and stem.removesuffix("s") not in known
                and not (translated and VIETNAMESE.search(name))
            ):
                return Finding("block", "ungrounded", 1.0)
        return None


def _names(text: str) -> Iterator[str]:
    """Capitalised words inside of sentences, headings left out."""
    for line in PLACEHOLDER.sub("", text).splitlines():
        words = [word for word in line.split() if word[:1].isalpha()]
        if len(words) > 1 and all(word[0].isupper() or len(word) <= SHORTEST for word in words):
            continue
        for match in WORD.finditer(line):
            before = line[max(0, match.start() - LOOK_BACK) : match.start()]
            if len(match["word"]) >= SHORTEST and not STARTS.search(before or ""):
                yield match["word"]


def _letters(text: str) -> str:
    """Letters and digits alone: "Da Nang", "Đà Nẵng" and "DaNang" are the same."""
    return "".join(letter for letter in fold_each(text).lower() if letter.isalnum())


@lru_cache(maxsize=1024)
def _known(text: str) -> str:
    """Kept for the turns to come, which rest on the same passages."""
    return _letters(text)
