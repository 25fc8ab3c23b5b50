"""Numbers as they stand in texts, brought to one form: 1,000 = 1.000 = 1000, thirty = 30, 8 pm = 20:00, 500k = 500,000.

What a number means is often open ("1.500" is 1500 in Hanoi and 1.5 in London): a `Figure` holds every reading, and
two figures agree when one reading of one is a reading of the other.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from guards.normalise import fold

Kind = Literal["number", "date", "time", "code"]

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
            "september sept sep", "october oct", "november nov", "december dec",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
ENGLISH = {
    word: number
    for number, words in {
        0: "zero", 1: "one once", 2: "two twice", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten",
        11: "eleven", 12: "twelve", 13: "thirteen", 14: "fourteen", 15: "fifteen", 16: "sixteen", 17: "seventeen", 18: "eighteen",
        19: "nineteen", 20: "twenty", 30: "thirty", 40: "forty", 50: "fifty", 60: "sixty", 70: "seventy", 80: "eighty", 90: "ninety",
        100: "hundred",
    }.items()
    for word in words.split()
}  # fmt: skip
# With their diacritics: folded, "sáu" is "sau" (after) and "ba" stays a father.
VIETNAMESE = {
    "một": 1, "hai": 2, "ba": 3, "bốn": 4, "năm": 5, "sáu": 6, "bảy": 7, "tám": 8, "chín": 9, "mười": 10, "mươi": 10, "trăm": 100,
}  # fmt: skip
WORDS = ENGLISH | VIETNAMESE
UNITS = (
    r"days?|hours?|hrs?|minutes?|weeks?|months?|years?|times|percent|per cent|dollars?|euros?|pounds?|items?|pieces?|litres?|liters?|working|business|calendar|"
    r"ngày|giờ|phút|tuần|tháng|năm|lần|phần trăm|đồng|nghìn|ngàn|triệu|cái|món"
)
SCALES = {
    "k": 1e3,
    "nghin": 1e3,
    "ngan": 1e3,
    "thousand": 1e3,
    "tr": 1e6,
    "trieu": 1e6,
    "million": 1e6,
    "m": 1e6,
    "ty": 1e9,
    "billion": 1e9,
}

_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_WORD = "|".join(sorted(WORDS, key=len, reverse=True))
_ENGLISH = "|".join(sorted(ENGLISH, key=len, reverse=True))
DIGIT = re.compile(r"\d")
DATE = re.compile(r"(?<![\w.,/-])(\d{1,4})([/.-])(\d{1,2})\2(\d{2,4})(?![\w/-]|[.,]\d)")
NAMED_DATE = re.compile(
    rf"\b(?:(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({_MONTH})\b|({_MONTH})\b\.? (\d{{1,2}})(?:st|nd|rd|th)?\b(?! ?(?:%|days|pm|am|:)))(?:,? (\d{{4}})\b)?"
    r"|\bngay (\d{1,2})(?: thang |/)(\d{1,2})\b(?:(?: nam |/)(\d{4})\b)?"
)
TIME = re.compile(
    r"(?<![\w.,])(\d{1,2})(?::(\d{2})| ?h ?(\d{2})?| gio(?: (\d{2})\b)?)(?::\d{2})?(?: ?(am|pm|a\.m\.?|p\.m\.?|sang|trua|chieu|toi)\b)?(?![\w:])|(?<![\w.,:])(\d{1,2}) ?(am|pm|a\.m\.?|p\.m\.?)(?!\w)"
)
CODE = re.compile(r"(?<![\w-])(?=[\w-]{0,30}[a-z])(?=[\w-]{0,30}\d)[a-z0-9]{1,30}(?:-[a-z0-9]{1,20}){0,4}(?![\w-])")
NUMBER = re.compile(
    rf"(?<![\w.,])\d{{1,15}}(?:[.,' ]\d{{3}}(?!\d))*(?:[.,]\d{{1,6}})?(?!\d)(?: ?({'|'.join(SCALES)})(?!\w))?( ?%| percent| per cent| phan tram)?"
)
SPELLED = re.compile(rf"\b({_WORD})(?:[ -]({_WORD}))?(?=[ -](?:{UNITS})\b)")
ANY_ENGLISH = re.compile(rf"\b({_ENGLISH})(?:[ -]({_ENGLISH}))?\b")
SCALED_CODE = re.compile(
    r"\d+(?:k|tr|m|h|gb|mb|ml|g|kg|cm|mm|l|w|v|st|nd|rd|th|x|d|vnd|usd|eur|dong|s|km|inch|in|oz|lb|years?|days?)"
)
PRICED = re.compile(r" ?(?:d|dong|vnd|usd|eur|euros?|dollars?|pounds?|gbp)\b| ?[$€£₫]")
PRICE = re.compile(r"(?:[$€£₫]|\b(?:usd|vnd|eur|gbp)) ?$")
IN_THOUSANDS = ("k", "nghin", "ngan", "tr", "trieu")
"""Scales that stand for the currency as well: "30k"."""
AFTERNOON = ("pm", "p.m", "chieu", "toi")
DAY = 24 * 60
YEAR_DIGITS, CENTURY, MONTHS_A_YEAR, DAYS_A_MONTH = 4, 100, 12, 31
HOURS, NOON, MINUTES = 24, 12, 60
GROUP, TEN, HUNDRED = 3, 10, 100


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, date, time or code in a text, by all its readings; `money`: a currency stands beside it."""

    written: str
    kind: Kind
    readings: frozenset[object]
    percent: bool = False
    money: bool = False


