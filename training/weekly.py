"""`frontdesk improve`: what happened, what waits for a person, which candidates there are, and whether one is better.

What the desk knows is asked of whoever owns its state (`Ask`), so that a server goes on serving; what is measured is
measured in state folders of its own.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from domain.errors import ConflictError, UsageError
from domain.ports import Progress
from domain.profile import GuardFamily
from domain.release import BUILT_IN, Release
from domain.settings import Settings
from domain.turn import Pins
from evals.cases import FILES
from evals.releases import answering
from evals.run import Run, Split
from evals.suites.desk import Taken, cards_of, take
from graph.profiles import find_desk, read_profile, write_guards
from graph.service import Service
from retrieval import load_rag_config
from retrieval.config import FOLDER
from training.improving import Candidate, Week, weigh_all
from training.reviewed_guards import Block, Learnt, learn

Json = dict[str, Any]
ANSWER = "answer"
NAMES = ("", "-2", "-3", "-4")
"""Ends of the names of releases that are proposed on one day for one candidate."""


class Ask(Protocol):
    """Carries out an operation of graph/operations.py where the desk's state is. Raises what it raises."""

    async def __call__(self, operation: str, *, progress: Progress | None = None, **fields: object) -> Json: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command asks for. `prompts` and `rag_configs`: candidates by name beside those that are found."""

    since: str = "7d"
    prompts: Sequence[str] = ()
    rag_configs: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """The week so far: the report's figures, the review queue, what reviewed blocks ask for, and the candidates.

    ready: reviewed turns that would become cases
    serving: the release that answers here
    """

    stats: Json
    queue: Json
    ready: int
    learnt: Learnt
    serving: Release
    candidates: list[Candidate]


@dataclass(frozen=True, slots=True)
class Proposed:
    """What became of the best candidate: the next step, the release that was made of it, whether desk.yaml was written.

    `trouble`: why there is no release although there should be one.
    """

    next_step: str
    release: str = ""
    written: bool = False
    trouble: str = ""


async def look(settings: Settings, asked: Asked, ask: Ask) -> Seen:
    """What happened and what might be better. Raises UsageError without cases, and for a name that there is not."""
    folder = find_desk(settings.desk)
    if not any((folder / "cases" / name).is_file() for name in FILES["dev"]):
        raise UsageError(
            "this desk has no cases", where=str(folder / "cases"), fix="write dev.jsonl: docs/evaluation.md"
        )
    stats, queue = await ask("stats", since=asked.since), await ask("review", since=asked.since)
    ready = len((await ask("review.cases", write=False))["cases"])
    blocks = [Block(**row) for row in (await ask("review.blocks"))["blocks"]]
    serving = Release.model_validate((await ask("release.show"))["release"])
    profile = read_profile(folder)
    known = [*profile.scope.in_, *profile.scope.out]
    learnt = learn(blocks, profile.guards.thresholds | serving.thresholds, known)
    found = [*await _prompts(asked, serving, ask), *_rag_configs(asked, serving), *guards(learnt)]
    return Seen(stats, queue, ready, learnt, serving, found)


async def _prompts(asked: Asked, serving: Release, ask: Ask) -> list[Candidate]:
    """Versions of the answer prompt that the desk has registered, and those that were named."""
    listed = (await ask("prompts"))["prompts"]
    own = [row["label"] for row in listed if row["name"] == ANSWER and not row["shipped"]]
    named = [(await ask("prompts.show", name=name))["label"] for name in asked.prompts]
    return [
        Candidate("prompt", label, pins=Pins(prompt=label, judge=False))
        for label in dict.fromkeys([*own, *named])
        if label != serving.prompts[ANSWER]
    ]


def _rag_configs(asked: Asked, serving: Release) -> list[Candidate]:
    """Ways to search with the same embedder, and those that were named. Raises KnowledgeError."""
    config = load_rag_config(serving.rag_config.partition("@")[0])
    others = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    like = [name for name in others if load_rag_config(name).embedder == config.embedder]
    return [
        Candidate("rag_config", name, rag_config=name)
        for name in dict.fromkeys([*like, *asked.rag_configs])
        if load_rag_config(name).label != config.label
    ]


def guards(learnt: Learnt) -> list[Candidate]:
    """What reviewed blocks ask for, as one candidate or none."""
    if not (learnt.thresholds or learnt.inside or learnt.outside):
        return []
    parts = [f"{family} {value:g}" for family, value in learnt.thresholds.items()]
    parts += [f"{len(learnt.inside)} examples in scope"] if learnt.inside else []
    parts += [f"{len(learnt.outside)} examples out of scope"] if learnt.outside else []

    def edit(folder: Path) -> None:
        write_guards(
            folder,
            {str(family): value for family, value in learnt.thresholds.items()},
            inside=learnt.inside,
            outside=learnt.outside,
        )

    return [Candidate("guards", "reviewed blocks", thresholds=learnt.thresholds, edit=edit, about=", ".join(parts))]


@dataclass(frozen=True, slots=True)
class Held:
    """What came of the candidates, and a line for each that cannot make a difference here."""

    week: Week
    notes: list[str] = field(default_factory=list)


async def hold(run: Run, seen: Seen) -> Held:
    """Hold the candidates against what serves; changes nothing. Raises UsageError, NotMeasuredError."""
    async with answering(run, seen.serving) as service:
        bench = _Bench(run, seen.serving, service)
        kept, notes = bench.able(seen.candidates)
        for line in notes:
            run.say(line)
        return Held(await weigh_all(kept, bench.measure, run.say), notes)


async def propose(settings: Settings, seen: Seen, week: Week, ask: Ask, *, write: bool) -> Proposed:
    """Make a release of what is proposed, with its evidence; it answers nowhere yet.

    `write`: examples and thresholds go into desk.yaml too. A way to search becomes a release once an ingest has used it.
    Raises what `release.create` raises.
    """
    best = week.proposed
    if best is None:
        return Proposed("frontdesk review list")
    if best.rag_config:
        return Proposed(f"FRONTDESK_RAG_CONFIG={best.rag_config} frontdesk eval gate")
    if best.edit and not write:
        return Proposed("frontdesk improve --write")
    if best.edit:
        await asyncio.to_thread(best.edit, find_desk(settings.desk))
        if seen.serving.name == BUILT_IN:  # which is what desk.yaml says; any other release has pinned its own
            return Proposed("frontdesk eval gate", written=True)
    prompts = {ANSWER: best.pins.prompt} if best.pins else {}
    name = await _made(ask, seen, week, prompts, best.thresholds)
    await ask("release.gate", name=name, passed=True, figures=evidence(week))
    return Proposed(f"frontdesk release promote {name} --to staging", name, written=bool(best.edit))


async def _made(
    ask: Ask, seen: Seen, week: Week, prompts: Mapping[str, str], thresholds: Mapping[GuardFamily, float]
) -> str:
    """Pin what is proposed under a name of the day; the name. Raises ConflictError where there are too many."""
    day = seen.queue["until"][:10]
    what = prompts[ANSWER].replace("@", "-").replace("_", "-") if prompts else "thresholds"
    for end in NAMES:
        name = f"{day}-{what}{end}"
        try:
            await ask("release.create", name=name, prompts=dict(prompts), thresholds=dict(thresholds), note=week.why)
        except ConflictError:
            continue
        return name
    raise ConflictError("was proposed often enough today", where=f"{day}-{what}", fix="frontdesk release list")


def evidence(week: Week) -> dict[str, float | None]:
    """The figures that a proposed release is kept with."""
    best = next(one for one in week.weighed if one.candidate == week.proposed)
    figures: dict[str, float | None] = {
        "cases": float(best.held.both),
        "won": float(len(best.held.won)),
        "lost": float(len(best.held.lost)),
        "diff": round(best.held.difference, 4),
    }
    if week.confirmed:
        figures |= {
            "held_out_cases": float(week.confirmed.held.both),
            "held_out_diff": round(week.confirmed.held.difference, 4),
        }
    return figures


class _Bench:
    """Puts cases through what serves and through candidates."""

    def __init__(self, run: Run, serving: Release, service: Service) -> None:
        self._run, self._serving, self._service = run, serving, service
        self._folder = find_desk(run.settings.desk)

    def able(self, found: Sequence[Candidate]) -> tuple[list[Candidate], list[str]]:
        """The candidates that can make a difference here, and a line for those that cannot."""
        if cards_of(self._service, None):
            return list(found), []
        prompts = [each.name for each in found if each.kind == "prompt"]
        told = [f"answers are quoted, no model is up: {', '.join(prompts)} cannot be measured"] if prompts else []
        return [each for each in found if each.kind != "prompt"], told

    async def measure(self, candidate: Candidate | None, split: Split) -> Taken | None:
        """The cases of a split under a candidate; None where the desk has none. Raises what `eval desk` raises."""
        if not any((self._folder / "cases" / name).is_file() for name in FILES[split]):
            return None
        # A sample is for the first look: what is proposed is confirmed on every held-out case.
        run = replace(self._run, split=split, sample=self._run.sample if split == "dev" else 0)
        if candidate is None or candidate.pins:
            return await take(run, self._service, candidate.pins if candidate else None)
        async with self._changed(run, candidate) as service:
            return await take(run, service)

    @asynccontextmanager
    async def _changed(self, run: Run, candidate: Candidate) -> AsyncIterator[Service]:
        """The desk as the candidate would have it: another release, and what is edited in a copy of its folder."""
        release = self._serving
        if candidate.rag_config:
            release = release.model_copy(update={"rag_config": load_rag_config(candidate.rag_config).label})
        release = release.model_copy(update={"thresholds": {**release.thresholds, **candidate.thresholds}})
        async with AsyncExitStack() as closing:
            if candidate.edit:
                place = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="frontdesk-improve-")))
                copy = place / self._folder.name
                await asyncio.to_thread(shutil.copytree, self._folder, copy)
                await asyncio.to_thread(candidate.edit, copy)
                run = replace(run, settings=run.settings.model_copy(update={"desk": str(copy)}))
            yield await closing.enter_async_context(answering(run, release))
