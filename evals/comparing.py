"""Two runs held against each other: figure by figure, and row by row where both have scored the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from domain.errors import UsageError
from evals.paired import difference_interval, mcnemar_p, pair
from evals.records import Record
from evals.run import DIGITS, Figure, Row, Table

SHOWN = 40


@dataclass(frozen=True, slots=True)
class Change:
    """One figure in both runs. `n` rows were scored in both; without any the interval and p are None.

    `p`: two-sided McNemar, where the score is a yes or no.
    """

    name: str
    a: float | None
    b: float | None
    n: int = 0
    ci: tuple[float, float] | None = None
    p: float | None = None

    @property
    def difference(self) -> float | None:
        """The second less the first."""
        return None if self.a is None or self.b is None else self.b - self.a


@dataclass(frozen=True, slots=True)
class Comparison:
    """The second run against the first. `lost`, `won`: rows right in one of them only; `differs`: their settings."""

    a: Record
    b: Record
    changes: list[Change]
    lost: list[str]
    won: list[str]
    differs: dict[str, tuple[str, str]]

    def as_json(self) -> dict[str, Any]:
        """Flat: `a_<name>`, `b_<name>`, `diff_<name>` with its interval and p."""
        flat: dict[str, Any] = {"suite": self.a.result.suite, "a": self.a.id, "b": self.b.id}
        for one in self.changes:
            flat |= {f"a_{one.name}": _round(one.a), f"b_{one.name}": _round(one.b)}
            flat[f"diff_{one.name}"] = _round(one.difference)
            flat[f"diff_{one.name}_n"] = one.n
            if one.ci:
                flat[f"diff_{one.name}_ci"] = [_round(end) for end in one.ci]
            if one.p is not None:
                flat[f"p_{one.name}"] = _round(one.p)
        differs = {name: {"a": a, "b": b} for name, (a, b) in self.differs.items()}
        return flat | {"lost": self.lost, "won": self.won, "differs": differs}

    def tables(self) -> list[Table]:
        """For people."""
        title = f"{self.b.id} against {self.a.id}"
        rows: list[list[object]] = [
            [
                one.name,
                _shown(one.a),
                _shown(one.b),
                _shown(one.difference, sign=True),
                one.n,
                _ends(one.ci),
                _shown(one.p),
            ]
            for one in self.changes
        ]
        tables: list[Table] = [(title, ["figure", "a", "b", "b - a", "rows", "95 % interval", "p"], rows)]
        if self.differs:
            differs: list[list[object]] = [[name, a or "-", b or "-"] for name, (a, b) in self.differs.items()]
            tables.append(("what differs", ["setting", "a", "b"], differs))
        if self.lost or self.won:
            by_id = {row.id: row for row in self.b.result.rows}
            changed: list[list[object]] = [
                [name, what, by_id[name].why]
                for what, names in (("lost", self.lost), ("won", self.won))
                for name in names[:SHOWN]
            ]
            tables.append((f"{len(self.lost)} lost, {len(self.won)} won", ["row", "", "why"], changed))
        return tables


def compare(a: Record, b: Record) -> Comparison:
    """Hold two runs of one suite against each other. Raises UsageError for runs of two suites."""
    if a.result.suite != b.result.suite:
        what = f"are runs of two suites, {a.result.suite} and {b.result.suite}"
        raise UsageError(what, where=f"{a.id}, {b.id}", fix="see frontdesk eval list")
    names = list(dict.fromkeys([*a.result.config, *b.result.config]))
    settings = {name: (a.result.config.get(name, ""), b.result.config.get(name, "")) for name in names}
    main = headline(b.result.rows)
    held = pair(_yes_no(a.result.rows, main), _yes_no(b.result.rows, main))
    return Comparison(
        a,
        b,
        changes(a.result.figures, b.result.figures, a.result.rows, b.result.rows),
        held.lost,
        held.won,
        {name: each for name, each in settings.items() if each[0] != each[1]},
    )


def headline(rows: Sequence[Row]) -> str:
    """The score that says of a row whether it is right: the first that it has."""
    return next((name for row in rows for name in row.scores), "")


def changes(
    first: Sequence[Figure], second: Sequence[Figure], rows_a: Sequence[Row], rows_b: Sequence[Row]
) -> list[Change]:
    """Every figure and score that either has, in the order of the second; with an interval where rows of both bear its name."""
    one, other = ({figure.name: figure.value for figure in figures} for figures in (first, second))
    scores = [name for row in rows_b for name in row.scores]
    return [_change(name, one, other, rows_a, rows_b) for name in dict.fromkeys([*other, *one, *scores])]


def _change(
    name: str,
    one: Mapping[str, float | None],
    other: Mapping[str, float | None],
    rows_a: Sequence[Row],
    rows_b: Sequence[Row],
) -> Change:
    before = {row.id: row.scores[name] for row in rows_a if name in row.scores}
    after = {row.id: row.scores[name] for row in rows_b if name in row.scores}
    both = [row for row in before if row in after]
    differences = [after[row] - before[row] for row in both]
    p = None
    if both and {*before.values(), *after.values()} <= {0.0, 1.0}:
        p = mcnemar_p(sum(one < 0 for one in differences), sum(one > 0 for one in differences))
    a, b = one.get(name), other.get(name)
    if both and (a is None or b is None):
        a, b = fmean(before[row] for row in both), fmean(after[row] for row in both)
    return Change(name, a, b, len(both), difference_interval(differences), p)


def _yes_no(rows: Sequence[Row], name: str) -> dict[str, bool]:
    return {row.id: row.scores[name] == 1.0 for row in rows if name in row.scores}


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


def _shown(value: float | None, *, sign: bool = False) -> str:
    return "-" if value is None else f"{value:+.3f}" if sign else f"{value:.3f}".rstrip("0").rstrip(".")


def _ends(ci: tuple[float, float] | None) -> str:
    return f"{ci[0]:+.3f} to {ci[1]:+.3f}" if ci else ""
