"""Vietnamese typed without diacritics, put back into them before it is embedded.

To a multilingual embedder "toi muon doi tra hang" is hardly Vietnamese. Each syllable gets the form that its neighbours and
the desk's own texts make likeliest (a bigram model over the whole text); four of five are right. Only the vector is made of
it: what is shown, guarded and matched by words stays as the customer typed it.
"""

import asyncio
import json
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

from domain.ports import Embedder, Progress, Vector
from domain.words import fold
from models.language import is_english

TABLE = Path(__file__).with_name("diacritics.json")
"""Counts of forms and of neighbouring forms; `python -m training.diacritics` writes it."""
WORD = re.compile(r"[^\W\d_]+")
CLAUSE = re.compile(r"[.!?;:\n]")
EDGE = ""
"""Stands before the first word of a clause."""
OWN = 5
"""How often a word of the desk's own texts counts."""
TRUSTED = 5
"""Times that a form must have been seen for its neighbours to count as much as how frequent a form is."""
LONGEST = 1_000
"""Characters of a text that is restored; what is longer is embedded as it is."""

Pair = tuple[str, str]


class Restorer:
    """Chooses forms by counts: those that ship, and those of the desk's own texts."""

    def __init__(self, own: Iterable[str]) -> None:
        """`own`: texts of the desk. English ones are passed over, whose words are no forms."""
        alone, pairs = _shipped()
        self._alone, self._pairs = Counter(alone), Counter(pairs)
        for text in (text for text in own if not is_english(text)):
            for words in clauses(text):
                self._alone.update([EDGE, *words] * OWN)
                self._pairs.update([*pairwise([EDGE, *words])] * OWN)
        self._forms = defaultdict[str, list[str]](list)
        for form in sorted(self._alone):
            self._forms[fold(form)].append(form)
        self._all = sum(self._alone.values())

    def restored(self, text: str) -> str:
        """The text with diacritics, letter for letter as long; a word that nobody knows stays."""
        places = [match.span() for match in WORD.finditer(text)]
        best: dict[str, tuple[float, list[str]]] = {EDGE: (0.0, [])}
        for start, end in places:
            typed = text[start:end].lower()
            # The best way to each form of this word, over all forms of the one before.
            best = {
                form: max((score + self._likely(before, form), [*way, form]) for before, (score, way) in best.items())
                for form in self._forms.get(typed) or [typed]
            }
        _, forms = max(best.values())
        out, last = [], 0
        for (start, end), form in zip(places, forms, strict=True):
            out += [text[last:start], _cased(text[start:end], form)]
            last = end
        return "".join([*out, text[last:]])

    def _likely(self, before: str, form: str) -> float:
        seen = self._alone[before]
        after = self._pairs[before, form] / seen if seen else 0.0
        share = seen / (seen + TRUSTED)
        return math.log(share * after + (1 - share) * (self._alone[form] + 0.1) / (self._all + 1_000))


class RestoringEmbedder:
    """An `Embedder` that restores questions in bare Vietnamese first; anything else passes as it is."""

    def __init__(self, inner: Embedder, own: Callable[[], tuple[str, Callable[[], Sequence[str]]]]) -> None:
        """`own` gives what the desk's texts are called now, and the texts: they are read when the name changes."""
        self._inner, self._own = inner, own
        self._named: tuple[str, Restorer] | None = None

    @property
    def name(self) -> str:
        """The name of the embedder behind it."""
        return self._inner.name

    async def query(self, text: str) -> Vector:
        """The vector of a question, of one without diacritics that of what was meant."""
        if is_bare_vietnamese(text):
            text = await asyncio.to_thread(self.restored, text)
        return await self._inner.query(text)

    def ask(self, text: str) -> Vector:
        """The same for who is in a thread already: it blocks."""
        return self._inner.ask(self.restored(text))

    async def passages(self, texts: Sequence[str], progress: Progress | None = None) -> list[Vector]:
        """The vectors of passages, in order, as they are."""
        return await self._inner.passages(texts, progress)

    def restored(self, text: str) -> str:
        """Bare Vietnamese as it was meant, by the desk's own words; any other text as it is. May read: not in the loop."""
        if not is_bare_vietnamese(text):
            return text
        name, texts = self._own()
        named = self._named
        if named is None or named[0] != name:
            named = self._named = name, Restorer(texts())
        return named[1].restored(text)


def with_diacritics(text: str) -> str:
    """Bare Vietnamese as it was meant, by the counts that ship; any other text as it is."""
    return _of_all().restored(text) if is_bare_vietnamese(text) else text


@cache
def _of_all() -> Restorer:
    return Restorer(())


def is_bare_vietnamese(text: str) -> bool:
    """Whether a text is Vietnamese without a single diacritic."""
    return len(text) <= LONGEST and unicodedata.normalize("NFKC", text).isascii() and not is_english(text)


def clauses(text: str) -> list[list[str]]:
    """The words of each clause, in lower case, composed."""
    plain = unicodedata.normalize("NFC", text).lower()
    return [words for part in CLAUSE.split(plain) if (words := WORD.findall(part))]


def _cased(typed: str, form: str) -> str:
    if len(typed) != len(form):
        return typed
    return "".join(new.upper() if old.isupper() else new for old, new in zip(typed, form, strict=True))


@cache
def _shipped() -> tuple[dict[str, int], dict[Pair, int]]:
    """Read once, at the first question that needs it."""
    data = json.loads(TABLE.read_text(encoding="utf-8"))
    alone: dict[str, int] = data["alone"]
    pairs = {(before, form): count for before, forms in data["pairs"].items() for form, count in forms.items()}
    return alone, pairs
