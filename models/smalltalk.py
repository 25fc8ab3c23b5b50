"""Messages that need no article: small talk, empty questions, and the wish for a person. Knows no business."""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

import yaml

from models.words import bare, fold, plain

LONGEST = 160
"""Longer messages, and segments of one, are no small talk, whatever their words."""
ACKNOWLEDGED = "acknowledgement"
NAME = 4
"""Words behind the end of a letter that may be a name."""
TURNS = 64
"""Texts, masked ones, that are remembered taken apart: the steps of a turn ask after the same text up to five times."""
_SEGMENT = re.compile(r"(?:(?![.!?…]+(?:\s|$)|[,;:–—](?:\s|$)|\s-\s)[^\n])+(?:[.!?…,;:–—]+)?")
_PLACEHOLDER = re.compile(r"<[a-z_]+_\d+>")


@dataclass(frozen=True, slots=True)
class _Lexicon:
    """smalltalk.yaml, compiled. `kinds` are in order of precedence; a filler's kind is empty."""

    kinds: tuple[str, ...]
    phrases: tuple[tuple[str, re.Pattern[str]], ...]
    closings: re.Pattern[str]
    unsettled: re.Pattern[str]
    states: re.Pattern[str]
    light: frozenset[str]
    introducing: frozenset[str]
    vague_exact: frozenset[str]
    vague_folded: frozenset[str]
    person: re.Pattern[str]
    not_person: re.Pattern[str]
    offer: tuple[tuple[Literal["yes", "no"], re.Pattern[str]], ...]


def small_talk(question: str) -> str | None:
    """The kind when the whole message is small talk, else None.

    One of robot, how_are_you, bye, thanks, compliment, greeting, acknowledgement.
    """
    found = _pleasantries(question)
    if "?" in question:
        found -= {ACKNOWLEDGED}  # "it works now?" says nothing of the kind
    return next((kind for kind in _lexicon().kinds if kind in found), None)


def matter(question: str) -> str:
    """The message without greetings, introductions, thanks and the like at its ends; whole where it says nothing else."""
    segments = _segments(question)
    said = [(start, end) for start, end, words in segments if not _says(words) - {"robot"}]
    if not said or len(said) == len(segments):
        return question
    return question[said[0][0] : said[-1][1]].strip(" ,;:–—-\n")


@lru_cache(maxsize=TURNS)
def _segments(question: str) -> tuple[tuple[int, int, str], ...]:
    """Sentences and what commas part: start, end, words; a letter's end and the name below it count as one."""
    found = [(match.start(), match.end(), bare(fold(match[0]))) for match in _SEGMENT.finditer(question)]
    segments = [segment for segment in found if segment[2]]
    for at, (start, _, words) in enumerate(segments):
        rest = segments[at:]
        if _lexicon().closings.fullmatch(words) and sum(len(told.split()) for *_, told in rest[1:]) <= NAME:
            return (*segments[:at], (start, rest[-1][1], words))
    return tuple(segments)


@lru_cache(maxsize=TURNS)
def _pleasantries(question: str) -> frozenset[str]:
    """The kinds of a message that says nothing else, as a whole or segment by segment; nothing where it says more."""
    if whole := _says(bare(fold(question))):
        return whole
    each = [_says(words) for *_, words in _segments(question)]
    return frozenset().union(*each) if each and all(each) else frozenset()


@lru_cache(maxsize=TURNS)
def _says(words: str) -> frozenset[str]:
    """The kinds of what is said beside a matter: small talk, "" for courtesies and introductions; nothing: a matter."""
    lexicon = _lexicon()
    if found := _said(words) or _settled(words):
        return found - {ACKNOWLEDGED} if lexicon.unsettled.search(words) else found
    unknown = {*words.split()} - lexicon.introducing
    introduced = bool(unknown) and all(_PLACEHOLDER.fullmatch(word) for word in unknown)
    return frozenset({""}) if introduced or lexicon.closings.fullmatch(words) else frozenset()


