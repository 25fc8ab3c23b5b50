"""Words as the lexical index sees them, the same for English and Vietnamese."""

import re
from functools import lru_cache

from domain.words import fold, stem

WORD = re.compile(r"[^\W_]+(?:[.'’][^\W_]+)*")
APOSTROPHE = re.compile("['’]")

STOP_EN = frozenset(
    """a about after again all also am an and any are as at be because been before being but by can could did do does
    doing don dont down during each few for from further get got had has have having he her here hers him his how i if
    im in into is it its ive just let may me might more most must my no nor not now of off on once only or other our out
    over own please s same shall she should so some such t tell than thank thanks that the their them then there these
    they this those through to too under until up us very want was we were what when where which while who whom why will
    with would you your""".split()  # noqa: SIM905  # words read better as a text
)
# Grammar words of Vietnamese after folding. Left out: those that fold onto an English word of content (tin, can, hang).
STOP_VI = frozenset(
    """ai anh ban bao bi boi cac cai cho chua co con cua cung da dang day de den di do duoc em gi giup hay hoi khi khong
    la lai lam len luc minh mot nao nay neu nhe nhieu nhu nhung noi o phai qua ra rang rat roi se tai the theo thi toi
    trong tu va van vao vay ve vi voi xin a ah oi u""".split()  # noqa: SIM905  # as above
)
STOP_WORDS = STOP_EN | STOP_VI


def words(text: str) -> list[str]:
    """The content words of a text in order: folded, English endings cut, grammar words left out."""
    return [stem for word in WORD.findall(fold(text)) if (stem := _content(word))]


@lru_cache(maxsize=65_536)
def _content(word: str) -> str:
    plain = APOSTROPHE.split(word, maxsplit=1)[0]
    return "" if plain in STOP_WORDS else stem(plain)
