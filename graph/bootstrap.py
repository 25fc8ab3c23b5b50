"""Settings become a running service here: with graph/rooms.py the only place where implementations are chosen."""

import asyncio
import os
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from domain.ports import ChatModel, Clock, Hands, Ids, Progress, TurnContext
from domain.profile import DeskProfile
from domain.receipt import MICRO
from domain.release import BUILT_IN
from domain.settings import Settings
from graph.bell import open_bell
from graph.build import Graph, build_studio
from graph.caching import open_cache
from graph.crew import counts_in, take_place
from graph.desk import Desk, Limits
from graph.exporting import Exporter
from graph.gauges import watch
from graph.judging import Judging
from graph.money import limits_of
from graph.profiles import find_desk
from graph.releases import Releases
from graph.rooms import Rooms, Say, make_deps, make_judge, open_rooms, silent
from graph.service import Service
from graph.serving import Variants, built_in
from graph.system import SystemClock, Uuid7, new_canary
from graph.threads import Saver, open_saver
from graph.upkeep import start_upkeep
from guards import Guards
from models.answer_cache import AnswerCache
from models.canary import marking
from models.catalog import Catalog
from models.chat import ModelClient
from models.embedded import LocalModel
from models.own_models import own_catalog, weights_of
from prompts import Replies
from store import HomeLock, Store
from store.limits import Limit, Slot
from tracing import LangfuseTracer, Metrics, NoTracer, open_tracer
from tracing.server import LangfuseServer

STUDIO = "studio"
PAID_JUDGE_SAMPLE = 0.1
LANGSMITH = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2")

Vet = Callable[[Store], None]
Wrapped = Callable[[ChatModel], ChatModel]
Guarded = Callable[[Guards], Guards]


def trust(_store: Store) -> None:
    """Nothing speaks against opening a desk."""


def keep_text_at_home() -> None:
    """Switch LangSmith's tracing off, whatever the environment says: no text goes to a foreign cloud."""
    for name in LANGSMITH:
        os.environ[name] = "false"


async def open_service(
    settings: Settings,
    *,
    say: Say = silent,
    progress: Progress | None = None,
    vet: Vet = trust,
    wrapped: Wrapped | None = None,
    among: Path | None = None,
    hands: Hands | None = None,
    beside: Path | None = None,
    guarded: Guarded | None = None,
) -> Service:
    """Open one desk with everything it needs; at its very first start, read its knowledge.

    `vet` sees the store before anything slow is done, and may raise: then nothing stays open.
    `wrapped` puts something around the model that turns ask, `guarded` around the guards: for measuring.
    `among`: the folder (graph/crew.py) of processes that serve this desk together; this one is one of them.
    `hands`: what the articles of a first start are embedded by.
    `beside`: the home folder of the desk that this one is a copy beside: its budgets pay, and its own models are known.
    Raises HomeInUseError when another process owns the desk's state, DeskError, StoreError, KnowledgeError.
    What was opened before a failure is closed again. Close the service with `close_service`.
    """
    keep_text_at_home()
    async with AsyncExitStack() as opened:
        service = await _open(settings, opened, _Ways(say, progress, vet, wrapped, among, hands, beside, guarded))
        service.closing.push_async_callback(opened.pop_all().aclose)
    return service


def vet_store(settings: Settings, vet: Vet) -> None:
    """Open a desk's store, migrated, and close it again: what speaks against it is told before anything is started.

    Raises StoreError, and what `vet` raises.
    """
    store = _open_store(settings, settings.home / find_desk(settings.desk).name, SystemClock())
    try:
        vet(store)
    finally:
        store.close()


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
    canary = new_canary()
    chat = _model_client(settings, own_catalog(settings.home), store, clock, canary)
    rooms = await open_rooms(settings, desk_folder, state, clock, opened, canary=canary)
    tracer = _live_tracer(settings)
    environment = settings.langfuse_environment or STUDIO

    def about(trace: str, thread: str) -> TurnContext:
        # What a developer types as user_id is nobody's business but theirs.
        return TurnContext(trace, thread, STUDIO, desk_folder.name, BUILT_IN, environment, whole=False)

    return build_studio(make_deps(rooms, chat, settings), tracer, about, step_timeout=settings.turn_timeout)


@dataclass(frozen=True, slots=True)
class _Ways:
    """How whoever opens a service wants it: told what, checked by whom, what around its model and guards, among whom, with whom, beside whom."""

    say: Say
    progress: Progress | None
    vet: Vet
    wrapped: Wrapped | None
    among: Path | None
    hands: Hands | None
    beside: Path | None
    guarded: Guarded | None


