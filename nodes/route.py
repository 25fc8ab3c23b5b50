"""Make the question stand alone, then decide what it is: small talk, for a person, in scope, how hard."""

from langgraph.runtime import Runtime
from typing_extensions import NotRequired, TypedDict

from domain.errors import ModelError
from domain.ports import ChatRequest
from domain.turn import (
    Call,
    Message,
    Outcome,
    Payer,
    Pins,
    Reason,
    Scope,
    Tier,
    Turn,
    language_of,
    payer_of,
    reason_named,
)
from models.followup import depends_on_history
from models.smalltalk import answers_offer, is_vague, matter, small_talk, wants_person
from nodes.deps import Deps
from nodes.history import answered, behind, rewriter, topic_of, trimmed

REWRITE_TOKENS = 80


class RouteUpdate(TypedDict):
    """The standalone question and what it is; `draft` holds the reply to small talk.

    `topic`: retrieve reads the question alone and behind this one; empty: alone only.
    """

    standalone: str
    topic: str
    scope: Scope
    tier: Tier
    why: list[str]
    offered: str
    draft: NotRequired[str]
    outcome: NotRequired[Outcome]
    reason: NotRequired[Reason]
    calls: NotRequired[list[Call]]


async def route(turn: Turn, runtime: Runtime[Pins], *, deps: Deps) -> RouteUpdate:
    """Judge the question on masked text; a follow-up is judged together with what it follows."""
    asked, language = turn["masked"], language_of(turn)
    history = answered(turn.get("history", []))
    if wants_person(asked):
        return _settled(asked, "in", "customer asked for a person", outcome="handoff", reason="customer_asked")
    if offered := reason_named(turn.get("offered", "")):
        match answers_offer(asked):
            case "yes":
                return _settled(asked, "in", "customer took the offer of a person", outcome="handoff", reason=offered)
            case "no":
                declined = deps.replies.text("declined", language)
                return _settled(asked, "small_talk", "offer declined", draft=declined, reason="small_talk")
    asked = matter(asked)
    if kind := small_talk(asked):
        return _settled(asked, "small_talk", kind, draft=deps.replies.text(kind, language), reason="small_talk")
    topic = topic_of(history)
    follows = bool(topic) and depends_on_history(asked)
    if is_vague(asked) and not topic:
        return _settled(asked, "in", "vague", draft=deps.replies.text("clarify", language), reason="clarify")

    rewritten, calls = await _rewritten(history, asked, deps, payer_of(turn)) if follows else ("", [])
    topic = "" if rewritten else topic
    standalone = rewritten or (behind(topic, asked) if follows else asked)
    scope = await deps.scope.judge(standalone)
    if scope.scope == "out" and topic:  # only what is nobody's business in either reading
        scope = await deps.scope.judge(asked if follows else behind(topic, asked))
    tier = await deps.router.judge(standalone, language=language, history=len(history))
    pin = (runtime.context or Pins()).tier
    update: RouteUpdate = {
        "standalone": standalone,
        "topic": topic,
        "scope": scope.scope,
        "tier": pin or tier.tier,
        "offered": "",
        "why": [scope.reason, *tier.why, *(["tier pinned"] if pin else [])],
        "calls": calls,
    }
    if scope.scope == "out":
        update |= {"outcome": "refuse", "reason": "out_of_scope"}
    return update


def _settled(
    standalone: str, scope: Scope, why: str, *, reason: Reason, draft: str = "", outcome: Outcome | None = None
) -> RouteUpdate:
    update: RouteUpdate = {
        "standalone": standalone,
        "topic": "",
        "scope": scope,
        "tier": "simple",
        "offered": "",
        "why": [why],
        "draft": draft,
        "reason": reason,
    }
    return update | {"outcome": outcome} if outcome else update


async def _rewritten(history: list[Message], asked: str, deps: Deps, payer: Payer) -> tuple[str, list[Call]]:
    """A follow-up with what it refers to, as a capable model puts it; empty where none is up."""
    card = rewriter(deps.chat)
    if card is None:
        return "", []
    conversation = "\n".join(f"{line.role}: {line.text}" for line in trimmed(history, deps.history_tokens))
    prompt = deps.prompts.get("rewrite")
    messages = prompt.render(history=conversation, question=asked)
    try:
        reply = await deps.chat.complete(
            ChatRequest("rewrite", card.name, messages, REWRITE_TOKENS, (), payer, prompt.label)
        )
    except ModelError as fault:
        return "", fault.calls
    return reply.text.strip(), reply.calls