def figures(text: str, *, source: bool = False) -> list[Figure]:
    """The figures of a text. In a source every English number word counts, in an answer only one before a unit."""
    found: list[Figure] = []
    rest = fold(text)
    in_digits = ((DATE, _date), (NAMED_DATE, _named_date), (TIME, _time), (CODE, _code), (NUMBER, _number))
    for pattern, read in in_digits if DIGIT.search(rest) else ():
        here = [figure for match in pattern.finditer(rest) if (figure := read(match))]
        found += here
        if here and pattern is not NUMBER:
            rest = pattern.sub(lambda match, read=read: " " if read(match) else match[0], rest)  # type: ignore[misc]
    lower = unicodedata.normalize("NFC", text.lower())
    for pattern in (SPELLED, ANY_ENGLISH) if source else (SPELLED,):
        found += [_spelled(match) for match in pattern.finditer(lower)]
    return found


def _date(match: re.Match[str]) -> Figure | None:
    first, month, last = int(match[1]), int(match[3]), int(match[4])
    if len(match[1]) == YEAR_DIGITS:
        readings = {(first, month, last)}
    else:
        year = last + 2000 if last < CENTURY else last
        readings = {(year, month, first), (year, first, month)}
    valid = frozenset[object](day for day in readings if 1 <= day[1] <= MONTHS_A_YEAR and 1 <= day[2] <= DAYS_A_MONTH)
    return Figure(match[0], "date", valid) if valid else None


def _named_date(match: re.Match[str]) -> Figure:
    day = int(match[1] or match[4] or match[6])
    month = MONTHS[match[2] or match[3]] if match[2] or match[3] else int(match[7])
    year = match[5] or match[8]
    return Figure(match[0], "date", frozenset({(int(year) if year else None, month, day)}))


def _time(match: re.Match[str]) -> Figure | None:
    hour, minute = int(match[1] or match[6]), int(match[2] or match[3] or match[4] or 0)
    half = (match[5] or match[7] or "").rstrip(".")
    if hour > HOURS or minute >= MINUTES or (match[0].endswith("gio") and not half):
        return None  # "24 gio" is as likely a duration
    if half in AFTERNOON and hour < NOON:
        hour += 12
    if half in ("am", "a.m") and hour == NOON:
        hour = 0
    return Figure(match[0], "time", frozenset({(hour * 60 + minute) % DAY}))


def _code(match: re.Match[str]) -> Figure | None:
    if SCALED_CODE.fullmatch(match[0]) or match[0].split("-")[-1] in {
        "day",
        "days",
        "month",
        "hour",
        "year",
        "minute",
        "week",
        "litre",
        "liter",
        "step",
    }:
        return None
    return Figure(match[0], "code", frozenset({match[0].replace("-", "")}))


def _number(match: re.Match[str]) -> Figure:
    scale, percent = SCALES.get(match[1] or "", 1.0), bool(match[2])
    digits = re.match(r"[\d.,' ]*\d", match[0])
    written = digits[0] if digits else match[0]
    before, text = match.string[max(0, match.start() - 5) : match.start()], match.string
    money = match[1] in IN_THOUSANDS or bool(PRICED.match(text, match.end()) or PRICE.search(before))
    readings = frozenset(round(value * scale, 6) for value in _values(written))
    return Figure(match[0], "number", readings, percent, money and not percent)


def _values(written: str) -> Iterator[float]:
    """Every number that the digits may mean."""
    plain = written.replace(" ", "").replace("'", "")
    for point, group in ((".", ","), (",", ".")):
        whole, _, part = plain.partition(point)
        if whole.replace(group, "").isdigit() and (not part or part.isdigit()):
            groups = whole.split(group)
            if len(groups) == 1 or all(len(each) == GROUP for each in groups[1:]):
                yield float(f"{''.join(groups)}.{part or 0}")


def _spelled(match: re.Match[str]) -> Figure:
    first, second = WORDS[match[1]], WORDS[match[2]] if match[2] else None
    value = first
    if second == HUNDRED:
        value = first * HUNDRED
    elif second == TEN and first < TEN:
        value = first * TEN  # "ba muoi"
    elif second is not None and first >= TEN > second:
        value = first + second  # "twenty five", "muoi lam" is rarer than it is short
    readings = frozenset[object]({float(value)} | ({float(first), float(second)} if second is not None else set()))
    return Figure(match[0], "number", readings)


def agree(one: Figure, other: Figure) -> bool:
    """Whether two figures can mean the same; a date without a year agrees with that day of any year."""
    if one.kind != other.kind:
        return False
    if one.kind != "date":
        return not one.readings.isdisjoint(other.readings)
    return any(a[1:] == b[1:] and (a[0] == b[0] or not a[0] or not b[0]) for a in one.readings for b in other.readings)  # type: ignore[index]
