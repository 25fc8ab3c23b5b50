"""The complexity router: the right tier, the same tier in both languages, and what it saves.

Rows `{text, tier, language?, pair?}` (the desk's own `cases/router.jsonl` without --data), or
`{text, weak_ok, strong_ok, subject?}`: whether a weak and a strong model had answered right.
What routes (models/learned_router.py) stands beside the rules alone; on the rows that it was fitted to, beside heads
that never saw the pair they judge. On weak and strong, a classifier that never saw the `subject` it judges.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import thread_time

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from domain.errors import UsageError
from domain.ports import Embedder
from domain.progress import stage
from domain.turn import Language, Tier
from evals.kept_vectors import keeping
from evals.ordinal import held_back_tiers
from evals.routing import Array, Curve, curve, held_back
from evals.run import Figure, Miss, Result, Run, share
from evals.stats import percentile
from graph.profiles import find_desk
from models import ComplexityRouter, detect_language, load_catalog, load_embedder
from models.catalog import OPENAI, TIERS
from models.learned_router import LearnedRouter, marks, read_fit

NAME = "router"
FILES = {
    "dev": ["router.jsonl"],
    "held_out": ["router_held_out.jsonl"],
    "all": ["router.jsonl", "router_held_out.jsonl"],
}
SECRET = frozenset({"router_held_out.jsonl"})
LANGUAGES: tuple[Language, ...] = ("en", "vi")
EMBEDDER = "multilingual-e5-small"
INPUT_TOKENS, OUTPUT_TOKENS = 1_200, 120
"""What an answer of the shop takes: passages and prompt in, three sentences out."""


class Row(BaseModel):
    """A question and how hard it is, or which of two models had it right."""

    id: str = ""
    text: str = Field(min_length=1)
    tier: Tier | None = None
    language: Language | None = None
    pair: str = ""
    subject: str = ""
    weak_ok: bool | None = None
    strong_ok: bool | None = None


async def measure(run: Run) -> Result:
    """Put every row through the router. Raises UsageError without rows that fit."""
    cases = find_desk(run.settings.desk) / "cases"
    files = [run.data] if run.data else [cases / name for name in FILES[run.split]]
    rows, unscored = _read(files, run)
    about: dict[str, object] = {"rows": len(rows), "unscored": unscored}
    secret = any(path.name in SECRET for path in files)
    if rows[0].tier is None:
        return await _against_models([row for row in rows if row.weak_ok is not None], run, about)
    return await _against_labels([row for row in rows if row.tier], run, about | {"split": run.split}, secret=secret)


def _read(files: Sequence[Path], run: Run) -> tuple[list[Row], int]:
    """Rows of the kind of the first one; others are unscored."""
    rows, broken = list[Row](), 0
    for path in files:
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except OSError as fault:
            raise UsageError("cannot be read", where=str(path), fix="pass --data FILE") from fault
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = Row.model_validate(json.loads(line))
            except (ValueError, ValidationError) as fault:
                run.say(f"{path.name}:{number}: unscored: {type(fault).__name__}")
                broken += 1
                continue
            labelled = row.tier is not None or (row.weak_ok is not None and row.strong_ok is not None)
            rows += [row] if labelled else []
            broken += not labelled
    if not rows:
        raise UsageError("no row has a tier, nor weak_ok and strong_ok", where=str(files[0]), fix="see docs/routing.md")
    kind = rows[0].tier is None
    fitting = [row for row in rows if (row.tier is None) == kind]
    return fitting, broken + len(rows) - len(fitting)


def _language(row: Row) -> Language:
    return row.language or detect_language(row.text, LANGUAGES)


async def _against_labels(rows: list[Row], run: Run, about: dict[str, object], *, secret: bool) -> Result:
    rules, said, times = ComplexityRouter(), list[Tier](), list[float]()
    embedder = keeping(load_embedder(EMBEDDER), run.vectors)
    router = LearnedRouter(embedder)
    await router.judge(rows[0].text, language=_language(rows[0]))  # reads the lexicon and the head
    for done, row in enumerate(rows, start=1):
        language = _language(row)
        await embedder.query(row.text)  # a turn has asked for it before
        began = thread_time()
        said.append((await router.judge(row.text, language=language)).tier)
        times.append((thread_time() - began) * 1000)
        run.progress(done, len(rows))
    by_rule = [rules.judge(row.text, language=_language(row)).tier for row in rows]
    right = [tier == row.tier for tier, row in zip(said, rows, strict=True)]
    figures = [share("accuracy", right), *_pairs(rows, said), *_off(rows, said), *_money(rows, said)]
    figures += [Figure(f"ms_p{n}", percentile(times, n), len(times)) for n in (50, 95)]
    figures += _beside(rows, by_rule, "rules")
    if run.data is None and not secret:
        figures += _beside(rows, await _unseen(rows, embedder), "held_back")
    by_kind = {
        f"labelled {tier}": [
            share("accuracy", [one for one, row in zip(right, rows, strict=True) if row.tier == tier]),
            *(
                Figure(
                    f"said_{other}",
                    float(sum(row.tier == tier and one == other for one, row in zip(said, rows, strict=True))),
                    len(rows),
                )
                for other in TIERS
            ),
        ]
        for tier in TIERS
    } | {
        f"in {language}": [
            share("accuracy", [one for one, row in zip(right, rows, strict=True) if _language(row) == language])
        ]
        for language in LANGUAGES
    }
    misses = (
        []
        if secret
        else [
            Miss(row.id or row.text[:40], str(row.tier), f"{tier}: {row.text[:80]}")
            for row, tier in zip(rows, said, strict=True)
            if row.tier != tier
        ]
    )
    return Result(NAME, about, figures, by_kind, misses)


def _pairs(rows: Sequence[Row], said: Sequence[Tier]) -> list[Figure]:
    pairs: dict[str, list[Tier]] = defaultdict(list)
    for row, tier in zip(rows, said, strict=True):
        if row.pair:
            pairs[row.pair].append(tier)
    whole = [len(set(tiers)) == 1 for tiers in pairs.values() if len(tiers) > 1]
    return [share("pairs_same_tier", whole)] if whole else []


def _off(rows: Sequence[Row], said: Sequence[Tier]) -> list[Figure]:
    """Regret: how many tiers a question is off, too high (money) and too low (quality) apart."""
    off = [TIERS.index(tier) - TIERS.index(row.tier) for row, tier in zip(rows, said, strict=True) if row.tier]
    return [
        Figure("regret", sum(map(abs, off)) / len(off), len(off)),
        share("routed_too_high", [step > 0 for step in off]),
        share("routed_too_low", [step < 0 for step in off]),
    ]


def _money(rows: Sequence[Row], said: Sequence[Tier]) -> list[Figure]:
    """What the tiers save against always asking the complex one, at the catalog's first prices of each tier."""
    catalog = load_catalog()
    first = {tier: next(row for row in catalog.models if row.endpoint == OPENAI and row.tier == tier) for tier in TIERS}
    cost = {tier: row.prices.cost(INPUT_TOKENS, OUTPUT_TOKENS) for tier, row in first.items()}
    whole = cost["complex"] * len(said)
    right = sum(cost[row.tier] for row in rows if row.tier)
    return [
        Figure("saved", 1 - sum(cost[tier] for tier in said) / whole, len(said)),
        Figure("saved_by_the_labels", 1 - right / whole, len(said)),
    ]


