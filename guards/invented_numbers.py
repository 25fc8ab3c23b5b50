"""Numbers, prices, dates, times and codes in an answer that stand nowhere in what it rests on.

Each must stand in a passage, a fact, the question or the desk's own texts, in whatever way it is written, or be
a plain sum, difference, product or percentage of two numbers, both of which the answer states, or one of which the
question names and a source holds the other. What was reckoned so may be reckoned with. A price may also be the sum or
difference of two prices, or of two multiples that the question asks for, and a number of hours that from one stated time to another. A date may be another one so many days, weeks or months later or earlier,
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

MAX_PRICES = 8
"""Prices in the sources from which on they are not added up: of more of them nearly every price is a sum."""
MAX_COUNT = 100
RECKONS = re.compile(
    r"\b(?:together|total|totals|altogether|sum|both|plus|more|less|cheaper|dearer|difference|save|saves|left|missing|until|combined|"
    r"tong|tong cong|cong|ca hai|tat ca|hon|chenh|tiet kiem|con lai|con thieu|thieu|them|gom)\b"
)
"""Words, folded, of an answer that adds up or compares."""
STEPS = 3
"""How often what was reckoned is reckoned with: two pans, less ten per cent, and the delivery."""
MAX_OPERANDS = 120
"""Numbers that are combined; a longer source makes every small number a sum of two others."""
LISTING = re.compile(r"^[ \t>*-]*(?:\(?\d{1,2}[.)]|(?:step|bước) \d{1,2}\b)|\[\d{1,2}\]", re.MULTILINE | re.IGNORECASE)
NOT_FIGURES = re.compile(r"<[a-z]+(?:_[a-z]+)*_\d+>|\S+@\S+|(?:https?://|www\.)\S+", re.IGNORECASE)

_SHELF = (
    Passage("p", "a", "Delivery", "Delivery takes 3 to 5 working days and costs 25,000 VND. Open 08:00 to 20:00.", 1.0),
)
_PRICES = (Passage("p", "a", "Prices", "The pan costs 40 dollars, its lid 12.50 dollars.", 1.0),)
EXAMPLES = (
    Example("It takes 3 to 5 days and costs 25.000đ.", "pass", Evidence("How long?", _SHELF)),
    Example("It takes 7 days.", "block", Evidence("How long?", _SHELF)),
    Example("For 4 parcels that is 100,000 VND.", "pass", Evidence("What do 4 parcels cost?", _SHELF)),
    Example("We are open from 8 am to 8 pm.", "pass", Evidence("When?", _SHELF)),
    Example("Giao trong năm ngày, mở cửa từ 8 giờ sáng.", "pass", Evidence("Bao lâu?", _SHELF)),
    Example("Both together cost 52.50 dollars.", "pass", Evidence("What do pan and lid cost?", _PRICES)),
    Example("The pan costs 52.50 dollars.", "block", Evidence("What does the pan cost?", _PRICES)),
    Example("Both together cost 55 dollars.", "block", Evidence("What do pan and lid cost?", _PRICES)),
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
        stated = [figure for figure in said if figure not in loose]
        if loose:
            sums = {*_combined(asked, [*asked, *read])}
            prices = set(_price_sums(asked, [*asked, *read], reckons=RECKONS.search(seen.folded) is not None))
            for _ in range(STEPS):
                loose, before = _left(said, loose, sums, prices), len(loose)
                stated = [figure for figure in said if figure not in loose]
                if not loose or len(loose) == before:
                    break
        if loose:
            texts = ("\n".join(told), "\n".join(shown), seen.text)
            loose = _not_reckoned(loose, [*asked, *stated], [*asked, *read], texts)
        wrong = loose or wrong_weekdays(seen.text, said, (*told, *shown))
        return Finding("block", "ungrounded", 1.0) if wrong else None


def _left(said: Sequence[Figure], loose: Sequence[Figure], sums: set[object], prices: set[float]) -> list[Figure]:
    """Those of `loose` that are neither in `sums` nor made of two figures of the answer that hold."""
    stated = [figure for figure in said if figure not in loose]
    known = {*sums, *_combined(stated, stated), *_hours(stated)}
    return [
        figure
        for figure in loose
        if figure.kind != "number" or figure.readings.isdisjoint(known | prices if figure.money else known)
    ]


def _price_sums(asked: Sequence[Figure], read: Sequence[Figure], *, reckons: bool) -> Iterator[float]:
    """Sums and differences of two prices, and of as many of each as the question names.

    Only where the answer says that it `reckons`, or the question names two counts: a wrong price is too often a sum.
    """
    prices = {value for value, _ in _numbers(figure for figure in read if figure.money)}
    counts = {value for value, _ in _numbers(asked) if value == int(value) and 1 < value < MAX_COUNT}
    if len(prices) > MAX_PRICES or not (reckons or len(counts) > 1):
        return
    amounts = sorted(prices | {price * count for price in prices for count in counts})
    for a in amounts:
        for b in amounts:
            yield from (round(a + b, 6), round(abs(a - b), 6))


def _hours(stated: Sequence[Figure]) -> Iterator[float]:
    """The hours from one time to another."""
    times = [minute for figure in stated if figure.kind == "time" for minute in figure.readings]
    for one in times[:MAX_OPERANDS]:
        for other in times[:MAX_OPERANDS]:
            if isinstance(one, int) and isinstance(other, int) and one < other:
                yield round((other - one) / 60, 6)


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
