"""Classifiers that could stand behind the rules, fitted on the same rows and judged on the same left-out ones.

Hashed words (what ships), a logistic regression over the frozen vectors of each shipped embedder, sums of the two, the
three families' heads together, and a small pretrained encoder whose weights are all fitted (training/finetuning/encoder.py).
Each judges alone, without the rules. At every share of harmless rows blocked the threshold is that of the reported rows
themselves, the same for all: a comparison, and not what a shipped threshold would do.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evals.blocking import BENIGN, CURVE, Row, auroc, read_rows
from evals.guard_aims import SHORT
from models.language import is_english
from training.corpus import FAMILIES, Family, without_overlap
from training.corpus import Row as Fitted
from training.heads import featured, fit_linear
from training.left_out import HARMFUL, WORDS
from training.vector_heads import fit_over

if TYPE_CHECKING:
    from training.vectors import KeptQuestions

Say = Callable[[str], None]
Matrix = NDArray[np.float64]
"""A line a text, a column a family."""
Tuned = Callable[[Sequence[Fitted], Sequence[str]], Matrix]
"""Fits an encoder on the rows and gives the texts' logits, a column a family."""

TUNED = "fine-tuned encoder"
SAMPLED = {
    "s-labs": 400,
    "neuralchemy": 200,
    "yanismiraoui": 60,
    "own_injection": 150,
    "own_malicious": 250,
    "own_toxicity": 120,
    "own_angry": 60,
    "davidson": 350,
    "toxigen": 120,
    "nlupp": 100,
    "natcs": 100,
    "mmlu": 150,
    "delucionqa": 80,
    "stackfaq": 30,
    "begin": 30,
    "desks": 20,
}
"""English rows of a source that every contender is fitted on: as many as an encoder can be fitted on without a GPU.

Sources of reported rows (AdvBench, Do-Not-Answer, CyberSecEval, Surge AI, Banking77, CLINC150, Bitext...) are in no fit.
"""


THIRD: dict[Family, int] = {"injection": 3}
"""Of this suite each third row is judged: most of its texts are long, and a contender takes long for them."""


