"""Which encoding a file is in: what it declares, else what two witnesses agree on. What is in doubt is not read.

A wrong guess gives letters that nobody wrote, and nobody would notice before a customer does. So beside UTF-8, marks
at the beginning and declarations only two encodings are recognised, those in which English and Vietnamese were
written before: charset-normalizer must find them, and the text must read as one of the two languages.
"""

import codecs
import re
import unicodedata
from collections.abc import Iterator
from typing import BinaryIO

from domain.language import likelier

PIECE = 1_000_000
HEAD = 8_192
SAMPLE = 65_536
"""Bytes of lines beyond ASCII by which an encoding is recognised."""
UTF8 = "utf-8-sig"
MARKS = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
DECLARED = re.compile(
    rb"""(?ix) <meta [^>]{0,200}? charset \s* = \s* ["']? ([\w.:-]+)
    | <\?xml [^>]{0,200}? encoding \s* = \s* ["'] ([\w.:-]+)
    | ^ content-type: [^\r\n]{0,200}? charset \s* = \s* ["']? ([\w.:-]+)
    | ^ [^\w\r\n]{0,8} (?:vim?: [^\r\n]{0,80}? fileencoding | (?:file_?)? (?:en)?coding | charset) \s* [:=] \s* ["']? ([\w.:-]+)""",
    re.MULTILINE,
)
"""What a page, a saved HTTP header, a front matter or an editor's line says of a file's encoding."""
AS_BROWSERS_DO = {"iso8859-1": "cp1252", "ascii": "cp1252"}
NAMES = {"cp1252": "windows-1252", "cp1258": "windows-1258"}
TRIED = ("cp1252", "cp1258")
WITHIN_ASCII = ("iso2022", "hz")
"""Encodings of other letters by the bytes of ASCII: only a declaration tells them from English."""
PARTLY_UTF8 = re.compile(rb"[\xc2-\xc5][\x80-\xbf]|\xe1[\xba\xbb][\x80-\xbf]|\xe2\x80[\x80-\xbf]")
"""Latin letters and quotation marks in UTF-8: in the two encodings tried, pairs that no language has."""
WORDS = re.compile(r"[^\W\d_]+")
BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
BEHIND_NO_LETTER = frozenset("“£‚„†‡ˆ‰¨¸¹¼½¾µ¢¤¦§¶¬¯")
BETWEEN_NO_LETTERS = frozenset("”‹›«»")
ALONE_IN_DOS = "…"
"""The "à" of DOS; three dots stand at the end of something."""
PRICE = "đĐ"
"""Letters that Vietnamese writes behind the digits of a price."""
FOREIGN_SHARE = 0.2
"""Of the words in those lines of an English text, most that may have a letter beyond ASCII; or else …"""
FOREIGN_AROUND = 0.05
"""… so many for each word at the beginning of the file: of a title "Café" every word is foreign."""
TAG = re.compile(r"<[^<>]*>")
NEVER_ENGLISH = frozenset("ðþýõìòÐÞÝÕÌÒ¡¿øÿƒ")
"""Signs of windows-1252 that English borrows from nobody: Vietnamese, Turkish, a Mac's and DOS's degrees stand there elsewhere."""
VIETNAMESE = frozenset("àáảãạăằắẳẵặâầấẩẫậđèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵ")
CHAOS = 0.02
"""How much more mess than in its best find charset-normalizer may see: ties are broken by our own reading."""


class UnknownEncoding(Exception):  # noqa: N818  # never leaves the files that read: a reason to skip
    """Why the encoding of a file is not known, and the line where it shows (0: unknown)."""

    def __init__(self, why: str, line: int = 0) -> None:
        self.why, self.line = why, line
        super().__init__(why)


def encoding_of(stream: BinaryIO) -> str:
    """What `bytes.decode` calls the encoding of a file, all of which it decodes. Raises UnknownEncoding: none is sure.

    UTF-8 is `UTF8`, with or without a mark.
    """
    head = stream.read(HEAD)
    marked = next((name for mark, name in MARKS if head.startswith(mark)), "")
    if marked and marked != UTF8:
        if _fault(stream, marked) is not None:
            raise UnknownEncoding(f"begins as {marked.upper()} and is not: it is damaged")
        return marked
    if b"\0" in head:
        return _unmarked_utf16(stream, head)
    declared = _declared(head)
    if declared.startswith(WITHIN_ASCII) and _fault(stream, declared) is None:
        return declared
    line = _fault(stream, UTF8)
    if line is None:
        return UTF8
    if declared not in {"", "utf-8"} and _fault(stream, declared) is None and _reads(_sample(stream), declared):
        return declared
    return _recognised(stream, line, declared)


def _unmarked_utf16(stream: BinaryIO, head: bytes) -> str:
    """UTF-16 without a mark: of its letters each has a NUL on the same side. Raises UnknownEncoding."""
    for name, own, other in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if b"\0" not in other and 2 * own.count(0) >= len(own) and _fault(stream, name) is None:
            return name
    raise UnknownEncoding("a binary file")


def shown(encoding: str) -> str:
    """What people call an encoding; empty for UTF-8."""
    return "" if encoding == UTF8 else NAMES.get(encoding, encoding)


def composed(text: str, encoding: str) -> str:
    """A text as others write it: windows-1258 keeps the tones of Vietnamese beside their letters."""
    return text if encoding == UTF8 else unicodedata.normalize("NFC", text)


