"""Answers held against references: `{id?, question?, answer?, reference?|references?, regex?, kind?}`.

A row with an answer is measured as it stands; one without is asked through the desk, as a case is, and measured by
what the ledger keeps of the answer (masked).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from pydantic import Field, model_validator

from domain.errors import NotMeasuredError
from domain.ports import Embedder
from domain.turn import Pins
from evals.asking import Scored, bench_of, opened, put_through
from evals.cases import Case
from evals.cost import expected_cost
from evals.labelled import LabelledRow, counts, languages_of, open_rows, with_interval
from evals.run import Figure, Miss, Result, Row, Run
from evals.spreading import hire_for
from evals.suites.desk import cards_of, config_of, kept_rows
from scoring.reference import bleu, chrf, corpus_bleu, exact_match, pattern_fault, regex_match, rouge_l, similarity

NAME = "answers"
EXAMPLE = '{"question", "reference"} or {"answer", "reference"}; "references", "regex"?'
Mask = Callable[[str], Awaitable[str]]
LOW = 0.3
"""A likeness of letters (chrF) below which a row is shown among the misses."""


class Wanted(LabelledRow):
    """An answer, or a question to be asked, and what it is held against."""

    question: str = ""
    answer: str | None = None
    references: list[str] = Field(default_factory=list)
    regex: str = ""

    @model_validator(mode="before")
    @classmethod
    def _one_reference(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("reference") is not None:
            return {**given, "references": [given["reference"], *(given.get("references") or [])]}
        return given

    @model_validator(mode="after")
    def _something_to_measure(self) -> Self:
        faults = [
            "" if self.answer is not None or self.question.strip() else "needs a question or an answer",
            "" if any(one.strip() for one in self.references) or self.regex else "needs a reference or a regex",
            pattern_fault(self.regex),
        ]
        if any(faults):
            raise ValueError("; ".join(filter(None, faults)))
        return self


@dataclass(frozen=True, slots=True)
class Answered:
    """A row with its answer. `turn`: what a stored run keeps of the turn that gave it."""

    row: Wanted
    answer: str
    turn: Row


async def measure(run: Run) -> Result:
    """Measure every row of `--data`. Raises UsageError without rows, NotMeasuredError where the desk gave no answer."""
    from graph.rooms import open_embedder  # noqa: PLC0415  # seconds: not for a test of figures

    rows, broken = open_rows(run, NAME, Wanted, EXAMPLE)
    answered = [_given(row) for row in rows if row.answer is not None]
    about: dict[str, object] = {"data": str(run.data)}
    config: dict[str, str] = {}
    if asked := [row for row in rows if row.answer is None]:
        told, lost, config, desk = await _ask(run, asked)
        answered, broken, about = [*answered, *told], [*broken, *lost], about | {"desk": desk, "asked": len(asked)}
    embedder = open_embedder(run.settings, languages_of([one.answer for one in answered]))
    order = {row.id: place for place, row in enumerate(rows)}
    scored = [await score(one, embedder) for one in sorted(answered, key=lambda one: order[one.row.id])]
    return replace(summed_up(scored, answered, broken, about | {"embedder": embedder.name}), config=config)


async def masked(one: Answered, mask: Mask) -> Answered:
    """The same, what is kept of its references masked: a question and an answer are masked already."""
    return replace(one, turn=replace(one.turn, expected=await mask(one.turn.expected)))


async def score(one: Answered, embedder: Embedder) -> Row:
    """Every measure that the row has something for."""
    wanted, said = [text for text in one.row.references if text.strip()], one.answer
    scores: dict[str, float] = {}
    if wanted:
        scores = {
            "chrf": chrf(said, wanted),
            "bleu": bleu(said, wanted),
            "rouge_l": rouge_l(said, wanted),
            "similarity": await similarity(said, wanted, embedder) if said.strip() else 0.0,
            "exact_match": exact_match(said, wanted),
        }
    if one.row.regex:
        scores["regex_match"] = regex_match(said, one.row.regex)
    far = wanted and scores["chrf"] < LOW and not scores.get("regex_match")
    why = "does not match the regex" if scores.get("regex_match") == 0.0 else "far from its reference" if far else ""
    return replace(one.turn, scores={name: round(value, 4) for name, value in scores.items()}, why=why)


def summed_up(
    scored: Sequence[Row], answered: Sequence[Answered], broken: Sequence[Miss], about: dict[str, object]
) -> Result:
    """The means, each over the rows that have that measure, and BLEU over all answers together."""
    names = list(dict.fromkeys(name for row in scored for name in row.scores))
    figures = [_mean(name, [row.scores[name] for row in scored if name in row.scores]) for name in names]
    held = [(one.answer, [text for text in one.row.references if text.strip()]) for one in answered]
    held = [(answer, references) for answer, references in held if references]
    figures.append(Figure("corpus_bleu", corpus_bleu(*map(list, zip(*held, strict=True))) if held else None, len(held)))
    figures.append(Figure("cost_usd", sum(row.cost_usd for row in scored), len(scored)))
    kinds: dict[str, list[Row]] = {}
    for row in scored:
        kinds.setdefault(row.kind, []).append(row)
    by_kind = {
        kind: [_mean(name, values) for name in names if (values := [r.scores[name] for r in group if name in r.scores])]
        for kind, group in sorted(kinds.items())
    }
    return Result(
        NAME,
        about | counts(len(scored), len(broken)),
        figures,
        by_kind if len(kinds) > 1 else {},
        [*(Miss(row.id, row.kind, row.why) for row in scored if row.why), *broken],
        [] if scored else [f"{NAME}: not one row could be scored"],
        rows=list(scored),
    )


async def _ask(run: Run, rows: Sequence[Wanted]) -> tuple[list[Answered], list[Miss], dict[str, str], str]:
    """What the desk answers, what it could not, what that depends on, and its name."""
    cases = [Case(id=row.id, question=row.question, outcome="answer", kind=row.kind) for row in rows]
    assert run.data is not None  # its rows were read
    async with opened(run) as service:
        pins = Pins(judge=False)
        config = config_of(run, service, pins, [run.data])
        cards = cards_of(service, pins)
        run.say(expected_cost(cards, len(cases), service.clock.now().date()))
        kept = kept_rows(run, NAME, config)
        hire = await hire_for(run, service, pins, cards)
        bench = bench_of(service, by_model=bool(cards))
        scored, lost = await put_through(bench, cases, run, pins, kept, hire=hire)
        name = service.profile.name
        mask = service.guards.mask
        by_id = {row.id: row for row in rows}
        told = [await masked(_told(by_id[one.case.id], one), mask) for one in scored]
    if not scored:
        raise NotMeasuredError(f"not one of {len(cases)} questions got an answer", where=NAME, fix=lost[0].why)
    if kept:
        kept.forget()
    return told, [Miss(one.id, "unscored", one.why) for one in lost], config, name


def _given(row: Wanted) -> Answered:
    """A row that brings its answer. Its texts are the caller's and unmasked: a stored run keeps none of them."""
    return Answered(row, row.answer or "", Row(row.id, row.kind, {}))


def _told(row: Wanted, one: Scored) -> Answered:
    """A row with what the desk said to it."""
    said = one.reply
    expected = " | ".join([*row.references, *([f"/{row.regex}/"] if row.regex else [])])
    kept = Row(
        row.id, row.kind, {}, said.question, expected, said.answer, "", said.trace_id, said.cost_usd, said.latency_ms
    )
    return Answered(row, said.answer, kept)


def _mean(name: str, values: Sequence[float]) -> Figure:
    return with_interval(name, values, values, lambda _, drawn: float(drawn.mean()))