async def _open(settings: Settings, opened: AsyncExitStack, ways: _Ways) -> Service:
    desk_folder = find_desk(settings.desk)
    state, clock, ids = settings.home / desk_folder.name, SystemClock(), Uuid7()
    taking = take_place(ways.among) if ways.among else asyncio.to_thread(HomeLock.acquire, state)
    lock = opened.enter_context(await taking)
    store = await _vetted_store(settings, state, clock, opened, ways.vet)
    saver = await open_saver(state, opened, settings.database_url.get_secret_value())
    await start_upkeep(opened, store, saver, clock, days=settings.retention_days, holder=ids.new())
    rooms = await _rooms(settings, desk_folder, state, clock, opened, ways=ways)
    paying = await _paying(settings, store, ways.beside, desk_folder.name, opened)
    paying.budget.default_to(_desk_budgets(settings, rooms.profile))
    chat, local = _models(settings, paying, clock, ids, opened, ways=ways, canary=rooms.canary)
    asked = ways.wrapped(chat) if ways.wrapped else chat
    # The receipts are the traces, whether or not an exporter sends them on.
    tracer, metrics = NoTracer(), Metrics(counts_in(ways.among) if ways.among else None)
    watch(metrics, store, chat)
    exporter = await _exporter(settings, store, metrics, opened, ids.new())
    cache = open_cache(settings, rooms.embedder, store, metrics)
    variants = Variants(
        rooms, asked, settings, up=chat.up, cache=cache, saver=saver, tracer=tracer, desk=desk_folder.name
    )
    releases = _releases(settings, rooms, store, variants, clock)
    desk = _make_desk(
        settings,
        rooms,
        releases,
        chat=asked,
        store=store,
        saver=saver,
        tracer=tracer,
        metrics=metrics,
        cache=cache,
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
        prompts=rooms.prompts,
        releases=releases,
        embedder=rooms.embedder,
        store=store,
        chat=chat,
        judge=make_judge(rooms, chat),
        local=local,
        tracer=tracer,
        metrics=metrics,
        clock=clock,
        exporter=exporter,
    )


async def _rooms(
    settings: Settings, desk_folder: Path, state: Path, clock: Clock, opened: AsyncExitStack, *, ways: _Ways
) -> Rooms:
    rooms = await open_rooms(
        settings,
        desk_folder,
        state,
        clock,
        opened,
        say=ways.say,
        progress=ways.progress,
        canary=new_canary(),
        hands=ways.hands,
    )
    return replace(rooms, guards=ways.guarded(rooms.guards)) if ways.guarded else rooms


def _models(
    settings: Settings, store: Store, clock: Clock, ids: Ids, opened: AsyncExitStack, *, ways: _Ways, canary: str
) -> tuple[ModelClient, LocalModel | None]:
    """What asks models, and the embedded one behind it where one process serves alone; `opened` closes them."""
    catalog = own_catalog(ways.beside or settings.home)
    chat = _model_client(settings, catalog, store, clock, canary)
    opened.push_async_callback(chat.aclose)
    # Each of many processes would load it for itself: 2 GB.
    local = None if ways.among else _local_model(settings, catalog, chat, clock, ids)
    if local:
        opened.push_async_callback(local.stop)
    return chat, local


def _releases(settings: Settings, rooms: Rooms, store: Store, variants: Variants, clock: Clock) -> Releases:
    """What serves, by the store; what releases pin of the knowledge is kept."""
    releases = Releases(store, variants, built_in(rooms, settings), settings.environment, clock)
    rooms.knowledge.pinned.held = releases.held
    return releases


def _make_desk(
    settings: Settings,
    rooms: Rooms,
    releases: Releases,
    *,
    chat: ChatModel,
    store: Store,
    saver: Saver,
    tracer: NoTracer,
    metrics: Metrics,
    cache: AnswerCache | None,
    clock: Clock,
    ids: Ids,
) -> Desk:
    judging = Judging(
        store,
        tracer,
        metrics,
        backlog=settings.judge_backlog,
        rate=lambda: _judge_rate(settings, chat),
        clock=clock,
    )
    return Desk(
        releases.base.graph,
        judging,
        choose=releases.choose,
        saver=saver,
        store=store,
        guards=rooms.guards,
        replies=Replies(rooms.profile),
        tracer=tracer,
        metrics=metrics,
        limits=Limits(settings.max_turns, settings.turn_timeout),
        clock=clock,
        ids=ids,
        bell=open_bell(settings, releases.base.labels.desk, clock),
        cache=cache,
    )


