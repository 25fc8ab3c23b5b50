"""Claims and the context they should stand on: rows `{id?, context, claim, label: supported|unsupported, kind?}`.

Scored is what the local judge's `grounding` is made of. How well the length of the claim alone ranks them stands
beside it: on some public sets that is nearly all there is to find.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from domain.errors import WeightsError
from domain.ports import Embedder
from evals.labelled import (
    MS,
    SHOWN_MISSES,
    LabelledRow,
    auroc,
    balanced_accuracy,
    counts,
    f1,
    languages_of,
    open_rows,
    with_interval,
)
from evals.run import Figure, Miss, Result, Run
from evals.stats import percentile
from scoring.faithfulness import faithfulness

NAME = "faithfulness"
EXAMPLE = '{"context", "claim", "label": "supported"|"unsupported"}'


class Row(LabelledRow):
    """A claim and what it should stand on."""

    context: str = Field(min_length=1)
    claim: str = Field(min_length=1)
    label: Literal["supported", "unsupported"]


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of a row: how far the claim is supported, 0..1, whether that counts, and the weakest sentence."""

    row: Row
    score: float
    said: bool
    weakest: str
    ms: float

    @property
    def held(self) -> bool:
        """Whether the claim is supported in truth."""
        return self.row.label == "supported"


async def measure(run: Run) -> Result:
    """Score every row of `--data`. Raises UsageError without rows."""
    from graph.rooms import open_embedder  # noqa: PLC0415  # seconds: not for a test of figures

    rows, broken = open_rows(run, NAME, Row, EXAMPLE)
    embedder = open_embedder(run.settings, languages_of([row.claim for row in rows]))
    scored, unscored = await put_through(rows, embedder, run)
    about: dict[str, object] = {"data": str(run.data), "embedder": embedder.name}
    return summed_up(scored, [*broken, *unscored], about)


async def put_through(rows: Sequence[Row], embedder: Embedder | None, run: Run) -> tuple[list[Scored], list[Miss]]:
    """Score row by row, so that times are those of one answer; a claim without a word of content is unscored."""
    scored: list[Scored] = []
    unscored: list[Miss] = []
    for done, row in enumerate(rows, start=1):
        started = time.perf_counter()
        try:
            found = await faithfulness(row.claim, [row.context], embedder)
        except WeightsError as fault:
            unscored.append(Miss(row.id, "unscored", str(fault)))
        else:
            took = (time.perf_counter() - started) * MS
            if found is None:
                unscored.append(Miss(row.id, "unscored", "the claim says nothing"))
            else:
                scored.append(Scored(row, found.score, found.supported, found.weakest.sentence, took))
        run.progress(done, len(rows))
    return scored, unscored


def summed_up(scored: Sequence[Scored], unscored: Sequence[Miss], about: dict[str, object]) -> Result:
    """The figures. A supported claim is what is to be found, so that `f1` is that of "supported"."""
    kinds: dict[str, list[Scored]] = {}
    for one in scored:
        kinds.setdefault(one.row.kind, []).append(one)
    times = [one.ms for one in scored]
    figures = [
        *_figures(scored),
        Figure("ms_p50", percentile(times, 50), len(times)),
        Figure("ms_p95", percentile(times, 95), len(times)),
    ]
    wrong = sorted((one for one in scored if one.said != one.held), key=_how_wrong, reverse=True)
    return Result(
        NAME,
        about | counts(len(scored), len(unscored)) | {"wrong": len(wrong)},
        figures,
        {kind: _figures(group) for kind, group in sorted(kinds.items())} if len(kinds) > 1 else {},
        [*(Miss(one.row.id, one.row.label, _why(one)) for one in wrong[:SHOWN_MISSES]), *unscored[:SHOWN_MISSES]],
        [] if scored else [f"{NAME}: not one row could be scored"],
    )


def _figures(scored: Sequence[Scored]) -> list[Figure]:
    truth = [float(one.held) for one in scored]
    said = [float(one.said) for one in scored]
    return [
        with_interval("balanced_accuracy", truth, said, balanced_accuracy),
        with_interval("f1", truth, said, f1),
        with_interval("auroc", truth, [one.score for one in scored], auroc),
        with_interval("length_auroc", truth, [-float(len(one.row.claim)) for one in scored], auroc),
    ]


def _how_wrong(one: Scored) -> float:
    return 1.0 - one.score if one.held else one.score


def _why(one: Scored) -> str:
    return f"score {one.score:.2f}; weakest: {one.weakest[:120]}"
