"""The week of a desk: a sample of its answers judged, what falls below the line put before reviewers, and the figures.

The sample is drawn by the hash of the turn's id under a seed: the same week gives the same sample, whoever asks.
"""

import asyncio
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from statistics import fmean, stdev
from typing import Any

from domain.errors import UsageError
from domain.ports import Progress
from domain.profile import AlertRule
from domain.receipt import Receipt
from domain.turn import Payer
from graph.alerts import Finding, open_watch
from graph.figures import as_json, overview
from graph.gaps import (
    MOST_TURNS,
    REFERENCE,
    confidences,
    drift,
    group_by_meaning,
    is_gap,
    retrieval_figures,
    shown,
    subjects,
)
from graph.panels import bucket
from graph.reviewing import ANY_TIME, LOW, MOST_WAITING
from graph.service import Service
from scoring.aspects import STAND_INS, Aspect, aspects

Json = dict[str, Any]

WEEK = timedelta(days=7)
RATED_SPAN = timedelta(weeks=12)
"""How far back people's ratings count for their agreement with the judge: those of one week are few."""
SAMPLE, MOST_SAMPLE = 200, 2_000
LINE = 3.0
"""An answer below this in any aspect is put before a reviewer: the middle of the scale."""
SAFE = 4.0
"""A week whose mean safety lies below this asks for people: every answer below it is put before them, and operators are told."""
TO_RATE = 0.05
GAPS, GROUPED = 10, 500
"""Gaps that are shown, and newest questions without an answer that are grouped for them."""
Z_95 = 1.959964
ALARM = AlertRule(id="weekly-safety", watch="judge_safety", below=SAFE, window="7d", turns=1, cooldown="6d")


async def report(
    service: Service, sample: int = SAMPLE, seed: int | None = None, progress: Progress | None = None, *, who: str
) -> Json:
    """Judge a sample of the last seven days' answers, ask for reviews, and give the week's figures (docs/operations.md).

    `seed`: of the sample; without it the day on which the week begins. Raises UsageError.
    """
    if not 1 <= sample <= MOST_SAMPLE:
        raise UsageError(f"{sample} answers cannot be sampled", where="sample", fix=f"ask for 1 to {MOST_SAMPLE}")
    now = service.clock.now()
    start = now - WEEK
    seed = start.toordinal() if seed is None else seed
    ledger = service.store.ledger
    turns = await asyncio.to_thread(ledger.between, start, now, MOST_TURNS)
    before = await asyncio.to_thread(ledger.between, start - REFERENCE, start, MOST_TURNS)
    answers = [turn for turn in turns if turn.outcome == "answer" and turn.reason is None and turn.passages]
    ids = drawn([turn.turn_id for turn in answers], sample, seed)
    kept = await asyncio.to_thread(ledger.several, ids)
    judged = await _judged(service, [kept[turn] for turn in ids if turn in kept], progress)
    asked = await _ask(service, judged)
    if asked["queued"] or asked["to_rate"]:
        after = {"since": start.isoformat(), "queued": asked["queued"], "to_rate": len(asked["to_rate"])}
        await asyncio.to_thread(service.store.audit.record, who, "monitor.report", None, after)
    unsure = [turn for turn in turns if is_gap(turn)]
    groups = await group_by_meaning(unsure[:GROUPED], subjects(service), service.embedder)
    found = retrieval_figures(turns)
    return {
        "desk": service.profile.name,
        "seed": seed,
        **as_json(await asyncio.to_thread(overview, service.store, start, now)),
        "eligible": len(answers),
        "sampled": len(judged),
        **asked,
        "pairs": await asyncio.to_thread(_pairs, service, now),
        "days": [bucket(one) for one in await asyncio.to_thread(service.store.series.buckets, start, "day")],
        "weeks": _weeks([*turns, *before], now),
        "search_dont_know_rate": found.pop("dont_know_rate"),
        **found,
        **drift(confidences(before), confidences(turns)),
        "reference_histogram": retrieval_figures(before)["confidence_histogram"],
        "unanswered": len(unsure),
        "gaps": [shown(group) for group in groups[:GAPS]],
    }


def drawn(ids: Sequence[str], count: int, seed: int) -> list[str]:
    """`count` of these ids, or all of fewer; the same for the same seed, and no other when more ids come."""
    return sorted(ids, key=lambda one: hashlib.sha256(f"{seed}:{one}".encode()).digest())[:count]


def mean_of(name: str, values: Sequence[float]) -> Json:
    """A mean with its count and its 95 % interval; no interval of fewer than two values."""
    if not values:
        return {name: None, f"{name}_n": 0, f"{name}_ci": None}
    mean = fmean(values)
    spread = Z_95 * stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    interval = None if spread is None else [round(max(1.0, mean - spread), 4), round(min(5.0, mean + spread), 4)]
    return {name: round(mean, 4), f"{name}_n": len(values), f"{name}_ci": interval}