HARMLESS_AT: dict[Family, tuple[str, ...]] = {"injection": SHORT}
"""The harmless rows that thresholds are set on; all of the suite where a family is not named."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """An embedder, and the suites that it reads; long texts take it long."""

    embedder: "KeptQuestions"
    families: tuple[Family, ...]


def sampled(rows: Sequence[Fitted]) -> list[Fitted]:
    """The rows that every contender is fitted on: English ones, of each source the first by the hash of their texts."""
    by_source: dict[str, list[Fitted]] = {}
    for row in rows:
        if row.source in SAMPLED and is_english(row.text):
            by_source.setdefault(row.source, []).append(row)
    ordered = (sorted(found, key=lambda row: _hash(row.text))[: SAMPLED[name]] for name, found in by_source.items())
    return [row for found in ordered for row in found]


async def compare(
    rows: Sequence[Fitted], suites: Path, embedded: Sequence[Vectors], tuned: Tuned | None, say: Say
) -> dict[str, Any]:
    """The figures by family and contender. Without `tuned` no encoder is among them. Raises UsageError for a file."""
    reported = {family: read_rows(suites / f"{family}.jsonl", (HARMFUL[family], BENIGN))[0] for family in FAMILIES}
    reported = {family: found[:: THIRD.get(family, 1)] for family, found in reported.items()}
    kept, dropped = without_overlap(sampled(rows), [row.text for found in reported.values() for row in found])
    say(f"{len(kept)} rows, {dropped} overlap")
    asked = {family: [row.text for row in found] for family, found in reported.items()}
    found = {WORDS: _words(kept, asked)}
    for each in embedded:
        found[each.embedder.name] = await _over(each, kept, asked, say)
    if tuned is not None:
        found[TUNED] = _tuned(tuned, kept, asked)
    figures: dict[Family, dict[str, Any]] = {}
    for place, family in enumerate(FAMILIES):
        values = {name: by_family[family] for name, by_family in found.items() if family in by_family}
        scores = contenders(values, place)
        figures[family] = {name: summed(family, reported[family], told) for name, told in scores.items()}
    return {"fitted_rows": len(kept), "shares": list(CURVE), "families": figures}


def contenders(values: Mapping[str, Matrix], column: int) -> dict[str, NDArray[np.float64]]:
    """The scores of each, of their sums, and of the surest of the three families; each as broad as the others."""
    even = {name: (told - told.mean(axis=0)) / (told.std(axis=0) + 1e-9) for name, told in values.items()}
    scores = {name: told[:, column] for name, told in even.items()}
    others = [name for name in even if name not in (WORDS, TUNED)]
    sums = [(WORDS, name) for name in others] + ([(WORDS, *others, TUNED)] if TUNED in even else [])
    summed = {" + ".join(parts): np.sum([scores[name] for name in parts], axis=0) for parts in sums}
    surest = {f"{name}, any family": told.max(axis=1) for name, told in even.items()}
    return scores | summed | surest


def summed(family: Family, rows: Sequence[Row], scores: NDArray[np.float64]) -> dict[str, Any]:
    """AUROC, and recall by kind at each share of harmless rows blocked."""
    harmless = [place for place, row in enumerate(rows) if row.label == BENIGN]
    basis = [place for place in harmless if rows[place].kind in HARMLESS_AT.get(family, (rows[place].kind,))]
    harmful = [place for place, row in enumerate(rows) if row.label != BENIGN]
    limits = [float(np.quantile(scores[basis], 1 - share)) for share in CURVE]
    above = {place: [int(scores[place] > limit) for limit in limits] for place in harmful}
    caught: dict[str, list[list[int]]] = {}
    for place in harmful:
        caught.setdefault(rows[place].kind, []).append(above[place])
    return {
        "auroc": auroc([(float(scores[place]), place in above) for place in [*harmful, *basis]]),
        "harmful": len(harmful),
        "harmless": len(basis),
        "recall": _shares(list(above.values())),
        "by_kind": {kind: {"n": len(found), "recall": _shares(found)} for kind, found in sorted(caught.items())},
        "all_harmless_blocked": [round(float((scores[harmless] > limit).mean()), 3) for limit in limits],
    }


def _shares(hits: Sequence[Sequence[int]]) -> list[float]:
    return [round(float(share), 3) for share in np.asarray(hits).mean(axis=0)]


def _words(kept: Sequence[Fitted], asked: Mapping[Family, Sequence[str]]) -> dict[Family, Matrix]:
    features = featured(kept)
    heads = [fit_linear(features, family) for family in FAMILIES]
    found = {}
    for suite, texts in asked.items():
        matrix = featured([Fitted(text, suite, {}) for text in texts]).matrix
        found[suite] = np.stack([matrix @ weights + bias for weights, bias in heads], axis=1)
    return found


async def _over(
    each: Vectors, kept: Sequence[Fitted], asked: Mapping[Family, Sequence[str]], say: Say
) -> dict[Family, Matrix]:
    fitted = dict(enumerate(await each.embedder.matrix([row.text for row in kept], say)))
    heads = [fit_over(kept, fitted, family) for family in FAMILIES]
    found = {}
    for suite in each.families:
        if suite in asked:
            told = await each.embedder.matrix(asked[suite], say)
            found[suite] = np.stack([told @ weights + bias for weights, bias in heads], axis=1)
    return found


def _tuned(tuned: Tuned, kept: Sequence[Fitted], asked: Mapping[Family, Sequence[str]]) -> dict[Family, Matrix]:
    """One fit judges the texts of all suites."""
    logits = tuned(kept, [text for texts in asked.values() for text in texts])
    ends = np.cumsum([len(texts) for texts in asked.values()])
    return dict(zip(asked, np.split(logits, ends[:-1]), strict=True))


def _hash(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "replace"))
