"""Conversations with small businesses: what becomes of a line that leans on what was said before, and of one that does not.

`evals/businesses/` made into desks that quote, and each `NAME-talks.jsonl` said to one of them, a thread a talk:
`python -m evals.talks`. The talks were written by somebody who had seen the articles, and nothing of the product.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from domain.receipt import Reply
from domain.settings import Settings, read_settings
from domain.turn import Pins
from evals.asking import Asker
from evals.small_businesses import BUSINESSES, Business, answers, chosen_by, quoting, rows_of, share
from graph.record import Question

Sort = Literal["first", "leans", "changes", "closes"]
SORTS: tuple[Sort, ...] = ("first", "leans", "changes", "closes")


class Line(BaseModel):
    """What a customer says in a talk, and what a right answer holds: every one of `facts`, from one of `relevant`.

    `leans`: it cannot be understood without what was said before.
    """

    id: str
    talk: str
    text: str
    leans: bool
    kind: Literal["question", "closing"]
    relevant: list[str]
    facts: list[str]
    history: list[str]

    @property
    def sort(self) -> Sort:
        """Which part it has in its talk."""
        if self.kind == "closing":
            return "closes"
        return "leans" if self.leans else "changes" if self.history else "first"


@dataclass(frozen=True, slots=True)
class Said:
    """A line and what the desk said to it."""

    line: Line
    reply: Reply

    @property
    def cited(self) -> bool:
        """Whether an article that holds the answer is among the sources."""
        return any(source.id in self.line.relevant for source in self.reply.sources)

    @property
    def right(self) -> bool:
        """Whether the answer holds every fact; to a closing line, whether nothing was looked up."""
        if self.line.kind == "closing":
            return self.reply.outcome == "answer" and not self.reply.sources
        return answers(self.reply, self.line.facts)


def talks(path: Path) -> list[list[Line]]:
    """The talks of a file, each in its order. Raises UsageError for a row that is no line of a talk."""
    found: dict[str, list[Line]] = {}
    for line in rows_of(path, Line):
        found.setdefault(line.talk, []).append(line)
    return list(found.values())


async def say_all(desk: Asker, talk: Sequence[Line]) -> list[Said]:
    """The lines of a talk said one after another, in a thread of its own."""
    said, thread = list[Said](), ""
    for line in talk:
        reply = await desk.ask(Question(line.text, line.talk, thread), Pins(judge=False))
        said.append(Said(line, reply))
        thread = reply.thread_id
    return said


async def measure(settings: Settings, folder: Path, chosen: Sequence[Business]) -> dict[str, list[Said]]:
    """What desks of these businesses say to their talks. The desks and all they keep are written below `folder`."""
    told = {}
    for business in chosen:
        async with quoting(settings, folder, business) as service:
            said = [await say_all(service.desk, talk) for talk in talks(BUSINESSES / f"{business.name}-talks.jsonl")]
        told[business.name] = [one for talk in said for one in talk]
    return told


def table(told: Mapping[str, Sequence[Said]]) -> list[str]:
    """Of each business and sort of line how many were answered right, and how many with a right source, as Markdown."""
    lines = ["| | " + " | ".join(SORTS) + " |", "|---" * (len(SORTS) + 1) + "|"]
    everybody = [one for said in told.values() for one in said]
    for name, said in {**told, "all": everybody}.items():
        lines.append(
            f"| {name} | " + " | ".join(_both([one for one in said if one.line.sort == sort]) for sort in SORTS) + " |"
        )
    return lines


def _both(said: Sequence[Said]) -> str:
    cited = sum(one.cited for one in said) / (len(said) or 1)
    return f"{share([one.right for one in said])}, cited {cited:.2f}" if said else "-"


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="some of the businesses; none: all that nothing was fitted on")
    parser.add_argument("--fitted", action="store_true", help="those instead on which something was fitted")
    parser.add_argument("--said", type=Path, help="a file for what was said, a line of JSON each")
    given = parser.parse_args()
    chosen = chosen_by(given.names, fitted=given.fitted)
    with tempfile.TemporaryDirectory() as folder:
        told = asyncio.run(measure(read_settings(llm="off"), Path(folder), chosen))
    if given.said:
        rows = [one for said in told.values() for one in said]
        given.said.write_text("".join(_told(one) + "\n" for one in rows), encoding="utf-8")
    sys.stdout.write("\n".join(table(told)) + "\n")
    return 0


def _told(one: Said) -> str:
    line, reply = one.line, one.reply
    told = {"id": line.id, "sort": line.sort, "right": one.right, "cited": one.cited, "text": line.text}
    told |= {"outcome": reply.outcome, "reason": reply.reason, "answer": reply.answer, "facts": line.facts}
    told |= {"relevant": line.relevant, "sources": [source.id for source in reply.sources]}
    return json.dumps(told, ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main())
