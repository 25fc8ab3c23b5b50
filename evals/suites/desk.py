"""The desk's own cases, through the whole graph: whether the right thing is said, cited, refused, kept in.

A case passes the Desk as a customer's question does, in a thread of its own, with its `history` as what was
said before. Turns are not judged, so that times are those of answers alone. With `--compare` every case is put
through under two choices (`prompt=answer@2`, `model=quote`, `tier=complex,prompt=bad`), and held case against case.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from domain.errors import NotMeasuredError, UsageError
from domain.ports import ModelCard
from domain.turn import Pins, Tier
from evals.asking import Scored, bench_of, opened, put_through
from evals.cases import FILES, SECRET_FILES, Unscored, read_cases
from evals.cost import expected_cost
from evals.fingerprint import code_hash, hash_of, hash_of_config, hash_of_files
from evals.judging import ToRate, judge_of, rate_all, with_ratings
from evals.paired import difference_interval, mcnemar_p, pair
from evals.run import Figure, Miss, Result, Row, Run, share
from evals.runner import Kept, drawn
from evals.spreading import hire_for
from evals.stats import percentile
from graph.service import Service
from scoring.rubric import Judged, Rated

NAME = "desk"


async def measure(run: Run) -> Result:
    """Put the cases through the desk. Raises UsageError without cases, HomeInUseError while a server owns the desk."""
    variants = [pins_of(text) for text in run.compare or ()]
    async with opened(run) as service:
        if variants:
            return await _compared(run, service, variants)
        taken = await take(run, service)
    return taken.result


@dataclass(frozen=True, slots=True)
class Taken:
    """The cases of a run as they were put through, and the figures."""

    scored: list[Scored]
    unscored: list[Unscored]
    result: Result

    def right(self) -> dict[str, bool]:
        """By case, whether it was answered right; without what could not be scored."""
        return {one.case.id: one.answered_right for one in self.scored}


async def take(run: Run, service: Service, pins: Pins | None = None) -> Taken:
    """Put the cases through an open desk; those that an earlier try of the same run has put through are not asked again.

    Raises UsageError without cases, NotMeasuredError where not one gave an answer.
    """
    files = [run.data] if run.data else [service.desk_folder / "cases" / name for name in FILES[run.split]]
    cases, broken = read_cases([path for path in files if run.data or path.is_file()])
    for row in broken:
        run.say(f"{row.id}: unscored: {row.why}")
    if not cases:
        raise UsageError("no cases", where=str(files[0]), fix="add rows, or pass --data FILE")
    cases = drawn(cases, run.sample, run.seed)
    secret = any(path.name in SECRET_FILES for path in files)
    config = config_of(run, service, pins, files)
    cards = cards_of(service, pins)
    run = paced(run, cards)
    run.say(expected_cost(cards, len(cases), service.clock.now().date()))
    kept = None if secret else kept_rows(run, NAME, config)
    hire = await hire_for(run, service, pins or Pins(judge=False), cards)
    bench = bench_of(service, by_model=bool(cards))
    scored, unscored = await put_through(bench, cases, run, pins, kept, hire=hire)
    if not scored:
        raise NotMeasuredError(f"not one of {len(cases)} cases gave an answer", where="eval desk", fix=unscored[0].why)
    if unscored:
        run.say(f"{len(unscored)} of {len(cases)} cases gave no answer; the first: {unscored[0].why}")
    rated = await _rated(run, service, scored, None if secret else kept_rows(run, f"{NAME}-judge", config))
    if kept:
        kept.forget()
    about: dict[str, object] = {
        "desk": service.profile.name,
        "split": str(run.data or run.split),
        "parallel": run.parallel,
        "modes": dict(Counter(one.reply.mode for one in scored)),
        "broken_rows": len(broken),
        "cached_calls": run.calls.hits if run.calls else 0,
    }
    result = summed_up(scored, [*broken, *unscored], about, secret=secret)
    mask = service.guards.mask
    rows = [replace(row, expected=await mask(row.expected), why=await mask(row.why)) for row in result.rows]
    result = with_ratings(replace(result, rows=rows), rated)
    return Taken(scored, [*broken, *unscored], replace(result, config=config))


async def _rated(run: Run, service: Service, scored: Sequence[Scored], kept: Kept | None) -> dict[str, Rated]:
    """What the judge says of the answers, where `run.judge` names one; small talk and questions back are left out."""
    answers = [one for one in scored if one.reply.outcome == "answer" and not one.reply.reason]
    if not run.judge or not answers:
        return {}
    judge = judge_of(run, service, list({one.reply.model for one in answers if one.reply.model}))
    rows = [
        ToRate(
            one.case.id,
            Judged(
                one.reply.question,
                one.reply.answer,
                "\n\n".join(one.reply.passages),
                "; ".join(" or ".join(wordings) for wordings in one.case.facts),
                one.reply.model,
            ),
        )
        for one in answers
    ]
    rated = await rate_all(rows, judge, run, kept)
    if kept:
        kept.forget()
    return rated


def cards_of(service: Service, pins: Pins | None) -> list[ModelCard]:
    """The models that may be asked; none where answers are quoted."""
    if pins and pins.model == "quote":
        return []
    tiers: list[Tier] = [pins.tier] if pins and pins.tier else ["simple", "medium", "complex"]
    found = {card.name: card for tier in tiers if (card := service.chat.choose(tier, 1.0))}
    return list(found.values())


def paced(run: Run, cards: Sequence[ModelCard]) -> Run:
    """The run, one turn at a time where the model of this process answers: others would wait until their time is over."""
    return replace(run, parallel=1) if any(card.mode == "local" for card in cards) else run


def config_of(run: Run, service: Service, pins: Pins | None, files: Sequence[Path]) -> dict[str, str]:
    """What the figures depend on beside chance, by name: values where they are short, hashes where they are not."""
    prompt = service.prompts.get((pins.prompt if pins else "") or "answer")
    limits = {"guards": service.settings.guard_thresholds, "ner": service.settings.ner}
    return {
        "desk": hash_of_files([service.desk_folder / "desk.yaml"]),
        "knowledge": service.knowledge.version,
        "prompt": f"{prompt.label} {hash_of(prompt.hash)}",
        "rag_config": service.settings.rag_config or "default",
        "models": ", ".join(card.name for card in cards_of(service, pins)) or "quote",
        "server": service.settings.llm_base_url,
        "pins": hash_of_config(asdict(pins)) if pins else "",
        "limits": hash_of_config(limits),
        "rows": hash_of_files(files),
        "sample": f"{run.sample} by {run.seed}" if run.sample else "all",
        "judge": run.judge,
        "code": code_hash(),
    }


def kept_rows(run: Run, suite: str, config: Mapping[str, str]) -> Kept | None:
    """What an earlier try of the same run left behind, said aloud; None where nothing is to be kept."""
    if run.unfinished is None:
        return None
    kept = Kept(run.unfinished / f"{suite}-{hash_of_config(config)}.jsonl")
    if run.fresh:
        kept.forget()
    if kept.done:
        run.say(f"going on with a run that was stopped: {len(kept.done)} rows are there (--fresh begins anew)")
    return kept


def pins_of(text: str) -> Pins:
    """A variant as `name=value,name=value`; a word alone is a prompt. Raises UsageError naming what may be chosen."""
    known = [each.name for each in fields(Pins) if isinstance(each.default, str)]
    chosen: dict[str, str] = {}
    for part in text.split(","):
        name, found, value = part.partition("=")
        name, value = (name.strip(), value.strip()) if found else ("prompt", name.strip())
        if name not in known or not value:
            raise UsageError("no such choice", where=part, fix=f"name=value with one of {', '.join(known)}")
        chosen[name] = value
    try:
        return TypeAdapter(Pins).validate_python({"judge": False, **chosen})
    except ValidationError as fault:
        raise UsageError("no such choice", where=text, fix=str(fault.errors()[0]["msg"])) from fault


async def _compared(run: Run, service: Service, variants: Sequence[Pins]) -> Result:
    first, second = [await take(run, service, pins) for pins in variants]
    return held_against(run.compare or ("", ""), first, second)


def held_against(names: tuple[str, str], first: Taken, second: Taken) -> Result:
    """Both variants on the same cases; `diff_…` is the second less the first, `saved` the share of the first's money."""
    held = pair(first.right(), second.right())
    changes = [-1] * len(held.lost) + [1] * len(held.won) + [0] * (held.both - len(held.lost) - len(held.won))
    secret = not first.result.by_kind
    misses = [Miss(one, "lost", f"right only with {names[0]}") for one in held.lost]
    misses += [Miss(one, "won", f"right only with {names[1]}") for one in held.won]
    about = {"a": names[0], "b": names[1], **first.result.about}
    return Result(
        NAME,
        about | {"lost": len(held.lost), "won": len(held.won)},
        [
            *(replace(figure, name=f"a_{figure.name}") for figure in first.result.figures),
            *(replace(figure, name=f"b_{figure.name}") for figure in second.result.figures),
            Figure("diff_answered_right", held.difference, held.both, difference_interval(changes)),
            Figure("mcnemar_p", mcnemar_p(len(held.lost), len(held.won)), held.both),
            Figure("saved", _saved(first.scored, second.scored), held.both),
        ],
        {},
        [] if secret else misses,
        [*first.result.failed, *second.result.failed],
        rows=second.result.rows,
        other_rows=first.result.rows,
        config={
            f"{side}_{name}": value
            for side, one in (("a", first), ("b", second))
            for name, value in one.result.config.items()
        },
    )


