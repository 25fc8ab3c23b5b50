"""Dates that follow from other dates: so many days, weeks or months later or earlier, and the weekday of a day.

A date without a year is reckoned in a year with and in one without a 29th of February. Working days leave Saturdays
and Sundays out; holidays are nobody's knowledge here.
"""

import re
from calendar import monthrange
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, cast

from guards.figures import ENGLISH, VIETNAMESE, Figure
from guards.normalise import fold

Unit = Literal["day", "working day", "week", "month", "year"]
Day = tuple[int | None, int, int]
"""Year where one is told, month, day: how figures.py reads a date."""

_COUNT = r"\d{1,3}|" + "|".join(sorted({*ENGLISH, *VIETNAMESE}, key=len, reverse=True))
SPAN = re.compile(
    rf"(?<![\w.,])({_COUNT})(?: ?(?:-|–|to|or|and|den|đến|hoặc) ?({_COUNT}))?[ -](working |business |calendar |full )?"
    r"(days?|weeks?|months?|years?|ngày|tuần|tháng|năm)( làm việc)?(?!\w)"
)
UNITS: dict[str, Unit] = {
    "day": "day", "week": "week", "month": "month", "year": "year", "ngày": "day", "tuần": "week", "tháng": "month", "năm": "year",
}  # fmt: skip
WEEKDAYS = {
    word: number
    for number, words in enumerate(
        (
            "monday|mon|thu hai|thu 2", "tuesday|tues|tue|thu ba|thu 3", "wednesday|wed|thu tu|thu 4", "thursday|thurs|thu nam|thu 5",
            "friday|fri|thu sau|thu 6", "saturday|sat|thu bay|thu 7", "sunday|sun|chu nhat",
        )
    )
    for word in words.split("|")
}  # fmt: skip
_WEEKDAY = "|".join(sorted(WEEKDAYS, key=len, reverse=True))
LEAP, COMMON = 2024, 2025
LONGEST = 3_700
"""Days beyond which nothing is reckoned: ten years."""
MOST = 40
"""Dates, and spans of time, that are combined; no answer to a customer rests on more."""


@dataclass(frozen=True, slots=True)
class Span:
    """So many days, weeks, months."""

    count: int
    unit: Unit


def spans(text: str) -> set[Span]:
    """The lengths of time that stand in a text; of a range both ends."""
    found: set[Span] = set()
    for match in SPAN.finditer(text.lower()):
        unit = UNITS[match[4].removesuffix("s")]
        working = bool(match[5]) or (match[3] or "").strip() in ("working", "business")
        counts = [_count(one) for one in (match[1], match[2]) if one]
        found |= {Span(count, "working day" if working and unit == "day" else unit) for count in counts}
    return found


def follows(figure: Figure, dates: Sequence[Figure], lengths: Iterable[Span]) -> bool:
    """Whether a date is one of `dates` so much later or earlier, as one of `lengths` says."""
    wanted = list(_days(figure))
    lengths = sorted(lengths, key=lambda span: (span.unit, span.count))[:MOST]
    return any(
        _same(reached, day)
        for known in dates[:MOST]
        for base in _days(known)
        for span in lengths
        for reached in _reached(base, span)
        for day in wanted
    )


def days_between(dates: Sequence[Figure]) -> set[float]:
    """How many days, and whole weeks, lie between any two of the dates, the first day counted or not."""
    known = [each for figure in dates[:MOST] for each in _days(figure)]
    found: set[float] = set()
    for one in known:
        for other in known:
            if (one[0] is None) == (other[0] is None):
                days = abs((_date(one, COMMON) - _date(other, COMMON)).days)
                found |= {float(days), float(days + 1)} if 0 < days <= LONGEST else set()
                found |= {days / 7} if days and days % 7 == 0 else set()
    return found


def wrong_weekdays(text: str, said: Sequence[Figure], sources: Sequence[str]) -> list[str]:
    """Weekdays beside a date with its year that is none of them, unless a source says so itself."""
    days = {one.written: [day for day in _days(one) if day[0] is not None] for one in said if one.kind == "date"}
    dated = {written: known for written, known in list(days.items())[:MOST] if known}
    folded = fold(text) if dated else ""
    wrong: list[str] = []
    for name, known in dated.items():
        written = re.escape(name.strip())
        for match in re.finditer(
            rf"\b({_WEEKDAY})\W{{1,3}}(?:the |ngay )?{written}|{written}\W{{1,3}}({_WEEKDAY})\b", folded
        ):
            right = any(_date(day, COMMON).weekday() == WEEKDAYS[match[1] or match[2]] for day in known)
            if not right and not any(match[0] in fold(source) for source in sources):
                wrong.append(match[0])
    return wrong


def _days(figure: Figure) -> Iterator[Day]:
    """The days of the calendar that a figure may mean."""
    if figure.kind != "date":
        return
    for reading in figure.readings:
        year, month, day = cast("Day", reading)
        if 1 <= day <= monthrange(year or LEAP, month)[1]:
            yield (year, month, day)


def _date(day: Day, year: int) -> date:
    return date(day[0] or (LEAP if day[1:] == (2, 29) else year), day[1], day[2])


def _reached(base: Day, span: Span) -> Iterator[Day]:
    for year in (base[0],) if base[0] else (LEAP, COMMON):
        start = _date(base, year)
        for sign in (1, -1):
            reached = _moved(start, span, sign)
            if reached:
                yield (reached.year if base[0] else None, reached.month, reached.day)


def _moved(start: date, span: Span, sign: int) -> date | None:
    try:
        match span.unit:
            case "day" | "week":
                return start + timedelta(days=sign * span.count * (7 if span.unit == "week" else 1))
            case "working day":
                return _working(start, span.count, sign)
            case _:
                months = start.month - 1 + sign * span.count * (12 if span.unit == "year" else 1)
                year, month = start.year + months // 12, months % 12 + 1
                return date(year, month, min(start.day, monthrange(year, month)[1]))
    except (OverflowError, ValueError):
        return None  # before the year 1, or after 9999


def _working(start: date, count: int, sign: int) -> date:
    weekend = 5
    while count:
        start += timedelta(days=sign)
        count -= start.weekday() < weekend
    return start


def _same(one: Day, other: Day) -> bool:
    return one[1:] == other[1:] and (one[0] is None or other[0] is None or one[0] == other[0])


def _count(word: str) -> int:
    return int(word) if word.isdecimal() else (ENGLISH | VIETNAMESE)[word]
