"""`frontdesk improve`: what happened, what waits for a person, which candidates there are, and whether one is better."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from domain.errors import UsageError
from domain.ports import Progress
from domain.settings import Settings
from domain.turn import Pins
from evals.asking import opened
from evals.cases import FILES
from evals.run import Run, Split
from evals.suites.desk import Taken, cards_of, take
from graph import figures, reviewing
from graph.cases import cases
from graph.profiles import find_desk, write_guards
from graph.service import Service
from retrieval import default_rag_config, load_rag_config
from retrieval.config import FOLDER
from training.improving import Candidate, Week, weigh_all
from training.reviewed_guards import Learnt, learn, reviewed_blocks

Json = dict[str, Any]
ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command asks for. `prompts` and `rag_configs`: candidates by name beside those that are found.

    `write`: guards that the gate has let pass and held-out cases confirm go into desk.yaml.
    """

    since: str = "7d"
    prompts: Sequence[str] = ()
    rag_configs: Sequence[str] = ()
    write: bool = False


@dataclass(frozen=True, slots=True)
class Improved:
    """The week: the report's figures, the review queue, what reviewed blocks ask for, and what came of the candidates."""

    stats: Json
    queue: Json
    ready: int
    learnt: Learnt
    week: Week
    next_step: str
    written: bool = False
    notes: list[str] = field(default_factory=list)


async def improve(settings: Settings, asked: Asked, *, say: Callable[[str], None], progress: Progress) -> Improved:
    """One round of the loop; promotes nothing. Raises UsageError without cases, HomeInUseError, NotMeasuredError."""
    folder = find_desk(settings.desk)
    if not any((folder / "cases" / name).is_file() for name in FILES["dev"]):
        raise UsageError(
            "this desk has no cases", where=str(folder / "cases"), fix="write dev.jsonl: docs/evaluation.md"
        )
    async with opened(Run(settings.model_copy(update={"llm": "off"}), say, progress)) as service:
        stats = await figures.stats(service, since=asked.since)
        queue = await reviewing.review(service, since=asked.since)
        ready = len((await cases(service, write=False))["cases"])
        blocks = await asyncio.to_thread(reviewed_blocks, service)
        scope = service.profile.scope
        learnt = learn(blocks, service.profile.guards.thresholds, [*scope.in_, *scope.out])
        found = candidates(service, asked, learnt)
    run = Run(settings, say, progress)
    async with _measuring(run, folder) as bench:
        kept, notes = bench.able(found)
        for line in notes:
            say(line)
        week = await weigh_all(kept, bench.measure, say)
    best = week.proposed
    written = bool(asked.write and best and best.edit)
    if written and best and best.edit:
        await asyncio.to_thread(best.edit, folder)
    return Improved(stats, queue, ready, learnt, week, next_step(best, written=written), written, notes)


def candidates(service: Service, asked: Asked, learnt: Learnt) -> list[Candidate]:
    """Registered versions of the answer prompt, ways to search with the same embedder, and what reviewed blocks ask for.

    Raises UsageError, KnowledgeError for a name that there is not.
    """
    own = [each.label for each in service.prompts.all() if each.name == ANSWER and not service.prompts.ships(each)]
    named = [service.prompts.get(name).label for name in asked.prompts]
    serves = service.prompts.get(ANSWER).label
    found = [
        Candidate("prompt", label, pins=Pins(prompt=label, judge=False))
        for label in dict.fromkeys([*own, *named])
        if label != serves
    ]
    config = load_rag_config(service.settings.rag_config or default_rag_config(service.profile.languages))
    others = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    like = [name for name in others if load_rag_config(name).embedder == config.embedder]
    found += [
        Candidate("rag_config", name, rag_config=name)
        for name in dict.fromkeys([*like, *asked.rag_configs])
        if load_rag_config(name).label != config.label
    ]
    return found + _guards(learnt)


def next_step(best: Candidate | None, *, written: bool) -> str:
    """The command that brings what is proposed further."""
    if best is None:
        return "frontdesk review list"
    if best.kind == "rag_config":
        return f"FRONTDESK_RAG_CONFIG={best.rag_config} frontdesk eval gate"
    if best.kind == "guards":
        return "frontdesk eval gate" if written else "frontdesk improve --write"
    return f"frontdesk release create {best.name.replace('@', '-')} --prompt {ANSWER}={best.name}"


def _guards(learnt: Learnt) -> list[Candidate]:
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

    return [Candidate("guards", "reviewed blocks", edit=edit, about=", ".join(parts))]


class _Measuring:
    """Puts cases through the desk and through candidates, each in a state folder of its own."""

    def __init__(self, run: Run, folder: Path, service: Service) -> None:
        self._run, self._folder, self._service = run, folder, service

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
        run = replace(self._run, split=split)
        if candidate is None or candidate.pins:
            return await take(run, self._service, candidate.pins if candidate else None)
        async with _alone(run, self._folder, candidate) as service:
            return await take(run, service)


@asynccontextmanager
async def _measuring(run: Run, folder: Path) -> AsyncIterator[_Measuring]:
    async with _alone(run, folder, None) as service:
        yield _Measuring(run, folder, service)


@asynccontextmanager
async def _alone(run: Run, folder: Path, candidate: Candidate | None) -> AsyncIterator[Service]:
    """The desk over the articles in its folder, in a state folder that goes; what serves customers is not touched."""
    async with AsyncExitStack() as closing:
        place = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="frontdesk-improve-")))
        changes: dict[str, object] = {"home": place / "state"}
        if candidate and candidate.rag_config:
            changes["rag_config"] = candidate.rag_config
        if candidate and candidate.edit:
            copy = place / folder.name
            await asyncio.to_thread(shutil.copytree, folder, copy)
            await asyncio.to_thread(candidate.edit, copy)
            changes["desk"] = str(copy)
        service = await closing.enter_async_context(
            opened(replace(run, settings=run.settings.model_copy(update=changes)))
        )
        if not service.knowledge.version:
            fix = "put the articles into the desk's folder knowledge/"
            raise UsageError("there are no articles to answer from", where=str(folder), fix=fix)
        yield service
