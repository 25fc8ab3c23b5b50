"""The library of prompts: one YAML file a prompt version, with its variables and its cases."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.errors import UsageError
from domain.turn import Message, Role
from prompts.templates import fill, inside_fence, names_in, tags_in

LIBRARY = Path(__file__).parent / "library"
DONT_KNOW = "I don't know"
"""What a model is asked to say, in every language, when the passages do not hold the answer."""

BUILT_IN = {"dont_know": DONT_KNOW}
"""Variables that every prompt may use and no caller passes."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PromptCase(_Strict):
    """A test of a prompt: variables, and what the model's answer must and must not hold.

    `contains` is a list of facts, each given as alternatives, of which one must stand in the answer.
    """

    id: str
    variables: dict[str, str]
    contains: list[list[str]] = Field(default_factory=list)
    not_contains: list[str] = Field(default_factory=list)
    max_words: int | None = None


class _Line(_Strict):
    role: Role
    text: str


class _File(_Strict):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: int = Field(ge=1)
    author: str
    note: str
    variables: list[str]
    messages: list[_Line] = Field(min_length=1)
    cases: list[PromptCase] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of a prompt. `hash` is of its messages: equal hashes ask a model the same."""

    name: str
    version: int
    author: str
    note: str
    variables: tuple[str, ...]
    messages: tuple[Message, ...]
    cases: tuple[PromptCase, ...]
    hash: str

    @property
    def label(self) -> str:
        """As receipts and pins name it: `answer@1`."""
        return f"{self.name}@{self.version}"

    def render(self, **variables: str) -> list[Message]:
        """The messages with the variables in place, taken literally. Raises UsageError naming a wrong variable."""
        self._check(variables)
        # Data must not close the fence that marks it as data.
        tags = frozenset[str]().union(*(tags_in(message.text) for message in self.messages))
        values = BUILT_IN | {name: inside_fence(value, tags) for name, value in variables.items()}
        return [Message(message.role, fill(message.text, values)) for message in self.messages]

    def _check(self, given: Mapping[str, str]) -> None:
        for what, names in (
            ("is missing", [name for name in self.variables if name not in given]),
            ("is unknown", [name for name in given if name not in self.variables]),
        ):
            if names:
                raise UsageError(
                    f"variable {', '.join(names)} {what}",
                    where=f"prompt {self.label}",
                    fix=f"it takes {', '.join(self.variables)}",
                )


class PromptLibrary:
    """All prompts by name and version."""

    def __init__(self, prompts: Mapping[tuple[str, int], Prompt]) -> None:
        self._prompts = dict(prompts)

    @classmethod
    def load(cls, folder: Path = LIBRARY) -> Self:
        """Read every *.yaml of a folder. Raises UsageError naming the file and what is wrong with it."""
        prompts: dict[tuple[str, int], Prompt] = {}
        for path in sorted(folder.glob("*.yaml")):
            prompt = _read(path)
            if (prompt.name, prompt.version) in prompts:
                raise UsageError(f"{prompt.label} is there twice", where=path.name, fix="raise its version")
            prompts[prompt.name, prompt.version] = prompt
        return cls(prompts)

    def get(self, name: str, version: int | None = None) -> Prompt:
        """A prompt by name, or by `name@version`; the newest without a version. Raises UsageError."""
        plain, _, pinned = name.partition("@")
        if pinned and not pinned.isdecimal():
            raise UsageError(f"no prompt version {pinned!r}", where=name, fix="a version is a number: answer@1")
        versions = sorted(number for own, number in self._prompts if own == plain)
        wanted = int(pinned) if pinned else version or (versions[-1] if versions else 0)
        if wanted not in versions:
            known = ", ".join(sorted(prompt.label for prompt in self._prompts.values()))
            raise UsageError(f"no prompt {name!r}", where="prompts", fix=f"there are {known}")
        return self._prompts[plain, wanted]

    def all(self) -> list[Prompt]:
        """Every version of every prompt, by name and version."""
        return [self._prompts[key] for key in sorted(self._prompts)]


def _read(path: Path) -> Prompt:
    try:
        file = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        line = getattr(getattr(fault, "problem_mark", None), "line", None)
        place = path.name if line is None else f"{path.name}:{line + 1}"
        raise UsageError("is no YAML", where=place, fix="check its indentation; tabs are not allowed") from fault
    except ValidationError as fault:
        first = fault.errors()[0]
        field = ".".join(map(str, first["loc"])) or "file"
        raise UsageError(f"{field}: {first['msg']}", where=path.name) from fault
    messages = tuple(Message(line.role, line.text.strip()) for line in file.messages)
    prompt = Prompt(
        name=file.name,
        version=file.version,
        author=file.author,
        note=file.note,
        variables=tuple(file.variables),
        messages=messages,
        cases=tuple(file.cases),
        hash=_hash(messages),
    )
    _agree(prompt, path.name)
    return prompt


def _agree(prompt: Prompt, where: str) -> None:
    """The declared variables are the used ones, and every case gives all of them."""
    used = {name for message in prompt.messages for name in names_in(message.text, where=where)} - set(BUILT_IN)
    if odd := used ^ set(prompt.variables):
        name = min(odd)
        raise UsageError(f"variable {name} is {'not declared' if name in used else 'never used'}", where=where)
    for case in prompt.cases:
        if set(case.variables) != used:
            odd_names = ", ".join(sorted(set(case.variables) ^ used))
            raise UsageError(f"case {case.id} does not fit the variables: {odd_names}", where=where)


def _hash(messages: tuple[Message, ...]) -> str:
    plain = json.dumps([(message.role, message.text) for message in messages], ensure_ascii=False)
    return hashlib.sha256(plain.encode()).hexdigest()
