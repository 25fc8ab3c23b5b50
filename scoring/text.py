"""Words, numbers and sentences of English and Vietnamese texts, as the scorers see them."""

import re
from functools import lru_cache

from domain.words import fold, stem

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
NUMBER = re.compile(r"(?:(?<![\w.,])[+\-])?\d+(?:[.,:]\d+)*")
END = re.compile(r"[.!?…]+[\"'”’)\]]*\s+")
UNIT = re.compile(r"\d\s*[^\W\d_]\.$")
SHORT = 3

ABBREVIATIONS = frozenset(
    """a.m. approx. ca. cf. co. corp. dept. dr. e.g. etc. ext. fig. i.e. inc. incl. jr. ltd. max. min. mr. mrs. ms. no. nos.
    p.m. prof. sr. st. tel. vs. tp. ts. ths. gs. pgs. bs. q. p. đ. đt. sđt. vd. v.v. tk. stt.""".split()  # noqa: SIM905  # as below
)
COUNTED = """one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen twenty"""
ORDERED = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
TENS = "ten twenty thirty forty fifty sixty seventy eighty ninety hundred"
SPELLED = {
    **{word: str(10 * value) for value, word in enumerate(TENS.split(), start=1)},
    **{word: str(value) for value, word in enumerate(COUNTED.split(), start=1)},
    **{word: str(value) for value, word in enumerate(ORDERED.split(), start=1)},
}
STOP_EN = frozenset(
    """a about after again all also am an and any are as at be because been before being but by can could d did do does
    doing don dont for from further get gets got had has have having he hello her here hi hers him his how i if im in
    into is isn it its ive just let ll m may me might more most must my need no nor not now of off ok on once only or
    other our out over own please re s same shall she should so some such t tell than thank thanks that the their them
    then there these they this those through to too u under until up us ve very want was we were what when where which
    while who whom whose why will with would yes you your yours""".split()  # noqa: SIM905  # words read better as a text
)
STOP_VI = frozenset(
    """ai anh ban bao bi boi cac cai chi cho chua co con cua cung da dang day de den di do duoc em gi giup ha hay hoi khi
    khong ko la lai lam len luc minh mot nao nay neu nha nhe nhieu nhu nhung noi o phai qua ra rang rat roi sao se shop
    tai the theo thi toi trong tu va van vao vay ve vi voi xin a ah oi u ben""".split()  # noqa: SIM905  # as above
)
STOP = STOP_EN | STOP_VI


def content_words(text: str) -> list[str]:
    """Folded words without grammar words, English endings cut; numbers are words too."""
    return list(_content_words(text))


def numbers(text: str) -> set[str]:
    """The numbers of a text by value, however their digits are grouped: 45,000 = 45.000, 2,5 = 2.5, 09:00 = 9:00."""
    return {_value(found) for found in NUMBER.findall(text)}


def spelled_numbers(text: str) -> set[str]:
    """The numbers up to twenty, and the tens, that an English text spells out: "five", "second", "thirty"."""
    return {SPELLED[word] for word in WORD.findall(text.lower()) if word in SPELLED}


def sentences(text: str) -> list[str]:
    """The sentences of one paragraph, in order. Abbreviations, initials and decimals end none."""
    plain = " ".join(text.split())
    found: list[str] = []
    start = 0
    for end in END.finditer(plain):
        if _ends(plain[start : end.end()].rstrip(), plain[end.end() :]):
            found.append(plain[start : end.end()].strip())
            start = end.end()
    if rest := plain[start:].strip():
        found.append(rest)
    return found


def _ends(before: str, after: str) -> bool:
    """Whether a full stop between these two ends a sentence."""
    if not after:
        return True
    first = after.lstrip("\"'“‘([*_<")[:1]
    if first.islower():
        return False
    last = before.rsplit(maxsplit=1)[-1].lower().lstrip("(\"'“‘[")
    # "J. Smith" is an initial, "500 W. It" a unit.
    initial = len(last) == len("x.") and last[0].isalpha() and last[1] == "." and not UNIT.search(before)
    numbered = last.rstrip(".").isdigit() and len(before.split()) == 1
    return not (last in ABBREVIATIONS or initial or numbered)


@lru_cache(maxsize=4_096)
def _content_words(text: str) -> tuple[str, ...]:
    """Remembered, as the same pieces of articles are read for every question that they may answer."""
    return tuple(stem for word in WORD.findall(fold(text)) if (stem := _content(word)))


@lru_cache(maxsize=65_536)
def _content(word: str) -> str:
    plain = re.split("['’]", word, maxsplit=1)[0]
    return "" if plain in STOP else stem(plain)


def _value(found: str) -> str:
    sign = "-" if found[0] == "-" else ""
    digits = found.lstrip("+-")
    if ":" in digits:
        return sign + ":".join(part.lstrip("0") or "0" for part in digits.split(":"))
    parts = re.split("[.,]", digits)
    grouped = len(parts) > 1 and all(len(part) == SHORT for part in parts[1:]) and parts[0] != "0"
    if grouped:
        return sign + "".join(parts).lstrip("0")
    whole, _, fraction = digits.replace(",", ".").partition(".")
    fraction = fraction.rstrip("0")
    return sign + (whole.lstrip("0") or "0") + (f".{fraction}" if fraction else "")
