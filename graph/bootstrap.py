"""Settings become real things here, and nowhere else: the only place where implementations are chosen."""

import asyncio
import os
import random
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from domain.ports import Clock, Embedder, Ids, Progress
from domain.profile import DeskProfile
from domain.receipt import MICRO
from domain.settings import Settings
from graph.build import Graph, build_judge, build_service, build_studio
from graph.desk import Desk, Limits
from graph.judging import Judging
from graph.money import limits_of
from graph.profiles import find_desk, read_profile
from graph.record import Labels
from graph.service import Service
from graph.system import SystemClock, Uuid7
from graph.threads import close_saver, open_saver
from guards import Guards, ScopeFilter
from guards.names import capitalised_words
from models.catalog import load_catalog
from models.chat import ModelClient
from models.embedded import LocalModel
from models.embedder import load_embedder
from models.router import ComplexityRouter
from models.weights import shipped_weights
from nodes.deps import Deps
from prompts import PromptLibrary, Replies
from retrieval import Knowledge, RagConfig, default_rag_config, load_rag_config
from retrieval.reading import public_titles
from retrieval.vectors import ServerPlace
from scoring import LocalJudge
from scoring.grounding import supports
from store import HomeLock, Store
from store.limits import Limit, Slot
from tracing import LangfuseTracer, Metrics, NoTracer, open_tracer

VECTORS = "vectors"
"""Folder of a desk in which vectors of its articles may ship."""
RELEASE = "built-in"
"""The release that ships: the library's newest prompts and the default RAG configuration."""

PAID_JUDGE_SAMPLE = 0.1
LANGSMITH = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2")

Say = Callable[[str], None]
"""Told, in one line, each step of the set-up that takes a while."""


def silent(_line: str) -> None:
    """Say nothing."""


Vet = Callable[[Store], None]


def trust(_store: Store) -> None:
    """Nothing speaks against opening a desk."""


def keep_text_at_home() -> None:
    """Switch LangSmith's tracing off, whatever the environment says: no text goes to a foreign cloud."""
    for name in LANGSMITH:
        os.environ[name] = "false"


async def open_service(
    settings: Settings, *, say: Say = silent, progress: Progress | None = None, vet: Vet = trust
) -> Service:
    """Open one desk with everything it needs; at its very first start, read its knowledge.

    `vet` sees the store before anything slow is done, and may raise: then nothing stays open.
    Raises HomeInUseError when another process owns the desk's state, DeskError, StoreError, KnowledgeError.
    What was opened before a failure is closed again. Close the service with `close_service`.
    """
    keep_text_at_home()
    async with AsyncExitStack() as opened:
        service = await _open(settings, opened, say, progress, vet)
        service.closing.push_async_callback(opened.pop_all().aclose)
    return service


async def close_service(service: Service) -> None:
    """Close everything that `open_service` has opened, in the opposite order."""
    await service.closing.aclose()


async def open_studio(settings: Settings) -> Graph:
    """The graph alone, for Studio, over a state folder of Studio's own. Open until the process ends."""
    keep_text_at_home()
    desk_folder = find_desk(settings.desk)
    state = settings.home / "studio" / desk_folder.name
    opened, clock = AsyncExitStack(), SystemClock()
    opened.enter_context(HomeLock.acquire(state))
    store = await asyncio.to_thread(Store.open, state, clock, daily_limit=_daily_limit(settings))
    chat = _model_client(settings, store, clock)
    rooms = await open_rooms(settings, desk_folder, state, clock, opened)
    tracer = _tracer(settings)
    return build_studio(make_deps(rooms, chat, settings), tracer, step_timeout=settings.turn_timeout)


@dataclass(frozen=True, slots=True)
class Rooms:
    """The workshops of one desk, opened: what a graph's deps are made of."""

    profile: DeskProfile
    config: RagConfig
    embedder: Embedder
    knowledge: Knowledge
    guards: Guards
    scope: ScopeFilter
    router: ComplexityRouter


async def open_rooms(
    settings: Settings,
    desk_folder: Path,
    state: Path,
    clock: Clock,
    opened: AsyncExitStack,
    *,
    say: Say = silent,
    progress: Progress | None = None,
) -> Rooms:
    """Open knowledge, guards and router of a desk; `opened` closes them."""
    profile = read_profile(desk_folder)
    config = load_rag_config(settings.rag_config or default_rag_config(profile.languages))
    embedder = load_embedder(config.embedder.name)
    knowledge = await Knowledge.open(
        state / "knowledge",
        config,
        embedder,
        clock,
        shipped=desk_folder / VECTORS,
        server=_chroma(settings, desk_folder),
    )
    opened.push_async_callback(knowledge.close)
    articles = desk_folder / "knowledge"
    if not knowledge.version and articles.is_dir():
        why = "other RAG configuration" if knowledge.articles() else "first start"
        say(f"{why} of {profile.name}: reading its articles in {articles}")
        report = await knowledge.ingest(articles, progress)
        say(f"{len(report.added)} articles read" + "".join(f"; {skip.where}: {skip.why}" for skip in report.skipped))
    guards = _guards(profile, settings, knowledge.internal_texts, _vocabulary(knowledge))
    scope = ScopeFilter(profile, embedder, topics=lambda: _topics(knowledge))
    return Rooms(profile, config, embedder, knowledge, guards, scope, ComplexityRouter())


