"""Personal data becomes placeholders (`<EMAIL_1>`), stable within a conversation, and back at the door."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from domain.errors import GuardFaultError
from guards.normalise import aligned, clean

PLACEHOLDER = re.compile(r"<([A-Z]+(?:_[A-Z]+)*)_(\d+)>")
TYPED = "TYPED"
"""What a customer typed that only looks like a placeholder is hidden as `<TYPED_1>`."""
MAX_PASSES = 8
"""Masking is repeated until nothing more is found; a text that needs more passes than this is hostile."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Personal data in a text: `text[start:end]` is of this kind (EMAIL, PHONE, ...)."""

    start: int
    end: int
    kind: str


Find = Callable[[str], Sequence[Span]]
"""Finds personal data in a text; spans may overlap."""


@dataclass(frozen=True, slots=True)
class Masked:
    """A text without personal data, what its placeholders stand for, and the kinds found in this text."""

    text: str
    secrets: dict[str, str]
    kinds: list[str] = field(default_factory=list)


def unmask(text: str, secrets: Mapping[str, str]) -> str:
    """Put the originals back, in one pass: what an original says is never unmasked again."""
    return PLACEHOLDER.sub(lambda match: secrets.get(str(match[0]), str(match[0])), text)


def mask(text: str, known: Mapping[str, str], find: Find, *, escape: bool = True) -> Masked:
    """Replace what `find` finds. A value in `known` keeps its placeholder.

    With `escape`, a placeholder that is not in `known` was typed by hand and becomes data itself; without,
    it is left as it stands. Then `unmask(mask(x).text, mask(x).secrets)` is `clean(x)`, and a masked text
    masked again with the secrets it gave does not change. Raises GuardFaultError.
    """
    names = _Names(known)
    current = clean(text)
    for _ in range(MAX_PASSES):
        spans = _spans(current, find, known=names.secrets, escape=escape)
        if not spans:
            return Masked(current, names.secrets, sorted(set(names.given)))
        current = _replace(current, spans, names)
    raise GuardFaultError(f"text still changes after {MAX_PASSES} passes of masking", where="pii")


def masked_spans(masked: Masked) -> list[Span]:
    """Where in the text before masking (`clean`ed) each placeholder's original stood."""
    spans: list[Span] = []
    grown = 0
    for match in PLACEHOLDER.finditer(masked.text):
        original = masked.secrets.get(match[0])
        if original is not None:
            start = match.start() + grown
            spans.append(Span(start, start + len(original), match[1]))
            grown += len(original) - len(match[0])
    return spans


class _Names:
    """Gives placeholders; the same value always gets the same one."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self.secrets = dict(known)
        self.given: list[str] = []
        self._of = {value: name for name, value in reversed(list(known.items()))}
        self._last: dict[str, int] = {}
        for name in known:
            if match := PLACEHOLDER.fullmatch(name):
                self._last[match[1]] = max(self._last.get(match[1], 0), int(match[2]))

    def name(self, kind: str, value: str) -> str:
        self.given.append(kind)
        if value not in self._of:
            self._last[kind] = self._last.get(kind, 0) + 1
            name = f"<{kind}_{self._last[kind]}>"
            self._of[value] = name
            self.secrets[name] = value
        return self._of[value]


def _spans(text: str, find: Find, *, known: Mapping[str, str], escape: bool) -> list[Span]:
    """What to replace in `text`, in order and apart from each other."""
    plain, places = aligned(text)
    ours: list[Span] = []
    typed: list[Span] = []
    for match in PLACEHOLDER.finditer(plain):
        span = _back(Span(match.start(), match.end(), TYPED), places)
        # Written with disguised characters it would not be unmasked, and is not ours either.
        is_ours = text[span.start : span.end] in known or not escape
        (ours if is_ours else typed).append(span)
    found = [_back(span, places) for span in find(plain)]
    return _apart([*ours, *typed, *sorted(found, key=_longest_first)], skip=len(ours))


def _longest_first(span: Span) -> tuple[int, int]:
    return span.start - span.end, span.start


def _back(span: Span, places: Sequence[int] | None) -> Span:
    """The span in the text as written."""
    if places is None:
        return span
    return Span(places[span.start], places[span.end - 1] + 1, span.kind)


def _apart(spans: Iterable[Span], *, skip: int) -> list[Span]:
    """Spans that overlap no earlier one, in the order of the text; the first `skip` only reserve their place."""
    taken: set[int] = set()
    kept: list[Span] = []
    for number, span in enumerate(spans):
        letters = range(span.start, span.end)
        if taken.isdisjoint(letters):
            taken.update(letters)
            if number >= skip:
                kept.append(span)
    return sorted(kept)


def _replace(text: str, spans: Sequence[Span], names: _Names) -> str:
    pieces, end = [], 0
    for span in spans:
        pieces += [text[end : span.start], names.name(span.kind, text[span.start : span.end])]
        end = span.end
    return "".join([*pieces, text[end:]])
