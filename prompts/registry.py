"""The library of prompts: one YAML file a prompt version, with its variables and its cases.

What ships stands in prompts/library; what a desk has registered beside it, in the desk's own folder prompts/.
Both are files that belong in git: no prompt lives in a database alone.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.errors import UsageError
from domain.turn import Message, Role
from prompts.cases import PromptCase
from prompts.templates import fill, inside_fence, names_in, tags_in

LIBRARY = Path(__file__).parent / "library"
DONT_KNOW = "I don't know"
"""What a model is asked to say, in every language, when the passages do not hold the answer."""

ASKED_FOR = ("answer", "answerable", "rewrite", "judge", "second_look")
"""The names that the nodes ask for; a release says which version each of them stands for."""

BUILT_IN = {"dont_know": DONT_KNOW}
"""Variables that every prompt may use and no caller passes."""


RARE_BREAKS = frozenset("\x85\u2028\u2029")
"""What YAML takes for line breaks, and nobody else."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Dumper(yaml.SafeDumper):
    """Writes every text so that it is read back to the letter: YAML folds rare line breaks into spaces elsewhere."""

    def represent_scalar(self, tag: str, value: str, style: str | None = None) -> yaml.ScalarNode:
        return super().represent_scalar(tag, value, '"' if RARE_BREAKS & set(value) else style)


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
    created_at: str = ""
    parent: str = ""
    figures: dict[str, float] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of a prompt. `hash` is of its messages: equal hashes ask a model the same.

    `created_at` is when a desk registered it (ISO, UTC); empty for what ships, whose history is git's. `parent`: the
    label of the version that it was made from, `figures`: what was measured of both, where `frontdesk optimise` made it.
    """

    name: str
    version: int
    author: str
    note: str
    variables: tuple[str, ...]
    messages: tuple[Message, ...]
    cases: tuple[PromptCase, ...]
    hash: str
    created_at: str = ""
    parent: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)

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
    """All prompts by name and version: those that ship, and those that a desk has registered.

    A registered version of a shipped prompt answers only where it is named: registering changes no answer.
    """

    def __init__(self, prompts: Mapping[tuple[str, int], Prompt], registered: Iterable[Prompt] = ()) -> None:
        self._prompts = dict(prompts)
        self._shipped = frozenset(prompts)
        self._chosen: Mapping[str, str] = {}
        for prompt in registered:
            self.add(prompt)

    @classmethod
    def load(cls, folder: Path = LIBRARY, desk: Path | None = None) -> Self:
        """Read every *.yaml of a folder, and of a desk's own. Raises UsageError naming the file and what is wrong."""
        prompts: dict[tuple[str, int], Prompt] = {}
        for path in sorted(folder.glob("*.yaml")):
            prompt = _read(path)
            if (prompt.name, prompt.version) in prompts:
                raise UsageError(f"{prompt.label} is there twice", where=path.name, fix="raise its version")
            prompts[prompt.name, prompt.version] = prompt
        return cls(prompts, (_read(path) for path in sorted(desk.glob("*.yaml"))) if desk else ())

    def get(self, name: str, version: int | None = None) -> Prompt:
        """A prompt by name, or by `name@version`. Raises UsageError.

        Without a version: what the library is pinned to, else the newest that ships; of a name that does not ship,
        the newest.
        """
        if version is None and name in self._chosen:
            name = self._chosen[name]
        plain, _, pinned = name.partition("@")
        if pinned and not pinned.isdecimal():
            raise UsageError(f"no prompt version {pinned!r}", where=name, fix="a version is a number: answer@1")
        versions = sorted(number for own, number in self._prompts if own == plain)
        default = [number for number in versions if (plain, number) in self._shipped] or versions
        wanted = int(pinned) if pinned else version or (default[-1] if default else 0)
        if wanted not in versions:
            known = ", ".join(sorted(prompt.label for prompt in self._prompts.values()))
            raise UsageError(f"no prompt {name!r}", where="prompts", fix=f"there are {known}")
        return self._prompts[plain, wanted]

    def all(self) -> list[Prompt]:
        """Every version of every prompt, by name and version."""
        return [self._prompts[key] for key in sorted(self._prompts)]

    def pinned(self, labels: Mapping[str, str]) -> Self:
        """The same library, now and later, in which these names stand for these labels (`name@version`)."""
        view = copy(self)  # one dictionary of prompts for both
        view._chosen = dict(labels)  # noqa: SLF001  # of the same class
        return view

    def add(self, prompt: Prompt) -> None:
        """Take a registered prompt in. Raises UsageError for a version that is there, or a text that is."""
        self._check(prompt)
        self._prompts[prompt.name, prompt.version] = prompt

    def _check(self, prompt: Prompt) -> None:
        same = next((each for each in self.all() if each.hash == prompt.hash), None)
        if (prompt.name, prompt.version) in self._prompts:
            newest = max(number for name, number in self._prompts if name == prompt.name)
            raise UsageError(f"{prompt.label} is there", where="prompts", fix=f"make it version {newest + 1}")
        if same:
            raise UsageError(f"{prompt.label} says what {same.label} says", where="prompts", fix=f"use {same.label}")

    def ships(self, prompt: Prompt) -> bool:
        """Whether it came with Frontdesk, not from the desk."""
        return (prompt.name, prompt.version) in self._shipped

    def instructions(self) -> list[str]:
        """What models are told in system messages: no answer may recite it."""
        return [line.text for prompt in self.all() for line in prompt.messages if line.role == "system"]


