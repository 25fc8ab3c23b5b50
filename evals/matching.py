"""Whether a text says a fact, and whether it repeats another text: case, spaces and number formats aside."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence

LENGTH = 8
Run = tuple[str, ...]
"""`LENGTH` words in a row: no two texts share them by chance."""

SPACES = re.compile(r"\s+")
THOUSANDS = re.compile(r"(?<=\d)[.,' ](?=\d{3}(?!\d))")
DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d{1,2}(?!\d))")
DASHES = str.maketrans(dict.fromkeys("‐‑‒–—−", "-") | dict.fromkeys("‘’", "'") | dict.fromkeys("“”", '"'))
WORD = re.compile(r"\w+")


def plain(text: str) -> str:
    """One form for what people write differently: "60.000đ" and "60,000 đ" keep the number 60000, "1,5" is 1.5."""
    text = unicodedata.normalize("NFKC", text).casefold().translate(DASHES)
    return DECIMAL_COMMA.sub(".", THOUSANDS.sub("", SPACES.sub(" ", text))).strip()


def says(text: str, wording: str) -> bool:
    """Whether `wording` stands in `text`. A number in it must stand there whole: 9.80 is not in 19.80."""
    wanted = plain(wording)
    if not wanted:
        return False
    before = r"(?<!\d)(?<!\d\.)" if wanted[0].isdigit() else ""
    after = r"(?!\d)(?!\.\d)" if wanted[-1].isdigit() else ""
    return re.search(before + re.escape(wanted) + after, plain(text)) is not None


def says_one(text: str, wordings: Iterable[str]) -> bool:
    """Whether one of several wordings of a fact stands in `text`."""
    return any(says(text, wording) for wording in wordings)


def runs(text: str) -> frozenset[Run]:
    """Every `LENGTH` words in a row."""
    return frozenset(_in_order(text))


def shared_run(text: str, others: Sequence[Collection[Run]], allowed: Iterable[str] = ()) -> str:
    """The first words in a row that `text` has from one of the others and from none of the `allowed` texts; else empty."""
    free = frozenset[Run]().union(*(runs(one) for one in allowed))
    return next((" ".join(run) for run in _in_order(text) if run not in free and any(run in one for one in others)), "")


def _in_order(text: str) -> list[Run]:
    words = WORD.findall(plain(text))
    return [tuple(words[start : start + LENGTH]) for start in range(len(words) - LENGTH + 1)]