def _declared(head: bytes) -> str:
    """The encoding that a file declares, by Python's name; empty where there is none, or none that is known."""
    found = DECLARED.search(head)
    if found is None:
        return ""
    try:
        name = codecs.lookup(found[found.lastindex or 0].decode("ascii", "replace")).name
        b"".decode(name)  # some are no encodings of text
    except (LookupError, UnicodeError):
        return ""
    return AS_BROWSERS_DO.get(name, name)


def _fault(stream: BinaryIO, encoding: str) -> int | None:
    """The first line that is not in this encoding, or that holds a NUL; None where all are."""
    decoder, lines = codecs.getincrementaldecoder(encoding)(), 1
    for piece in (*_pieces(stream), b""):
        try:
            if "\0" in decoder.decode(piece, final=not piece):
                return lines
        except UnicodeError as fault:
            before = fault.object[: fault.start] if isinstance(fault, UnicodeDecodeError) else b""
            return lines + bytes(before).count(b"\n")
        lines += piece.count(b"\n")
    return None


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    stream.seek(0)
    while piece := stream.read(PIECE):
        yield piece


def _recognised(stream: BinaryIO, line: int, declared: str) -> str:
    """The one encoding for which everything speaks. `line`: the first that is no UTF-8. Raises UnknownEncoding."""
    said = f" (it declares {shown(declared)})" if shown(declared) else ""
    if any(PARTLY_UTF8.search(piece) for piece in _pieces(stream)):
        raise UnknownEncoding(f"not UTF-8 throughout{said}", line)
    sample = _sample(stream)
    found = _witnessed(sample)
    for encoding in TRIED:
        if (
            encoding in found
            and _fault(stream, encoding) is None
            and _is_language(sample, encoding, _beginning(stream))
        ):
            return encoding
    perhaps = f", {found[0]} perhaps" if found else ""
    raise UnknownEncoding(f"not UTF-8{perhaps}{said}: save it as UTF-8", line)


def _beginning(stream: BinaryIO) -> bytes:
    stream.seek(0)
    return stream.read(SAMPLE)


def _witnessed(sample: bytes) -> list[str]:
    """The encodings that charset-normalizer finds in these lines with hardly more mess than the best, the best first."""
    from charset_normalizer import from_bytes  # noqa: PLC0415  # only a file that is no UTF-8 needs it

    matches = list(from_bytes(sample))
    clear = [match for match in matches if match.chaos <= matches[0].chaos + CHAOS]
    return list(dict.fromkeys(name for match in clear for name in (match.encoding, *match.could_be_from_charset)))


def _sample(stream: BinaryIO) -> bytes:
    """The lines of a file that hold more than ASCII, up to SAMPLE bytes."""
    lines, size = list[bytes](), 0
    stream.seek(0)
    while size < SAMPLE and (some := stream.readlines(PIECE)):
        for line in some:
            if not line.isascii() and size < SAMPLE:
                start = next(place for place, byte in enumerate(line) if byte > 127) if len(line) > SAMPLE else 0  # noqa: PLR2004  # the end of ASCII
                lines.append(line[max(start - HEAD, 0) : start + SAMPLE])
                size += len(lines[-1])
    return b"".join(lines)


def _reads(sample: bytes, encoding: str) -> bool:
    """Whether lines read so look like writing at all: its capitals stand where capitals do, its signs where signs do."""
    text = composed(sample.decode(encoding, "replace"), encoding)
    foreign = [word for word in WORDS.findall(text) if not word.isascii()]
    return 5 * (_misplaced(text) + sum(map(_is_miswritten, foreign))) <= len(foreign)


def _is_language(sample: bytes, encoding: str, beginning: bytes) -> bool:
    """Whether lines read so are English with a few foreign letters, or Vietnamese."""
    text = sample.decode(encoding, "replace")
    whole = composed(text, encoding)
    words = WORDS.findall(whole)
    foreign = [word for word in words if not word.isascii()]
    if _misplaced(whole) or any(map(_is_miswritten, foreign)):
        return False
    letters = {letter for word in foreign for letter in word if not letter.isascii()}
    if encoding == "cp1258":
        whole_tones = not any(map(unicodedata.combining, whole))
        known = bool(foreign) and {one.lower() for one in letters} <= VIETNAMESE
        return known and whole_tones and "Đ" not in foreign and (whole != text or likelier(whole) == "vi")
    lone = any(len(word) == 1 and word != "à" for word in foreign)
    around = len(WORDS.findall(TAG.sub(" ", beginning.decode(encoding, "replace"))))
    most = max(FOREIGN_SHARE * len(words), FOREIGN_AROUND * around)
    return not lone and NEVER_ENGLISH.isdisjoint(whole) and len(foreign) <= most


def _is_miswritten(word: str) -> bool:
    """Whether a capital stands within a word."""
    return word not in {word.lower(), word.upper(), word[:1] + word[1:].lower()}


def _misplaced(text: str) -> int:
    """How many signs beyond ASCII stand where nobody writes them: another encoding's letters."""
    return sum(
        _is_misplaced(found[0], text[found.start() - 1 : found.start()], text[found.end() : found.end() + 1])
        for found in BEYOND_ASCII.finditer(text)
    )


def _is_misplaced(sign: str, before: str, after: str) -> bool:
    if sign == ALONE_IN_DOS:
        return before == " " or (before.isalpha() and after.isalpha())
    if sign in BEHIND_NO_LETTER:
        return before.isalpha()
    if sign in BETWEEN_NO_LETTERS:
        return before.isalpha() and after.isalpha()
    return sign.isalpha() and sign not in PRICE and (before.isdigit() or after.isdigit())
