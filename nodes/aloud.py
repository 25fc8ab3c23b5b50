"""A model's words on their way to a customer who reads along: told sentence by sentence, each after it has passed.

What is checked is never a sentence alone but the answer as far as it is written, so that whatever stands on the
screen has passed the guards as one text. The first sentence that does not pass ends the telling: guard_output, which
sees the whole, decides then. What only a whole answer shows is left to it as well.
"""

from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise

from domain.turn import Turn, language_of
from domain.words import SENTENCE_END
from guards import OutputCheck
from nodes.deps import Deps
from prompts import DONT_KNOW

Say = Callable[[str], None]
"""Tells a checked piece of the answer, masked, to whoever reads along."""


class Aloud:
    """Tells one answer. How the model's words were cut into pieces changes how many sentences are told at once, no more."""

    def __init__(self, passes: Callable[[str, int], Awaitable[bool]], say: Say) -> None:
        """`passes`: whether the answer may be shown as far as it is given, so many characters of which have passed."""
        self._passes = passes
        self._say = say
        self._text = ""
        self._seen = 0
        self._shown = ""
        self._over = False

    async def hear(self, words: str) -> None:
        """Take the next words; tell the sentences that they end, as far as they pass."""
        self._text += words
        ended = list(self._ended())
        beginnings = [so_far for before, so_far in pairwise([self._shown, *ended]) if _says(so_far[len(before) :])]
        if len(beginnings) > 1 and self._is_news(beginnings[-1]) and await self._holds(beginnings[-1]):
            # They came faster than they could be judged: the longest holds all that the others would show.
            self._show(beginnings[-1])
            return
        for so_far in beginnings:
            if not self._is_news(so_far):
                continue
            if await self._holds(so_far):
                self._show(so_far)
            else:
                self._over = True

    def _is_news(self, so_far: str) -> bool:
        return not self._over and not _opens_dont_know(so_far)

    async def _holds(self, so_far: str) -> bool:
        if so_far.lower().startswith(DONT_KNOW.lower()):
            return False
        return await self._passes(so_far, len(self._shown))

    def _show(self, so_far: str) -> None:
        self._say(so_far[len(self._shown) :])
        self._shown = so_far

    def _ended(self) -> Iterator[str]:
        """The answer up to each sentence that has come to its end since the last time."""
        while match := SENTENCE_END.search(self._text, self._seen):
            self._seen = match.end()
            yield self._text[: self._seen].strip()


async def check_answer(draft: str, turn: Turn, deps: Deps, *, whole: bool = True, passed: int = 0) -> OutputCheck:
    """The output guards on an answer, or on its beginning, of which so many characters have passed before."""
    return await deps.guards.check_output(
        draft,
        question=turn["masked"],
        passages=turn.get("passages", []),
        facts=turn.get("facts", []),
        own=turn.get("secrets", {}),
        language=language_of(turn),
        whole=whole,
        passed=passed,
    )


async def passes(so_far: str, passed: int, turn: Turn, deps: Deps) -> bool:
    """Whether the beginning of an answer may be shown as it is; one that a guard would change may not."""
    check = await check_answer(so_far, turn, deps, whole=False, passed=passed)
    return not check.blocked and check.text == so_far


def _says(news: str) -> bool:
    return any(letter.isalnum() for letter in news)


def _opens_dont_know(so_far: str) -> bool:
    """Whether it may still become the words by which a model says that it does not know."""
    return DONT_KNOW.lower().startswith(so_far.lower())
