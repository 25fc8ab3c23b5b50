"""Scope on desks with articles: whom it keeps because an article answers, and what slips in by that.

`python -m evals.vouching --data-dir FOLDER`: the businesses of `evals/businesses` as desks that know a sentence about themselves, their
articles, and none or ten of their customers' questions. Asked are their other customers (in both languages where the
desk speaks both), their questions that no article answers, what customers bring to any business, other businesses' customers, what nobody's
desk is for, and such work in the words of an article's title. Each is judged with the articles and without their say.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from domain.errors import FrontdeskError
from domain.ports import Embedder
from domain.profile import DeskProfile
from domain.turn import Language
from evals.bench_kb import Bench, opened_bench, read_article_rows, read_questions
from evals.guard_aims import table
from evals.kept_vectors import keeping
from evals.run import share
from evals.served import drawn
from evals.small_businesses import BUSINESSES, Business, businesses
from evals.strangers import DESKS as STRANGERS
from evals.strangers import MOST_OF_A_SORT, Split, read_strangers, texts_of
from guards import ScopeFilter
from models.diacritics import RestoringEmbedder
from models.embedder import load_embedder
from models.smalltalk import matter
from retrieval import load_rag_config

FILE = Path(__file__).with_suffix(".yaml")
FORMS = (0, 10)
"""Examples that a desk knows beside its sentence and its titles."""
SORTS = ("own", "unanswered", "anybody", "far", "request", "in disguise")
EVERY = 3
"""Of each title so many patterns apart are asked in disguise."""


class Material(BaseModel):
    """The file beside this one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    anybody: dict[Language, list[str]]
    in_disguise: dict[Language, list[str]]


@dataclass(frozen=True, slots=True)
class Judged:
    """A text put to a desk: of which sort, and whether it was out with the articles' say and without."""

    sort: str
    out: bool
    out_without: bool


def questions_of(business: Business, languages: Sequence[Language]) -> tuple[list[str], list[str]]:
    """What its customers ask that an article answers, those in its language first, and what none answers."""
    names = [business.name] + ([f"{business.name}-across"] if len(languages) > 1 else [])
    rows = [row for name in names for row in read_questions(BUSINESSES / f"{name}.jsonl")[0]]
    return [row.text for row in rows if row.relevant], [row.text for row in rows if not row.relevant]


def asked_of(business: Business, languages: Sequence[Language], material: Material, data: Path) -> dict[str, list[str]]:
    """What is put to a desk beside its own customers' questions, by sort; those who develop see the other half of what is foreign."""
    half = 0 if business.split == "dev" else 1
    others = [one for one in businesses() if one.field != business.field]
    far = [
        row.text
        for one in others
        for name in (one.name, f"{one.name}-across")
        if (one.language if name == one.name else "en" if one.language == "vi" else "vi") in languages
        for row in [row for row in read_questions(BUSINESSES / f"{name}.jsonl")[0] if row.relevant][half::2]
    ]
    requests = [one for one in read_strangers(STRANGERS).requests if set(one.languages) & set(languages)]
    titles = [row.title for row in read_article_rows(BUSINESSES / f"{business.name}_kb.jsonl")[0]]
    ways = material.in_disguise[business.language]
    return {
        "anybody": [text for language in languages for text in material.anybody[language]],
        "far": far,
        "request": [text for one in requests for text in texts_of(one.sources, data)[half::2][:MOST_OF_A_SORT]],
        "in disguise": [
            way.format(t=title) for place, title in enumerate(titles) for way in ways[place % EVERY :: EVERY]
        ],
    }


async def judged_by(
    business: Business, languages: list[Language], asked: dict[str, list[str]], bench: Bench, embedder: Embedder
) -> dict[int, list[Judged]]:
    """One desk in each of its forms."""
    own, unanswered = questions_of(business, languages)
    examples = drawn(questions_of(business, languages[:1])[0])[: max(FORMS)]
    titles = [row.title for row in read_article_rows(BUSINESSES / f"{business.name}_kb.jsonl")[0]]
    said = [business.describe, *titles, *bench.knowledge.texts("public")]
    restoring = RestoringEmbedder(embedder, lambda: (business.name, lambda: said))

    async def finds(question: str) -> float:
        return (await bench.knowledge.public.search(question, 1)).confidence

    found: dict[int, list[Judged]] = {}
    for number in FORMS:
        scope = {"describe": business.describe, "in": examples[:number]}
        profile = DeskProfile.model_validate({"name": business.name, "languages": languages, "scope": scope})
        full = ScopeFilter(profile, restoring, topics=lambda: titles, finds=finds)
        without = ScopeFilter(profile, restoring, topics=lambda: titles)
        every = {"own": [text for text in own if text not in examples], "unanswered": unanswered, **asked}
        found[number] = [
            Judged(sort, *[(await one.judge(matter(text))).scope == "out" for one in (full, without)])
            for sort, texts in every.items()
            for text in texts
        ]
    return found


def report(desks: dict[tuple[str, int], list[Judged]]) -> str:
    """The share that is turned away of each sort, all desks of a form together, then desk by desk; without the articles' say behind it."""
    groups = {
        f"all, {number} examples": [one for (_, n), each in desks.items() if n == number for one in each]
        for number in FORMS
    }
    groups |= {f"{name}, {number} examples": each for (name, number), each in desks.items()}
    rows = [
        [name, *(_shown([one for one in each if one.sort == sort]) for sort in SORTS)] for name, each in groups.items()
    ]
    return table(("desk", *SORTS), rows)


def _shown(judged: Sequence[Judged]) -> str:
    told, without = (share("", [getattr(one, name) for one in judged]) for name in ("out", "out_without"))
    return "" if told.value is None else f"{told.value:.3f} ({without.value or 0.0:.3f}; {told.n})"


async def measure(split: Split, data: Path, kept: Path | None) -> dict[tuple[str, int], list[Judged]]:
    """Every desk of the split that speaks both languages, and those of English articles in English alone."""
    material = Material.model_validate(yaml.safe_load(FILE.read_text(encoding="utf-8")))
    desks: dict[tuple[str, int], list[Judged]] = {}
    for business in (one for one in businesses() if one.split == split):
        other: Language = "vi" if business.language == "en" else "en"
        both: list[Language] = [business.language, other]
        for languages in [both] + ([both[:1]] if business.language == "en" else []):
            config = load_rag_config("english" if languages == ["en"] else "multilingual")
            embedder = keeping(load_embedder(config.embedder.name), kept)
            articles, _ = read_article_rows(BUSINESSES / f"{business.name}_kb.jsonl")
            async with opened_bench(config, articles, None, kept) as bench:
                asked = asked_of(business, languages, material, data)
                forms = await judged_by(business, languages, asked, bench, embedder)
            name = f"{business.name}, {' and '.join(languages)}"
            desks |= {(name, number): judged for number, judged in forms.items()}
            sys.stderr.write(f"{name}: {sum(map(len, forms.values()))}\n")
    return desks


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="where the files of evals/strangers.yaml lie")
    parser.add_argument("--split", choices=("dev", "held_out"), default="held_out")
    parser.add_argument("--kept", type=Path, help="a folder where vectors are kept between runs")
    given = parser.parse_args()
    try:
        desks = asyncio.run(measure(given.split, given.data_dir, given.kept))
    except FrontdeskError as fault:
        sys.stderr.write(f"{fault}\n")
        return 2
    sys.stdout.write(f"{report(desks)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