def _saved(first: Sequence[Scored], second: Sequence[Scored]) -> float | None:
    """The share of the first's money that the second did without, on the cases that both have scored; None for nothing spent."""
    both = {one.case.id for one in first} & {one.case.id for one in second}
    spent, less = (sum(one.reply.cost_usd for one in side if one.case.id in both) for side in (first, second))
    return 1 - less / spent if spent else None


def summed_up(
    scored: Sequence[Scored], unscored: Sequence[Unscored], about: dict[str, object], *, secret: bool
) -> Result:
    """The figures; of secret cases totals only."""
    shown = [one for one in scored if one.shows_internal]
    failed = []
    if shown:
        which = "" if secret else f" ({', '.join(one.case.id for one in shown)})"
        failed.append(f"desk: internal or forbidden text was shown in {len(shown)} of {len(scored)} cases{which}")
    if not scored:
        failed.append("desk: not one case could be scored")
    counts = {"cases": len(scored) + len(unscored), "scored": len(scored), "unscored": len(unscored)}
    by_kind: dict[str, list[Scored]] = {}
    for one in scored:
        by_kind.setdefault(one.case.kind, []).append(one)
    return Result(
        NAME,
        about | counts,
        _figures(scored),
        {} if secret else {kind: _figures_of_kind(group) for kind, group in sorted(by_kind.items())},
        [] if secret else _misses(scored, unscored),
        failed,
        rows=[] if secret else [row_of(one) for one in scored],
    )