async def _vetted_store(settings: Settings, state: Path, clock: Clock, opened: AsyncExitStack, vet: Vet) -> Store:
    store = await asyncio.to_thread(_open_store, settings, state, clock)
    opened.callback(store.close)
    await asyncio.to_thread(vet, store)
    return store


async def _paying(settings: Settings, store: Store, beside: Path | None, name: str, opened: AsyncExitStack) -> Store:
    """The store whose budgets pay for the models: of the desk beside, where there is one and no database is shared."""
    if beside is None or store.shared:
        return store
    return await _vetted_store(settings, beside / name, SystemClock(), opened, trust)


def _open_store(settings: Settings, state: Path, clock: Clock) -> Store:
    return Store.open(
        state,
        clock,
        url=settings.database_url.get_secret_value(),
        redis_url=settings.redis_url.get_secret_value(),
        vault_key=settings.vault_key.get_secret_value(),
        daily_limit=_daily_limit(settings),
        exports=settings.traces_to_langfuse,
    )


def _daily_limit(settings: Settings) -> int:
    return round(settings.budget_usd_per_day * MICRO)


def _desk_budgets(settings: Settings, profile: DeskProfile) -> list[Limit]:
    """The budgets of desk.yaml; the environment has the last word on the daily total where it says one."""
    said = "budget_usd_per_day" in settings.model_fields_set
    return [limit for limit in limits_of(profile.budgets) if not (said and limit.slot == Slot())]


def _judge_rate(settings: Settings, chat: ChatModel) -> float:
    """The share of turns to judge: all of them where the judge is free, one in ten where it is paid for."""
    if settings.judge_sample is not None:
        return settings.judge_sample
    card = chat.choose("simple", 1.0)
    return PAID_JUDGE_SAMPLE if card and card.mode == "remote" else 1.0


def _model_client(settings: Settings, catalog: Catalog, store: Store, clock: Clock, canary: str) -> ModelClient:
    routes = catalog.routes(
        openai_api_key=settings.openai_api_key.get_secret_value(),
        anthropic_api_key=settings.anthropic_api_key.get_secret_value(),
        gemini_api_key=settings.gemini_api_key.get_secret_value(),
        base_url=settings.llm_base_url,
        model=settings.llm_model,
        api_key=settings.llm_api_key.get_secret_value(),
        ca_file=settings.ca_file,
    )
    off = settings.llm == "off"
    return ModelClient(
        [] if off else routes,
        budget=store.budget,
        clock=clock,
        jitter=random.random,
        timeout=settings.llm_timeout,
        local=None if off or routes else catalog.local(settings.llm_model),
        mark=marking(canary),
    )


def _local_model(settings: Settings, catalog: Catalog, chat: ModelClient, clock: Clock, ids: Ids) -> LocalModel | None:
    """The embedded model, not started yet; None where it is off or another server is configured."""
    if settings.llm == "off" or settings.llm_base_url or settings.providers:
        return None
    row = catalog.local(settings.llm_model)
    weights = weights_of(row, settings.weights_dir)
    return LocalModel(row, weights, attach=chat.attach_local, clock=clock, ids=ids, threads=settings.llm_threads)


def _live_tracer(settings: Settings) -> LangfuseTracer | NoTracer:
    """Studio has no receipts: its steps are sent as they happen."""
    return open_tracer(
        host=settings.langfuse_host,
        public_key=settings.langfuse_public_key,
        secret_key=settings.langfuse_secret_key.get_secret_value(),
        environment=settings.langfuse_environment or STUDIO,
        release=BUILT_IN,
    )


async def _exporter(
    settings: Settings, store: Store, metrics: Metrics, opened: AsyncExitStack, holder: str
) -> Exporter | None:
    """What sends the outbox to Langfuse from now on; None where no keys are set."""
    if not settings.traces_to_langfuse:
        return None
    exporter = Exporter(
        store,
        LangfuseServer(
            settings.langfuse_host, settings.langfuse_public_key, settings.langfuse_secret_key.get_secret_value()
        ),
        metrics,
        environment=settings.langfuse_environment or settings.environment,
        backlog=settings.trace_backlog,
        holder=holder,
        jitter=random.random,
    )
    await exporter.start()
    opened.push_async_callback(exporter.close)
    return exporter
