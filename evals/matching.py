"""Whether a text says a fact, and whether it repeats another text: case, spaces and number formats aside."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

RUN = 8
"""Words in a row that no two texts share by chance."""

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


def runs(text: str, length: int = RUN) -> set[tuple[str, ...]]:
    """Every `length` words in a row."""
    words = WORD.findall(plain(text))
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


def shared_run(text: str, others: Sequence[set[tuple[str, ...]]], allowed: Iterable[str] = ()) -> str:
    """Words in a row that `text` has from one of the others' runs and from none of the `allowed` texts; else empty."""
    said = runs(text)
    for text_allowed in allowed:
        said -= runs(text_allowed)
    return next((" ".join(run) for other in others for run in sorted(said & other)), "")
