"""What can be optimised: a prompt, the rows that it is tried on, and how an answer to a row is marked, with a reason.

The reason is what the teacher learns from. Here are the subjects that need nothing but a file; those that need the
desk's knowledge stand in desk_subjects.py.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import AliasChoices, BaseModel, Field

from domain.errors import UsageError
from domain.words import fold
from evals.labelled import LabelledRow, RowT, read_rows
from models.language import LANGUAGES, detect_language
from training.asking import Said

OUT = "out"
"""The label of a message that is about none of the categories."""
LABEL_TOKENS = 12
YES, NO = "yes", "no"
WORST, BEST, GOOD = 1.0, 4.0, 2.5
"""The scale on which people rate answers, and from where on one is good."""
SHOWN = 600
"""Characters of a row that a teacher is shown."""


@dataclass(frozen=True, slots=True)
class Mark:
    """`score` 0..1 is what is optimised, `right` what is reported. `label`: what was said, where rows have labels."""

    score: float
    right: bool
    feedback: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing to be said right. `text`: by which near-duplicates are known; `mark` judges what was said."""

    id: str
    text: str
    language: str
    variables: Mapping[str, str]
    mark: Callable[[Said], Awaitable[Mark]]
    label: str = ""

    @property
    def stratum(self) -> str:
        """Rows of one language and label are spread evenly."""
        return f"{self.language} {self.label}"

    @property
    def shown(self) -> str:
        """For the teacher."""
        return self.text[:SHOWN]


@dataclass(frozen=True, slots=True)
class Subject:
    """A prompt to be optimised. `held_out`: rows of a file of their own; None: a part of `rows`.

    `labels` in the order of a report; empty where rows have none. `notes`: what was left out, and why.
    """

    prompt: str
    rows: Sequence[Row]
    held_out: Sequence[Row] | None = None
    labels: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    max_tokens: int = LABEL_TOKENS
    notes: Sequence[str] = field(default_factory=list)


class ScopeRow(LabelledRow):
    """A message and the category that it is about, or "out"."""

    text: str = Field(min_length=1)
    category: str = Field(min_length=1, validation_alias=AliasChoices("category", "label"))


class JudgedRow(LabelledRow):
    """An answer and the rating that people gave it."""

    question: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    passages: str = Field("", validation_alias=AliasChoices("passages", "context"))
    human: float = Field(ge=WORST, le=BEST, allow_inf_nan=False)


def scope_subject(data: Path, desk: str, *, categories: Path | None = None, held_out: Path | None = None) -> Subject:
    """Messages sorted by category. `categories`: YAML, name: what it is. Raises UsageError."""
    notes: list[str] = []
    given = _rows(data, ScopeRow, '{"text", "category"}', notes)
    apart = _rows(held_out, ScopeRow, '{"text", "category"}', notes) if held_out else None
    labels = _labels([row.category for row in [*given, *(apart or [])]], data)
    described = _described(categories, labels)
    listed = "\n".join(f"- {name}: {described[name]}" if described.get(name) else f"- {name}" for name in labels)

    def made(rows: Sequence[ScopeRow]) -> list[Row]:
        return [
            Row(
                row.id,
                row.text,
                detect_language(row.text, LANGUAGES),
                {"desk": desk, "categories": listed, "question": row.text},
                _label_marker(row.category, labels),
                row.category,
            )
            for row in rows
        ]

    return Subject("scope", made(given), made(apart) if apart is not None else None, labels, notes=notes)


def judge_subject(data: Path, held_out: Path | None = None) -> Subject:
    """Answers judged yes or no, against people's ratings. Raises UsageError."""
    notes: list[str] = []
    shape = '{"question", "answer", "passages", "human": 1..4}'
    given = _rows(data, JudgedRow, shape, notes)
    apart = _rows(held_out, JudgedRow, shape, notes) if held_out else None
    labels = _labels([_said_by_people(row) for row in given], data)

    def made(rows: Sequence[JudgedRow]) -> list[Row]:
        return [
            Row(
                row.id,
                f"{row.question}\n{row.answer}",
                detect_language(row.question, LANGUAGES),
                {"passages": row.passages, "question": row.question, "answer": row.answer},
                _yes_marker(_said_by_people(row)),
                _said_by_people(row),
            )
            for row in rows
        ]

    held = made(apart) if apart is not None else None
    return Subject("judge", made(given), held, labels, (YES, NO), 1, notes)


def read_label(text: str, labels: Sequence[str]) -> str:
    """The one label that an answer names; empty where it names none, or several."""
    said = _plain(text)
    exact = [label for label in labels if _plain(label) == said]
    named = exact or [label for label in labels if f" {_plain(label)} " in f" {said} "]
    return named[0] if len(named) == 1 else ""


def _label_marker(wanted: str, labels: Sequence[str]) -> Callable[[Said], Awaitable[Mark]]:
    async def mark(said: Said) -> Mark:
        label = read_label(said.text, labels)
        if label == wanted:
            return Mark(1.0, right=True, feedback=f"Right: {wanted}.", label=label)
        found = f"it was sorted as {label}" if label else f"the answer names no category: {said.text[:60]!r}"
        return Mark(0.0, right=False, feedback=f"Wrong: {found}; it is {wanted}.", label=label)

    return mark


def _yes_marker(wanted: str) -> Callable[[Said], Awaitable[Mark]]:
    async def mark(said: Said) -> Mark:
        sure = said.probabilities.get(wanted, 0.0)
        right = sure > 0.5  # noqa: PLR2004  # more than the other
        label = wanted if right else (NO if wanted == YES else YES) if said.usable else ""
        verdict = "Right" if right else "Wrong"
        return Mark(sure, right, f"{verdict}: people say {wanted}, the judge gave that {sure:.2f}.", label)

    return mark


def _said_by_people(row: JudgedRow) -> str:
    return YES if row.human >= GOOD else NO


def _rows(path: Path, shape: type[RowT], example: str, notes: list[str]) -> list[RowT]:
    rows, broken = read_rows(path, shape)
    if not rows:
        why = f": {broken[0].id}: {broken[0].why}" if broken else ""
        raise UsageError(f"no row can be used{why}", where=str(path), fix=f"one JSON object a line: {example}")
    notes += [f"{miss.id}: left out: {miss.why}" for miss in broken]
    return rows


def _labels(given: Sequence[str], path: Path) -> tuple[str, ...]:
    labels = sorted(set(given), key=lambda name: (name == OUT, name))
    if len(labels) < 2:  # noqa: PLR2004  # one label: there is nothing to tell apart
        what = f"every row is labelled {labels[0]!r}: there is nothing to tell apart"
        raise UsageError(what, where=str(path), fix="add rows of another label")
    return tuple(labels)


class _Categories(BaseModel):
    described: dict[str, str]


def _described(path: Path | None, labels: Sequence[str]) -> dict[str, str]:
    described = {OUT: "about none of these"}
    if path is None:
        return described
    try:
        given = _Categories.model_validate({"described": yaml.safe_load(path.read_text(encoding="utf-8"))}).described
    except (OSError, ValueError, yaml.YAMLError) as fault:
        raise UsageError("is no list of categories", where=str(path), fix="YAML lines of name: what it is") from fault
    if missing := [name for name in labels if name not in given and name != OUT]:
        raise UsageError(f"does not describe {', '.join(missing)}", where=str(path), fix="add a line for each")
    return described | given


def _plain(text: str) -> str:
    return " ".join("".join(letter if letter.isalnum() else " " for letter in fold(text)).split())
