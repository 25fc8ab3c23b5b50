"""What a turn runs on: a graph bound to the prompts, guards, models and knowledge that a release pins."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from domain.errors import KnowledgeError
from domain.ports import ChatModel, ModelCard, Tracer
from domain.release import BUILT_IN, Release
from domain.settings import Settings
from graph.build import Graph, build_judge, build_service
from graph.caching import with_cache
from graph.record import Labels
from graph.rooms import Rooms, make_deps, retuned, thresholds_of
from graph.threads import Saver
from guards import Guards
from models.answer_cache import AnswerCache
from models.mapped import MappedChat
from nodes.deps import Deps
from prompts.registry import ASKED_FOR


@dataclass(frozen=True, slots=True)
class Serving:
    """The graph of a turn, its guards, the judge behind it, what its receipt says, and which knowledge it searches now."""

    graph: Graph
    guards: Guards
    judge: Graph
    labels: Labels
    knowledge: Callable[[], str]


Choose = Callable[[str], Awaitable[Serving]]
"""Gives what a customer's turn runs on; who they are (a hash) decides where an experiment runs."""


def built_in(rooms: Rooms, settings: Settings) -> Release:
    """The release that serves until another is promoted."""
    return Release(
        name=BUILT_IN,
        prompts={name: rooms.prompts.get(name).label for name in ASKED_FOR},
        rag_config=rooms.config.label,
        thresholds=thresholds_of(rooms.profile, settings),
    )


class Variants:
    """Makes servings of releases, over the rooms, the cache and the threads that all of them share."""

    def __init__(
        self,
        rooms: Rooms,
        chat: ChatModel,
        settings: Settings,
        *,
        up: Callable[[], Mapping[str, ModelCard | None]],
        cache: AnswerCache | None,
        saver: Saver,
        tracer: Tracer,
        desk: str,
    ) -> None:
        """`desk` as receipts name it; `up` gives every model by name, None for one that is not up."""
        self._rooms, self._chat, self._settings, self._up = rooms, chat, settings, up
        self._cache, self._saver, self._tracer = cache, saver, tracer
        self._labels = Labels(desk, BUILT_IN, rooms.config.label, settings.environment)

    def built_in(self) -> Serving:
        """What ships, as the settings have it."""
        deps = make_deps(self._rooms, self._chat, self._settings)
        return self._served(deps, self._labels, lambda: self._rooms.knowledge.version)

    async def build(self, release: Release) -> Serving:
        """What a release pins. Raises UsageError, KnowledgeError or StoreError where that cannot be served here."""
        rooms, chat = self._rooms, self._chat
        prompts = rooms.prompts.pinned(release.prompts)
        for name in ASKED_FOR:
            prompts.get(name)
        guards = rooms.guards
        now = thresholds_of(rooms.profile, self._settings)
        if now | release.thresholds != now:
            guards = retuned(rooms, self._settings, release.thresholds)
        if release.models:
            chat = MappedChat(chat, release.models, self._up)
        variant = replace(rooms, prompts=prompts, guards=guards)
        if not release.knowledge:
            if release.rag_config != rooms.config.label:
                what = f"the knowledge is filled by {rooms.config.label}, not by {release.rag_config}"
                raise KnowledgeError(what, where=release.name, fix="pin a knowledge version of that configuration")
            deps = make_deps(variant, chat, self._settings)
            return self._served(deps, self._named(release), lambda: rooms.knowledge.version)
        search, config = await rooms.knowledge.pinned.search(release.knowledge, release.rag_config)
        deps = replace(make_deps(replace(variant, config=config), chat, self._settings), search=search)
        return self._served(deps, self._named(release), lambda: release.knowledge)

    def _named(self, release: Release) -> Labels:
        return replace(self._labels, release=release.name, rag_config=release.rag_config)

    def _served(self, deps: Deps, labels: Labels, knowledge: Callable[[], str]) -> Serving:
        deps = with_cache(deps, self._cache, labels, knowledge)
        graph = build_service(deps, self._tracer, self._saver)
        return Serving(graph, deps.guards, build_judge(deps, self._tracer), labels, knowledge)