@lru_cache(maxsize=128)  # every release that is opened reads the library anew, and YAML is slow to read
def parse_prompt(text: str, *, where: str) -> Prompt:
    """One prompt file's text. Raises UsageError with the place and what is wrong with it."""
    return _made(_yaml(text, where), where)


def parse_prompts(text: str, *, where: str) -> list[Prompt]:
    """The prompts of one text: prompt files or exports, each a YAML document. Raises UsageError."""
    return [_made(_imported(each, where), where) for each in _documents(text, where) if each is not None]


def export_prompts(prompts: Iterable[Prompt]) -> str:
    """Prompts as YAML documents of version, created_at, hash, template and metadata; parse_prompts reads them back."""
    documents = [
        {
            "name": prompt.name,
            "version": prompt.version,
            "created_at": prompt.created_at,
            "hash": prompt.hash,
            "template": [{"role": line.role, "text": line.text} for line in prompt.messages],
            "metadata": {
                "author": prompt.author,
                "note": prompt.note,
                **_origin(prompt),
                "variables": list(prompt.variables),
                "cases": [case.model_dump(mode="json", exclude_defaults=True) for case in prompt.cases],
            },
        }
        for prompt in prompts
    ]
    return str(yaml.dump_all(documents, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120))


def prompt_file(prompt: Prompt) -> str:
    """The text of a prompt's own file, as it stands in the library."""
    file = {
        "name": prompt.name,
        "version": prompt.version,
        "author": prompt.author,
        "created_at": prompt.created_at,
        "note": prompt.note,
        **_origin(prompt),
        "variables": list(prompt.variables),
        "messages": [{"role": line.role, "text": line.text} for line in prompt.messages],
        "cases": [case.model_dump(mode="json", exclude_defaults=True) for case in prompt.cases],
    }
    return str(yaml.dump(file, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120))


def _origin(prompt: Prompt) -> dict[str, object]:
    """What it was made from, where it says so."""
    return {"parent": prompt.parent, "figures": dict(prompt.figures)} if prompt.parent else {}


def _read(path: Path) -> Prompt:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as fault:
        raise UsageError("is no text in UTF-8", where=path.name) from fault
    return parse_prompt(text, where=path.name)


def _yaml(text: str, where: str) -> object:
    documents = _documents(text, where)
    if len(documents) != 1:
        raise UsageError(f"holds {len(documents)} YAML documents", where=where, fix="one file, one prompt")
    return documents[0]


def _documents(text: str, where: str) -> list[object]:
    try:
        return list(yaml.safe_load_all(text))
    except (yaml.YAMLError, ValueError, RecursionError) as fault:
        line = getattr(getattr(fault, "problem_mark", None), "line", None)
        place = where if line is None else f"{where}:{line + 1}"
        raise UsageError("is no YAML", where=place, fix="check its indentation; tabs are not allowed") from fault


def _imported(document: object, where: str) -> object:
    """An exported document as a prompt file's; the hash it was exported with must be that of its template."""
    if not isinstance(document, dict) or "template" not in document:
        return document
    plain = {name: value for name, value in document.items() if name not in ("template", "metadata", "hash")}
    metadata = document.get("metadata")
    plain |= {"messages": document["template"]} | (metadata if isinstance(metadata, dict) else {})
    if document.get("hash") not in (None, _made(plain, where).hash):
        raise UsageError(
            "the template is not the one that was exported", where=where, fix="leave hash out to take it as a new text"
        )
    return plain


def _made(document: object, where: str) -> Prompt:
    try:
        file = _File.model_validate(document)
    except ValidationError as fault:
        first = fault.errors()[0]
        field = ".".join(map(str, first["loc"])) or "file"
        raise UsageError(f"{field}: {first['msg']}", where=where) from fault
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
        created_at=file.created_at,
        parent=file.parent,
        figures=file.figures,
    )
    _agree(prompt, where)
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
