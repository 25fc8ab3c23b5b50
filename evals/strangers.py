"""Scope as strangers meet it: desks made of businesses that nobody tuned for, and who is turned away there.

`python -m evals.strangers --data-dir FOLDER [--desks FILE]`: of each business of the file (evals/strangers.yaml says how it is
written) a desk that knows a description and titles alone, and desks that know 10, 50 and 100 of its customers' questions
beside them, drawn by hash. Asked are its other customers, other trades' customers, near ones apart, and what nobody's
desk is for. One half of all that is foreign is asked where one develops, the other where one reports.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from domain.errors import FrontdeskError, UsageError
from domain.ports import Embedder
from domain.profile import DeskProfile
from domain.turn import Language
from evals.blocking import auroc
from evals.guard_aims import table
from evals.kept_vectors import keeping
from evals.run import Figure, share
from evals.served import drawn
from guards import ScopeFilter
from models.diacritics import RestoringEmbedder
from models.language import LANGUAGES, detect_language
from models.smalltalk import matter

DESKS = Path(__file__).with_suffix(".yaml")
FORMS = (0, 10, 50, 100)
"""Examples that a desk knows beside its description and titles."""
MOST_CUSTOMERS, MOST_OF_A_TRADE, MOST_OF_A_SORT = 150, 16, 40
FEWEST = 20
"""Customers who must be left to ask; with fewer, a form is left out."""
ROUGH = 40
"""Customers who ask once more in each rough way."""
Split = Literal["dev", "held_out"]
Sort = Literal["own", "far", "near", "request"]
CAUGHT: tuple[tuple[str, Sort], ...] = (("requests", "request"), ("far", "far"), ("near", "near"))


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Shape):
    """Texts written here, or those of a JSONL file."""

    file: str = ""
    field: str = "text"
    where: dict[str, list[str]] = {}
    texts: list[str] = []


class Business(_Shape):
    """A business; one without a `split` has no desk and only asks elsewhere."""

    name: str
    field: str
    languages: list[Language]
    customers: list[Source]
    split: Split | None = None
    near: list[str] = []
    describe: str = ""
    titles: list[Source] = []


class Request(_Shape):
    """What nobody's desk is for."""

    name: str
    languages: list[Language]
    sources: list[Source]


class Strangers(_Shape):
    """The file of businesses."""

    businesses: list[Business]
    requests: list[Request]


