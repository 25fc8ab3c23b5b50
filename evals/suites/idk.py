"""Answers that say they don't know: rows `{id?, question?, answer, label: idk|answer, kind?}`, and which are told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from evals.labelled import SHOWN_MISSES, LabelledRow, counts, f1, open_rows, with_interval
from evals.run import Figure, Miss, Result, Run, share
from scoring.dont_know import DontKnow, says_dont_know

NAME = "idk"
EXAMPLE = '{"answer", "label": "idk"|"answer", "question"?}'
OPENING = 160


class Row(LabelledRow):
    """An answer, and whether it says that it does not know. The question is for whoever reads the rows."""

    answer: str = Field(min_length=1)
    label: Literal["idk", "answer"]
    question: str = ""


@dataclass(frozen=True, slots=True)
class Scored:
    """What was told of a row."""

    row: Row
    told: DontKnow

    @property
    def held(self) -> bool:
        """Whether it is a don't-know in truth."""
        return self.row.label == "idk"


async def measure(run: Run) -> Result:
    """Look at every row of `--data`. Raises UsageError without rows."""
    rows, broken = open_rows(run, NAME, Row, EXAMPLE)
    scored: list[Scored] = []
    for done, row in enumerate(rows, start=1):
        scored.append(Scored(row, says_dont_know(row.answer)))
        run.progress(done, len(rows))
    return summed_up(scored, broken, {"data": str(run.data)})


def summed_up(scored: Sequence[Scored], unscored: Sequence[Miss], about: dict[str, object]) -> Result:
    """The figures; a don't-know is what is to be found."""
    wrong = [one for one in scored if one.told.found != one.held]
    return Result(
        NAME,
        about | counts(len(scored), len(unscored)) | {"wrong": len(wrong)},
        _figures(scored),
        {},
        [*(Miss(one.row.id, one.row.label, _why(one)) for one in wrong[:SHOWN_MISSES]), *unscored[:SHOWN_MISSES]],
        [] if scored else [f"{NAME}: not one row could be scored"],
    )


def _figures(scored: Sequence[Scored]) -> list[Figure]:
    truth, said = [float(one.held) for one in scored], [float(one.told.found) for one in scored]
    return [
        share("precision", [one.held for one in scored if one.told.found]),
        share("recall", [one.told.found for one in scored if one.held]),
        with_interval("f1", truth, said, f1),
        share("accuracy", [one.told.found == one.held for one in scored]),
    ]


def _why(one: Scored) -> str:
    return f"by {one.told.words!r}: {one.row.answer[:OPENING]}" if one.told.found else one.row.answer[:OPENING]
