"""Whether a text says that it does not know, in English or Vietnamese.

What is looked for is a sentence that denies: that the speaker can say, that the sources hold it, or that it is known.
Where in the text it stands decides: an answer that merely closes with a limit of what it knows has answered. A
denial about a thing ("the seat can't be heated") is none, nor is one under a condition ("if the manual does not …").
The rules were found on half of the questions of DelucionQA's train and dev split (CC-BY-4.0).
"""

import re
from dataclasses import dataclass

from domain.words import fold
from scoring.text import sentences

OPENING = 2
"""Sentences in which a denial makes the text a don't-know."""
SPOKEN = 6
"""Words from which a sentence counts as one: greetings and "Thank you." open nothing."""

SOURCE = (
    r"(?:context|information|passages?|text|documents?|documentation|sources?|articles?|sections?|manual"
    r"|paragraphs?|instructions|content|knowledge base|excerpts?|help (?:pages?|cent(?:re|er))|guides?|polic(?:y|ies)|faq)"
)
NOT = r"(?:(?:do|does|did)(?: not|n't)|fails? to|lacks?)"
CANNOT = r"(?:can ?not|can't|could not|couldn't|(?:am|is|are|'m|'re) (?:unable|not able) to|unable to|(?:not |im)possible to|(?:hard|difficult) to)"
TELL = r"(?:answer|determine|find|tell|say|locate|identify|verify|infer|see)"
HOLD = (
    r"(?:provide|mention|specif|contain|include|state|give|say|indicat|address|describe|explain|discuss|relat"
    r"|answer|list|clarif|have|refer|talk|tell|detail|pertain|cover|touch on|go into|hold|deal with)"
)
TOLD = r"(?:information|details?|mention|reference|indication|guidance|data|word)"
SOURCE_VI = r"(?:tai lieu|thong tin|van ban|ngu canh|doan van|bai viet|chinh sach|noi dung|huong dan)"
KNOWLEDGE = r"(?:information|answer|details|context|advice|knowledge)"
NEAR = r"(?:[\w'-]+[ ,]+){0,3}?"
GAP = r"(?:[\w'-]+[ ,]+){0,8}?"

