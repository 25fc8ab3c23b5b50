"""What an evaluation is given and gives back, and where suites are found: one file each in evals/suites/."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Literal

from domain.errors import UsageError
from domain.ports import Hands, Progress
from domain.settings import Settings
from evals import suites
from evals.cached_calls import CachedCalls
from evals.stats import wilson

Split = Literal["dev", "held_out", "all"]
Table = tuple[str, list[str], list[list[object]]]
"""Title, columns, rows."""
DIGITS = 4
DIGITS_OF_MONEY = 6


@dataclass(frozen=True, slots=True)
class Run:
    """One call of a suite.

    `data`: rows from outside instead of the desk's own cases, of which `split` is meant. `examples`: labelled rows
    that a suite may learn a business from. `kb`: articles from outside, for suites that search. `compare`: two
    variants to measure on the same rows. `sample`: so many rows, drawn by `seed`; 0: all. `unfinished`: where
    rows are kept while the run goes on. `fresh`: begin anew instead.
    `calls`: model calls that are not paid for twice. `judge`: the model that rates answers, `auto` for the best.
    `vectors`: where vectors of questions are kept between runs, for suites that measure no time of embedding.
    `hands`: what cases and rows are spread among; None: this process measures alone.
    """

    settings: Settings
    say: Callable[[str], None]
    progress: Progress
    data: Path | None = None
    examples: Path | None = None
    split: Split = "dev"
    parallel: int = 4
    kb: Path | None = None
    compare: tuple[str, str] | None = None
    sample: int = 0
    seed: int = 0
    unfinished: Path | None = None
    calls: CachedCalls | None = None
    fresh: bool = False
    judge: str = ""
    hands: Hands | None = None
    vectors: Path | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. `value` is None where nothing could be counted; `n` is how many cases it rests on."""

    name: str
    value: float | None
    n: int
    ci: tuple[float, float] | None = None

    @property
    def shown(self) -> str:
        """For a table."""
        return "-" if self.value is None else f"{self.value:.3f}" if self.ci else f"{self.value:g}"

    @property
    def shown_ci(self) -> str:
        """The interval for a table."""
        return f"{self.ci[0]:.3f}-{self.ci[1]:.3f}" if self.ci else ""


@dataclass(frozen=True, slots=True)
class Miss:
    """A case that was not as it should be. Held-out cases are never named."""

    id: str
    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one row: what a stored run keeps of it, and what two runs are compared by. Texts are masked.

    `scores` are 0..1, higher is better; one that could not be scored is not among them.
    """

    id: str
    kind: str
    scores: dict[str, float]
    question: str = ""
    expected: str = ""
    answer: str = ""
    why: str = ""
    trace_id: str = ""
    cost_usd: float = 0.0
    ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """What a suite measured. `about` says on what; `failed` holds a line for each gate that did not hold.

    `more` holds tables of the suite's own; `rows` what a stored run is compared by, empty for secret rows;
    `other_rows` those of the first of two variants. `config` is
    what the figures depend on beside the rows.
    """

    suite: str
    about: dict[str, Any]
    figures: list[Figure]
    by_kind: dict[str, list[Figure]] = field(default_factory=dict)
    misses: list[Miss] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    more: list[Table] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    other_rows: list[Row] = field(default_factory=list)
    config: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Flat figures by their names, `<name>_n` and `<name>_ci` beside them."""
        flat: dict[str, Any] = {"suite": self.suite, **self.about}
        for figure in self.figures:
            flat |= _flat(figure)
        flat["by_kind"] = {
            kind: {name: value for figure in figures for name, value in _flat(figure).items()}
            for kind, figures in self.by_kind.items()
        }
        if self.more:
            flat["tables"] = {
                title: [dict(zip(columns, row, strict=True)) for row in rows] for title, columns, rows in self.more
            }
        flat["misses"] = [{"id": miss.id, "kind": miss.kind, "why": miss.why} for miss in self.misses]
        return flat

    def tables(self) -> list[Table]:
        """Title, columns and rows of everything, for people."""
        about = ", ".join(f"{name} {value}" for name, value in self.about.items())
        rows: list[list[object]] = [[one.name, one.shown, one.n, one.shown_ci] for one in self.figures]
        tables: list[Table] = [(f"{self.suite}: {about}", ["figure", "value", "n", "95 % interval"], rows)]
        if self.by_kind:
            names = list(dict.fromkeys(figure.name for figures in self.by_kind.values() for figure in figures))
            tables.append(("by kind", ["kind", "n", *names], [_row(*each, names) for each in self.by_kind.items()]))
        tables += self.more
        if self.misses:
            misses: list[list[object]] = [[miss.id, miss.kind, miss.why] for miss in self.misses]
            tables.append(("not as it should be", ["case", "kind", "why"], misses))
        return tables


Measure = Callable[[Run], Coroutine[Any, Any, Result]]


def share(name: str, held: Sequence[bool]) -> Figure:
    """How often something held, with its interval."""
    hits, total = sum(held), len(held)
    return Figure(name, hits / total if total else None, total, wilson(hits, total))


def known_suites() -> list[str]:
    """The suites there are."""
    return sorted(module.name for module in iter_modules(suites.__path__))


def find_suite(name: str) -> Measure:
    """The `measure` of a suite. Raises UsageError naming the known suites."""
    known = known_suites()
    if name not in known:
        raise UsageError("no such suite", where=name, fix=f"there are: {', '.join(known)}")
    measure: Measure = import_module(f"{suites.__name__}.{name}").measure
    return measure


def _flat(figure: Figure) -> dict[str, Any]:
    digits = DIGITS_OF_MONEY if figure.name.endswith("_usd") else DIGITS
    value = figure.value if figure.value is None else round(figure.value, digits)
    flat: dict[str, Any] = {figure.name: value, f"{figure.name}_n": figure.n}
    return flat | ({f"{figure.name}_ci": [round(end, DIGITS) for end in figure.ci]} if figure.ci else {})


def _row(kind: str, figures: Sequence[Figure], names: Sequence[str]) -> list[object]:
    by_name = {figure.name: figure for figure in figures}
    return [kind, figures[0].n, *(by_name[name].shown if name in by_name else "-" for name in names)]
