"""What the nodes may use, chosen in graph/bootstrap.py and bound in graph/build.py."""

from collections.abc import Callable
from dataclasses import dataclass

from domain.ports import Cache, CacheKey, ChatModel, Embedder, Searcher
from domain.profile import DeskProfile
from domain.turn import Language
from guards import Guards, ScopeFilter
from models.learned_router import LearnedRouter
from prompts import PromptLibrary, Replies
from retrieval.config import Doubt
from scoring import LocalJudge


@dataclass(frozen=True, slots=True)
class Deps:
    """The real things behind the steps.

    `grey` is the band of retrieval confidence in which the passages may or may not hold the answer:
    below it the desk does not know, above it they do; over a quotation `doubt` decides, where there is one. `history_tokens` bounds what a model is shown
    of the conversation. `cache_key` makes the bounds of an answer from its language, prompt and model; without it
    and `cache` every question is answered anew. `second_look`: whether a configured model may rule on questions that
    the guards' classifiers are unsure of.
    """

    profile: DeskProfile
    guards: Guards
    scope: ScopeFilter
    router: LearnedRouter
    search: Searcher
    embedder: Embedder
    chat: ChatModel
    prompts: PromptLibrary
    replies: Replies
    judge: LocalJudge
    rag_config: str
    grey: tuple[float, float]
    top_k: int
    doubt: Doubt | None = None
    history_tokens: int = 800
    second_look: bool = False
    cache: Cache | None = None
    cache_key: Callable[[Language, str, str], CacheKey] | None = None
