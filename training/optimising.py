"""`frontdesk optimise` on a desk: its models, its cases or a file's, its books, and the registry of its prompts."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from domain.errors import UsageError
from domain.ports import ModelCard, Progress
from domain.receipt import MICRO
from domain.settings import Settings
from domain.turn import Tier
from evals.asking import opened
from evals.run import Result, Run
from graph import prompting
from graph.service import Service
from models.catalog import load_catalog
from prompts import Prompt, PromptLibrary
from prompts.registry import parse_prompt, prompt_file
from retrieval import default_rag_config, load_rag_config
from store.limits import Slot
from training.asking import Asking
from training.desk_subjects import Judging, Shelf, answer_subject, rewrite_subject
from training.gepa import best_instruction, need_dspy
from training.optimise import Optimised, Plan, Search, optimise
from training.optimised import new_version, report
from training.splitting import drawn
from training.subjects import Subject, judge_subject, scope_subject

Name = Literal["answer", "scope", "judge", "rewrite"]
FOLDER = "optimise"
WHO = "frontdesk optimise"
SECONDS = 600.0
"""What one call may take: nobody waits for it, and a teacher writes a page."""
DIGEST = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a command asks for. Empty model names: the cheapest that is up, and the best. `cost_limit` in dollars.

    `sample`: at most so many rows to learn and choose from, and so many to be judged on; 0: all of them.
    """

    name: Name
    budget: int
    student: str = ""
    teacher: str = ""
    judge: str = ""
    start: str = ""
    data: Path | None = None
    held_out: Path | None = None
    categories: Path | None = None
    cost_limit: float | None = None
    sample: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured, and the label of the version that was registered; empty where the start is kept."""

    result: Result
    registered: str
    folder: Path


async def run_optimise(
    settings: Settings, wanted: Wanted, *, say: Callable[[str], None], progress: Progress
) -> Outcome:
    """Open the desk, optimise, register. Raises UsageError without DSPy, and what optimising raises."""
    if wanted.name not in get_args(Name):
        known = ", ".join(get_args(Name))
        raise UsageError("cannot be optimised", where=wanted.name, fix=f"there are: {known}")
    need_dspy()
    patient = settings.model_copy(update={"llm_timeout": max(settings.llm_timeout, SECONDS)})
    async with opened(Run(patient, say, progress)) as service:
        return await optimise_desk(service, wanted, best_instruction, say=say, progress=progress)


async def optimise_desk(
    service: Service, wanted: Wanted, search: Search, *, say: Callable[[str], None], progress: Progress
) -> Outcome:
    """Optimise a prompt of an open desk with a search. Raises UsageError, ModelDownError, BudgetError."""
    start = service.prompts.get(wanted.start or wanted.name)
    student, teacher = _model(service, wanted.student, "simple"), _model(service, wanted.teacher, "complex")
    work = _work(wanted, start, student.name, teacher.name)
    folder = service.state_folder / FOLDER / work
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    asking = Asking(
        service.chat, service.store.ledger, service.clock, work=work, desk=service.state_folder.name, folder=folder
    )
    subject = _drawn(await _subject(service, wanted, student, asking), wanted.sample)
    plan = Plan(student.name, teacher.name, wanted.budget, folder)
    purse = Slot("key", work, "ever")
    if wanted.cost_limit is not None:
        await asyncio.to_thread(service.store.budget.change, purse, round(wanted.cost_limit * MICRO), WHO)
    try:
        done = await optimise(
            subject,
            start,
            service.prompts.get("reflect"),
            plan=plan,
            asking=asking,
            search=search,
            say=say,
            progress=progress,
        )
    finally:
        if wanted.cost_limit is not None:
            await asyncio.to_thread(service.store.budget.change, purse, None, WHO, forget=True)
    label = await _registered(service, done, report(done, subject, plan, asking, ""))
    return Outcome(report(done, subject, plan, asking, label), label, folder)


async def _subject(service: Service, wanted: Wanted, student: ModelCard, asking: Asking) -> Subject:
    desk, data, held_out = service.profile.name, wanted.data, wanted.held_out
    if wanted.name in ("scope", "judge"):
        if data is None:
            raise UsageError("rows of your own are needed", where=f"optimise {wanted.name}", fix="--data FILE")
        if wanted.name == "judge":
            return judge_subject(data, held_out)
        return scope_subject(data, desk, categories=wanted.categories, held_out=held_out)
    config = load_rag_config(service.settings.rag_config or default_rag_config(service.profile.languages))
    shelf = Shelf(service.profile, service.knowledge.public, service.embedder, top_k=config.top_k, reader=student)
    if wanted.name == "rewrite":
        return await rewrite_subject(shelf, service.desk_folder, data=data, held_out=held_out)
    judge = None
    if wanted.judge:
        name = _model(service, wanted.judge, "complex").name
        judge = Judging(asking, service.prompts.get("judge"), name)
    return await answer_subject(shelf, service.desk_folder, data=data, held_out=held_out, judge=judge)


def _drawn(subject: Subject, most: int) -> Subject:
    held = None if subject.held_out is None else drawn(subject.held_out, most)
    return replace(subject, rows=drawn(subject.rows, most), held_out=held)


def _model(service: Service, name: str, tier: Tier) -> ModelCard:
    """A model by name, else the one of a tier. Raises UsageError naming those that are up."""
    up = [model for model, able in service.chat.up().items() if able]
    if not up:
        raise UsageError("no model is up", where="optimise", fix="frontdesk doctor tells why")
    if name and name not in up:
        raise UsageError("no such model is up", where=name, fix=f"there are: {', '.join(up)}")
    card = service.chat.choose(tier, 1.0)
    assert card is not None  # one is up
    row = load_catalog().find(name)
    return ModelCard(name, card.mode, row.tier if row else tier, bool(row and row.weak)) if name else card


async def _registered(service: Service, done: Optimised, result: Result) -> str:
    version = new_version(done, service.prompts.all(), result)
    if version is None:
        return ""
    text = prompt_file(version)
    same = _same_text(service.prompts, text)
    if same:
        return same.label
    await prompting.register(service, text=text, who=WHO)
    return version.label


def _same_text(library: PromptLibrary, text: str) -> Prompt | None:
    """A version that says so already: a finished run that is run again makes no second one."""
    new = parse_prompt(text, where=WHO)
    return next((each for each in library.all() if each.hash == new.hash), None)


def _work(wanted: Wanted, start: Prompt, student: str, teacher: str) -> str:
    """Names a run by all that its answers depend on, so that the same command goes on where it was killed."""
    files = [wanted.data, wanted.held_out, wanted.categories]
    contents = [hashlib.sha256(path.read_bytes()).hexdigest() if path and path.is_file() else "" for path in files]
    plain = json.dumps(
        [start.hash, student, teacher, wanted.judge, contents, *([wanted.sample] if wanted.sample else [])]
    )
    return f"optimise-{wanted.name}-{hashlib.sha256(plain.encode()).hexdigest()[:DIGEST]}"
