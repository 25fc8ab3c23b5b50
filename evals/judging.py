"""Answers of a run, rated by a model (scoring/rubric.py): which model, the ratings, and the figures of them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from pydantic import TypeAdapter

from domain.errors import UsageError
from domain.ports import ChatModel, ModelCard
from domain.receipt import MICRO
from domain.turn import Tier
from evals.labelled import with_interval
from evals.run import Figure, Result, Row, Run
from evals.runner import Kept, go_through
from graph.service import Service
from scoring.rubric import DIMENSIONS, Judged, Rated, RubricJudge, share_of

AUTO = "auto"
PROMPT = "rubric"
LOW = 2
"""A rating up to which its reason is shown."""
RATED = TypeAdapter(Rated)


@dataclass(frozen=True, slots=True)
class ToRate:
    """A row's answer and what it is judged by."""

    id: str
    judged: Judged


def judge_of(run: Run, service: Service, answered_by: Sequence[str]) -> RubricJudge:
    """The judge that `run.judge` names; `auto`: the best model that is up and gave none of these answers, if there is one.

    A judge of its own answers is said aloud. Raises UsageError where no model is up.
    """
    chat: ChatModel = run.calls.around(service.chat) if run.calls else service.chat
    model = run.judge
    if model == AUTO:
        model = choose_judge(service.chat, answered_by)
    elif not service.chat.up().get(model, False):
        up = ", ".join(name for name, well in service.chat.up().items() if well) or "none"
        raise UsageError("is not up", where=f"judge {model}", fix=f"one of: {up}")
    if model in answered_by:
        run.say(f"{model} judges its own answers: expect it to be kind to them")
    prompt = service.prompts.get(PROMPT)
    return RubricJudge(chat, prompt.render, model=model, prompt=prompt.label)


class Chooses(Protocol):
    """The part of a model client by which one is chosen."""

    def choose(self, tier: Tier, confidence: float) -> ModelCard | None: ...


def choose_judge(chat: Chooses, answered_by: Sequence[str]) -> str:
    """The best model that is up and gave none of the answers; else the best. Raises UsageError where none is up."""
    found = [card.name for tier in ("complex", "medium", "simple") if (card := chat.choose(tier, 1.0))]
    if not found:
        raise UsageError("no model is up to judge", where="--judge", fix="see frontdesk doctor")
    return next((name for name in found if name not in answered_by), found[0])


async def rate_all(rows: Sequence[ToRate], judge: RubricJudge, run: Run, kept: Kept | None = None) -> dict[str, Rated]:
    """Rate every row, `run.parallel` at a time, by id; what `kept` holds already is not judged again."""

    async def one(row: ToRate) -> Rated:
        if kept and (before := kept.done.get(row.id)):
            return RATED.validate_python(before)
        rated = await judge.rate(row.judged)
        if kept and any(rating.value is not None for rating in rated.ratings):
            await asyncio.to_thread(kept.keep, row.id, asdict(rated))
        return rated

    found = await go_through(rows, one, parallel=run.parallel, progress=run.progress)
    return {row.id: rated for row, rated in zip(rows, found, strict=True)}


def with_ratings(result: Result, rated: Mapping[str, Rated]) -> Result:
    """The result with `judge_…` figures (1 to 5, means with intervals), the rows' ratings as 0..1, and who judged."""
    if not rated:
        return result
    rows = [_with_rating(row, rated[row.id]) if row.id in rated else row for row in result.rows]
    unscored = sum(rating.value is None for one in rated.values() for rating in one.ratings)
    cost = sum(call.cost_microusd for one in rated.values() for call in one.calls) / MICRO
    about: dict[str, Any] = {
        "judge": ", ".join(dict.fromkeys(one.judge for one in rated.values())),
        "judge_own_answers": sum(one.own for one in rated.values()),
        "judge_votes": sum(one.votes for one in rated.values()),
    }
    figures = [
        *figures_of(rated),
        Figure("judge_unscored", unscored, len(rated) * len(DIMENSIONS)),
        Figure("judge_cost_usd", cost, len(rated)),
    ]
    why: list[list[object]] = [
        [name, rating.name, rating.value, rating.reason]
        for name, one in rated.items()
        for rating in one.ratings
        if rating.value is not None and rating.value <= LOW
    ]
    tables = (
        [("what the judge found wanting", ["row", "dimension", "rating", "reason"], why)] if why and result.rows else []
    )
    more = [*result.more, *tables]
    return replace(result, about=result.about | about, figures=[*result.figures, *figures], rows=rows, more=more)


def figures_of(rated: Mapping[str, Rated]) -> list[Figure]:
    """The mean of each dimension over the answers where it was scored."""
    found = []
    for name in DIMENSIONS:
        values = [
            float(rating.value)
            for one in rated.values()
            for rating in one.ratings
            if rating.name == name and rating.value is not None
        ]
        found.append(with_interval(f"judge_{name}", values, values, lambda _, drawn: float(drawn.mean())))
    return found


def _with_rating(row: Row, one: Rated) -> Row:
    scores = {f"judge_{rating.name}": share_of(rating.value) for rating in one.ratings if rating.value is not None}
    cost = sum(call.cost_microusd for call in one.calls) / MICRO
    return replace(row, scores=row.scores | scores, cost_usd=row.cost_usd + cost)