# By whom it is denied: the speaker, or what they speak from. Folded text, without diacritics.
FIRM = (
    rf"\b{SOURCE}\b {GAP}{NOT} {NEAR}{HOLD}",
    rf"\b{SOURCE}\b {GAP}(?:is|are)(?: not|n't) (?:\w+ )?(?:related|relevant|about)\b",
    rf"\b(?:i|we|it) {NOT} {NEAR}(?:provide|have|contain|give|include|mention) {NEAR}{KNOWLEDGE}\b",
    rf"\b(?:i|we)(?:'m| am| are|'re)? {NEAR}{CANNOT} {NEAR}{TELL}\b",
    rf"\b(?:i|we)(?:'m| am| are|'re)? {NEAR}{CANNOT} {NEAR}(?:provide|give|offer) {NEAR}{KNOWLEDGE}\b",
    rf"\b{CANNOT} {NEAR}(?:answer|determine|be (?:answered|determined)|tell|say (?:for|with|whether))\b",
    r"\b(?:i|we) (?:\w+ )?(?:do not|don't) (?:\w+ )?know\b",
    r"\b(?:i'?m|i am|we'?re|we are) (?:not (?:sure|certain|aware)|unsure|uncertain)\b",
    rf"\b(?:i|we) (?:\w+ )?need more {NEAR}{KNOWLEDGE}\b|\bwithout (?:more|further|additional) {NEAR}{KNOWLEDGE}\b",
    rf"\b(?:please|(?:could|can|would) you) (?:\w+ )?provide {NEAR}(?:correct|more|further|additional) {NEAR}{KNOWLEDGE}\b",
    r"\b(?:rephrase|clarify) (?:your|the) question\b",
    rf"\b{SOURCE}\b {GAP}(?:(?:is|are|stays?|remains?) silent|(?:says?|tells?|holds?|contains?) nothing|(?:makes?|has|have|gives?|contains?) no {NEAR}{TOLD})\b",
    rf"\b(?:missing|absent) from {NEAR}{SOURCE}\b|(?:\bnot|n't) (?:something|anything) (?:that )?(?:\w+ )?{NEAR}{SOURCE}\b",
    rf"\b(?:i|we)(?:'m| am| are|'re)? {NEAR}{CANNOT} {NEAR}(?:confirm|be sure|be certain) (?:whether|if|that|this|about|of)\b",
    rf"\b(?:i|we) (?:have|had|found|find|see|was given|were given) (?:no|nothing) ?{NEAR}(?:{TOLD}|answer|about|on|for|regarding)\b",
    rf"\b(?:i|we) (?:have|had|was|were|find|found)(?: not|n't) {NEAR}(?:been )?(?:given|find|found|have|told) (?:any|enough|the) {NEAR}{KNOWLEDGE}\b",
    r"\bno way (?:for me |for us )?(?:to|of) (?:tell|know|say|telling|knowing|saying)\b|\bno (?:\w+ )?answer (?:to|for) (?:that|this|your|the)\b",
    rf"\banswers? (?:to (?:\w+ ){{1,3}})?(?:is|are)(?: not|n't) (?:\w+ )?(?:in|among|part of) {NEAR}{SOURCE}\b",
    rf"\b(?:none of|nothing in|nowhere in) (?:the |our |these )?(?:\w+ )?{SOURCE}\b",
    r"\b(?:question|request|query)\b (?:[\w'-]+ ){0,4}(?:is|was|seems) (?:\w+ )?(?:unclear|incomplete|unrelated|irrelevant|ambiguous|not (?:\w+ )?(?:clear|related|relevant|complete))\b",
    rf"\b(?:unrelated|irrelevant|not (?:\w+ )?(?:related|relevant)) to (?:the|your|this|that) (?:\w+ )?(?:question|{SOURCE})\b",
    rf"\bsorry\b.*\b(?:no|not {NEAR}any|nothing)\b.* (?:in|from|about) {NEAR}{SOURCE}\b",
    rf"\bsorry\b.*\b{SOURCE}\b[^.]* (?:is|are) about\b",
    r"\b(?:toi|minh|em|chung (?:toi|minh|em)|ben (?:minh|em)|shop)\b (?:\w+ )?(?:khong|chua) (?:the |ro |duoc |co the )?(?:biet|chac|ro|tra loi|xac dinh|cho biet|tim (?:thay|duoc|ra)|giai dap|khang dinh)\b",
    r"\b(?:khong|chua) (?:the )?(?:biet (?:ro|chac|duoc)|ro (?:cau|thong|ve)|chac (?:chan|lam)|tra loi duoc|tra loi cau|xac dinh duoc|tim (?:thay|duoc) (?:\w+ ){0,2}(?:thong tin|cau tra loi))",
    r"\b(?:khong|chua) (?:he |co |bat ky |du )+(?:thong tin|cau tra loi|du lieu)(?: nao)?(?: de| ve| lien quan|[.,]|$)",
    r"\b(?:tai lieu|thong tin|van ban|ngu canh|doan van|bai viet|chinh sach)\b (?:[\w]+ ){0,6}?(?:khong|chua) (?:he |co |duoc )*(?:de cap|nhac|noi|neu|ghi|quy dinh|cung cap|cho biet)\b",
    rf"\b(?:khong|chua) (?:he |co |thay |nam |duoc |ghi |neu |nhac (?:den |toi )?)+(?:o )?trong (?:\w+ ){{0,2}}{SOURCE_VI}\b",
    rf"\b{SOURCE_VI}\b (?:\w+ ){{0,6}}?(?:khong|chua) (?:he |co )*(?:noi|nhac|de cap|ghi|neu) gi\b|\bkhong co {SOURCE_VI} nao (?:\w+ ){{0,2}}(?:noi|nhac|de cap|ghi|neu|ve)\b",
    r"\b(?:khong|chua) (?:dam chac|nam (?:duoc|ro)|co cau tra loi|thay (?:thong tin|cau tra loi|bai viet|tai lieu))\b",
    r"\b(?:ngoai|vuot qua) (?:nhung )?(?:gi|dieu) (?:toi|minh|em|chung toi|ben em) biet\b",
    r"\b(?:ngoai|vuot qua) (?:pham vi|kha nang|hieu biet) (?:\w+ )?(?:toi|minh|em|chung|hieu biet|tra loi)\b",
)
# The thing denied is the subject: a don't-know unless something else is told instead.
SOFT = (
    rf"(?:\bno|\bnot {NEAR}any|\b(?:is|are|was|were)n't {NEAR}any) (?:\w+ ){{0,2}}(?:information|mention|indication|(?:details?|reference|guidance|data) (?:is|are|was|were|about|on|regarding|concerning|given|of how|to (?:a|an|any|the)))\b(?! (?:\w+ ){{0,3}}?(?:is|are|will be) (?:shared|stored|sold|kept|lost|passed))",
    r"(?:\b(?:not|never)|n't) (?:\w+ly )?(?:clear|specified|mentioned|stated|indicated|addressed|described|discussed)\b",
    rf"(?:\bnot|n't) (?:\w+ly )?(?:provided|given|known|included|covered|listed|found|answered) (?:\w+ )?(?:in|by|from) {NEAR}{SOURCE}\b",
    r"\b(?:is|it's|are|remains?) (?:unclear|unknown|uncertain|unspecified)\b",
    rf"\bno (?:[\w-]+ ){{1,6}}(?:provided|given|mentioned|available|listed|found) (?:\w+ )?(?:in|by|from) {NEAR}{SOURCE}\b",
    rf"\b(?:not enough|insufficient) {KNOWLEDGE}\b",
    r"\bnothing (?:\w+ )?(?:is|was|has been) (?:said|stated|mentioned|written|specified|known|given|found)\b",
    r"\b(?:khong|chua) (?:he |duoc |thay )+(?:de cap|nhac (?:den|toi)|noi (?:ro|den|toi)|neu|ghi ro|quy dinh ro)\b",
    r"\b(?:khong|chua) (?:ro rang|ro lieu|the biet)\b",
)
ELSEWHERE = (
    r"(?:[\w']+ ){0,4}?(?:can|could|may|might|should|please|recommend(?:ed)?|suggest|advise|best|to|vui long|hay|co the|nen)"
    r" (?:[\w']+ ){0,2}?(?:check|contact|consult|refer|visit|search|ask|reach out|look (?:in|up|at|for)|lien he|tham khao|kiem tra|xem|hoi)"
)
"""Advice to look elsewhere, which tells nothing instead."""
INSTEAD = re.compile(
    rf"\b(?:however|but|though|although|nevertheless|instead|tuy nhien|tuy vay|nhung)\b(?![, ]+{ELSEWHERE}\w*\b)"
)
UNDER_A_CONDITION = re.compile(
    r"\b(?:if|when|unless|in case|should|make sure|ensure|neu|khi|tru khi|truong hop)\b[^.;]*$"
)
DENIALS = tuple((re.compile(pattern), pattern in FIRM) for pattern in FIRM + SOFT)
APOSTROPHES = str.maketrans("’‘ʼ`", "''''")


@dataclass(frozen=True, slots=True)
class DontKnow:
    """Whether a text says don't-know, and the words that say so."""

    found: bool
    words: str


def says_dont_know(answer: str) -> DontKnow:
    """Whether `answer` says that it does not know. An empty text says nothing, and so does not."""
    said = [_plain(sentence) for line in answer.splitlines() for sentence in sentences(line)]
    opened = 0
    for place, sentence in enumerate(said):
        words, firm = _denial(sentence)
        rest = " ".join([sentence[sentence.find(words) + len(words) :], *said[place + 1 :]])
        if words and (firm or not INSTEAD.search(rest)):
            return DontKnow(found=True, words=words)
        opened += len(sentence.split()) >= SPOKEN
        if opened >= OPENING:
            break
    return DontKnow(found=False, words="")


def _denial(sentence: str) -> tuple[str, bool]:
    """The words that deny, and whether they say who does not know; empty if none do, or only under a condition."""
    for pattern, firm in DENIALS:
        for found in pattern.finditer(sentence):
            if not UNDER_A_CONDITION.search(sentence[: found.start()]):
                return found[0], firm
    return "", False


def _plain(sentence: str) -> str:
    return fold(sentence.translate(APOSTROPHES))
