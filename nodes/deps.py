"""What the nodes may use, chosen in graph/bootstrap.py and bound in graph/build.py."""

from dataclasses import dataclass

from domain.ports import ChatModel, Embedder, Searcher
from domain.profile import DeskProfile
from guards import Guards, ScopeFilter
from models.router import ComplexityRouter
from prompts import PromptLibrary, Replies
from scoring import LocalJudge


@dataclass(frozen=True, slots=True)
class Deps:
    """The real things behind the steps.

    `grey` is the band of retrieval confidence in which the passages may or may not hold the answer:
    below it the desk does not know, above it they do. `history_tokens` bounds what a model is shown
    of the conversation.
    """

    profile: DeskProfile
    guards: Guards
    scope: ScopeFilter
    router: ComplexityRouter
    search: Searcher
    embedder: Embedder
    chat: ChatModel
    prompts: PromptLibrary
    replies: Replies
    judge: LocalJudge
    rag_config: str
    grey: tuple[float, float]
    top_k: int
    history_tokens: int = 800
