"""The first step of every inspection: undo what hides words from a reader of words.

Linear in the length of the text. Only for inspection: what the customer wrote stays as written.
"""

import base64
import binascii
import codecs
import html
import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from urllib.parse import unquote

from guards.base import Evidence, Inspected
from guards.features import places_of

MAX_PAYLOADS = 4
MIN_PAYLOAD_LETTERS = 0.7
"""Share of letters and spaces that makes decoded bytes a text."""
JOINED_LETTERS = 6

INVISIBLE = "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e01ef"
TAGS = re.compile("[\U000e0020-\U000e007e]{4,}")
HIDDEN = re.compile(f"[{INVISIBLE}]")
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
SURROGATE = re.compile("[\ud800-\udfff]")
WORD = re.compile(r"[^\W\d_]+")
BLANKS = re.compile(r"[^\S\n]+")
SPACED = re.compile(r"(?<!\w)[^\W\d_](?:[^\S\n]{1,6}[^\W\d_](?!\w)|[ .\-_*·/|]{1,4}[^\W\d_](?!\w)){3,}")
BETWEEN = re.compile(r"[\W_]+")
ENTITY = re.compile(r"&(?:#x?[0-9a-f]{2,6}|[a-z]{2,8});", re.IGNORECASE)
ESCAPED = re.compile(r"\\(?:u\{([0-9a-f]{1,6})\}|u([0-9a-f]{4})|x([0-9a-f]{2}))", re.IGNORECASE)
BITS = re.compile(r"(?<![01])[01]{8}(?:[ ,]{0,2}[01]{8}){5,}(?!\d)")
CODES = re.compile(
    r"(?<![\d.,])(?:3[2-9]|[4-9]\d|1[01]\d|12[0-6])(?:[ ,]{1,2}(?:3[2-9]|[4-9]\d|1[01]\d|12[0-6])){11,}(?![\d.])"
)
LONG_WORD = re.compile(r"[^\W\d_]{18,}")
LEET_WORD = re.compile(r"(?<![a-z0-9@$!|+])[a-z0-9@$!|+]*(?:[a-z][013457@$!|]|[013457@$!|][a-z])[a-z0-9@$!|+]*")
BASE64 = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_-]{16,}={0,2}")
HEX = re.compile(r"(?<!\w)(?:0x|\\x)?(?:[0-9a-fA-F]{2}[ :,]?(?:0x|\\x)?){10,}(?!\w)")
PERCENT = re.compile(r"(?:%[0-9a-fA-F]{2}[\w.~-]{0,3}){5,}")
CUES = (
    *("ignore", "instruct", "prompt", "system", "rules", "password", "secret", "reveal", "forget", "disregard"),
    *("huong dan", "bo qua", "chi dan", "he thong", "quy tac", "mat khau", "noi bo"),
)
"""Two of these in a text that was turned (rot13, backwards) make it a payload."""