def _settled(words: str) -> frozenset[str]:
    """An acknowledgement where a sentence says that a matter is settled, in whatever order, and nothing else."""
    lexicon = _lexicon()
    around, states = lexicon.states.subn("", words[: LONGEST + 1])
    whole = states and len(words) <= LONGEST and lexicon.light.issuperset(around.split())
    return frozenset({ACKNOWLEDGED} if whole else ())


def _said(words: str) -> frozenset[str]:
    """The kinds of phrases that cover all these words, "" for those of no kind; nothing where some word is left over."""
    if not words or len(words) > LONGEST:
        return frozenset()
    lexicon = _lexicon()
    # Which kinds can have been said when the message is read up to a position.
    reached: dict[int, frozenset[str]] = {0: frozenset()}
    for position in range(len(words) + 1):
        if position not in reached:
            continue
        for kind, pattern in lexicon.phrases:
            match = pattern.match(words, position)
            if match:
                end = match.end() + 1
                reached[end] = reached.get(end, frozenset()) | reached[position] | {kind}
    return reached.get(len(words) + 1, frozenset())


def is_vague(question: str) -> bool:
    """Whether the message names nothing that an answer could be about ("it doesn't work", "giúp mình với")."""
    lexicon = _lexicon()
    return bool(_pleasantries(question)) or all(_says_nothing(word, lexicon) for word in bare(plain(question)).split())


def wants_person(question: str) -> bool:
    """Whether the customer asks for a human being now (not whether one is needed for something)."""
    words = bare(fold(question))
    lexicon = _lexicon()
    return bool(lexicon.person.search(words)) and not lexicon.not_person.search(words)


def answers_offer(question: str) -> Literal["yes", "no"] | None:
    """What the whole message says to the offer of a person; None where it says something else."""
    words = bare(fold(question))
    return next((answer for answer, pattern in _lexicon().offer if pattern.fullmatch(words)), None)


def _says_nothing(word: str, lexicon: _Lexicon) -> bool:
    return word in lexicon.vague_exact or (word.isascii() and word in lexicon.vague_folded)


@cache
def _lexicon() -> _Lexicon:
    """Read once, at the first question."""
    data = yaml.safe_load(Path(__file__).with_name("smalltalk.yaml").read_text(encoding="utf-8"))
    kinds = data["small_talk"]
    phrases = [(kind, pattern) for kind, patterns in kinds.items() for pattern in patterns]
    phrases += [("", pattern) for pattern in [*data["courtesies"], *data["fillers"]]]
    fillers = "|".join([*data["fillers"], "thanks", "thank you", "cam on"])
    vague = {word for text in data["vague_words"].values() for word in text.split()}
    return _Lexicon(
        kinds=tuple(kinds),
        phrases=tuple((kind, re.compile(f"(?:{pattern})(?= |$)")) for kind, pattern in phrases),
        closings=re.compile("|".join(data["closings"])),
        unsettled=_anywhere(data["settled"]["unless"]),
        states=_anywhere(
            [state.replace("<managed>", data["settled"]["managed"]) for state in data["settled"]["states"]]
        ),
        light=frozenset(data["settled"]["light"].split()),
        introducing=frozenset(data["introducing"].split()),
        vague_exact=frozenset(vague),
        vague_folded=frozenset(fold(word) for word in vague),
        person=_anywhere(data["wants_person"]["patterns"]),
        not_person=_anywhere(data["wants_person"]["unless"]),
        offer=(("no", _whole(data["offer"]["decline"], fillers)), ("yes", _whole(data["offer"]["accept"], fillers))),
    )


def _whole(patterns: list[str], fillers: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?:(?:{fillers}) )*(?:{'|'.join(f'(?:{one})' for one in patterns)})(?: (?:{fillers}|{'|'.join(f'(?:{one})' for one in patterns)}))*"
    )


def _anywhere(patterns: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(rf"(?:\b(?:{pattern})(?= |$))" for pattern in patterns))
