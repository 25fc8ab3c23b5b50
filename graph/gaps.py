"""What the knowledge lacks: questions without a sure answer grouped by meaning, and how retrieval does over time.

Everything comes from receipts, so texts are masked, and what retention or a user's deletion removed is not here.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from domain.ports import Embedder
from domain.receipt import Receipt
from graph.figures import moment
from graph.service import Service
from store.figures import UNSURE

Json = dict[str, Any]
Array = npt.NDArray[np.float64]

MOST_TURNS = 20_000
MOST_QUESTIONS = 2_000
"""Newest unanswered questions that are grouped: at 8 ms each, a quarter of a minute."""
SUBJECTS = 200
APART = 0.99
"""Questions belong together if they are nearer than 99 of 100 pairs of subjects of this knowledge are."""
LEAST_SUBJECTS = 5
NEAR = 0.85
"""The same for a knowledge of too few articles to tell."""
REFERENCE = timedelta(days=28)
LEAST_TURNS = 50
"""Fewer searches than this, now or before, tell of no drift."""
BINS = 10
LOW = 0.10
"""Share of the reference's questions below its low mark; so much of today's is expected there."""
PSI_ALARM = 0.25
"""A population stability index from here on is called a shift by convention."""
LOW_ALARM = 0.20


@dataclass(slots=True)
class _Group:
    """Questions of one meaning, newest first. `total` is the sum of their vectors."""

    total: Array
    receipts: list[Receipt] = field(default_factory=list)


async def gaps(service: Service, since: str = "7d") -> Json:
    """Gaps in the knowledge, the most asked first, and the retrieval's figures; the fields are in docs/cli.md.

    Raises UsageError for a time that cannot be read.
    """
    now = service.clock.now()
    start = moment(since, now)
    ledger = service.store.ledger
    turns = await asyncio.to_thread(ledger.between, start, now, MOST_TURNS)
    before = await asyncio.to_thread(ledger.between, start - REFERENCE, start, MOST_TURNS)
    unsure = [turn for turn in turns if is_gap(turn)]
    groups = await group_by_meaning(unsure[:MOST_QUESTIONS], subjects(service), service.embedder)
    return {
        "since": start.isoformat(),
        "until": now.isoformat(),
        "turns": len(turns),
        "unanswered": len(unsure),
        **retrieval_figures(turns),
        **drift(confidences(before), confidences(turns)),
        "gaps": [shown(group) for group in groups],
    }


async def find_gaps(service: Service, since: datetime, until: datetime) -> list[list[Receipt]]:
    """The turns without a sure answer of a span, grouped by meaning, largest group first."""
    turns = await asyncio.to_thread(service.store.ledger.between, since, until, MOST_TURNS)
    unsure = [turn for turn in turns if is_gap(turn)]
    return await group_by_meaning(unsure[:MOST_QUESTIONS], subjects(service), service.embedder)


def subjects(service: Service) -> list[str]:
    """Titles of public articles, which tell how far apart this desk's subjects lie."""
    return [article.title for article in service.knowledge.articles() if article.audience == "public"][:SUBJECTS]


async def group_by_meaning(
    turns: Sequence[Receipt], subjects: Sequence[str], embedder: Embedder
) -> list[list[Receipt]]:
    """Put turns together whose questions mean the same, largest group first; `subjects` tell how far apart is far."""
    apart = _apart(await _vectors(subjects, embedder))
    groups: list[_Group] = []
    for turn, vector in zip(turns, await _vectors([_question(turn) for turn in turns], embedder), strict=True):
        nearness = [float(vector @ group.total) / float(np.linalg.norm(group.total)) for group in groups]
        best = int(np.argmax(nearness)) if nearness else -1
        if best < 0 or nearness[best] < apart:
            groups.append(_Group(np.zeros_like(vector)))
            best = len(groups) - 1
        groups[best].total = groups[best].total + vector
        groups[best].receipts.append(turn)
    return sorted((group.receipts for group in groups), key=len, reverse=True)


