"""Cases: questions to a desk and what a right answer is, as they stand in JSONL."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from domain.turn import Outcome, Reason
from evals.jsonl import read_lines

FILES = {
    "dev": ["dev.jsonl", "reviewed.jsonl"],
    "held_out": ["held_out.jsonl"],
    "all": ["dev.jsonl", "reviewed.jsonl", "held_out.jsonl"],
}
"""`reviewed.jsonl`: what reviewers made of turns (`frontdesk review to-cases`), where there is any."""
SECRET_FILES = frozenset({"held_out.jsonl"})
"""Cases that nobody may see one by one: only their totals come out."""


class Line(BaseModel):
    """A line of the conversation before the question."""

    role: Literal["user", "assistant"]
    text: str


class Case(BaseModel):
    """A question and what a right answer is. `facts`: each entry is one fact in alternative wordings."""

    id: str
    question: str = Field(min_length=1)
    outcome: Outcome
    kind: str = "all"
    reason: Reason | None = None
    history: list[Line] = Field(default_factory=list)
    relevant: list[str] = Field(default_factory=list)
    facts: list[list[str]] = Field(default_factory=list)
    must_not: list[str] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Unscored:
    """A row that nothing can be said about, and why."""

    id: str
    why: str


def read_cases(files: Sequence[Path]) -> tuple[list[Case], list[Unscored]]:
    """Cases of JSONL files; a row that is none is named by file:line. Raises UsageError for a file that is not there."""
    cases: list[Case] = []
    broken: list[Unscored] = []
    seen = set[str]()
    for path in files:
        for number, raw in enumerate(read_lines(path), start=1):
            if raw.strip():
                try:
                    case = _case(raw, number)
                except (ValueError, RecursionError) as fault:
                    broken.append(Unscored(f"{path}:{number}", _first(fault)))
                    continue
                if case.id in seen:
                    broken.append(Unscored(f"{path}:{number}", f"id {case.id!r} stands there twice"))
                else:
                    seen.add(case.id)
                    cases.append(case)
    return cases, broken


def _case(raw: bytes, number: int) -> Case:
    """Raises ValueError: no UTF-8, no JSON, no case."""
    row = json.loads(raw.decode())
    if isinstance(row, dict):
        row["id"] = str(row.get("id", number))
    return Case.model_validate(row)


def _first(fault: Exception) -> str:
    if isinstance(fault, ValidationError):
        first = fault.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'row'}: {first['msg']}"
    return f"not UTF-8 JSON: {fault}"
