"""What speaks for a question that scope would turn away: an article that answers it, or that customers of any business ask it.

Neither speaks for work that no support desk does ("write a poem about refunds"), whatever it is about, nor for what
desk.yaml itself names as out of scope.
"""

import re
from collections.abc import Sequence
from importlib.resources import files

from domain.words import fold

ANYBODYS = 0.3
"""A text that this share of what any business is asked is as unlike, is such a question itself (decision 050)."""
FOUND = 0.75
"""How far the odds of a find lift a share that lies below what is turned away: to this part of it is enough (decision 050)."""
SUREST = 0.999

_PIECES = r"(?:poems?|haikus?|limericks?|sonnets?|songs?|raps?|lyrics|jokes?|riddles?|(?:short |funny |bedtime )?stor(?:y|ies)|tales?)"
OTHER_WORK = re.compile(
    r"\b(?:"
    rf"(?:give me|tell me|tell us|i (?:need|want)|sing|recite)(?: \w+){{0,4}}? {_PIECES}|"
    r"(?:write|compose|draft|generate|invent|make up|come up with|create|produce|paint|draw|code|program)(?: \w+){0,4}? "
    rf"(?:{_PIECES}|essays?|novels?|speech(?:es)?|articles?|blog|posts?|tweets?|slogans?|scripts?|functions?|code|programs?|"
    r"quer(?:y|ies)|letters?|paragraphs?|dialogues?|screenplays?)|"
    r"translat(?:e|ion of|ing)|summari[sz]e|proofread|paraphrase|rephrase|rewrite|spell ?check|"
    r"(?:do|solve|finish|help with|help me with)(?: \w+){0,3} (?:homework|assignment|equations?|exam|thesis)|"
    r"act as|acting as|pretend|role ?play|imagine you|you are now|from now on you|speak like|talk like|in the style of|"
    r"(?:ignore|disregard|forget|bypass|override|skip)(?: \w+){0,4} (?:polic(?:y|ies)|rules?|instructions?|prompts?|guidelines?|"
    r"terms|above|before|restrictions?|filters?)|"
    r"(?:system|hidden|secret|initial) prompts?|your (?:prompt|instructions)|"
    r"python|javascript|typescript|java code|html|css|regex|sql|c\+\+|"
    r"who (?:invented|discovered|wrote|painted)|capital of|history of|meaning of life|"
    r"(?:viet|soan|lam|sang tac|hat|doc)(?: \w+){0,4}? (?:bai (?:tho|van|hat|luan|phat bieu|rap|dang)|tho|truyen|"
    r"van ban quang cao|tieu luan|caption|bai tap)|"
    r"(?:viet|soan)(?: \w+){0,4}? (?:code|doan ma|chuong trinh|ham|kich ban)|ke(?: \w+){0,3}? (?:chuyen (?:cuoi|ma|cho (?:toi|minh|em|nghe))|truyen)|"
    r"(?:dich|tom tat|dien giai) (?!vu|te|chuyen|cum)(?:\w+ ){0,5}?(?:sang|tieng|thanh|sach|truyen|bai|trang|chuong)|"
    r"hat cho|dong (?:vai|gia lam)|gia vo|nhap vai|tu gio tro di ban|"
    r"(?:bo qua|quen|phot lo|lo di|bat chap)(?: \w+){0,4} (?:quy dinh|quy tac|chinh sach|huong dan|chi dan|lenh|prompt|dieu khoan)|"
    r"ai (?:phat minh|sang che|viet ra)|thu do (?:cua|nuoc)|lich su (?:cua|ve)"
    r")\b"
)
"""Work of a writer, translator, programmer or actor, and orders to leave the rules; on folded text."""


def other_work(sentence: str) -> bool:
    """Whether a sentence asks for work that no support desk does, whatever it is about."""
    return bool(OTHER_WORK.search(fold(sentence)))


def found(share: float, confidence: float, allowed: float) -> bool:
    """Whether a find of this confidence outweighs that only `share` of the business's own questions are as unlike it.

    The odds of the find, squared, lift the share: one little below `allowed` needs an even find, one far below a sure one.
    """
    sure = min(confidence, SUREST)
    return share * (sure / (1 - sure)) ** 2 >= FOUND * allowed


def anybodys(languages: Sequence[str]) -> list[str]:
    """What customers bring to any business, in these languages."""
    import yaml  # noqa: PLC0415  # read once, at the first question

    lists: dict[str, list[str]] = yaml.safe_load(files("guards").joinpath("scope_in.yaml").read_text("utf-8"))
    return [text for language in languages for text in lists[language]]
