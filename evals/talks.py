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

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from domain.errors import UsageError
from domain.receipt import Reply
from domain.settings import Settings, read_settings
from domain.turn import Pins
from evals.asking import Asker, opened
from evals.jsonl import read_lines
from evals.matching import says
from evals.run import Run
from evals.stats import wilson
from graph.record import Question

BUSINESSES = Path(__file__).with_name("businesses")
FEW = 20
"""Lines up to which an interval says nothing that their number does not."""
Sort = Literal["first", "leans", "changes", "closes"]
SORTS: tuple[Sort, ...] = ("first", "leans", "changes", "closes")


class Business(BaseModel):
    """What a small business says of itself. `fitted`: something that ships was fitted on its articles and questions."""

    name: str
    languages: list[Literal["en", "vi"]]
    describe: str
    fitted: bool = False


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
        return self.reply.outcome == "answer" and all(says(self.reply.answer, fact) for fact in self.line.facts)


def businesses() -> dict[str, Business]:
    """The small businesses by their files' names."""
    return TypeAdapter(dict[str, Business]).validate_python(
        yaml.safe_load((BUSINESSES / "desks.yaml").read_text(encoding="utf-8"))
    )


def talks(path: Path) -> list[list[Line]]:
    """The talks of a file, each in its order. Raises UsageError for a row that is no line of a talk."""
    found: dict[str, list[Line]] = {}
    for number, raw in enumerate(read_lines(path), start=1):
        try:
            line = Line.model_validate_json(raw)
        except ValidationError as fault:
            first = fault.errors()[0]
            raise UsageError(
                f"no line of a talk: {first['msg']}", where=f"{path}:{number}", fix="see evals/talks.py"
            ) from fault
        found.setdefault(line.talk, []).append(line)
    return list(found.values())


def make_desk(business: Business, articles: Path, folder: Path) -> Path:
    """Write the desk that somebody makes who begins: a name, a sentence, and the articles. Returns its folder."""
    (folder / "knowledge").mkdir(parents=True)
    scope = {"describe": business.describe}
    profile = {"name": business.name, "languages": list(business.languages), "scope": scope}
    (folder / "desk.yaml").write_text(yaml.safe_dump(profile, allow_unicode=True), encoding="utf-8")
    for row in map(json.loads, read_lines(articles)):
        text = f"---\nid: {row['id']}\n---\n\n# {row['title']}\n\n{row['text']}\n"
        (folder / "knowledge" / f"{row['id']}.md").write_text(text, encoding="utf-8")
    return folder


async def say_all(desk: Asker, talk: Sequence[Line]) -> list[Said]:
    """The lines of a talk said one after another, in a thread of its own."""
    said, thread = list[Said](), ""
    for line in talk:
        reply = await desk.ask(Question(line.text, line.talk, thread), Pins(judge=False))
        said.append(Said(line, reply))
        thread = reply.thread_id
    return said


async def measure(settings: Settings, folder: Path, chosen: Mapping[str, Business]) -> dict[str, list[Said]]:
    """What desks of these businesses say to their talks. The desks and all they keep are written below `folder`."""
    told = {}
    for name, business in chosen.items():
        desk = make_desk(business, BUSINESSES / f"{name}_kb.jsonl", folder / name / "desk")
        here = settings.model_copy(update={"desk": str(desk), "home": folder / name / "home"})
        _say(name)
        async with opened(Run(here, say=_say, progress=lambda *_: None)) as service:
            said = [await say_all(service.desk, talk) for talk in talks(BUSINESSES / f"{name}-talks.jsonl")]
        told[name] = [one for talk in said for one in talk]
    return told


def table(told: Mapping[str, Sequence[Said]]) -> list[str]:
    """Of each business and sort of line how many were answered right, and how many with a right source, as Markdown."""
    lines = ["| | " + " | ".join(SORTS) + " |", "|---" * (len(SORTS) + 1) + "|"]
    everybody = [one for said in told.values() for one in said]
    for name, said in {**told, "all": everybody}.items():
        lines.append(
            f"| {name} | " + " | ".join(_share([one for one in said if one.line.sort == sort]) for sort in SORTS) + " |"
        )
    return lines


def _share(said: Sequence[Said]) -> str:
    right, cited = sum(one.right for one in said), sum(one.cited for one in said)
    interval = wilson(right, len(said))
    if not said or interval is None:
        return "-"
    between = f" ({interval[0]:.2f}-{interval[1]:.2f})" if len(said) > FEW else ""
    return f"{right / len(said):.2f}{between}, cited {cited / len(said):.2f}, of {len(said)}"


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="some of the businesses; none: all that nothing was fitted on")
    parser.add_argument("--fitted", action="store_true", help="those instead on which something was fitted")
    parser.add_argument("--said", type=Path, help="a file for what was said, a line of JSON each")
    given = parser.parse_args()
    known = businesses()
    chosen = {
        name: one
        for name, one in known.items()
        if name in given.names or (not given.names and one.fitted == given.fitted)
    }
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


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