def row_of(one: Scored) -> Row:
    """A case as a stored run keeps it."""
    scores = {"answered_right": one.answered_right, "outcome_right": one.outcome_right}
    if one.case.outcome == "answer" and one.case.relevant:
        scores["cited_right"] = one.cited_right
    return Row(
        id=one.case.id,
        kind=one.case.kind,
        scores={name: float(held) for name, held in scores.items()},
        question=one.reply.question,
        expected="; ".join(
            [f"{one.case.outcome}{f'/{one.case.reason}' if one.case.reason else ''}", *map(" | ".join, one.case.facts)]
        ),
        answer=one.reply.answer,
        why=one.why,
        trace_id=one.reply.trace_id,
        cost_usd=one.reply.cost_usd,
        ms=one.reply.latency_ms,
    )


def _misses(scored: Sequence[Scored], unscored: Sequence[Unscored]) -> list[Miss]:
    wrong = [Miss(one.case.id, one.case.kind, one.why) for one in scored if one.why]
    return [*wrong, *(Miss(one.id, "unscored", one.why) for one in unscored)]


def _figures(scored: Sequence[Scored]) -> list[Figure]:
    said_unknown = [one for one in scored if one.reply.outcome == "dont_know"]
    unknown = [one for one in scored if one.case.outcome == "dont_know"]
    times = [one.reply.latency_ms for one in scored]
    cost = sum(one.reply.cost_usd for one in scored)
    return [
        *_figures_of_kind(scored),
        share("dont_know_precision", [one.case.outcome == "dont_know" for one in said_unknown]),
        share("dont_know_recall", [one.reply.outcome == "dont_know" for one in unknown]),
        share("refused_right", [one.reply.outcome == "refuse" for one in scored if one.case.outcome == "refuse"]),
        Figure("internal_shown", sum(one.shows_internal for one in scored), len(scored)),
        Figure("cost_usd", cost, len(scored)),
        Figure("ms_p50", percentile(times, 50), len(times)),
        Figure("ms_p95", percentile(times, 95), len(times)),
    ]


def _figures_of_kind(scored: Sequence[Scored]) -> list[Figure]:
    citing = [one for one in scored if one.case.outcome == "answer" and one.case.relevant]
    return [
        share("answered_right", [one.answered_right for one in scored]),
        share("outcome_right", [one.outcome_right for one in scored]),
        share("cited_right", [one.cited_right for one in citing]),
    ]
