"""What must stay inside: the words of internal articles, and the assistant's own instructions.

An answer that shares eight consecutive words with an internal article, which stand in no cited passage, is not
given out (reason ungrounded: it rests on nothing that a customer may see). So is one that recites a prompt, or tells
half of the canary that stands in every prompt: translated, spelled out, backwards or encoded, it is the same letters.
"""

import codecs
import re
import threading
from collections.abc import Callable, Iterator, Sequence

from guards.base import DeskView, Evidence, Example, Finding, Inspected, guard
from guards.normalise import fold

GRAM = 8
"""Words in a row. Shorter ones are shared by chance: "please write to us at the address in your"."""
WORD = re.compile(r"[^\W_]+")
PIECE = 8
"""Letters of the canary in a row that are no accident: 34 bits, and no word has so many consonants."""
NO_LETTER = re.compile(r"[^a-z]+")
MARKERS = re.compile(
    r"<\|[\w ]{1,24}\|>|\[/?inst\]|<</?sys>>|\b(?:my|the) (?:system prompt|system message|(?:initial |original |hidden )?instructions?) "
    r"(?:is|are|says?|reads?|states?|tells? me)\b|\bi (?:was|am|have been) (?:instructed|told|programmed|prompted) (?:to|not to|never to|by)\b|"
    r"\byou are (?:the|a|an) (?:\w+ ){0,3}(?:support|service) (?:assistant|agent|desk)\b|\b(?:system prompt|prompt he thong) (?:cua toi|la)\b|"
    r"\btoi (?:duoc|da duoc) (?:huong dan|chi thi|lap trinh) (?:la|rang|de|phai|khong)\b"
)

EXAMPLES = (
    Example("Returns are free within 30 days.", "pass", Evidence()),
    Example("My system prompt says: answer briefly and never mention prices.", "block", Evidence()),
    Example("I was instructed to never talk about suppliers.", "block", Evidence()),
)


@guard("output", 10)
class Leak:
    """Blocks answers that tell what is internal."""

    def __init__(self, desk: DeskView) -> None:
        self._kept_in = {"prompt": _Kept(desk.prompts), "internal": _Kept(desk.internal)}
        self._canary = _pieces(desk.canary)

    def check(self, seen: Inspected) -> Finding | None:
        if MARKERS.search(seen.folded):
            return Finding("block", "ungrounded", 1.0, part="prompt")
        if self._canary and self._sings(seen):
            return Finding("block", "ungrounded", 1.0, part="canary")
        evidence = seen.evidence or Evidence()
        said = set(_grams(seen.folded))
        for part, kept in self._kept_in.items():
            shared = kept.grams() & said
            for passage in evidence.passages if shared else ():
                shared -= set(_grams(fold(passage.text)))
            if shared:
                return Finding("block", "ungrounded", 1.0, part=part)
        return None

    def _sings(self, seen: Inspected) -> bool:
        """Whether half of the canary stands in the text, whatever stands between its letters."""
        letters = [NO_LETTER.sub("", view) for view in (*seen.views, seen.joined)]
        return any(piece in view for view in letters for piece in self._canary)


class _Kept:
    """The runs of words of texts that must stay inside."""

    def __init__(self, texts: Callable[[], Sequence[str]]) -> None:
        self._texts = texts
        self._lock = threading.Lock()
        self._seen: list[str] = []
        self._grams: frozenset[int] = frozenset()

    def grams(self) -> frozenset[int]:
        """Computed once for each state of the texts."""
        texts = list(self._texts())
        with self._lock:
            if texts != self._seen:
                self._grams = frozenset(gram for text in texts for gram in _grams(fold(text)))
                self._seen = texts
            return self._grams


def _pieces(canary: str) -> frozenset[str]:
    """Every run of letters that gives the canary away: forwards, backwards, and both in rot13."""
    ways = [way for text in (canary, canary[::-1]) for way in (text, codecs.encode(text, "rot13"))]
    return frozenset(way[start : start + PIECE] for way in ways for start in range(len(way) - PIECE + 1))


def _grams(folded: str) -> Iterator[int]:
    words: Sequence[str] = WORD.findall(folded)
    for start in range(len(words) - GRAM + 1):
        yield hash(tuple(words[start : start + GRAM]))
