"""Answers that people rated: rows `{id?, question, answer, human: 1..4, kind?}`, and what the local judge makes of them.

What is held against people is the judge's `relevance`, which needs no passages; with `--judge MODEL` what that model
makes of them: its ratings, or, of a weak model, its P(yes). An answer is good from 2.5 on.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

from pydantic import Field

from domain.errors import NotMeasuredError
from domain.ports import ModelCard
from domain.receipt import MICRO
from domain.turn import Call, Passage, Score, Tier
from evals.asking import opened
from evals.judging import AUTO, ToRate, choose_judge, judge_of, rate_all
from evals.labelled import (
    MS,
    SHOWN_MISSES,
    LabelledRow,
    auroc,
    counts,
    languages_of,
    open_rows,
    spearman,
    with_interval,
)
from evals.run import Figure, Miss, Result, Run, share
from evals.runner import go_through
from evals.stats import percentile
from graph.service import Service
from scoring.judge import LocalJudge, on_scale
from scoring.rubric import Judged, Rated, share_of

NAME = "judge"
EXAMPLE = '{"question", "answer", "human": 1..4}'
WORST, BEST, GOOD = 1.0, 4.0, 2.5
GOODNESS = ("helpfulness", "correctness", "relevance", "completeness")
"""Dimensions whose mean is held against people, where a model judges."""


class Row(LabelledRow):
    """An answer and the rating that people gave it, their mean where there are several."""

    question: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    human: float = Field(ge=WORST, le=BEST, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Scored:
    """A row and the judge's rating on people's scale."""

    row: Row
    rating: float
    ms: float

    @property
    def right(self) -> bool:
        """Good is called good, bad is called bad."""
        return (self.rating >= GOOD) == (self.row.human >= GOOD)


async def measure(run: Run) -> Result:
    """Judge every row of `--data`. Raises UsageError without rows, NotMeasuredError without a rating."""
    from graph.rooms import open_embedder  # noqa: PLC0415  # seconds: not for a test of figures

    rows, broken = open_rows(run, NAME, Row, EXAMPLE)
    if run.judge:
        async with opened(run) as service:
            if weak := weak_judge(run, service.chat):
                scored, unscored, about = await by_probability(rows, _local_judge(run, service), weak, run)
            else:
                scored, unscored, about = await by_model(rows, service, run)
        return summed_up(scored, [*broken, *unscored], {"data": str(run.data)} | about)
    embedder = open_embedder(run.settings, languages_of([row.answer for row in rows]))
    scored, unscored = await put_through(rows, LocalJudge(embedder), run)
    return summed_up(scored, [*broken, *unscored], {"data": str(run.data), "embedder": embedder.name})


async def put_through(rows: Sequence[Row], judge: LocalJudge, run: Run) -> tuple[list[Scored], list[Miss]]:
    """Judge row by row; what the judge cannot score is unscored, with its reason."""
    scored: list[Scored] = []
    unscored: list[Miss] = []
    for done, row in enumerate(rows, start=1):
        started = time.perf_counter()
        score = await judge.relevance(row.question, row.answer)
        took = (time.perf_counter() - started) * MS
        if score.value is None:
            unscored.append(Miss(row.id, "unscored", score.comment))
        else:
            scored.append(Scored(row, on_scale(score.value, WORST, BEST), took))
        run.progress(done, len(rows))
    return scored, unscored


class Models(Protocol):
    """The part of the model client that is needed."""

    def choose(self, tier: Tier, confidence: float) -> ModelCard | None: ...
    def up(self) -> Mapping[str, ModelCard | None]: ...


def weak_judge(run: Run, models: Models) -> ModelCard | None:
    """The model that `run.judge` names, where it is too weak to fill in a rubric."""
    card = models.up().get(choose_judge(models, []) if run.judge == AUTO else run.judge)
    return card if card and card.weak else None


def _local_judge(run: Run, service: Service) -> LocalJudge:
    prompt, chat = service.prompts.get(NAME), run.calls.around(service.chat) if run.calls else service.chat
    return LocalJudge(service.embedder, chat, prompt.render, prompt.label)


async def by_probability(
    rows: Sequence[Row], judge: LocalJudge, card: ModelCard, run: Run
) -> tuple[list[Scored], list[Miss], dict[str, object]]:
    """The same by one token of a weak model: its P(yes), as the local judge asks for it in service (`helpful`)."""

    async def one(row: Row) -> tuple[Score, list[Call]]:
        # People rated a text that was found for the question: it is what the answer rests on.
        passage = Passage(id=row.id, article=row.id, title="", text=row.answer, score=1.0)
        return await judge.helpful(row.question, row.answer, [passage], card=card)

    found = await go_through(rows, one, parallel=run.parallel, progress=run.progress)
    scored: list[Scored] = []
    unscored: list[Miss] = []
    for row, (score, calls) in zip(rows, found, strict=True):
        if score.value is None:
            unscored.append(Miss(row.id, "unscored", score.comment))
        else:
            scored.append(Scored(row, on_scale(score.value, WORST, BEST), sum(call.ms for call in calls)))
    if not scored:
        raise NotMeasuredError(f"{card.name} judged not one of {len(rows)} answers", where=NAME, fix=unscored[0].why)
    return scored, unscored, {"judge": f"P(yes) of {card.name}"}


async def by_model(
    rows: Sequence[Row], service: Service, run: Run
) -> tuple[list[Scored], list[Miss], dict[str, object]]:
    """The same by the model that `run.judge` names, without passages or references; what it costs is among the facts."""
    judge = judge_of(run, service, [])
    rated = await rate_all([ToRate(row.id, Judged(row.question, row.answer)) for row in rows], judge, run)
    by_id = {row.id: row for row in rows}
    scored = [
        Scored(by_id[name], on_scale(fmean(values), WORST, BEST), sum(call.ms for call in one.calls))
        for name, one in rated.items()
        if (values := overall_of(one))
    ]
    if not scored:
        why = next(one.ratings[0].reason for one in rated.values())
        raise NotMeasuredError(f"{run.judge} rated not one of {len(rows)} answers", where=NAME, fix=why)
    known = {one.row.id for one in scored}
    lost = [Miss(name, "unscored", one.ratings[0].reason) for name, one in rated.items() if name not in known]
    cost = sum(call.cost_microusd for one in rated.values() for call in one.calls) / MICRO
    names = ", ".join(dict.fromkeys(one.judge for one in rated.values()))
    return scored, lost, {"judge": names, "cost_usd": cost}


def overall_of(one: Rated) -> list[float]:
    """The ratings that say whether an answer is good, as 0..1; empty unless all were scored."""
    values = [share_of(rating.value) for rating in one.ratings if rating.name in GOODNESS and rating.value is not None]
    return values if len(values) == len(GOODNESS) else []


def summed_up(scored: Sequence[Scored], unscored: Sequence[Miss], about: dict[str, object]) -> Result:
    """The figures, and how the judge rates what people rate."""
    human, rated = [one.row.human for one in scored], [one.rating for one in scored]
    times = [one.ms for one in scored]
    wrong = sorted((one for one in scored if not one.right), key=lambda one: -abs(one.rating - one.row.human))
    return Result(
        NAME,
        about | counts(len(scored), len(unscored)) | {"wrong": len(wrong)},
        [
            with_interval("spearman", human, rated, spearman),
            share("accuracy", [one.right for one in scored]),
            with_interval("auroc", [float(value >= GOOD) for value in human], rated, auroc),
            Figure("unscored", len(unscored), len(scored) + len(unscored)),
            Figure("ms_p50", percentile(times, 50), len(times)),
            Figure("ms_p95", percentile(times, 95), len(times)),
        ],
        {},
        [*(Miss(one.row.id, f"people {one.row.human:g}", _why(one)) for one in wrong[:SHOWN_MISSES]), *unscored],
        [] if scored else [f"{NAME}: not one row could be scored"],
        [("rated by people and by the judge", ["people", "rows", "judge"], _by_rating(scored))],
    )


def _by_rating(scored: Sequence[Scored]) -> list[list[object]]:
    levels: dict[int, list[float]] = {}
    for one in scored:
        levels.setdefault(round(one.row.human), []).append(one.rating)
    return [[level, len(values), round(fmean(values), 2)] for level, values in sorted(levels.items())]


def _why(one: Scored) -> str:
    return f"judged {one.rating:.2f}: {one.row.question[:80]} / {one.row.answer[:80]}"