def retrieval_figures(turns: Sequence[Receipt]) -> Json:
    """Time, confidence and use of retrieval over these turns; a figure is None where nothing was searched."""
    searched = [turn for turn in turns if _searched(turn)]
    times = [step.ms for turn in searched for step in turn.steps if step.name == "retrieve"]
    sure = confidences(searched)
    answered = [turn for turn in searched if turn.outcome == "answer"]
    counts, _ = np.histogram(sure, bins=BINS, range=(0.0, 1.0))
    return {
        "searches": len(searched),
        "retrieval_ms_p50": _quantile(times, 0.5),
        "retrieval_ms_p95": _quantile(times, 0.95),
        "confidence_p10": _quantile(sure, 0.1),
        "confidence_p50": _quantile(sure, 0.5),
        "confidence_p90": _quantile(sure, 0.9),
        "confidence_histogram": counts.tolist(),
        "dont_know_rate": _share([is_gap(turn) for turn in searched]),
        "no_passage_rate": _share([not turn.sources for turn in answered]),
    }


def drift(reference: Sequence[float], now: Sequence[float]) -> Json:
    """Whether today's questions find less than those of four weeks before; None where there are too few to tell.

    `drift_psi` is the population stability index of the confidence over the reference's deciles,
    `drift_low_share` the share of questions below the reference's tenth percentile (.10 is expected).
    """
    if min(len(reference), len(now)) < LEAST_TURNS:
        return {"drift_psi": None, "drift_low_share": None, "drift_alarm": None, "reference_searches": len(reference)}
    edges = np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1])
    before, after = (
        (np.bincount(np.searchsorted(edges, values, side="left"), minlength=BINS) + 0.5) / (len(values) + 0.5 * BINS)
        for values in (np.asarray(reference), np.asarray(now))
    )
    psi = float(((after - before) * np.log(after / before)).sum())
    low = float((np.asarray(now) < np.quantile(reference, LOW)).mean())
    return {
        "drift_psi": round(psi, 4),
        "drift_low_share": round(low, 4),
        "drift_alarm": psi >= PSI_ALARM or low >= LOW_ALARM,
        "reference_searches": len(reference),
    }


def is_gap(turn: Receipt) -> bool:
    """Whether the knowledge had no sure answer to this turn's question."""
    return turn.outcome in ("dont_know", "handoff") and turn.reason in UNSURE and bool(_question(turn))


def _searched(turn: Receipt) -> bool:
    return any(step.name == "retrieve" for step in turn.steps)


def confidences(turns: Sequence[Receipt]) -> list[float]:
    """How sure retrieval was, of the turns that searched."""
    return [turn.confidence for turn in turns if _searched(turn)]


def _question(turn: Receipt) -> str:
    return turn.standalone or turn.question


async def _vectors(texts: Sequence[str], embedder: Embedder) -> list[Array]:
    return [np.asarray(await embedder.query(text), dtype=np.float64) for text in texts]


def _apart(subjects: Sequence[Array]) -> float:
    if len(subjects) < LEAST_SUBJECTS:
        return NEAR
    matrix = np.stack(subjects)
    pairs = (matrix @ matrix.T)[np.triu_indices(len(subjects), k=1)]
    return float(np.quantile(pairs, APART))


def shown(turns: Sequence[Receipt]) -> Mapping[str, object]:
    """A group as operators see it: its newest question, and the article that most of its questions came near to."""
    nearest = [turn.passages[0] for turn in turns if turn.passages]
    ids = [passage.article for passage in nearest]
    most = max(nearest, key=lambda passage: ids.count(passage.article)) if nearest else None
    times: list[datetime] = [datetime.fromisoformat(turn.at) for turn in turns]
    return {
        "count": len(turns),
        "users": len({turn.user for turn in turns}),
        "example": _question(turns[0]),
        "nearest": most.article if most else "",
        "nearest_title": most.title if most else "",
        "confidence": round(sum(turn.confidence for turn in turns) / len(turns), 4),
        "first": min(times).isoformat(),
        "last": max(times).isoformat(),
        "receipts": [turn.turn_id for turn in turns[:5]],
    }


def _quantile(values: Sequence[float], share: float) -> float | None:
    return round(float(np.quantile(values, share)), 4) if values else None


def _share(flags: Sequence[bool]) -> float | None:
    return round(sum(flags) / len(flags), 4) if flags else None
