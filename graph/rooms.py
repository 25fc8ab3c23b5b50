"""The workshops of one desk become real here: knowledge, guards, scope, router, and what the nodes may use of them."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import get_args

from domain.errors import KnowledgeError
from domain.language import load_languages
from domain.ports import ChatModel, Clock, Embedder, Hands, Progress, Reranker
from domain.profile import DeskProfile, GuardFamily
from domain.settings import Settings
from domain.turn import Language
from graph.profiles import find_desk, read_profile
from graph.system import SystemClock
from guards import Guards, ScopeFilter
from guards.heads import SHIPPED_THRESHOLD
from guards.names import capitalised_words
from guards.scope_head import read_scope_head
from models.diacritics import RestoringEmbedder, with_diacritics
from models.embedder import load_embedder
from models.language import is_english
from models.learned_router import LearnedRouter
from models.reranker import load_reranker
from models.spreading import SpreadEmbedder
from nodes.deps import Deps
from prompts import PromptLibrary, Replies
from retrieval import Knowledge, RagConfig, default_rag_config, load_rag_config
from retrieval.articles import IngestReport
from retrieval.contact import DeskContact
from retrieval.reading import public_titles
from retrieval.shipped import KeptQuestions
from retrieval.vectors import ServerPlace
from scoring import LocalJudge
from scoring.grounding import supported_in_words

VECTORS = "vectors"
"""Folder of a desk in which vectors of its articles may ship."""

SCOPE_VECTORS = "scope"
"""Folder of a desk's state that keeps the vectors of what its scope knows: computing them takes a start 4 s of processor."""

Say = Callable[[str], None]
"""Told, in one line, each step of the set-up that takes a while."""


def silent(_line: str) -> None:
    """Say nothing."""


PROMPTS = "prompts"
"""The folder of a desk that holds the prompts it has registered."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """The workshops of one desk, opened: what a graph's deps are made of."""

    profile: DeskProfile
    config: RagConfig
    embedder: Embedder
    knowledge: Knowledge
    guards: Guards
    scope: ScopeFilter
    router: LearnedRouter
    prompts: PromptLibrary
    canary: str = ""


async def open_rooms(
    settings: Settings,
    desk_folder: Path,
    state: Path,
    clock: Clock,
    opened: AsyncExitStack,
    *,
    say: Say = silent,
    progress: Progress | None = None,
    canary: str = "",
    hands: Hands | None = None,
) -> Rooms:
    """Open knowledge, guards and router of a desk; `opened` closes them.

    `canary`: see guards/leak.py. `hands`: what the articles of a first start are embedded by.
    """
    profile = read_profile(desk_folder)
    config = load_rag_config(settings.rag_config or default_rag_config(profile.languages))
    embedder: Embedder = load_embedder(config.embedder.name)
    if "vi" in profile.languages:
        await asyncio.to_thread(load_languages)
        embedder = RestoringEmbedder(embedder, lambda: (knowledge.version, lambda: _said(knowledge, profile)))
    contact = DeskContact(profile.contact, profile.languages, profile.name)
    knowledge = await Knowledge.open(
        state / "knowledge",
        config,
        embedder,
        clock,
        shipped=desk_folder / VECTORS,
        server=chroma_place(settings, desk_folder),
        reranker=_reranker(config),
        contact=contact,
    )
    opened.push_async_callback(knowledge.close)
    if knowledge.damage:
        say(knowledge.damage)
    articles = desk_folder / "knowledge"
    if not knowledge.version and not knowledge.mending and articles.is_dir():
        why = "other RAG configuration" if knowledge.articles() else "first start"
        say(f"{why} of {profile.name}: reading its articles in {articles}")
        spread = SpreadEmbedder(embedder, hands) if hands else None
        say(await _read_first(partial(knowledge.ingest, articles, progress, embedder=spread)))
    prompts = PromptLibrary.load(desk=desk_folder / PROMPTS)
    restored = embedder.restored if isinstance(embedder, RestoringEmbedder) else None
    guards = _guards(
        profile,
        settings,
        prompts,
        embedder,
        internal=partial(knowledge.texts, "internal"),
        vocabulary=_vocabulary(knowledge),
        canary=canary,
        restored=restored or with_diacritics,
    )
    kept = KeptQuestions(state / SCOPE_VECTORS, config.embedder, embedder, restored or str)
    scope = _scope(profile, desk_folder, embedder, knowledge, contact, kept=kept)
    return Rooms(profile, config, embedder, knowledge, guards, scope, LearnedRouter(embedder), prompts, canary)


async def _read_first(ingest: Callable[[], Awaitable[IngestReport]]) -> str:
    """Take a desk's own articles in; what came of it, in a line. Without one it opens all the same, for its first ingest."""
    try:
        report = await ingest()
    except KnowledgeError as fault:
        return f"nothing read: {fault.what}"
    return f"{len(report.added)} articles read" + "".join(f"; {skip.where}: {skip.why}" for skip in report.skipped)


def _scope(
    profile: DeskProfile,
    folder: Path,
    embedder: Embedder,
    knowledge: Knowledge,
    contact: DeskContact,
    *,
    kept: KeptQuestions,
) -> ScopeFilter:
    head = read_scope_head(folder, embedder.name)
    topics = lru_cache(maxsize=1)(lambda _version: _topics(knowledge))
    return ScopeFilter(
        profile,
        embedder,
        topics=lambda: topics(knowledge.version),
        head=head,
        answered=contact.answers,
        finds=partial(_confidence, knowledge),
        vectors=kept.vectors,
    )


async def _confidence(knowledge: Knowledge, question: str) -> float:
    """How surely a public article answers it."""
    return (await knowledge.public.search(question, 1)).confidence


