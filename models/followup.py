"""Whether a question leans on what was said before ("and to Hanoi?", "còn cái kia thì sao?")."""

import re
import unicodedata

SHORT = 3
"""Words of a question that is too short to stand alone inside a conversation."""

_LEADS = re.compile(
    r"^(and|but|or|so|also|then|what about|how about|what if|and if|why( not)?$|how so|ok(ay)? (and|but|so)"
    r"|con|the con|vay (con|thi|neu)|vay$|the thi|the neu|neu vay|roi sao|va |nhung|tai sao( vay| the)?$)\b"
)
_REFERS = re.compile(
    r"\b(it|its|that one|this one|those|these|them|they|that|the same|the other( one)?|one of them|either"
    r"|no|cai (do|nay|kia)|viec (do|nay)|don (do|nay)|chung|nhu (vay|the)|loai (do|nay|kia)|hai cai|truong hop (do|nay))\b"
)
_FOLD = str.maketrans({"đ": "d", "Đ": "d"})
# Folded, the Vietnamese pronoun "nó" is the English "no": read it only where the text is Vietnamese.
_ENGLISH_NO = re.compile(r"\bno\b")


def depends_on_history(question: str) -> bool:
    """True if the question may need its predecessor to be understood: it points back, or is very short."""
    return len(_folded(question).split()) <= SHORT or points_back(question)


def points_back(question: str) -> bool:
    """True if words of the question mean something that was said before. Only asked where something was."""
    text = _folded(question)
    if _LEADS.match(text):
        return True
    if "nó" not in unicodedata.normalize("NFC", question.lower()):
        text = _ENGLISH_NO.sub("", text)
    return bool(_REFERS.search(text))


def _folded(question: str) -> str:
    decomposed = unicodedata.normalize("NFD", question.lower().translate(_FOLD))
    return "".join(char for char in decomposed if not unicodedata.combining(char)).strip(" ?!.,")
