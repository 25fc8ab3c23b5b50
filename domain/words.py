"""Letters and endings of English and Vietnamese words and sentences: what every room that compares words agrees on."""

import re
import unicodedata

SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]*_]*(?=\s)|\n")
"""A sentence is over when the blank behind it is there: "4." may go on "50", "mai." may go on "lan@shop.example"."""
VOWELS = frozenset("aeiouy")
SHORT = 3
FIRST_MARK = "\u0300"


def fold(text: str) -> str:
    """Lower case without diacritics: "Đổi trả" becomes "doi tra"."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text.lower())
    # No mark that combines comes before this one: most letters need not be looked up.
    return "".join([letter for letter in plain if letter < FIRST_MARK or not unicodedata.combining(letter)]).replace(
        "đ", "d"
    )


def stem(word: str) -> str:
    """Cut plural, -ing, -ed and -ly from a folded word; a light cut, so that words of different meaning seldom meet."""
    if len(word) <= SHORT or not word.isascii() or not word.isalpha():
        return word
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh")):
        if word.endswith(ending):
            return word[: -len(ending)] + instead
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed", "ly"):
        rest = word[: -len(ending)]
        if word.endswith(ending) and len(rest) >= SHORT and VOWELS & set(rest):
            # "shipping" and "shipped" meet "ship"; "refunding" meets "refund".
            doubled = rest[-1] == rest[-2] and rest[-1] not in "lsz"
            return rest[:-1] if doubled else rest
    return word[:-1] if word.endswith("e") and len(word) > SHORT + 1 else word