async def _judged(service: Service, turns: Sequence[Receipt], progress: Progress | None) -> list[Receipt]:
    """The turns with their scores; those that nobody has judged yet are judged now, and that is booked."""
    done: list[Receipt] = []
    for count, turn in enumerate(turns, start=1):
        done.append(turn if _is_judged(turn) else await _judge(service, turn))
        if progress:
            progress(count, len(turns))
    return done


async def _judge(service: Service, turn: Receipt) -> Receipt:
    found = await service.judge.score(
        question=turn.standalone or turn.question,
        answer=turn.answer,
        passages=turn.passages,
        language=turn.language,
        outcome=turn.outcome,
        payer=Payer(turn=turn.turn_id),
        written_by=turn.model,
    )
    await asyncio.to_thread(service.store.ledger.add_scores, turn.turn_id, found.scores, found.calls)
    return replace(turn, scores=found.scores)


def _is_judged(turn: Receipt) -> bool:
    return any(value is not None for value in aspects(turn.scores).values())


async def _ask(service: Service, judged: Sequence[Receipt]) -> Json:
    """The aspects of the sample, and whom they call for."""
    scored = {turn.turn_id: aspects(turn.scores) for turn in judged}
    means = {
        aspect: mean_of(aspect, [one[aspect] for one in scored.values() if one[aspect] is not None])  # type: ignore[misc]  # just looked at
        for aspect in STAND_INS
    }
    safety = means["safety"]["safety"]
    unsafe = safety is not None and safety < SAFE
    below = [turn for turn in judged if _below(scored[turn.turn_id], unsafe=unsafe)]
    rate = [turn.turn_id for turn in judged if _is_judged(turn)]
    rate = rate[: math.ceil(TO_RATE * len(rate))]
    reviews = service.store.reviews
    await asyncio.to_thread(reviews.ask, [turn.turn_id for turn in below], "below_line")
    await asyncio.to_thread(reviews.ask, rate, "rate")
    told = False
    if unsafe:
        text = (
            f"the week's {len(judged)} judged answers have {safety:.1f} of 5 for safety: look at frontdesk review list"
        )
        told = await open_watch(service).raise_once(Finding(ALARM, text, safety))
    waiting = await asyncio.to_thread(reviews.waiting, service.clock.now() - ANY_TIME, LOW, MOST_WAITING)
    return {
        "unscored": sum(not _is_judged(turn) for turn in judged),
        **{name: value for one in means.values() for name, value in one.items()},
        "line": LINE,
        "safety_line": SAFE,
        "asks_review": unsafe,
        "alerted": told,
        "queued": len(below),
        "below": sorted((_row(turn, scored[turn.turn_id]) for turn in below), key=_worst),
        "to_rate": rate,
        "waiting": len(waiting),
        "more_waiting": len(waiting) == MOST_WAITING,
    }


def _below(values: Mapping[Aspect, float | None], *, unsafe: bool) -> bool:
    known = {aspect: value for aspect, value in values.items() if value is not None}
    return any(value < LINE for value in known.values()) or (unsafe and known.get("safety", SAFE) < SAFE)


def _row(turn: Receipt, values: Mapping[Aspect, float | None]) -> Json:
    said = {"turn_id": turn.turn_id, "at": turn.at, "question": turn.question, "answer": turn.answer}
    return {**said, **{str(aspect): value for aspect, value in values.items()}}


def _worst(row: Json) -> float:
    return min(float(row[aspect]) for aspect in STAND_INS if row[aspect] is not None)


def _pairs(service: Service, now: datetime) -> list[Json]:
    """What the judge and what people gave the same answer: {turn_id, aspect, judge, people}; `people` is their mean."""
    rated = service.store.reviews.rated(now - RATED_SPAN, now)
    given: dict[tuple[str, Aspect], list[int]] = {}
    for one in rated:
        given.setdefault((one.turn_id, one.aspect), []).append(one.value)
    turns = service.store.ledger.several({one.turn_id for one in rated})
    judged = {turn_id: aspects(turn.scores) for turn_id, turn in turns.items()}
    return [
        {"turn_id": turn, "aspect": aspect, "judge": judged[turn][aspect], "people": fmean(values)}
        for (turn, aspect), values in given.items()
        if turn in judged
    ]


def _weeks(turns: Sequence[Receipt], now: datetime) -> list[Json]:
    """This week and the four before it, the oldest first: how many asked, and how sure retrieval was."""
    weeks: list[list[Receipt]] = [[] for _ in range(1 + REFERENCE // WEEK)]
    for turn in turns:
        weeks[min(len(weeks) - 1, max(0, (now - datetime.fromisoformat(turn.at)) // WEEK))].append(turn)
    found = [(now - WEEK * (place + 1), each, retrieval_figures(each)) for place, each in enumerate(weeks)]
    return [
        {
            "since": since.date().isoformat(),
            "turns": len(each),
            "searches": figures["searches"],
            "confidence_p50": figures["confidence_p50"],
            "dont_know_rate": figures["dont_know_rate"],
        }
        for since, each, figures in reversed(found)
    ]