def open_guards(settings: Settings) -> Guards:
    """The guards of a desk alone, as a turn runs them: for measuring, without its state. Raises DeskError."""
    folder = find_desk(settings.desk)
    profile = read_profile(folder)
    embedder = open_embedder(settings, profile.languages)
    return _guards(profile, settings, PromptLibrary.load(desk=folder / PROMPTS), embedder)


def _guards(
    profile: DeskProfile,
    settings: Settings,
    prompts: PromptLibrary,
    embedder: Embedder,
    *,
    internal: Callable[[], Sequence[str]] = tuple,
    vocabulary: Callable[[], Collection[str]] = frozenset,
    thresholds: dict[GuardFamily, float] | None = None,
    like: Guards | None = None,
    canary: str = "",
    restored: Callable[[str], str] = with_diacritics,
) -> Guards:
    return Guards.load(
        profile,
        max_chars=settings.max_message_chars,
        internal=internal,
        vocabulary=vocabulary,
        ner=settings.ner == "on",
        prompts=prompts.instructions,
        canary=canary,
        support=supported_in_words,
        embedder=embedder,
        compared=is_english,
        restored=restored,
        thresholds={
            str(name): value for name, value in (thresholds_of(profile, settings) | (thresholds or {})).items()
        },
        like=like,
    )


def thresholds_of(profile: DeskProfile, settings: Settings) -> dict[GuardFamily, float]:
    """The threshold of every guard family: the settings', else the desk's, else the shipped one."""
    shipped: dict[GuardFamily, float] = dict.fromkeys(get_args(GuardFamily), SHIPPED_THRESHOLD)
    return shipped | profile.guards.thresholds | settings.guard_thresholds


def retuned(rooms: Rooms, settings: Settings, thresholds: dict[GuardFamily, float]) -> Guards:
    """The guards of a desk with other thresholds; what is slow to load is shared."""
    knowledge = rooms.knowledge
    return _guards(
        rooms.profile,
        settings,
        rooms.prompts,
        rooms.embedder,
        internal=partial(knowledge.texts, "internal"),
        vocabulary=_vocabulary(knowledge),
        thresholds=thresholds,
        like=rooms.guards,
        canary=rooms.canary,
    )


def open_scope(
    settings: Settings, profile: DeskProfile, folder: Path | None, *, fitted: bool = True
) -> tuple[ScopeFilter, Embedder]:
    """The scope filter alone, without the desk's state, and its embedder.

    `folder` is the desk's, for the titles of its articles and the classifier fitted to it (`fitted` False: without
    that); None: the profile is all there is. Raises SettingsError, DeskError.
    """
    config = load_rag_config(settings.rag_config or default_rag_config(profile.languages))
    embedder = load_embedder(config.embedder.name)
    articles = folder / "knowledge" if folder else None
    titles = public_titles(articles) if articles and articles.is_dir() else []
    head = read_scope_head(folder, embedder.name) if folder and fitted else None
    contact = DeskContact(profile.contact, profile.languages, profile.name)
    return ScopeFilter(profile, embedder, topics=lambda: titles, head=head, answered=contact.answers), embedder


def open_embedder(settings: Settings, languages: Sequence[Language]) -> Embedder:
    """The embedder that a desk in these languages would use, not yet loaded: for measuring. Raises SettingsError."""
    return load_embedder(load_rag_config(settings.rag_config or default_rag_config(languages)).embedder.name)


async def open_knowledge(
    folder: Path, config: RagConfig, wrapped: Callable[[Embedder], Embedder] | None = None
) -> Knowledge:
    """Knowledge alone under a configuration, in a folder of its own: for measuring. Raises KnowledgeError, StoreError.

    `wrapped` puts something around the embedder, which keeps its name.
    """
    embedder: Embedder = load_embedder(config.embedder.name)
    inner = wrapped(embedder) if wrapped else embedder
    return await Knowledge.open(folder, config, inner, SystemClock(), reranker=_reranker(config))


def _reranker(config: RagConfig) -> Reranker | None:
    """The one that a configuration names, not yet loaded. Raises SettingsError."""
    return load_reranker(config.reranker.name) if config.reranker else None


def make_deps(rooms: Rooms, chat: ChatModel, settings: Settings) -> Deps:
    """What the nodes of a graph may use."""
    prompts = rooms.prompts
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
        judge=make_judge(rooms, chat),
        rag_config=rooms.config.label,
        grey=rooms.config.grey,
        doubt=rooms.config.doubt,
        top_k=rooms.config.top_k,
        history_tokens=settings.history_tokens,
        second_look=settings.second_look == "auto",
    )


def make_judge(rooms: Rooms, chat: ChatModel) -> LocalJudge:
    """Who scores answers."""
    prompt = rooms.prompts.get("judge")
    return LocalJudge(rooms.embedder, chat, prompt.render, prompt.label)


def chroma_place(settings: Settings, desk_folder: Path) -> ServerPlace | None:
    """The desk's own database on the Chroma server, if there is one."""
    name = f"frontdesk-{desk_folder.name}"
    return ServerPlace(settings.chroma_url, name, settings.ca_file) if settings.chroma_url else None


def _vocabulary(knowledge: Knowledge) -> Callable[[], Collection[str]]:
    """The words that the public articles write with a capital, read once for each state of the knowledge."""
    words = lru_cache(maxsize=1)(lambda _version: capitalised_words([*_topics(knowledge), *knowledge.texts("public")]))
    return lambda: words(knowledge.version)


def _said(knowledge: Knowledge, profile: DeskProfile) -> list[str]:
    """What the desk itself writes to customers, and expects of them."""
    return [*knowledge.texts("public"), *profile.scope.in_]


def _topics(knowledge: Knowledge) -> list[str]:
    return [article.title for article in knowledge.articles() if article.audience == "public"]