def _beside(rows: Sequence[Row], said: Sequence[Tier], name: str) -> list[Figure]:
    right = [tier == row.tier for tier, row in zip(said, rows, strict=True)]
    return [share(f"{name}_accuracy", right), *(replace(one, name=f"{name}_{one.name}") for one in _pairs(rows, said))]


async def _unseen(rows: Sequence[Row], embedder: Embedder) -> list[Tier]:
    """What heads say that were fitted as the one that ships, to the other pairs."""
    vectors = np.asarray([await embedder.query(row.text) for row in rows], dtype=np.float64)
    found = np.asarray([marks(row.text, _language(row)) for row in rows], dtype=np.float64)
    labels, pairs = [TIERS.index(row.tier) for row in rows if row.tier], [row.pair or row.text for row in rows]
    weight, penalty = read_fit(embedder.name)
    tiers = held_back_tiers(found, vectors, labels, LANGUAGES, pairs, weight=weight, penalty=penalty)
    return [TIERS[tier] for tier in tiers]


async def _features(rows: Sequence[Row], run: Run, name: str) -> Array:
    embedder = keeping(load_embedder(name), run.vectors)
    vectors = []
    for done, row in enumerate(rows, start=1):
        vectors.append(await embedder.query(row.text))
        stage(run.progress, f"questions, {name}")(done, len(rows))
    found = [marks(row.text, _language(row)) for row in rows]
    return np.hstack([np.asarray(vectors, dtype=np.float64), np.asarray(found, dtype=np.float64)])


async def _against_models(rows: list[Row], run: Run, about: dict[str, object]) -> Result:
    router = ComplexityRouter()
    weak, strong = [bool(row.weak_ok) for row in rows], [bool(row.strong_ok) for row in rows]
    found = curve([router.judge(row.text, language=_language(row)).score for row in rows], weak, strong)
    if found is None:
        raise UsageError(
            "the strong model is not better than the weak one", where="weak_ok, strong_ok", fix="other rows"
        )
    length = curve([float(len(row.text)) for row in rows], weak, strong)
    figures = [*_of_curve(found, "", len(rows)), *(_of_curve(length, "length_", len(rows)) if length else [])]
    figures += [share("weak_right", weak), share("strong_right", strong)]
    if len({row.subject for row in rows}) > 1:
        features = await _features(rows, run, "bge-small-en-v1.5")
        # What the weak model gets wrong is easier to foresee than where the strong one would help.
        said = held_back(features, [int(not ok) for ok in weak], [row.subject for row in rows], 2)[:, 1]
        foreseen = curve([float(one) for one in said], weak, strong)
        figures += _of_curve(foreseen, "learned_", len(rows)) if foreseen else []
    return Result(NAME, about, figures)


def _of_curve(found: Curve, prefix: str, n: int) -> list[Figure]:
    return [
        Figure(f"{prefix}apgr", found.apgr, n, found.apgr_ci),
        Figure(f"{prefix}cost_at_95_quality", found.cost_at_95_quality, n, found.cost_at_95_quality_ci),
    ]