def open_guards(settings: Settings) -> Guards:
    """The guards of a desk alone, as a turn runs them: for measuring, without its state. Raises DeskError."""
    return _guards(read_profile(find_desk(settings.desk)), settings)


def _guards(
    profile: DeskProfile,
    settings: Settings,
    internal: Callable[[], Sequence[str]] = tuple,
    vocabulary: Callable[[], Collection[str]] = frozenset,
) -> Guards:
    return Guards.load(
        profile,
        max_chars=settings.max_message_chars,
        internal=internal,
        vocabulary=vocabulary,
        ner=settings.ner == "on",
        prompts=_instructions,
        support=_support,
        thresholds={str(name): value for name, value in settings.guard_thresholds.items()},
    )


def open_scope(settings: Settings, profile: DeskProfile, folder: Path | None) -> tuple[ScopeFilter, str]:
    """The scope filter alone, without the desk's state, and its embedder's name.

    `folder` is the desk's, for the titles of its articles; None: the profile is all there is. Raises SettingsError.
    """
    config = load_rag_config(settings.rag_config or default_rag_config(profile.languages))
    embedder = load_embedder(config.embedder.name)
    articles = folder / "knowledge" if folder else None
    titles = public_titles(articles) if articles and articles.is_dir() else []
    return ScopeFilter(profile, embedder, topics=lambda: titles), embedder.name


def _chroma(settings: Settings, desk_folder: Path) -> ServerPlace | None:
    """The desk's own database on the Chroma server, if there is one."""
    return ServerPlace(settings.chroma_url, f"frontdesk-{desk_folder.name}") if settings.chroma_url else None


async def open_knowledge(folder: Path, config: RagConfig) -> Knowledge:
    """Knowledge alone under a configuration, in a folder of its own: for measuring. Raises KnowledgeError, StoreError."""
    return await Knowledge.open(folder, config, load_embedder(config.embedder.name), SystemClock())


def make_deps(rooms: Rooms, chat: ModelClient, settings: Settings) -> Deps:
    """What the nodes of a graph may use."""
    prompts = PromptLibrary.load()
    return Deps(
        profile=rooms.profile,
        guards=rooms.guards,
        scope=rooms.scope,
        router=rooms.router,
        search=rooms.knowledge.public,
        embedder=rooms.embedder,
        chat=chat,
        prompts=prompts,
        replies=Replies(rooms.profile),
        judge=LocalJudge(rooms.embedder, chat, prompts.get("judge").render),
        rag_config=rooms.config.label,
        grey=rooms.config.grey,
        top_k=rooms.config.top_k,
        history_tokens=settings.history_tokens,
    )


async def _open(settings: Settings, opened: AsyncExitStack, say: Say, progress: Progress | None, vet: Vet) -> Service:
    desk_folder = find_desk(settings.desk)
    state = settings.home / desk_folder.name
    clock, ids = SystemClock(), Uuid7()
    lock = opened.enter_context(await asyncio.to_thread(HomeLock.acquire, state))
    vault_key = settings.vault_key.get_secret_value()
    store = await asyncio.to_thread(Store.open, state, clock, vault_key=vault_key, daily_limit=_daily_limit(settings))
    opened.callback(store.close)
    await asyncio.to_thread(vet, store)
    saver = await open_saver(state)
    opened.push_async_callback(close_saver, saver)
    await _let_go(store, saver, clock.now() - timedelta(days=settings.retention_days))
    rooms = await open_rooms(settings, desk_folder, state, clock, opened, say=say, progress=progress)

    store.budget.default_to(_desk_budgets(settings, rooms.profile))
    chat = _model_client(settings, store, clock)
    opened.push_async_callback(chat.aclose)
    local = _local_model(settings, chat, clock, ids)
    if local:
        opened.push_async_callback(local.stop)
    labels = Labels(desk_folder.name, RELEASE, rooms.config.label, settings.environment)
    tracer, metrics = _tracer(settings), Metrics()
    metrics.watch_traces(lambda: tracer.undelivered)
    opened.push_async_callback(asyncio.to_thread, tracer.close)
    desk = _make_desk(
        settings,
        rooms,
        chat=chat,
        store=store,
        saver=saver,
        tracer=tracer,
        metrics=metrics,
        labels=labels,
        clock=clock,
        ids=ids,
    )
    opened.push_async_callback(desk.close)
    return Service(
        settings=settings,
        profile=rooms.profile,
        desk_folder=desk_folder,
        state_folder=state,
        lock=lock,
        desk=desk,
        guards=rooms.guards,
        scope=rooms.scope,
        router=rooms.router,
        knowledge=rooms.knowledge,
        embedder=rooms.embedder,
        store=store,
        chat=chat,
        local=local,
        tracer=tracer,
        metrics=metrics,
        clock=clock,
    )


