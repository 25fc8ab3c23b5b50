"""Messages sorted by likeness to labelled ones, with no model asked: what `frontdesk optimise scope` has to beat.

    python -m training.by_examples --data messages.jsonl --held-out others.jsonl [--json]

Rows as for `optimise scope`. Rows that are like a held-out one are left out, as there. A message gets the category whose
three nearest rows are nearest on average; the embedder is that of a desk in the rows' languages.
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from domain.ports import Embedder, Vector
from domain.settings import read_settings
from evals.labelled import languages_of
from evals.run import share
from graph.rooms import open_embedder
from prompts import PromptLibrary
from scoring.grounding import dot
from training.optimise import Tried
from training.optimised import macro, told
from training.splitting import split
from training.subjects import Mark, Row, scope_subject

NEAREST = 3

Data = Annotated[Path, typer.Option("--data", help="Labelled messages.")]
HeldOut = Annotated[
    Path | None, typer.Option("--held-out", help="Messages to be judged on; else two fifths of --data.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def main(data: Data, held_out: HeldOut = None, *, as_json: AsJson = False) -> None:
    """Print accuracy, precision, recall and F1 by category and language."""
    subject = scope_subject(data, "a business", held_out=held_out)
    sides = split(subject.rows, subject.held_out)
    known = [*sides.train, *sides.validation]
    embedder = open_embedder(read_settings(), languages_of([row.text for row in known]))
    tried = asyncio.run(by_examples(known, sides.held_out, embedder))
    right = share("right", list(tried.right().values()))
    flat: dict[str, object] = {"embedder": embedder.name, "examples": len(known), "held_out": len(sides.held_out)}
    flat |= {"right": right.value, "right_ci": right.ci}
    flat |= {name: value for name, value, _ in macro(tried, subject.labels)}
    flat["by_label"] = {
        f"{language} {label}": dict(zip(("n", "precision", "recall", "f1"), found, strict=True))
        for language in sorted({row.language for row in tried.rows})
        for label, found in told(tried, subject.labels, language).items()
    }
    sys.stdout.write(json.dumps(flat, indent=None if as_json else 1) + "\n")


async def by_examples(known: Sequence[Row], asked: Sequence[Row], embedder: Embedder) -> Tried:
    """Sort `asked` by their likeness to `known`."""
    groups: dict[str, list[Vector]] = {}
    for row in known:
        groups.setdefault(row.label, []).append(await embedder.query(row.text))
    marks = {}
    for row in asked:
        label = nearest(await embedder.query(row.text), groups)
        marks[row.id] = Mark(float(label == row.label), label == row.label, "", label)
    return Tried(PromptLibrary.load().get("scope"), asked, marks)


def nearest(vector: Vector, groups: Mapping[str, Sequence[Vector]]) -> str:
    """The group whose few nearest members are nearest on average."""

    def likeness(label: str) -> float:
        best = sorted((dot(vector, each) for each in groups[label]), reverse=True)[:NEAREST]
        return sum(best) / len(best)

    return max(sorted(groups), key=likeness)


if __name__ == "__main__":
    typer.run(main)
