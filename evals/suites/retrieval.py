"""Whether the right articles are found: rows of questions against a knowledge base, both from files.

Beside our row stand BM25 over whole articles and the nearest vectors of the same chunks. Each question is also asked
as if the articles that answer it were not there: a good confidence tells the two apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from domain.errors import UsageError
from domain.progress import stage
from domain.turn import Language
from evals.bench_kb import (
    ArticleRow,
    Asked,
    Bench,
    QuestionRow,
    opened_bench,
    plain_embedding,
    read_article_rows,
    read_questions,
)
from evals.blocking import auroc
from evals.ranking import DEPTH, PlainBm25, Ranked, differences, figures, mean
from evals.run import Figure, Miss, Result, Run, Table, share
from retrieval import RagConfig, default_rag_config, load_rag_config
from retrieval.language import detect_language

NAME = "retrieval"
BINS = 10
UNANSWERABLE = 1 / 3
"""Weight of a question without its article in the reliability curve: one in four is taken to be unanswerable."""
SHOWN_MISSES = 100
STRAY = 0.05
"""Share of texts taken for Vietnamese below which they are English ones that were mistaken."""
RELIABILITY = "confidence against truth"


@dataclass(frozen=True, slots=True)
class Material:
    """What is measured on. `unanswered`: questions without relevant articles; `unscored`: lines that are no rows."""

    articles: list[ArticleRow]
    questions: list[QuestionRow]
    unanswered: list[QuestionRow]
    unscored: int

    @property
    def relevant(self) -> list[frozenset[str]]:
        """The relevant ids of each question."""
        return [frozenset(row.relevant) for row in self.questions]


@dataclass(frozen=True, slots=True)
class Measured:
    """One configuration on the material. `seconds`: what it took to bring the articles in."""

    config: RagConfig
    asked: list[Asked]
    seconds: float
    chunks: int

    @property
    def rankings(self) -> list[Ranked]:
        """The articles found for each question."""
        return [one.ranked for one in self.asked]


async def measure(run: Run) -> Result:
    """Search `run.kb` with the questions of `run.data`. Raises UsageError, KnowledgeError."""
    material = read_material(run)
    if run.compare is not None:
        one, other = (load_rag_config(name) for name in run.compare)
        return compared(run, material, await searched(run, material, one), await searched(run, material, other))
    ours = load_rag_config(run.settings.rag_config or default_rag_config(languages(material)))
    async with opened_bench(ours, material.articles, run.progress, hands=run.hands) as bench:
        measured = await asked(run, material, bench)
        async with bench.again(plain_embedding(ours)) as plain:
            nearest, progress = list[Ranked](), stage(run.progress, "questions, nearest alone")
            for row in material.questions:
                nearest.append(await plain.rank(row.text))
                progress(len(nearest), len(material.questions))
    return summed_up(run, material, measured, nearest, by_words(material))


def read_material(run: Run) -> Material:
    """Read both files; what cannot be asked is counted. Raises UsageError."""
    if run.kb is None or run.data is None:
        fix = '--kb FILE with rows {"id", "title", "text"} and --data FILE with rows {"id", "text", "relevant": ["id"]}'
        raise UsageError("measures articles and questions of your own", where=f"eval {NAME}", fix=fix)
    articles, broken = read_article_rows(run.kb)
    rows, broken_rows = read_questions(run.data)
    ids = {row.id for row in articles}
    asking = [row for row in rows if row.relevant]
    strangers = [row for row in asking if not ids.intersection(row.relevant)]
    unscored = [*broken, *broken_rows, *(f"{row.id}: none of its relevant articles is in the kb" for row in strangers)]
    for line in unscored:
        run.say(f"unscored: {line}")
    questions = [row for row in asking if ids.intersection(row.relevant)]
    if not articles or not questions:
        where = str(run.data if articles else run.kb)
        raise UsageError("no rows" if articles else "no articles", where=where, fix="see --help for their shape")
    return Material(articles, questions, [row for row in rows if not row.relevant], len(unscored))


def languages(material: Material) -> list[Language]:
    """English, and Vietnamese where more than a stray text is in it: the configuration is chosen by it."""
    texts = [row.text for row in material.articles] + [row.text for row in material.questions]
    shares = [
        sum(detect_language(text) == "vi" for text in part) / len(part)
        for part in (texts[: len(material.articles)], texts[len(material.articles) :])
    ]
    return ["en", "vi"] if max(shares) > STRAY else ["en"]


async def searched(run: Run, material: Material, config: RagConfig) -> Measured:
    """Everything under one configuration."""
    async with opened_bench(config, material.articles, run.progress, hands=run.hands) as bench:
        return await asked(run, material, bench)


async def asked(run: Run, material: Material, bench: Bench) -> Measured:
    """Every question, one at a time, so that times are those of one customer."""
    await bench.warm()
    told: list[Asked] = []
    progress = stage(run.progress, f"questions, {bench.config.label}")
    for row in material.questions:
        told.append(await bench.ask(row.text, frozenset(row.relevant)))
        progress(len(told), len(material.questions))
    return Measured(bench.config, told, bench.seconds, bench.chunks)


def by_words(material: Material) -> list[Ranked]:
    """The BM25 row."""
    index, articles = PlainBm25([f"{row.title} {row.text}" for row in material.articles]), material.articles
    return [
        Ranked(list(dict.fromkeys(articles[place].id for place in index.best(row.text, len(articles))))[:DEPTH])
        for row in material.questions
    ]


def summed_up(
    run: Run, material: Material, ours: Measured, nearest: Sequence[Ranked], words: Sequence[Ranked]
) -> Result:
    """Our figures, and the two plain rows beside them."""
    relevant = material.relevant
    missed = [
        (row, one)
        for row, one in zip(material.questions, ours.asked, strict=True)
        if not set(one.ranked.ids) & set(row.relevant)
    ]
    return Result(
        NAME,
        _about(run, material)
        | {"rag_config": ours.config.label, "ingest_s": round(ours.seconds, 1), "missed": len(missed)},
        [
            *figures(ours.rankings, relevant),
            *trust(ours.asked),
            *_read_in_time(ours),
            *figures(words, relevant, "bm25_"),
            *figures(nearest, relevant, "plain_"),
        ],
        {},
        [
            Miss(row.id, "all", f"none of {', '.join(row.relevant[:3])} among the first {DEPTH}")
            for row, _ in missed[:SHOWN_MISSES]
        ],
        more=[reliability(ours.asked)],
    )


def compared(run: Run, material: Material, one: Measured, other: Measured) -> Result:
    """Two configurations on the same rows; differences are the second less the first."""
    relevant = material.relevant
    return Result(
        NAME,
        _about(run, material) | {"a": one.config.label, "b": other.config.label},
        [
            *differences(one.rankings, other.rankings, relevant),
            mean("diff_tokens", [float(b.tokens - a.tokens) for a, b in zip(one.asked, other.asked, strict=True)]),
            mean("diff_ms", [b.ranked.ms - a.ranked.ms for a, b in zip(one.asked, other.asked, strict=True)]),
            *_costed(one, relevant, "a_"),
            *_costed(other, relevant, "b_"),
        ],
        more=[
            (f"{title} ({each.config.label})", names, rows)
            for each in (one, other)
            for title, names, rows in [reliability(each.asked)]
        ],
    )


def trust(asked: Sequence[Asked], prefix: str = "") -> list[Figure]:
    """Whether confidence tells a question with its article from the same one without it."""
    pairs = [(one.confidence, one.holds, 1.0) for one in asked] + [
        (one.confidence_without, False, UNANSWERABLE) for one in asked
    ]
    apart = auroc([(one.confidence, True) for one in asked] + [(one.confidence_without, False) for one in asked])
    mass = sum(weight for *_, weight in pairs)
    brier = sum(weight * (told - right) ** 2 for told, right, weight in pairs) / mass
    return [
        Figure(f"{prefix}confidence_auroc", apart, len(pairs)),
        Figure(f"{prefix}confidence_brier", brier, len(pairs)),
        mean(f"{prefix}passage_tokens", [float(one.tokens) for one in asked]),
    ]


def reliability(asked: Sequence[Asked]) -> Table:
    """Confidence by tenths against how often the passages held an answer; one question in four without its article."""
    told = np.asarray([one.confidence for one in asked] + [one.confidence_without for one in asked])
    right = np.asarray([one.holds for one in asked] + [False] * len(asked), dtype=np.float64)
    weight = np.asarray([1.0] * len(asked) + [UNANSWERABLE] * len(asked))
    place = np.minimum((told * BINS).astype(int), BINS - 1)
    rows: list[list[object]] = []
    for tenth in range(BINS):
        held = place == tenth
        if held.any():
            rows.append(
                [
                    f"{tenth / BINS:.1f}-{(tenth + 1) / BINS:.1f}",
                    int(held.sum()),
                    round(float(np.average(told[held], weights=weight[held])), 3),
                    round(float(np.average(right[held], weights=weight[held])), 3),
                ]
            )
    return RELIABILITY, ["confidence", "n", "said", "held"], rows


def _costed(measured: Measured, relevant: Sequence[frozenset[str]], prefix: str) -> list[Figure]:
    return [
        *figures(measured.rankings, relevant, prefix),
        *trust(measured.asked, prefix),
        *_read_in_time(measured, prefix),
        Figure(f"{prefix}chunks", measured.chunks, measured.chunks),
        Figure(f"{prefix}ingest_s", round(measured.seconds, 1), measured.chunks),
    ]


def _read_in_time(measured: Measured, prefix: str = "") -> list[Figure]:
    """How often the reranker was in time, where there is one: the other questions were measured without it."""
    if measured.config.reranker is None:
        return []
    return [share(f"{prefix}reranked", [one.reranked == "done" for one in measured.asked])]


def _about(run: Run, material: Material) -> dict[str, object]:
    return {
        "kb": str(run.kb),
        "data": str(run.data),
        "articles": len(material.articles),
        "questions": len(material.questions),
        "left_out": len(material.unanswered),
        "unscored": material.unscored,
    }
