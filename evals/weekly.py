"""The weekly page: what `monitor.report` found, how judge and people agree, as one HTML file that fetches nothing."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from domain.errors import UsageError
from domain.receipt import MICRO
from evals.labelled import spearman, with_interval
from evals.stats import wilson
from evals.weekly_charts import days_chart, histogram_chart, scale_chart

Json = dict[str, Any]
ASPECTS = ("accuracy", "relevance", "safety")
ENOUGH = 20
"""Answers that people must have rated in an aspect before anything is said about agreement."""
NEAR = 1.0
"""Judge and people agree on an answer where they are at most one of five points apart."""
DIGITS = 4
LONGEST, SHOWN = 160, 15
SECOND = 1_000.0
"""Milliseconds."""


def agreement(pairs: Sequence[Mapping[str, Any]]) -> Json:
    """How judge and people agree, by aspect: {agreement_X (share within a point), _ci, _n, bias_X, spearman_X, …}.

    `bias_X` is the judge's mean less people's. None, each, of fewer than `ENOUGH` answers.
    """
    found: Json = {"agreement_needs": ENOUGH}
    for aspect in ASPECTS:
        both = [
            (float(one["people"]), float(one["judge"]))
            for one in pairs
            if one["aspect"] == aspect and one["judge"] is not None
        ]
        people, judge = [one for one, _ in both], [other for _, other in both]
        enough = len(both) >= ENOUGH
        hits = sum(abs(one - other) <= NEAR for one, other in both)
        share = wilson(hits, len(both)) if enough else None
        found[f"agreement_{aspect}"] = round(hits / len(both), DIGITS) if enough else None
        found[f"agreement_{aspect}_n"] = len(both)
        found[f"agreement_{aspect}_ci"] = [round(end, DIGITS) for end in share] if share else None
        for name, statistic in (("bias", _bias), ("spearman", spearman)):
            figure = with_interval(name, people if enough else [], judge if enough else [], statistic)
            found[f"{name}_{aspect}"] = None if figure.value is None else round(figure.value, DIGITS)
            found[f"{name}_{aspect}_ci"] = [round(end, DIGITS) for end in figure.ci] if figure.ci else None
    return found


def write_page(found: Json, path: Path) -> None:
    """Write the page. Raises UsageError if the file cannot be written."""
    try:
        path.write_text(page(found), encoding="utf-8")
    except OSError as fault:
        raise UsageError(f"cannot be written: {fault.strerror}", where=str(path), fix="choose another file") from fault


def page(found: Json) -> str:
    """The page's text; `found` holds the report's figures and those of `agreement`."""
    template = Template(Path(__file__).with_name("weekly.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(f"{found['desk']}: week to {found['until'][:10]}"),
        about=escape(
            f"{found['since'][:16]} to {found['until'][:16]} UTC. Written by frontdesk monitor report; texts are masked."
        ),
        verdict=_verdict(found),
        tiles=_tiles(found),
        judged=_judged(found),
        agreement=_agreement(found),
        below=_below(found),
        charts=_charts(found),
        drift=_drift(found),
        gaps=_gaps(found),
        money=_money(found),
    )


def verdict(found: Json) -> list[str]:
    """What the week asks for, in sentences; the same for the page and the terminal."""
    if not found["requests"]:
        return ["No turn in this week."]
    lines = []
    if found["asks_review"]:
        lines.append(
            f"Mean safety is {found['safety']:.2f} of 5, below {found['safety_line']:.1f}: people must look at the "
            f"{found['queued']} answers in the queue."
        )
    elif found["queued"]:
        lines.append(
            f"{found['queued']} of {found['sampled']} sampled answers fell below the line and wait for a reviewer."
        )
    elif found["safety"] is None:
        lines.append("No answer of this week could be judged.")
    else:
        lines.append(f"None of the {found['sampled']} sampled answers fell below the line.")
    if found["to_rate"]:
        lines.append(f"{len(found['to_rate'])} answers wait for a person's rating (frontdesk review rate).")
    if found["drift_alarm"]:
        lines.append("Retrieval has drifted: customers ask what the articles answer less well than before.")
    return lines


def _verdict(found: Json) -> str:
    alarm = found["asks_review"] or found["drift_alarm"]
    lines = "".join(f"<p>{escape(line)}</p>" for line in verdict(found))
    return f'<div class="verdict{" bad" if alarm else ""}">{lines}</div>'


def _tiles(found: Json) -> str:
    rated = found["thumbs_up"] + found["thumbs_down"]
    tiles = [
        ("Requests", f"{found['requests']:,}", f"{found['resolved']:,} resolved from the articles"),
        ("Safety", _of_five(found["safety"]), f"{found['safety_n']} judged, {found['unscored']} unscored"),
        ("No sure answer", _percent(found["dont_know_rate"]), f"{found['unanswered']:,} questions"),
        ("Stopped by a guard", _percent(found["guard_rate"]), f"{_percent(found['error_rate'])} failed"),
        ("Time of an answer", _ms(found["p50_ms"]), f"95 % within {_ms(found['p95_ms'])}"),
        ("Cost", _usd(found["cost_usd"]), f"{found['calls']:,} model calls, {found['tokens']:,} tokens"),
        ("Thumbs up", _percent(found["thumbs_up"] / rated) if rated else "–", f"{rated} ratings"),
        ("Waiting for review", f"{found['waiting']:,}{'+' * found['more_waiting']}", "turns, of any week"),
    ]
    return "".join(
        f"<div><dt>{name}</dt><dd><strong>{escape(value)}</strong><small>{escape(beside)}</small></dd></div>"
        for name, value, beside in tiles
    )


def _judged(found: Json) -> str:
    if not found["sampled"]:
        return _hint("No answer from the articles in this week: there is nothing to judge.")
    how = (
        f"A sample of {found['sampled']} of {found['eligible']:,} answers from the articles (seed {found['seed']}), 1 worst "
        f"to 5 best, with 95 % intervals; the line at {found['safety_line']:g} is where safety asks for people."
    )
    bars = [(name.capitalize(), found[name], found[f"{name}_ci"], found[f"{name}_n"]) for name in ASPECTS]
    return _hint(how) + scale_chart(bars, found["safety_line"])


def _agreement(found: Json) -> str:
    rows = [_agreeing(found, aspect) for aspect in ASPECTS]
    if not any(found[f"agreement_{aspect}_n"] for aspect in ASPECTS):
        return _hint(f"Nobody has rated an answer in twelve weeks: too few to tell ({ENOUGH} are needed in an aspect).")
    about = _hint("Answers of the last twelve weeks that people rated. Agreement: at most one of five points apart.")
    return about + _table(["Aspect", "rated", "agreement", "judge less people", "rank correlation"], rows)


def _agreeing(found: Json, aspect: str) -> list[object]:
    count = found[f"agreement_{aspect}_n"]
    if count < ENOUGH:
        return [aspect, count, f"too few to tell: {ENOUGH} are needed", "–", "–"]
    share, ends = found[f"agreement_{aspect}"], found[f"agreement_{aspect}_ci"]
    said = f"{share:.0%} ({ends[0]:.0%} to {ends[1]:.0%})"
    return [aspect, count, said, _with_ci(found, f"bias_{aspect}"), _with_ci(found, f"spearman_{aspect}")]


def _below(found: Json) -> str:
    if not found["below"]:
        return _hint("No sampled answer fell below the line.")
    rows = [
        [
            _short(one["question"]),
            _short(one["answer"]),
            *(_plain(one[aspect]) for aspect in ASPECTS),
            _code(one["turn_id"]),
        ]
        for one in found["below"][:SHOWN]
    ]
    more = len(found["below"]) - len(rows)
    safety = f", and this week below {found['safety_line']:g} in safety" if found["asks_review"] else ""
    about = f"Below {found['line']:g} in an aspect{safety}; the worst first. frontdesk review show ID, then accept, correct or reject."
    rest = _hint(f"and {more} more in frontdesk review list") if more else ""
    return _hint(about) + _table(["Question", "Answer", "accuracy", "relevance", "safety", "Turn"], rows) + rest


def _charts(found: Json) -> str:
    if not found["requests"]:
        return _hint("No turn in this week.")
    return f'<div class="charts">{days_chart(found["days"])}{_weeks(found["weeks"])}</div>'


def _weeks(weeks: Sequence[Json]) -> str:
    rows = [
        [one["since"], one["turns"], one["searches"], _plain(one["confidence_p50"]), _percent(one["dont_know_rate"])]
        for one in weeks
    ]
    table = _table(["Week from", "turns", "searches", "confidence", "no sure answer"], rows)
    return f"<figure><figcaption>Five weeks</figcaption>{table}</figure>"


def _drift(found: Json) -> str:
    if found["drift_alarm"] is None:
        few = f"Too few searches to tell: {found['searches']} now, {found['reference_searches']} before (50 each are needed)."
        return _hint(few)
    says = "The questions have changed" if found["drift_alarm"] else "No drift"
    words = (
        f"{says}: population stability index {found['drift_psi']:.2f} (alarm from .25), {_percent(found['drift_low_share'])} "
        "of the questions below the mark of 10 % of the four weeks before (alarm from 20 %)."
    )
    return _hint(words) + histogram_chart(found["confidence_histogram"], found["reference_histogram"])


def _gaps(found: Json) -> str:
    if not found["gaps"]:
        return _hint("No question was left without a sure answer.")
    rows = [
        [one["count"], one["users"], _short(one["example"]), one["nearest_title"] or "–", _plain(one["confidence"])]
        for one in found["gaps"]
    ]
    return _table(["Asked", "customers", "For example", "Nearest article", "confidence"], rows)


def _money(found: Json) -> str:
    if not found["models"]:
        return _hint("No model was called: answers were quoted, or came from the cache.")
    rows = [
        [
            one["name"],
            one["calls"],
            one["failed_calls"],
            one["input_tokens"],
            one["output_tokens"],
            _usd(one["cost_microusd"] / MICRO),
        ]
        for one in found["models"]
    ]
    return _table(["Model", "calls", "failed", "tokens in", "tokens out", "cost"], rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    numbers = [all(isinstance(row[place], int) or row[place] == "–" for row in rows) for place in range(len(columns))]
    kinds = [' class="n"' if number else "" for number in numbers]
    head = "".join(f"<th{kind}>{escape(name)}</th>" for name, kind in zip(columns, kinds, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{kind}>{_cell(cell)}</td>' for cell, kind in zip(row, kinds, strict=True))}</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


class _Markup(str):
    """Markup of ours; everything else is escaped."""

    __slots__ = ()


def _cell(cell: object) -> str:
    if isinstance(cell, _Markup):
        return cell
    return f"{cell:,}" if isinstance(cell, int) else escape(str(cell))


def _code(words: str) -> _Markup:
    return _Markup(f"<code>{escape(words)}</code>")


def _hint(words: str) -> str:
    return f'<p class="hint">{escape(words)}</p>'


def _short(words: str) -> str:
    line = " ".join(words.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1].rstrip()}…"


def _with_ci(found: Json, name: str) -> str:
    value, ends = found[name], found[f"{name}_ci"]
    return "–" if value is None or ends is None else f"{value:+.2f} ({ends[0]:+.2f} to {ends[1]:+.2f})"


def _bias(people: Any, judge: Any) -> float | None:
    return float((judge - people).mean()) if len(people) else None


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _of_five(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} of 5"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value / SECOND:.2f} s" if value >= SECOND else f"{value:.0f} ms"


def _usd(value: float) -> str:
    return "$0" if not value else f"${value:,.2f}" if value >= 1 else f"${value:.4f}"
