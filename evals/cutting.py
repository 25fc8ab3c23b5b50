"""Measure what passages lose when they are cut for a model: `python -m evals.cutting [--desk shop] [--split dev]`.

Takes the cases of a desk that have an answer, searches them, and counts in how many every fact still stands in
what a model would be given, at several lengths. Totals only, so that held-out cases stay unseen. What is printed
goes to docs/retrieval.md.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from domain.ports import Embedder
from domain.settings import Settings
from domain.turn import Passage
from evals.asking import opened
from evals.cases import FILES, Case, read_cases
from evals.matching import says_one
from evals.run import Run
from nodes.generate import READ, READ_BY_A_WEAK_MODEL
from nodes.quotation import near_the_best
from retrieval import default_rag_config, load_rag_config
from scoring import cut

LIMITS = (400, 600, READ_BY_A_WEAK_MODEL, 1_000, 1_200, READ)
FIRST = 3
"""Passages of the row that only leaves the last ones out, for comparison."""


@dataclass(frozen=True, slots=True)
class Read:
    """What a model would be given for one case."""

    case: Case
    passages: Sequence[Passage]

    @property
    def characters(self) -> int:
        """Of all its passages."""
        return sum(len(passage.text) for passage in self.passages)

    @property
    def whole(self) -> bool:
        """Whether every fact of the case stands in it."""
        text = "\n".join(f"{passage.title}\n{passage.section}\n{passage.text}" for passage in self.passages)
        return all(says_one(text, wordings) for wordings in self.case.facts)


def main() -> None:
    """Print the table."""
    given = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    given.add_argument("--desk", default="shop")
    given.add_argument("--split", choices=[name for name in FILES if name != "all"], default="dev")
    asked = given.parse_args()
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(desk=asked.desk, home=Path(home), llm="off")
        sys.stdout.write("\n".join(asyncio.run(_table(settings, asked.split))) + "\n")


async def _table(settings: Settings, split: str) -> list[str]:
    async with opened(Run(settings, say=_say, progress=lambda _done, _all: None)) as service:
        files = [service.desk_folder / "cases" / name for name in FILES[split]]
        cases, _ = read_cases([path for path in files if path.is_file()])
        config = load_rag_config(settings.rag_config or default_rag_config(service.profile.languages))
        found = [
            Read(case, near_the_best((await service.knowledge.public.search(case.question, config.top_k)).passages))
            for case in cases
            if case.outcome == "answer" and case.facts
        ]
        rows = [_row("as found", found, found), _row(f"first {FIRST}", _first(found), found)]
        rows += [_row(f"cut to {limit:,}", await _cut(found, limit, service.embedder), found) for limit in LIMITS]
    head = ["| passages | cases | every fact in them | characters, mean | of what was found |", "|---|---|---|---|---|"]
    return [*head, *rows]


def _first(found: Sequence[Read]) -> list[Read]:
    return [Read(one.case, one.passages[:FIRST]) for one in found]


async def _cut(found: Sequence[Read], limit: int, embedder: Embedder) -> list[Read]:
    return [Read(one.case, await cut(one.case.question, one.passages, limit, embedder=embedder)) for one in found]


def _row(name: str, read: Sequence[Read], found: Sequence[Read]) -> str:
    mean, before = (statistics.mean(one.characters for one in some) for some in (read, found))
    return f"| {name} | {len(read)} | {sum(one.whole for one in read)} | {mean:,.0f} | {mean / before:.0%} |"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()