@dataclass(frozen=True, slots=True)
class Asked:
    """A text that a desk is asked: its own customer's or a foreign one, of which `kind`."""

    text: str
    sort: Sort
    kind: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What a desk made of it. `unusual`: the share of its own that would be as unlike it."""

    asked: Asked
    out: bool
    unusual: float


@dataclass(frozen=True, slots=True)
class Form:
    """One desk in one form, and all that it judged."""

    desk: str
    examples: int
    judged: Sequence[Judged]

    def of(self, *sorts: Sort, kind: str = "") -> list[Judged]:
        """What it judged of these sorts, and of one kind where that is given."""
        return [one for one in self.judged if one.asked.sort in sorts and kind in ("", one.asked.kind)]


def read_strangers(path: Path) -> Strangers:
    """The file of businesses. Raises UsageError for one that is not there or not of the shape."""
    try:
        return Strangers.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, ValidationError, yaml.YAMLError) as fault:
        why = " ".join(str(fault).split())[:200]
        raise UsageError(f"cannot be read: {why}", where=str(path), fix=f"write it like {DESKS.name}") from fault


def texts_of(sources: Sequence[Source], folder: Path) -> list[str]:
    """The different texts, in an order that depends on nothing but themselves. Raises UsageError for a missing file."""
    found: list[str] = []
    for source in sources:
        found += source.texts
        if source.file:
            found += [str(row[source.field]).strip() for row in _rows(folder / source.file) if _kept(row, source.where)]
    return drawn([text for text in found if text])


def foreign_to(business: Business, strangers: Strangers, folder: Path) -> list[Asked]:
    """What other trades' customers and nobody's ask of a desk, in its languages; those who develop see the other half."""
    half = 0 if business.split == "dev" else 1
    found: list[Asked] = []
    for other in strangers.businesses:
        if other.field != business.field and set(other.languages) & set(business.languages):
            sort: Sort = "near" if other.field in business.near else "far"
            found += [
                Asked(text, sort, other.name)
                for text in texts_of(other.customers, folder)[half::2][:MOST_OF_A_TRADE]
                if detect_language(text, LANGUAGES) in business.languages
            ]
    for request in strangers.requests:
        if set(request.languages) & set(business.languages):
            texts = texts_of(request.sources, folder)[half::2][:MOST_OF_A_SORT]
            found += [Asked(text, "request", request.name) for text in texts]
    return found


def customers_of(business: Business, folder: Path) -> list[str]:
    """Of each source as many as are asked at most; the examples are drawn first of all."""
    each = [texts_of([source], folder)[: max(FORMS) + MOST_CUSTOMERS] for source in business.customers]
    return drawn([text for texts in each for text in texts])


def rough(text: str, language: Language) -> dict[str, str]:
    """The same question as hurried customers write it."""
    from domain.words import fold  # noqa: PLC0415

    words = text.rstrip("?.! ").split()
    longest = max(range(len(words)), key=lambda at: len(words[at])) if words else 0
    typo = [_swapped(word) if at == longest else word for at, word in enumerate(words)]
    around = {
        "en": (
            "Hi there! Hope you are all well. {} Thanks a lot in advance!",
            "My sister told me about you last week. {}",
        ),
        "vi": (
            "Chào shop, chúc một ngày tốt lành ạ. {} Cảm ơn nhiều ạ!",
            "Tuần trước chị em có giới thiệu bên mình. {}",
        ),
    }[language]
    return {
        "capitals": text.upper(),
        "a typo, no mark": " ".join(typo).lower(),
        "emoji": f"{text} 😡😡🙏",
        "courtesies": around[0].replace("{}", text),
        "a story": around[1].replace("{}", text),
    } | ({"no diacritics": fold(text)} if language == "vi" else {})


async def judged_by(
    business: Business, examples: int, strangers: Strangers, folder: Path, embedder: Embedder
) -> Form | None:
    """One desk in one form; None where too few customers would be left."""
    customers = customers_of(business, folder)
    known, others = customers[:examples], customers[examples:][:MOST_CUSTOMERS]
    if len(others) < FEWEST:
        return None
    languages = [str(language) for language in business.languages]
    scope = {"describe": business.describe, "in": known}
    profile = DeskProfile.model_validate({"name": business.name, "languages": languages, "scope": scope})
    titles = list(dict.fromkeys(texts_of(business.titles, folder)))
    said = [business.describe, *known, *titles]
    judge = ScopeFilter(
        profile, RestoringEmbedder(embedder, lambda: (business.name, lambda: said)), topics=lambda: titles
    )
    asked = [Asked(text, "own", f"as written, {detect_language(text, LANGUAGES)}") for text in others]
    for text in others[:ROUGH]:
        ways = rough(text, detect_language(text, LANGUAGES))
        asked += [Asked(written, "own", way) for way, written in ways.items()]
    asked += foreign_to(business, strangers, folder)
    judged = []
    for one in asked:
        verdict = await judge.judge(matter(one.text))  # as in nodes/route
        judged.append(Judged(one, verdict.scope == "out", verdict.unusual))
    return Form(business.name, examples, judged)


def kept(form: Form) -> list[Judged]:
    """Its own customers' questions as they wrote them."""
    return [one for one in form.of("own") if one.asked.kind.startswith("as written")]


def figures(forms: Sequence[Form]) -> list[Figure]:
    """Of all these desks together: kept, and caught of what is foreign."""
    own = [one for form in forms for one in kept(form)]
    found = [
        share("customers_kept", [not one.out for one in own]),
        *(share(f"{name}_caught", [one.out for form in forms for one in form.of(sort)]) for name, sort in CAUGHT),
    ]
    apart = [
        auroc([(1 - one.unusual, one.asked.sort != "own") for one in [*kept(form), *form.of("far", "request")]])
        for form in forms
    ]
    mean = sum(value or 0.0 for value in apart) / len(apart) if apart else None
    return [*found, Figure("auroc", mean, len(apart))]


