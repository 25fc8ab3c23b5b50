"""Questions to small businesses: what is answered right by quotation, what is turned away, and what becomes of a near miss.

`evals/businesses/` made into desks that quote, and each `NAME.jsonl` asked of one of them: `python -m evals.small_businesses`.
Articles and questions were written by somebody who saw neither the search nor its figures.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from domain.errors import UsageError
from domain.receipt import Reply
from domain.settings import Settings, read_settings
from domain.turn import Language, Pins
from evals.asking import Asker, opened
from evals.jsonl import read_lines
from evals.matching import says
from evals.run import Run
from evals.stats import wilson
from graph.record import Question
from graph.service import Service
from prompts import Replies

BUSINESSES = Path(__file__).with_name("businesses")
FEW = 20
"""Rows up to which an interval says nothing that their number does not."""


ShapeT = TypeVar("ShapeT", bound=BaseModel)


class Business(BaseModel):
    """A small business of `NAME*.jsonl`, `called` so. `language`: of its articles. Something was fitted on those of `dev`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    called: str
    split: Literal["dev", "held_out"]
    field: str
    language: Language
    describe: str

    @property
    def languages(self) -> list[Language]:
        """Both, its own first."""
        return ["vi", "en"] if self.language == "vi" else ["en", "vi"]


class Row(BaseModel):
    """A question, and what a right answer holds: every one of `facts`, from one of `relevant`. Without these, a near miss."""

    id: str
    text: str
    relevant: list[str] = Field(default_factory=list)
    facts: list[str] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and what the desk said to it. `caveat`: behind the words that it may not be the answer."""

    row: Row
    reply: Reply
    caveat: bool = False

    @property
    def right(self) -> bool:
        """Whether the answer holds every fact; to a near miss, whether the desk says that it does not know."""
        if not self.row.relevant:
            return self.reply.outcome == "dont_know"
        return answers(self.reply, self.row.facts)


def businesses() -> list[Business]:
    """All that ship."""
    text = (BUSINESSES / "desks.yaml").read_text(encoding="utf-8")
    return TypeAdapter(list[Business]).validate_python(yaml.safe_load(text))


def rows_of(path: Path, shape: type[ShapeT]) -> list[ShapeT]:
    """The rows of a file. Raises UsageError for one that is not of the shape."""
    found = list[ShapeT]()
    for number, raw in enumerate(read_lines(path), start=1):
        try:
            found.append(shape.model_validate_json(raw))
        except ValidationError as fault:
            what, where = f"no {shape.__name__.lower()}: {fault.errors()[0]['msg']}", f"{path}:{number}"
            raise UsageError(what, where=where, fix=f"see {shape.__module__}") from fault
    return found


def answers(reply: Reply, facts: Sequence[str]) -> bool:
    """Whether it is an answer that holds every fact."""
    return reply.outcome == "answer" and all(says(reply.answer, fact) for fact in facts)


def make_desk(business: Business, articles: Path, folder: Path) -> Path:
    """Write the desk that somebody makes who begins: a name, a sentence, and the articles. Returns its folder."""
    (folder / "knowledge").mkdir(parents=True)
    scope = {"describe": business.describe}
    profile = {"name": business.called, "languages": business.languages, "scope": scope}
    (folder / "desk.yaml").write_text(yaml.safe_dump(profile, allow_unicode=True), encoding="utf-8")
    for row in map(json.loads, read_lines(articles)):
        text = f"---\nid: {row['id']}\n---\n\n# {row['title']}\n\n{row['text']}\n"
        (folder / "knowledge" / f"{row['id']}.md").write_text(text, encoding="utf-8")
    return folder


@asynccontextmanager
async def quoting(settings: Settings, folder: Path, business: Business) -> AsyncIterator[Service]:
    """A small business's desk, made and opened below `folder`."""
    here = folder / business.name
    desk = make_desk(business, BUSINESSES / f"{business.name}_kb.jsonl", here / "desk")
    chosen = settings.model_copy(update={"desk": str(desk), "home": here / "home"})
    say(business.name)
    async with opened(Run(chosen, say=say, progress=lambda *_: None)) as service:
        yield service


async def ask_all(desk: Asker, rows: Sequence[Row], caveats: Sequence[str]) -> list[Asked]:
    """Every question in a thread of its own. `caveats`: what stands before an answer that may be none, in any language."""
    asked = list[Asked]()
    for row in rows:
        reply = await desk.ask(Question(row.text, f"eval-{row.id}"), Pins(judge=False))
        asked.append(Asked(row, reply, any(caveat in reply.answer for caveat in caveats)))
    return asked


async def measure(settings: Settings, folder: Path, chosen: Sequence[Business]) -> dict[str, list[Asked]]:
    """What desks of these businesses say to their questions. The desks and all they keep are written below `folder`."""
    told = {}
    for business in chosen:
        async with quoting(settings, folder, business) as service:
            replies = Replies(service.profile)
            caveats = [replies.text("doubtful", language) for language in business.languages]
            rows = rows_of(BUSINESSES / f"{business.name}.jsonl", Row)
            told[business.name] = await ask_all(service.desk, rows, caveats)
    return told


def table(told: Mapping[str, Sequence[Asked]]) -> list[str]:
    """Of each business what was answered right, turned away and told from an answer, as Markdown."""
    lines = [
        "| | answered right | not answered | behind a caveat | near misses: don't know | behind a caveat |",
        "|---" * 6 + "|",
    ]
    everybody = [one for asked in told.values() for one in asked]
    for name, asked in {**told, "all": everybody}.items():
        held, missed = [one for one in asked if one.row.relevant], [one for one in asked if not one.row.relevant]
        cells = [
            share([one.right for one in held]),
            share([one.reply.outcome != "answer" for one in held]),
            share([one.caveat for one in held]),
            share([one.right for one in missed]),
            share([one.caveat for one in missed]),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def share(held: Sequence[bool]) -> str:
    """A share with its number, and where that is not small its 95 % interval."""
    interval = wilson(sum(held), len(held))
    if interval is None:
        return "-"
    between = f" ({interval[0]:.2f}-{interval[1]:.2f})" if len(held) > FEW else ""
    return f"{sum(held) / len(held):.2f}{between} of {len(held)}"


def chosen_by(names: Sequence[str], *, fitted: bool) -> list[Business]:
    """The businesses of these names; of none: those on which something was fitted, or the others."""
    known = {one.name: one for one in businesses()}
    if unknown := sorted(set(names) - set(known)):
        raise UsageError("no such business", where=", ".join(unknown), fix=f"one of {', '.join(known)}")
    split = "dev" if fitted else "held_out"
    return [one for one in known.values() if one.name in names or (not names and one.split == split)]


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="some of the businesses; none: all that nothing was fitted on")
    parser.add_argument("--fitted", action="store_true", help="those instead on which something was fitted")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        chosen = chosen_by(given.names, fitted=given.fitted)
        told = asyncio.run(measure(read_settings(llm="off"), Path(folder), chosen))
    sys.stdout.write("\n".join(table(told)) + "\n")
    return 0


def say(line: str) -> None:
    """Tell the terminal how far it is."""
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
