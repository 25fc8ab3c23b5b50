"""The sentences of a text that ask for something: what scope is judged by, and articles are looked for, beside the whole.

A greeting, thanks, an order number, a complaint or a story ("my dog chewed it") asks for nothing, and turns no
customer away; a question, an order to somebody or to the reader does.
"""

import re

from domain.words import fold

LEAST_WORDS = 3
MOST = 8
"""Sentences judged by themselves: the first ones, and the last ones, behind which an attack hides best."""
LONGEST = 300
"""Characters of a sentence that are judged; a longer one is cut into pieces of this length."""
SENTENCE = re.compile(r"(?<=[.!?。？！…])[\"'”’)\]]*\s+|[\r\n]+")
TELLING = re.compile(
    r"^\W*(?:(?:and|but|so|also|because|since|unfortunately|actually|well|ok|okay|oh|then|now|however|plus)\W+)*"
    r"(?:i|i'm|i've|i'd|i'll|im|ive|my|we|we've|we're|our|it|it's|its|they|he|she|his|her|their|there|this|that|these|the|"
    r"a|an|thanks|thank|thx|hi|hello|hey|dear|good|sorry|regards|yes|no|not|nothing|just|"
    r"yesterday|today|tonight|last|since|(?:when|after|before|while) (?:i|we|my|our)|everyone|everybody|someone|somebody|"
    r"toi|minh|em|anh|chi|chung toi|chung minh|cua toi|hom qua|hom nay|hom truoc|da|vang|cam on|xin chao|chao|alo|"
    r"hopefully|wishing|looking forward|glad|happy|great|nice|lovely|best|kind|warm|many|apologies|greetings|"
    r"been|bought|ordered|received|got|had|paid|called|tried|returned|"
    r"don hang|san pham|hang|cai|con|nha|vo|chong|gia dinh|me|ong|moi nguoi|"
    r"(?:hom|sang|trua|chieu|tuan|thang|nam|ngay|vua)(?= \w))\b"
)
ASKING = re.compile(
    r"\?|？|\b(?:please|pls|can you|could you|would you|will you|i want you to|you (?:are|will|must|should|can|have)|"
    r"your (?:task|job|role|instructions?|rules|prompt)|tell me|give me|show me|write|let's|"
    r"how (?:do|can|to|would|could|many|much)|what (?:is|are|was)|who|why|where is|"
    r"(?:i|we) (?:want|need|would like|'d like) (?:to know|you)|"
    r"hay|giup|lam on|vui long|cho (?:toi|minh|em|anh|chi) (?:biet|xem|hoi)|ban (?:la|hay|phai|se)|bao nhieu|the nao|tai sao|"
    r"lam sao|o dau|khi nao|bao gio|la gi|khong a|duoc khong)\b"
)
WISHING = re.compile(r"^\W*(?:(?:i|we)\W+)?(?:hope|hoping|trust)(?: that)? you(?:'re| are| have| will)?\b")
"""How a wish begins: its "you are" orders nobody."""
LEANING = re.compile(
    r"\b(?:that|this|it|they|them|those|these|he|she|him|her|there|này|đó|vậy|thế|nó|thì|sao)\b", re.IGNORECASE
)
WORD = re.compile(r"[^\W_]+")
SHORT = 7
"""Below so many words a sentence with "that" or "it" means what the one before it says: nothing by itself."""
EMPTY = re.compile(
    r"(?:what|whats|should|shall|can|could|would|do|does|i|we|you|me|us|now|next|then|please|advise|help|how|why|is|possible|any|"
    r"ideas?|suggest|suggestions?|recommend|tell|let|know|to|happens|happened|about|your|thoughts|so|or|"
    r"phai|lam|sao|gi|bay|gio|the|nao|nen|toi|minh|em|anh|chi|shop|ban|giup|voi|duoc|khong|ko|a|nhe|co|xin|tu|van|cho|hoi|biet|"
    r"cach|xu|ly|thi|vay|nhi|roi)"
)
"""Words of which "What should I do?" is made: alone they name nothing that is anybody's business or not."""
ORDERED = re.compile(r"^\W*(?!\d)\w+")


def pieces(text: str) -> list[str]:
    """The parts of a text of several sentences that ask for something, at most `MOST`; none of a single sentence."""
    sentences = [part for sentence in SENTENCE.split(text) if sentence.strip() for part in _cut(sentence.strip())]
    if len(sentences) < 2:  # noqa: PLR2004  # the whole is judged anyway
        return []
    asking = [sentence for sentence in sentences if asks(sentence)]
    half = MOST // 2
    return asking if len(asking) <= MOST else asking[:half] + asking[-half:]


def question_in(text: str) -> str:
    """What a text of several sentences asks in the end, without the story before it; empty where that is all of it.

    From its first question mark on, else its last sentence; with the one before where it says "it", "that", "nó", or
    names nothing ("What should I do?").
    """
    sentences = [sentence.strip() for sentence in SENTENCE.split(text) if sentence.strip()]
    marked = (at for at, sentence in enumerate(sentences) if "?" in sentence or "？" in sentence)
    first = next(marked, len(sentences) - 1)
    if first > 0 and (LEANING.search(sentences[first]) or _is_empty(fold(sentences[first]))):
        first -= 1
    return " ".join(sentences[first:]) if first > 0 else ""


def asks(sentence: str) -> bool:
    """Whether a sentence asks or orders; one that merely tells (I, my, the, thanks) does not."""
    folded = fold(sentence)
    words = len(folded.split())
    if words < LEAST_WORDS or (words < SHORT and LEANING.search(sentence)) or _is_empty(folded):
        return False
    wish = WISHING.match(folded)
    if ASKING.search(folded, wish.end() if wish else 0):
        return True
    if wish:
        return False
    return not TELLING.match(folded) and bool(ORDERED.match(folded))


def _is_empty(folded: str) -> bool:
    return all(EMPTY.fullmatch(word) for word in WORD.findall(folded))


def _cut(sentence: str) -> list[str]:
    return [sentence[start : start + LONGEST] for start in range(0, len(sentence), LONGEST)]