def report(forms: Sequence[Form]) -> str:
    """Each form of all desks together, then desk by desk, then by how customers write and by what was foreign."""
    columns = ("desk", "examples", "kept", "requests caught", "far caught", "near caught", "AUROC")
    groups = [("all", number, [one for one in forms if one.examples == number]) for number in FORMS]
    groups += [(one.desk, one.examples, [one]) for one in forms]
    rows = [[name, number, *map(_shown, figures(group))] for name, number, group in groups if group]
    kinds = sorted({(one.asked.sort, one.asked.kind) for form in forms for one in form.judged})
    by_kind = [[sort, kind, *(_kind_shown(forms, number, sort, kind) for number in FORMS)] for sort, kind in kinds]
    heads = ("sort", "kind", *(f"out, {number} examples" for number in FORMS))
    return f"{table(columns, rows)}\n\n{table(heads, by_kind)}"


def flat(forms: Sequence[Form]) -> dict[str, Any]:
    """Every figure of each form, flat."""
    found: dict[str, Any] = {}
    for number in FORMS:
        for figure in figures([one for one in forms if one.examples == number]):
            found |= {f"{figure.name}_{number}": figure.value, f"{figure.name}_{number}_n": figure.n}
            found |= {f"{figure.name}_{number}_ci": figure.ci} if figure.ci else {}
    return found


def _kind_shown(forms: Sequence[Form], number: int, sort: Sort, kind: str) -> str:
    return _shown(share("", [one.out for form in forms if form.examples == number for one in form.of(sort, kind=kind)]))


def _shown(figure: Figure) -> str:
    if figure.value is None:
        return ""
    return f"{figure.value:.3f} ({figure.n}{f'; {figure.shown_ci}' if figure.ci else ''})"


def _swapped(word: str) -> str:
    """Two letters in the middle change places."""
    middle = len(word) // 2
    return word if len(word) < 4 else word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :]  # noqa: PLR2004


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    except (OSError, ValueError) as fault:
        raise UsageError(f"cannot be read: {type(fault).__name__}", where=str(path), fix="give --data-dir") from fault


def _kept(row: Mapping[str, Any], where: Mapping[str, Sequence[str]]) -> bool:
    return all(str(row.get(name)) in values for name, values in where.items())


async def measure(given: argparse.Namespace) -> list[Form]:
    """Every form of every desk of the split."""
    from domain.settings import read_settings  # noqa: PLC0415
    from graph.rooms import open_embedder  # noqa: PLC0415  # seconds: not for a test of figures

    strangers = read_strangers(given.desks)
    forms = []
    embedders: dict[tuple[Language, ...], Embedder] = {}
    for business in strangers.businesses:
        if business.split != given.split:
            continue
        spoken = tuple(business.languages)
        if spoken not in embedders:
            embedders[spoken] = keeping(open_embedder(read_settings(llm="off"), list(spoken)), given.kept)
        for number in FORMS:
            form = await judged_by(business, number, strangers, given.data_dir, embedders[spoken])
            sys.stderr.write(
                f"{business.name}, {number} examples: {'left out' if form is None else len(form.judged)}\n"
            )
            forms += [form] if form else []
    return forms


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="where the files of the businesses lie")
    parser.add_argument(
        "--desks", type=Path, default=DESKS, help="businesses of your own, written like evals/strangers.yaml"
    )
    parser.add_argument("--split", choices=("dev", "held_out"), default="held_out")
    parser.add_argument("--kept", type=Path, help="a folder where vectors are kept between runs")
    parser.add_argument("--json", action="store_true", help="the figures of all desks together as one object")
    given = parser.parse_args()
    try:
        forms = asyncio.run(measure(given))
    except FrontdeskError as fault:
        sys.stderr.write(f"{fault}\n")
        return 2
    sys.stdout.write(f"{json.dumps(flat(forms)) if given.json else report(forms)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
