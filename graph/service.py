"""A running installation of one desk: the real things, named, for the doors above."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from domain.ports import Clock, Embedder, Tracer
from domain.profile import DeskProfile
from domain.settings import Settings
from graph.desk import Desk
from graph.exporting import Exporter
from graph.releases import Releases
from guards import Guards, ScopeFilter
from models.chat import ModelClient
from models.embedded import LocalModel
from models.learned_router import LearnedRouter
from prompts import PromptLibrary
from retrieval import Knowledge
from scoring import LocalJudge
from store import HomeLock, Store
from tracing import Metrics

State = Literal["ok", "degraded", "down", "off"]


@dataclass(frozen=True, slots=True)
class Dependency:
    """How one part is, in a word and a sentence. `needed`: without it the desk cannot answer."""

    name: str
    state: State
    detail: str = ""
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that graph/bootstrap.py has opened. Customers' turns go through `desk` only."""

    settings: Settings
    profile: DeskProfile
    desk_folder: Path
    state_folder: Path
    lock: HomeLock
    desk: Desk
    guards: Guards
    scope: ScopeFilter
    router: LearnedRouter
    knowledge: Knowledge
    prompts: PromptLibrary
    releases: Releases
    embedder: Embedder
    store: Store
    chat: ModelClient
    judge: LocalJudge
    local: LocalModel | None
    tracer: Tracer
    metrics: Metrics
    clock: Clock
    exporter: Exporter | None = None
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)
