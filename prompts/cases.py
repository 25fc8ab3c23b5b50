"""A prompt's own tests: what an answer to it must hold, and what it must not."""

import re
from collections.abc import Collection
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from domain.turn import Language


class PromptCase(BaseModel):
    """A test of a prompt: variables, and what is asked of the answer. Letters count alike, large or small.

    contains: facts, each given as alternatives, of which one must stand in the answer
    not_contains: wordings of which none may
    regex: expressions that must each be found in it
    max_words: how long it may be
    cites: numbers of the passages that it must rest on
    outcome: whether it answers or says that it does not know
    language: the language it must be in
    judge: sentences that must hold of it, as a model judges them
    right, wrong: answers that pass and that do not, by which the case itself is tested
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    variables: dict[str, str]
    contains: list[list[str]] = Field(default_factory=list)
    not_contains: list[str] = Field(default_factory=list)
    regex: list[str] = Field(default_factory=list)
    max_words: int | None = None
    cites: list[int] = Field(default_factory=list)
    outcome: Literal["answer", "dont_know"] | None = None
    language: Language | None = None
    judge: list[str] = Field(default_factory=list)
    right: str = ""
    wrong: list[str] = Field(default_factory=list)

    @field_validator("regex")
    @classmethod
    def _compile(cls, value: list[str]) -> list[str]:
        for each in value:
            try:
                re.compile(each)
            except re.error as fault:
                message = f"{each!r} is no regular expression: {fault}"
                raise ValueError(message) from fault
        return value

    def faults(self, answer: str, *, knows: bool, language: Language, cited: Collection[int]) -> list[str]:
        """What is wrong with an answer, in words; empty if nothing is. What `judge` asks is not looked at.

        `knows`: it answers; `language` is the one it is in, `cited` are the passages that it rests on.
        """
        words = len(answer.split())
        wanted = self.outcome == "answer"
        found = [f"lacks {' | '.join(each)}" for each in self.contains if not any(_says(answer, one) for one in each)]
        found += [f"says {each}" for each in self.not_contains if _says(answer, each)]
        found += [f"does not match {each}" for each in self.regex if not re.search(each, answer, re.IGNORECASE)]
        if self.max_words is not None and words > self.max_words:
            found.append(f"has {words} words, more than {self.max_words}")
        if lacking := [str(number) for number in self.cites if number not in cited]:
            found.append(f"does not rest on passage {', '.join(lacking)}")
        if self.outcome and wanted != knows:
            found.append("answers" if knows else "does not know")
        if self.language and self.language != language:
            found.append(f"is in {language}, not in {self.language}")
        return found


def _says(answer: str, wording: str) -> bool:
    """Whether it stands there; digits at its ends are whole numbers there too."""
    before = r"(?<!\d)" if wording[:1].isdigit() else ""
    after = r"(?!\d)" if wording[-1:].isdigit() else ""
    return re.search(before + re.escape(wording.casefold()) + after, answer.casefold()) is not None