# Letters of other scripts that look like Latin ones; folded only in words that mix scripts.
LOOKALIKES = {
    **dict(zip("аеорсухіјѕԁһԛԝгпкмтвн", "aeopcyxijsdhqwrnkmtbh", strict=True)),
    **dict(zip("АВЕКМНОРСТУХІЈЅ", "ABEKMHOPCTYXIJS", strict=True)),
    **dict(zip("αεοικνρτυχηωγ", "aeoiknptuxnwy", strict=True)),
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True)),
    **dict(zip("ɑɡıȷʟɴʀᴀᴇᴏᴜ", "agijlnraeou", strict=True)),
}
SMALL_CAPITALS = str.maketrans("ᴀʙᴄᴅᴇꜰғɢʜɪᴊᴋʟᴍɴᴏᴘǫʀꜱᴛᴜᴠᴡʏᴢ", "abcdeffghijklmnopqrstuvwyz")
REGIONAL = {0x1F1E6 + place: letter for place, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
"""The letters that flags are made of."""
ALWAYS: dict[int, int | str] = {**SMALL_CAPITALS, **REGIONAL}
LEET = str.maketrans("013457@$!|+", "oieastasilt")


def clean(text: str) -> str:
    """`text` without what no store can keep: NULs dropped, lone surrogates replaced. The rest as written."""
    return SURROGATE.sub("\ufffd", text).replace("\x00", "")


def inspect(
    text: str, *, limit: int | None = None, evidence: Evidence | None = None, places: bool = False
) -> Inspected:
    """Everything a guard may look at, of the first `limit` characters (None: of all). `places`: the heads' features too."""
    cut = clean(text[:limit])
    shown = _fold_lookalikes(HIDDEN.sub("", unicodedata.normalize("NFKC", _written_out(cut))))
    shown = CONTROL.sub(" ", shown)
    spaced = SPACED.findall(shown)
    joined = "".join(WORD.findall("".join([*spaced, *LONG_WORD.findall(shown)])))
    if spaced:
        shown = SPACED.sub(_together, shown)
    folded = fold(shown)
    readable = BLANKS.sub(" ", shown)
    plain = LEET_WORD.sub(lambda match: match[0].translate(LEET), folded)
    return Inspected(
        original=cut,
        length=len(text),
        text=readable,
        folded=folded,
        plain=plain,
        joined=fold(joined) if len(joined) >= JOINED_LETTERS else "",
        decoded=tuple(_payloads(cut, folded)),
        evidence=evidence,
        places=places_of(readable, plain) if places else None,
    )


def fold(text: str) -> str:
    """Lower case, no diacritics, single blanks; line ends stay. "Đổi  trả" becomes "doi tra"."""
    if text.isascii():
        return BLANKS.sub(" ", text.lower())
    plain = unicodedata.normalize("NFD", text.lower()).translate(_marks())
    return BLANKS.sub(" ", plain)


def fold_each(text: str) -> str:
    """`text` without diacritics, letter by letter: case and every position stay."""
    if text.isascii():
        return text
    return "".join([_base(letter) if letter > "\x7f" else letter for letter in text])


@lru_cache(maxsize=4_096)
def _base(letter: str) -> str:
    if letter in "đĐ":
        return "d" if letter == "đ" else "D"
    plain = unicodedata.normalize("NFD", letter)
    return plain[0] if len(plain) > 1 and all(mark in _marks() for mark in map(ord, plain[1:])) else letter


def composed(text: str) -> tuple[str, list[int] | None]:
    """`text` with each letter and its combining marks as one character, and where each came from.

    None instead of places: nothing was to be composed. A list has one entry more than characters: the end.
    """
    if unicodedata.is_normalized("NFC", text):
        return text, None
    letters: list[str] = []
    places: list[int] = []
    for place, letter in enumerate(text):
        both = unicodedata.normalize("NFC", letters[-1] + letter) if letters and unicodedata.combining(letter) else ""
        if len(both) == 1:
            letters[-1] = both
        else:
            letters.append(letter)
            places.append(place)
    return "".join(letters), [*places, len(text)]


def _capitals() -> str:
    """The capital letters of the Latin, Greek and Cyrillic scripts, as a class of a pattern."""
    places = [*range(0x41, 0x530), *range(0x1E00, 0x2000)]
    return "".join(chr(place) for place in places if chr(place).isupper())


UPPER = f"[{_capitals()}]"


@cache
def _marks() -> dict[int, str | None]:
    """Combining marks of the Latin, Greek and Cyrillic scripts vanish; other scripts need theirs."""
    return {
        **dict.fromkeys(range(0x300, 0x370)),
        ord("đ"): "d",
        ord("’"): "'",
        ord("‘"): "'",
        ord("“"): '"',
        ord("”"): '"',
    }


def aligned(text: str) -> tuple[str, list[int] | None]:
    """`text` without disguise of single characters, and for each of its characters the index it came from.

    None instead of indices: nothing was changed. A list has one entry more than characters: the end.
    """
    if not HIDDEN.search(text) and unicodedata.is_normalized("NFKC", text):
        return text, None
    letters: list[str] = []
    places: list[int] = []
    for place, letter in enumerate(text):
        plain = "" if HIDDEN.match(letter) else unicodedata.normalize("NFKC", letter)
        letters.append(plain)
        places += [place] * len(plain)
    return "".join(letters), [*places, len(text)]


def _written_out(text: str) -> str:
    """Entities of HTML and escapes of programs as the characters they stand for."""
    if "&" in text and ENTITY.search(text):
        text = html.unescape(text)
    if "\\" in text:
        text = ESCAPED.sub(_unescaped, text)
    return SURROGATE.sub("\ufffd", text)


def _unescaped(match: re.Match[str]) -> str:
    number = int(match[1] or match[2] or match[3], 16)
    return chr(number) if number <= sys.maxunicode else match[0]


def _together(match: re.Match[str]) -> str:
    """Letters with gaps as words: the widest gaps stand between words, where gaps differ."""
    gaps = BETWEEN.findall(match[0])
    least = min(map(len, gaps))
    return BETWEEN.sub(lambda gap: " " if len(gap[0]) > least else "", match[0])


def _fold_lookalikes(text: str) -> str:
    return text if text.isascii() else WORD.sub(_latin, text.translate(ALWAYS))


def _latin(match: re.Match[str]) -> str:
    word = match[0]
    mixed = not word.isascii() and any(letter in LOOKALIKES for letter in word)
    if not mixed or not any(letter.isascii() for letter in word):
        return word
    return "".join(LOOKALIKES.get(letter, letter) for letter in word)


def _payloads(text: str, folded: str) -> Iterator[str]:
    """Texts hidden inside, decoded once."""
    found = 0
    for payload in _decoded(text, folded):
        readable = sum(letter.isalpha() or letter.isspace() for letter in payload)
        if payload and readable / len(payload) >= MIN_PAYLOAD_LETTERS:
            yield fold(payload)
            found += 1
        if found == MAX_PAYLOADS:
            return


def _decoded(text: str, folded: str) -> Iterator[str]:
    for tags in TAGS.findall(text):
        yield "".join(chr(ord(letter) - 0xE0000) for letter in tags)
    for match in BASE64.findall(text):
        yield _from_base64(match)
    for match in HEX.findall(text):
        digits = re.sub(r"0x|\\x|[ :,]", "", match)
        yield _utf8(bytes.fromhex(digits[: len(digits) // 2 * 2]))
    for match in PERCENT.findall(text):
        yield unquote(match, errors="ignore")
    for match in BITS.findall(text):
        digits = re.sub(r"\D", "", match)
        yield _utf8(bytes(int(digits[place : place + 8], 2) for place in range(0, len(digits), 8)))
    for match in CODES.findall(text):
        yield "".join(chr(int(code)) for code in re.findall(r"\d+", match))
    for turned in (codecs.encode(folded, "rot13"), folded[::-1]):
        if sum(cue in turned for cue in CUES) > 1:
            yield turned


def _from_base64(text: str) -> str:
    body = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _utf8(base64.b64decode(body + "=" * (-len(body) % 4)))
    except binascii.Error:
        return ""


def _utf8(data: bytes) -> str:
    return data.decode("utf-8", "replace").replace("\ufffd", "")