def _make_desk(
    settings: Settings,
    rooms: Rooms,
    *,
    chat: ModelClient,
    store: Store,
    saver: AsyncSqliteSaver,
    tracer: LangfuseTracer | NoTracer,
    metrics: Metrics,
    labels: Labels,
    clock: Clock,
    ids: Ids,
) -> Desk:
    deps = make_deps(rooms, chat, settings)
    judging = Judging(
        build_judge(deps, tracer),
        store,
        tracer,
        metrics,
        backlog=settings.judge_backlog,
        rate=lambda: _judge_rate(settings, chat),
    )
    return Desk(
        build_service(deps, tracer, saver, step_timeout=settings.turn_timeout),
        judging,
        saver=saver,
        store=store,
        knowledge=rooms.knowledge,
        guards=rooms.guards,
        replies=deps.replies,
        tracer=tracer,
        metrics=metrics,
        labels=labels,
        limits=Limits(settings.max_turns, settings.turn_timeout),
        clock=clock,
        ids=ids,
    )


async def _let_go(store: Store, saver: AsyncSqliteSaver, before: datetime) -> None:
    """Remove what has outlived its retention: checkpoints first, while the store still knows whose they are."""
    for thread in await asyncio.to_thread(store.threads.untouched_since, before):
        await saver.adelete_thread(thread)
    await asyncio.to_thread(store.purge, before)


def _daily_limit(settings: Settings) -> int:
    return round(settings.budget_usd_per_day * MICRO)


def _desk_budgets(settings: Settings, profile: DeskProfile) -> list[Limit]:
    """The budgets of desk.yaml; the environment has the last word on the daily total where it says one."""
    said = "budget_usd_per_day" in settings.model_fields_set
    return [limit for limit in limits_of(profile.budgets) if not (said and limit.slot == Slot())]


def _judge_rate(settings: Settings, chat: ModelClient) -> float:
    """The share of turns to judge: all of them where the judge is free, one in ten where it is paid for."""
    if settings.judge_sample is not None:
        return settings.judge_sample
    card = chat.choose("simple", 1.0)
    return PAID_JUDGE_SAMPLE if card and card.mode == "remote" else 1.0


@cache
def _instructions() -> tuple[str, ...]:
    """What the library tells models in their system messages: no answer may recite it."""
    prompts = PromptLibrary.load().all()
    return tuple(line.text for prompt in prompts for line in prompt.messages if line.role == "system")


def _support(answer: str, texts: Sequence[str]) -> list[tuple[float, int]]:
    """How far each sentence stands on the texts, by words alone; called in a thread, where no loop runs."""
    return [(each.share, each.words) for each in asyncio.run(supports(answer, texts, None))]


def _vocabulary(knowledge: Knowledge) -> Callable[[], Collection[str]]:
    """The words that the public articles write with a capital, read once for each state of the knowledge."""
    words = lru_cache(maxsize=1)(lambda _version: capitalised_words(knowledge.public_texts()))
    return lambda: words(knowledge.version)


def _topics(knowledge: Knowledge) -> list[str]:
    return [article.title for article in knowledge.articles() if article.audience == "public"]


def _model_client(settings: Settings, store: Store, clock: Clock) -> ModelClient:
    catalog = load_catalog()
    routes = catalog.routes(
        openai_api_key=settings.openai_api_key.get_secret_value(),
        anthropic_api_key=settings.anthropic_api_key.get_secret_value(),
        gemini_api_key=settings.gemini_api_key.get_secret_value(),
        base_url=settings.llm_base_url,
        model=settings.llm_model,
        api_key=settings.llm_api_key.get_secret_value(),
    )
    off = settings.llm == "off"
    return ModelClient(
        [] if off else routes,
        budget=store.budget,
        clock=clock,
        jitter=random.random,
        timeout=settings.llm_timeout,
        local=None if off or routes else catalog.local(),
    )


def _local_model(settings: Settings, chat: ModelClient, clock: Clock, ids: Ids) -> LocalModel | None:
    """The embedded model, not started yet; None where it is off or another server is configured."""
    if settings.llm == "off" or settings.llm_base_url or settings.providers:
        return None
    row = load_catalog().local()
    assert row.weights is not None  # local() gives a row with weights
    weights = shipped_weights(row.weights, settings.weights_dir)
    return LocalModel(row, weights, attach=chat.attach_local, clock=clock, ids=ids, threads=settings.llm_threads)


def _tracer(settings: Settings) -> LangfuseTracer | NoTracer:
    return open_tracer(
        host=settings.langfuse_host,
        public_key=settings.langfuse_public_key,
        secret_key=settings.langfuse_secret_key.get_secret_value(),
        environment=settings.environment,
        release=RELEASE,
    )
