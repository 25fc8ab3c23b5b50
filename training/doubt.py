"""Fit how likely what is quoted answers the question, and tell what each threshold would turn away.

    python -m training.doubt [--config multilingual] [--sets dentist,phones,hostel,payroll] [--tried courses,homestay,energy,library]

Each question of a business (`evals/businesses/NAME.jsonl` and, where there is one, `NAME-more.jsonl`) is searched and quoted as a
customer's is. Fitted are the search's confidence (log odds) and how far question and quotation are more alike than two texts of the
business, on whether an article that answers is among the passages. Left out are questions in another language than the passages, and
those whose article was not found. Prints the fit on all sets, and for each set under the fit of the others, and each of `--tried`
under the fit of all: how well near misses are told, and what lies below each threshold, beside what the search's own turns away.
What it prints goes by hand into retrieval/configs/NAME.yaml.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from domain.errors import UsageError
from domain.ports import Embedder
from evals.bench_kb import Bench, opened_bench, read_article_rows, read_questions
from evals.blocking import auroc
from evals.calibration import Array, logistic
from models.embedder import load_embedder
from nodes.quotation import near_the_best
from retrieval import RagConfig, load_rag_config
from retrieval.confidence import log_odds, quotation_answers
from retrieval.config import Doubt
from scoring import quote
from scoring.grounding import dot
from training.confidence import BUSINESSES, files_of

THRESHOLDS = (0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
PULL = 1.0
"""Of each standardised weight towards 0, per hundred questions."""


@dataclass(frozen=True, slots=True)
class Quoted:
    """A question: what the search thought, how far question and quotation are more alike than any two texts, and whether it is answered."""

    confidence: float
    above: float
    answered: bool


def main() -> int:
    """Search, quote, fit, print."""
    parser = argparse.ArgumentParser(prog="python -m training.doubt", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", default="multilingual", help="RAG configuration: its search, its embedder")
    parser.add_argument("--sets", default="dentist,phones,hostel,payroll", help="businesses, by comma")
    parser.add_argument("--tried", default="", help="businesses that the fit does not see")
    given = parser.parse_args()
    config = load_rag_config(given.config)
    sets = asyncio.run(_read(config, given.sets.split(",")))
    tried = asyncio.run(_read(config, [name for name in given.tried.split(",") if name]))
    sys.stdout.write("\n".join(told(sets, tried, config)) + "\n")
    return 0


def told(sets: Mapping[str, Sequence[Quoted]], tried: Mapping[str, Sequence[Quoted]], config: RagConfig) -> list[str]:
    """The lines of the report. Raises UsageError for fewer than two sets: nothing could be left out."""
    if len(sets) <= 1:
        raise UsageError("one business cannot be left out of itself", where="--sets", fix="name two or more")
    whole = fit(list(sets.values()))
    lines = [f"fitted on all: bias {whole.bias}, confidence {whole.confidence}, likeness {whole.likeness}", ""]
    lines += [
        "| set left out | answered | near misses | AUC of the confidence | AUC with the quotation |",
        "|---|---|---|---|---|",
    ]
    under = {name: fit([rows for other, rows in sets.items() if other != name]) for name in sets}
    under |= dict.fromkeys(tried, whole)
    every = {**sets, **tried}
    heard = {name: np.asarray([_sure(row, under[name]) for row in rows]) for name, rows in every.items()}
    lines += [_apart(name, rows, heard[name]) for name, rows in every.items()]
    lines += ["", "| below | sets | of the answered | of the near misses |", "|---|---|---|---|"]
    for group, names in (("left out", list(sets)), ("tried", list(tried))):
        rows = [row for name in names for row in every[name]]
        if rows:
            searched = np.asarray([row.confidence for row in rows])
            lines.append(_turned_away(f"the search's {config.grey[0]}", group, rows, searched < config.grey[0]))
            said = np.concatenate([heard[name] for name in names])
            lines += [_turned_away(str(below), group, rows, said < below) for below in THRESHOLDS]
    return lines


def fit(sets: Sequence[Sequence[Quoted]]) -> Doubt:
    """A logistic regression over all sets, each of the same weight; without thresholds (0 and 0)."""
    rows = [row for one in sets for row in one]
    features = np.asarray([[log_odds(row.confidence), row.above] for row in rows])
    weight = np.concatenate([np.full(len(one), 100 / len(one)) for one in sets])
    answered = np.asarray([float(row.answered) for row in rows])
    bias, (confidence, likeness) = logistic(features, answered, weight, PULL * len(sets))
    return Doubt(bias=round(bias, 3), confidence=round(confidence, 3), likeness=round(likeness, 3), low=0, high=0)


async def _read(config: RagConfig, names: Sequence[str]) -> dict[str, list[Quoted]]:
    found: dict[str, list[Quoted]] = {}
    embedder = load_embedder(config.embedder.name)
    for name in names:
        articles, questions = files_of(name, BUSINESSES)
        more = BUSINESSES / f"{name}-more.jsonl"
        rows = [*read_questions(questions)[0], *(read_questions(more)[0] if more.is_file() else [])]
        sys.stderr.write(f"{name}: {len(rows)} questions\n")
        async with opened_bench(config, read_article_rows(articles)[0], None) as bench:
            seen = [await _quoted(bench, embedder, row.text, frozenset(row.relevant)) for row in rows]
        found[name] = [one for one in seen if one]
    return found


async def _quoted(bench: Bench, embedder: Embedder, question: str, relevant: frozenset[str]) -> Quoted | None:
    """None for a question that is left out."""
    found, _ = await bench.knowledge.public.examine(question, bench.config.top_k)
    held = any(bench.ids[int(passage.article)] in relevant for passage in found.passages)
    if found.alike is None or (relevant and not held):
        return None
    pairs = await quote(question, near_the_best(found.passages), embedder=embedder)
    asked = await embedder.query(question)
    nearest = max([dot(asked, await embedder.query(text)) for _, text in pairs])
    return Quoted(found.confidence, nearest - found.alike, held)


def _sure(row: Quoted, doubt: Doubt) -> float:
    return quotation_answers(row.confidence, row.above, doubt)


def _apart(name: str, rows: Sequence[Quoted], heard: Array) -> str:
    answered = [row.answered for row in rows]
    before = auroc(list(zip([row.confidence for row in rows], answered, strict=True)))
    after = auroc(list(zip(heard.tolist(), answered, strict=True)))
    return f"| {name} | {sum(answered)} | {len(rows) - sum(answered)} | {before:.3f} | {after:.3f} |"


def _turned_away(below: str, group: str, rows: Sequence[Quoted], turned: "np.typing.NDArray[np.bool_]") -> str:
    answered = np.asarray([row.answered for row in rows])
    return f"| {below} | {group} | {turned[answered].sum()} of {answered.sum()} | {turned[~answered].sum()} of {(~answered).sum()} |"


if __name__ == "__main__":
    sys.exit(main())
