"""The figures of a fine-tuning, before and after on the same held-out rows, and the gate that they pass or not."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from evals.paired import ALPHA, loss_p
from evals.run import Figure, Result, share
from evals.stats import wilson
from training.finetuning.measuring import Read

NAME = "finetune"
CHANCE = 0.5
RESAMPLES, SEED = 2_000, 20261121
FEWEST = 8
"""Answers below which a difference of answers says nothing: then nothing passes."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model said to the first held-out rows: ROUGE-L and the judge's figure of each, BLEU of all; 0 to 1.

    The judge's is None where it could not score an answer.
    """

    bleu: float | None = None
    rouge_l: list[float] = field(default_factory=list)
    judged: list[float | None] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Measured:
    """One model on the held-out rows."""

    reads: list[Read]
    answers: Answers


def perplexity(reads: Sequence[Read]) -> float | None:
    """The exponential of the mean surprise of a token of a response; None without tokens."""
    tokens = sum(one.tokens for one in reads)
    return math.exp(sum(one.nats for one in reads) / tokens) if tokens else None


def summed_up(before: Measured, after: Measured, fit: Figure, about: dict[str, object]) -> Result:
    """All figures, and in `failed` a line for each reason why `after` must not replace `before`."""
    figures = [
        *_of_one("before", before),
        *_of_one("after", after),
        _perplexity_change(before.reads, after.reads),
        _difference("margin_diff", [one.margin for one in before.reads], [one.margin for one in after.reads]),
        _difference("rouge_l_diff", before.answers.rouge_l, after.answers.rouge_l),
        _difference("judge_diff", before.answers.judged, after.answers.judged),
        fit,
    ]
    return Result(NAME, about, figures, failed=gate(before, after, figures))


def gate(before: Measured, after: Measured, figures: Sequence[Figure]) -> list[str]:
    """Why it is stopped; empty if it passes. What could not be measured stops it."""
    by_name = {figure.name: figure for figure in figures}
    lines = []
    fit = by_name["answers_fit"]
    if fit.ci is None or fit.ci[0] <= CHANCE:
        lines.append(
            f"gate: the file's responses fit their instructions no better than other rows' do ({fit.shown} of {fit.n}):"
            " are the columns shuffled?"
        )
    change = by_name["perplexity_change"]
    if change.ci is None or change.ci[1] >= 0:
        lines.append(f"gate: held-out responses are no likelier than before (perplexity {_percent(change)})")
    told = by_name["told_apart_after"]
    if told.ci is None or told.ci[0] <= CHANCE:
        lines.append(f"gate: it does not tell a right response from another row's ({told.shown} of {told.n})")
    margin = by_name["margin_diff"]
    if margin.ci is None or margin.ci[1] < 0:
        lines.append(f"gate: its answers hang less on what was asked (nats {_interval(margin)})")
    lost, won = _changed(before.reads, after.reads)
    if loss_p(lost, won) <= ALPHA:
        lines.append(f"gate: it no longer tells {lost} right responses from others, and {won} newly")
    lines += [
        _answers_line(by_name[name], what) for name, what in (("rouge_l_diff", "ROUGE-L"), ("judge_diff", "the judge"))
    ]
    return [line for line in lines if line]


def _answers_line(figure: Figure, what: str) -> str:
    if figure.n < FEWEST or figure.ci is None:
        return f"gate: {what} has scored {figure.n} answers of both, too few to compare (at least {FEWEST})"
    return f"gate: its answers are worse by {what} ({_interval(figure)})" if figure.ci[1] < 0 else ""


def _changed(before: Sequence[Read], after: Sequence[Read]) -> tuple[int, int]:
    """Rows whose response was told apart only before, and only after."""
    pairs = [(one.told_apart, other.told_apart) for one, other in zip(before, after, strict=True)]
    return sum(one and not other for one, other in pairs), sum(other and not one for one, other in pairs)


def _of_one(when: str, measured: Measured) -> list[Figure]:
    answers = measured.answers
    judged = [value for value in answers.judged if value is not None]
    return [
        Figure(f"perplexity_{when}", perplexity(measured.reads), len(measured.reads)),
        share(f"told_apart_{when}", [one.told_apart for one in measured.reads]),
        _mean(f"margin_{when}", [one.margin for one in measured.reads]),
        Figure(f"bleu_{when}", answers.bleu, len(answers.rouge_l)),
        _mean(f"rouge_l_{when}", answers.rouge_l),
        _mean(f"judge_{when}", judged),
        Figure(f"judge_unscored_{when}", len(answers.judged) - len(judged), len(answers.judged)),
    ]


def _mean(name: str, values: Sequence[float]) -> Figure:
    return Figure(name, sum(values) / len(values) if values else None, len(values), _drawn([list(values)], _mean_of))


def _difference(name: str, before: Sequence[float | None], after: Sequence[float | None]) -> Figure:
    """The mean difference over the answers that both have a figure for."""
    changes = [other - one for one, other in zip(before, after, strict=True) if one is not None and other is not None]
    return _mean(name, changes)


def _perplexity_change(before: Sequence[Read], after: Sequence[Read]) -> Figure:
    """The share by which perplexity changes: -0.4 is 40 % lower."""

    def change(drawn: "np.ndarray") -> float:
        nats, later, tokens = drawn.sum(axis=0)
        return math.exp((later - nats) / tokens) - 1

    columns = [[one.nats for one in before], [one.nats for one in after], [float(one.tokens) for one in before]]
    if not before:
        return Figure("perplexity_change", None, 0)
    return Figure("perplexity_change", change(np.asarray(columns).T), len(before), _drawn(columns, change))


def _mean_of(drawn: "np.ndarray") -> float:
    return float(drawn.mean())


def _drawn(
    columns: Sequence[Sequence[float]], statistic: Callable[["np.ndarray"], float]
) -> tuple[float, float] | None:
    """The 95 % interval of a statistic with the rows drawn again; None for fewer than two."""
    table = np.asarray(columns).T
    if len(table) < len(("one", "another")):
        return None
    places = np.random.default_rng(SEED).integers(0, len(table), (RESAMPLES, len(table)))
    low, high = np.percentile([statistic(table[each]) for each in places], [2.5, 97.5])
    return float(low), float(high)


def fit_figure(held: Sequence[bool]) -> Figure:
    """How often a response is nearer in meaning to its own instruction than to another row's."""
    return Figure("answers_fit", sum(held) / len(held) if held else None, len(held), wilson(sum(held), len(held)))


def _percent(figure: Figure) -> str:
    return "not measured" if figure.value is None else f"{figure.value:+.1%}"


def _interval(figure: Figure) -> str:
    low, high = figure.ci or (0.0, 0.0)
    return f"{figure.value or 0.0:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}"
