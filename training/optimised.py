"""What an optimisation has shown: figures of before and after on the held-out rows, and the version that came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from domain.receipt import MICRO
from evals.paired import difference_interval, mcnemar_p
from evals.run import Figure, Result, Table, share
from evals.stats import wilson
from prompts import Prompt
from training.asking import Asking
from training.optimise import Optimised, Plan, Tried
from training.subjects import Subject

NAME = "optimise"
AUTHOR = "frontdesk optimise"
DIGITS = 4


def report(done: Optimised, subject: Subject, plan: Plan, asking: Asking, registered: str) -> Result:
    """Before, after and their difference, by language and by label. `registered`: the new version, or nothing."""
    after = done.after or done.before
    held = done.paired
    changes = [-1] * len(held.lost) + [1] * len(held.won) + [0] * (held.both - len(held.lost) - len(held.won))
    figures = [
        share("before_right", list(done.before.right().values())),
        share("after_right", list(after.right().values())),
        Figure("diff_right", held.difference, held.both, difference_interval(changes)),
        Figure("mcnemar_p", mcnemar_p(len(held.lost), len(held.won)), held.both),
    ]
    for when, tried in (("before", done.before), ("after", after)):
        if subject.labels:
            figures += [Figure(f"{when}_{name}", value, n) for name, value, n in macro(tried, subject.labels)]
    figures += [
        Figure("proposals", done.proposals, done.proposals),
        Figure("proposals_unusable", done.unusable, done.proposals),
        Figure("calls", asking.asked, asking.asked),
        Figure("cost_usd", asking.cost_microusd / MICRO, asking.asked),
    ]
    about: dict[str, object] = {
        "prompt": done.before.prompt.label,
        "student": plan.student,
        "teacher": plan.teacher,
        "train": len(done.sides.train),
        "validation": len(done.sides.validation),
        "held_out": len(done.sides.held_out),
        "near_duplicates": done.sides.near_duplicates,
        "dropped": done.sides.dropped,
        "registered": registered,
        "pays": done.pays,
        "why": done.why,
    }
    tables = [] if not subject.labels else [by_label(done.before, after, subject.labels)]
    return Result(NAME, about, figures, by_language(done.before, after), more=tables)


def by_language(before: Tried, after: Tried) -> dict[str, list[Figure]]:
    """Rows that are right, language by language."""
    found: dict[str, list[Figure]] = {}
    for language in sorted({row.language for row in before.rows}):
        ids = [row.id for row in before.rows if row.language == language]
        found[language] = [
            share("before_right", [before.marks[one].right for one in ids]),
            share("after_right", [after.marks[one].right for one in ids]),
        ]
    return found


def by_label(before: Tried, after: Tried, labels: Sequence[str]) -> Table:
    """Precision, recall with its 95 % interval, and F1 of each label in each language, before and after."""
    measures = ("precision", "recall", "interval", "F1")
    columns = ["language", "label", "n", *(f"{one}{when}" for one in measures for when in ("", " after"))]
    rows: list[list[object]] = []
    languages = sorted({row.language for row in before.rows})
    for language in [*languages, *(["all"] if len(languages) > 1 else [])]:
        counted = [told(tried, labels, language) for tried in (before, after)]
        for label in labels:
            two = [counted[0][label], counted[1][label]]
            pairs: list[list[object]] = [
                [_shown(precision), _shown(recall), _between(recall, n), _shown(f1)] for n, precision, recall, f1 in two
            ]
            rows.append([language, label, two[0][0], *(value for both in zip(*pairs, strict=True) for value in both)])
    return "by label", columns, rows


def macro(tried: Tried, labels: Sequence[str]) -> list[tuple[str, float | None, int]]:
    """The mean F1 of the labels that have rows, over all rows and in each language."""
    found = []
    for language in ["all", *sorted({row.language for row in tried.rows})]:
        counted = [one for one in told(tried, labels, language).values() if one[0]]
        f1s = [one[3] or 0.0 for one in counted]
        name = "f1" if language == "all" else f"f1_{language}"
        found.append((name, fmean(f1s) if f1s else None, sum(one[0] for one in counted)))
    return found


def told(
    tried: Tried, labels: Sequence[str], language: str = "all"
) -> Mapping[str, tuple[int, float | None, float | None, float | None]]:
    """By label: rows that bear it, precision, recall, F1; None where nothing can be counted."""
    rows = [row for row in tried.rows if language in ("all", row.language)]
    counted = {}
    for label in labels:
        wanted = [row for row in rows if row.label == label]
        said = [row for row in rows if tried.marks[row.id].label == label]
        hits = sum(tried.marks[row.id].label == label for row in wanted)
        precision = hits / len(said) if said else None
        recall = hits / len(wanted) if wanted else None
        both = len(wanted) + len(said)
        counted[label] = (len(wanted), precision, recall, 2 * hits / both if both else None)
    return counted


def new_version(done: Optimised, known: Sequence[Prompt], result: Result) -> Prompt | None:
    """The best prompt as the next version of its name, with its parent and figures; None where the start is kept."""
    if done.after is None or not done.pays:
        return None
    parent, best = done.before.prompt, done.after.prompt
    newest = max(each.version for each in known if each.name == parent.name)
    figures = {one.name: round(one.value, DIGITS) for one in result.figures if one.value is not None}
    note = (
        f"Made from {parent.label} by GEPA. On {len(done.sides.held_out)} held-out rows:"
        f" {figures['before_right']:.3f} right before, {figures['after_right']:.3f} after ({done.why})."
    )
    return replace(
        best, version=newest + 1, author=AUTHOR, note=note, parent=parent.label, figures=figures, created_at=""
    )


def _between(value: float | None, n: int) -> str:
    ends = None if value is None else wilson(round(value * n), n)
    return f"{ends[0]:.2f}-{ends[1]:.2f}" if ends else "-"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
