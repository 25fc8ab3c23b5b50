"""A small desk built for tests: real rooms, a shelf instead of Chroma, a scripted model."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from fakes import CountingIds, FrozenClock, ListTracer, ScriptedChat, ShelfSearch, WordEmbedder
from places import open_store

from domain.ports import CacheKey, Ids
from domain.profile import DeskProfile
from domain.turn import Passage
from graph.bell import Bell
from graph.build import build_judge, build_service
from graph.desk import Desk, Limits
from graph.judging import Judging
from graph.record import Labels
from graph.serving import Serving
from graph.threads import Saver, open_saver
from guards import Guards, ScopeFilter
from guards.pii import Finder
from models.answer_cache import AnswerCache
from models.learned_router import LearnedRouter
from nodes import Deps
from prompts import PromptLibrary, Replies
from scoring import LocalJudge
from store import Store
from tracing import Metrics

PROFILE = DeskProfile.model_validate(
    {
        "name": "Lamp Shop",
        "languages": ["en", "vi"],
        "scope": {
            "describe": "An online shop for lamps: orders, delivery, returns, refunds, warranty.",
            "in": ["How do I return a lamp?", "Where is my order?", "How long is the warranty on a lamp?"],
            "out": ["Write a poem about the sea", "What is the capital of France?"],
        },
        "rules": [
            {
                "id": "no-refund-promise",
                "side": "output",
                "kind": "forbid",
                "patterns": [r"your refund (has been|is) (granted|approved)"],
                "text": {"en": "A colleague decides about refunds.", "vi": "Nhân viên sẽ xét việc hoàn tiền."},
            }
        ],
        "contact": {"email": "help@lamps.example", "phone": "+1 555 010 9999", "hours": "Mon-Fri 9-17"},
        "domains": ["lamps.example"],
        "departments": [
            {"id": "returns", "name": {"en": "Returns", "vi": "Đổi trả"}, "handles": ["return", "refund"]},
            {"id": "orders", "name": {"en": "Orders", "vi": "Đơn hàng"}, "handles": ["order", "parcel"]},
        ],
    }
)
RETURNS = Passage(
    id="returns#0",
    article="returns",
    title="Returning a lamp",
    text="You can return a lamp within 30 days. The lamp must be unused. Return shipping costs USD 4.50.",
    score=1.0,
    section="How long",
    language="en",
)
SERVICE_TIMEOUT = 20.0


@cache
def warm_guards() -> None:
    """Import and build Presidio once a process, in no turn's time: a busy machine took all of SERVICE_TIMEOUT for it."""
    Finder(PROFILE).warm()


class NoKnowledge:
    """Stands where the Desk asks which knowledge serves."""

    version = "k1"


@dataclass
class House:
    """One desk and everything a test may want to look at."""

    desk: Desk
    store: Store
    judging: Judging
    shelf: ShelfSearch
    chat: ScriptedChat
    tracer: ListTracer
    clock: FrozenClock
    folder: Path
    saver: Saver
    serving: Serving
    metrics: Metrics = field(default_factory=Metrics)
    knowledge: NoKnowledge = field(default_factory=NoKnowledge)
    units: list[str] = field(default_factory=list)


@asynccontextmanager
async def open_house(  # each is a part that some test replaces
    folder: Path,
    *,
    url: str = "",
    vault_key: str = "",
    ids: Ids | None = None,
    shelf: ShelfSearch | None = None,
    chat: ScriptedChat | None = None,
    profile: DeskProfile = PROFILE,
    judge_rate: float = 1.0,
    limits: Limits | None = None,
    adjust: Callable[[Deps], Deps] = lambda deps: deps,
    tracer: Any = None,
    exports: bool = False,
    cache_hours: float = 0.0,
    bell: Bell | None = None,
    canary: str = "",
) -> AsyncIterator[House]:
    """A desk over `folder`; without a `chat` it answers by quotation."""
    warm_guards()
    clock, tracer, embedder = FrozenClock(), tracer or ListTracer(), WordEmbedder()
    shelf = shelf or ShelfSearch([RETURNS])
    chat = chat or ScriptedChat(card=None)
    store = open_store(folder, clock, url=url, vault_key=vault_key, daily_limit=1_000_000, exports=exports)
    opened = AsyncExitStack()
    saver = await open_saver(folder, opened, url)
    guards = Guards.load(
        profile,
        internal=lambda: ["The goodwill limit for agents is 77 dollars without asking a lead."],
        canary=canary,
    )
    prompts = PromptLibrary.load()
    cache = AnswerCache(store.answers(timedelta(hours=cache_hours)), embedder) if cache_hours else None
    knowledge = NoKnowledge()
    deps = adjust(
        Deps(
            profile=profile,
            guards=guards,
            scope=ScopeFilter(profile, embedder),
            router=LearnedRouter(embedder),
            search=shelf,
            embedder=embedder,
            chat=chat,
            prompts=prompts,
            replies=Replies(profile),
            judge=LocalJudge(embedder, chat, prompts.get("judge").render, prompts.get("judge").label),
            rag_config="test@1",
            grey=(0.3, 0.7),
            top_k=5,
            cache=cache,
            cache_key=lambda language, prompt, model: CacheKey(
                "lamps", "built-in", knowledge.version, language, "test@1", prompt, model
            ),
        )
    )
    metrics = Metrics()
    judging = Judging(store, tracer, metrics, backlog=4, rate=lambda: judge_rate, clock=clock)
    labels = Labels("lamps", "built-in", "test@1", "dev")
    graph = build_service(deps, tracer, saver)
    serving = Serving(graph, deps.guards, build_judge(deps, tracer), labels, lambda: knowledge.version)

    async def choose(unit: str) -> Serving:
        house.units.append(unit)
        return house.serving

    desk = Desk(
        graph,
        judging,
        choose=choose,
        saver=saver,
        store=store,
        guards=guards,
        replies=deps.replies,
        tracer=tracer,
        metrics=metrics,
        limits=limits or Limits(turns=4, turn_timeout=SERVICE_TIMEOUT),
        clock=clock,
        ids=ids or CountingIds(),
        cache=cache,
        bell=bell or Bell("lamps"),
    )
    house = House(desk, store, judging, shelf, chat, tracer, clock, folder, saver, serving, metrics, knowledge)
    try:
        yield house
    finally:
        await desk.close()
        await opened.aclose()
        store.close()


def without_answer(shelf: ShelfSearch) -> ShelfSearch:
    """The same shelf, unsure of everything."""
    return replace(shelf, confidence=0.05)
