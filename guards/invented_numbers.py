"""Numbers, prices, dates, times and codes in an answer that stand nowhere in what it rests on.

Each must stand in a passage, a fact, the question or the desk's own texts, in whatever way it is written, or be
a plain sum, difference, product or percentage of two numbers, both of which the answer states, or one of which the
question names and a source holds the other. A date may be another one so many days, weeks or months later or earlier,
and a number of days the distance of two dates, on the same terms. Anything else is invented (reason ungrounded), and so
is a weekday that its date is none of. Without passages and facts there is nothing to hold it to.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice

from domain.turn import Passage
from guards.base import DeskView, Evidence, Example, Finding, Inspected, guard
from guards.dates import days_between, follows, spans, wrong_weekdays
from guards.domain_rules import desk_texts
from guards.figures import Figure, Kind, agree, figures

MAX_OPERANDS = 120
"""Numbers that are combined; a longer source makes every small number a sum of two others."""
LISTING = re.compile(r"^[ \t>*-]*(?:\(?\d{1,2}[.)]|(?:step|bước) \d{1,2}\b)|\[\d{1,2}\]", re.MULTILINE | re.IGNORECASE)
NOT_FIGURES = re.compile(r"<[a-z]+(?:_[a-z]+)*_\d+>|\S+@\S+|(?:https?://|www\.)\S+", re.IGNORECASE)

_SHELF = (
    Passage("p", "a", "Delivery", "Delivery takes 3 to 5 working days and costs 25,000 VND. Open 08:00 to 20:00.", 1.0),
)
EXAMPLES = (
    Example("It takes 3 to 5 days and costs 25.000đ.", "pass", Evidence("How long?", _SHELF)),
    Example("It takes 7 days.", "block", Evidence("How long?", _SHELF)),
    Example("For 4 parcels that is 100,000 VND.", "pass", Evidence("What do 4 parcels cost?", _SHELF)),
    Example("We are open from 8 am to 8 pm.", "pass", Evidence("When?", _SHELF)),
    Example("Giao trong năm ngày, mở cửa từ 8 giờ sáng.", "pass", Evidence("Bao lâu?", _SHELF)),
    Example("Giao trong mười ngày.", "block", Evidence("Bao lâu?", _SHELF)),
    Example("It should be there by 9 November 2026.", "pass", Evidence("I ordered on 4 November 2026.", _SHELF)),
    Example("It should be there by 19 November 2026.", "block", Evidence("I ordered on 4 November 2026.", _SHELF)),
)


@guard("output", 30)
class Numbers:
    """Blocks answers with invented numbers."""

    def __init__(self, desk: DeskView) -> None:
        self._desk = "\n".join(desk_texts(desk.profile))

    def check(self, seen: Inspected) -> Finding | None:
        evidence = seen.evidence
        if evidence is None or not evidence.grounds:
            return None
        said = figures(_bare(seen.text))
        if not said:
            return None
        told = [evidence.question, *(f"{fact['title']} {fact['text']}" for fact in evidence.facts)]
        shown = [f"{each.title}\n{each.section}\n{each.text}" for each in evidence.passages]
        sources = [*told, *shown, self._desk]
        loose = [figure for figure in said if not any(_holds(text, figure) for text in sources)]
        asked = [figure for text in told for figure in _source(text)] if loose else []
        read = [figure for text in shown for figure in _source(text)] if loose else []
        if loose:
            stated = [figure for figure in said if figure not in loose]
            sums = {*_combined(asked, [*asked, *read]), *_combined(stated, stated)}
            loose = [figure for figure in loose if figure.kind != "number" or figure.readings.isdisjoint(sums)]
        if loose:
            texts = ("\n".join(told), "\n".join(shown), seen.text)
            loose = _not_reckoned(loose, [*asked, *stated], [*asked, *read], texts)
        wrong = loose or wrong_weekdays(seen.text, said, (*told, *shown))
        return Finding("block", "ungrounded", 1.0) if wrong else None


def _not_reckoned(
    loose: Sequence[Figure], named: Sequence[Figure], known: Sequence[Figure], texts: tuple[str, str, str]
) -> list[Figure]:
    """The first that does not follow from a date and a length of time, one of them named by question, fact or answer."""
    told, shown, answer = (spans(text) for text in texts)
    lengths = told | shown
    between = days_between([figure for figure in named if figure.kind == "date"])
    dates, near = [[one for one in each if one.kind == "date"] for each in (known, named)]

    def holds(figure: Figure) -> bool:
        if figure.kind == "number":
            return not figure.readings.isdisjoint(between)
        return follows(figure, near, lengths) or follows(figure, dates, told | (answer & lengths))

    # One that holds nowhere is enough, and endless answers repeat themselves.
    each = {(figure.kind, figure.readings): figure for figure in loose}.values()
    wrong = (figure for figure in each if figure.kind not in ("date", "number") or not holds(figure))
    return list(islice(wrong, 1))


@lru_cache(maxsize=1024)
def _source(text: str) -> tuple[Figure, ...]:
    """Of one passage, fact or question: no figure spans two. Kept for the turns to come, which rest on the same passages."""
    return tuple(figures(NOT_FIGURES.sub(" ", text), source=True))


@lru_cache(maxsize=1024)
def _readings(text: str) -> dict[Kind, frozenset[object]]:
    """Every reading of a source's figures, by their kind; dates are compared otherwise."""
    kinds = {figure.kind for figure in _source(text)}
    return {
        kind: frozenset[object]().union(*(one.readings for one in _source(text) if one.kind == kind)) for kind in kinds
    }


def _holds(source: str, figure: Figure) -> bool:
    """Whether a figure of a source agrees with this one."""
    if figure.kind == "date":
        return any(agree(figure, other) for other in _source(source))
    return not figure.readings.isdisjoint(_readings(source).get(figure.kind, ()))


def _bare(text: str) -> str:
    return NOT_FIGURES.sub(" ", LISTING.sub(" ", text))


def _combined(named: Sequence[Figure], others: Sequence[Figure]) -> Iterator[object]:
    """Plain results of one number of each side."""
    right = list(_numbers(others))
    for a, a_percent in _numbers(named):
        for b, b_percent in right:
            yield from (round(a + b, 6), round(abs(a - b), 6), round(a * b, 6))
            for part, whole, percent in ((a, b, a_percent), (b, a, b_percent)):
                if percent:
                    yield from (round(whole * each / 100, 6) for each in (part, 100 - part, 100 + part))


def _numbers(found: Iterable[Figure]) -> list[tuple[float, bool]]:
    values = {
        (value, figure.percent)
        for figure in found
        if figure.kind == "number"
        for value in figure.readings
        if isinstance(value, float)
    }
    return sorted(values)[:MAX_OPERANDS]
