"""First step: the only one that sees the raw question. Masks it, checks it, starts the turn afresh."""

import asyncio
from collections.abc import Sequence
from functools import partial

from langgraph.runtime import Runtime
from langgraph.types import Overwrite
from typing_extensions import NotRequired, TypedDict

from domain.turn import (
    Call,
    Fact,
    Handoff,
    Language,
    Message,
    Mode,
    Outcome,
    Passage,
    Pins,
    Reason,
    Reranked,
    Scope,
    Score,
    Source,
    Tier,
    Turn,
    Verdict,
    payer_of,
    reason_of,
)
from guards.requests import pieces, question_in
from models.followup import depends_on_history
from models.language import detect_language
from models.smalltalk import matter
from nodes.deps import Deps
from nodes.history import EARLIER, answered, readings, rewriter, topic_of, trimmed
from nodes.second_look import second_look


class GuardInputUpdate(TypedDict):
    """The masked question, its language, and every field that an earlier turn of the thread left."""

    masked: str
    facts: list[Fact]
    secrets: dict[str, str]
    language: Language
    verdicts: Overwrite
    calls: Overwrite
    outcome: Outcome | None
    reason: Reason | None
    standalone: str
    topic: str
    scope: Scope
    tier: Tier
    why: list[str]
    searched: str
    passages: list[Passage]
    confidence: float
    reranked: Reranked
    alike: float | None
    draft: str
    sources: list[Source]
    doubtful: bool
    mode: Mode
    model: str
    prompt: str
    cache_key: dict[str, str]
    answer: str
    handoff: Handoff | None
    scores: list[Score]
    error: str
    history: NotRequired[list[Message]]


async def guard_input(turn: Turn, runtime: Runtime[Pins], *, deps: Deps) -> GuardInputUpdate:
    """Mask personal data, look for attacks, find the language of the turn."""
    ahead = partial(_embed_ahead, turn=turn, deps=deps)
    check = await deps.guards.check_input(turn["question"], turn.get("secrets", {}), ahead=ahead)
    calls = list[Call]()
    if (runtime.context or Pins()).model != "quote":
        check, calls = await second_look(check, payer_of(turn), deps)
    facts, secrets, fact_verdicts = await deps.guards.check_facts(turn.get("context", []), check.secrets)
    earlier, secrets, earlier_verdicts = await _earlier(turn, secrets, deps)
    return fresh_turn() | {
        "history": earlier,
        "masked": check.text,
        "facts": facts,
        "secrets": secrets,
        "language": _language(turn.get("language", ""), check.text, deps.profile.languages),
        "verdicts": Overwrite([*check.verdicts, *fact_verdicts, *earlier_verdicts]),
        "calls": Overwrite(calls),
        "outcome": "refuse" if check.blocked else None,
        "reason": reason_of(check.blocked) if check.blocked else None,
    }


async def _embed_ahead(masked: str, turn: Turn, deps: Deps) -> None:
    """Embed what route and retrieve ask for of this question beside the whole: on two cores both come in the time of one."""
    asked, topic = matter(masked), topic_of(answered(turn.get("history", [])))
    if topic and depends_on_history(asked) and rewriter(deps.chat):
        return  # route will have another text made of it
    texts = dict.fromkeys([*readings(topic, asked), *pieces(asked), question_in(asked)])
    wanted = [deps.embedder.query(text) for text in texts if text not in ("", masked)]
    # What cannot be embedded now is asked for again by the step that needs it, and fails there.
    await asyncio.gather(*wanted, return_exceptions=True)


def fresh_turn() -> GuardInputUpdate:
    """Every field of a turn as it is before anything is known; a thread's next turn starts from it."""
    return {
        "masked": "",
        "facts": [],
        "secrets": {},
        "language": "en",
        "verdicts": Overwrite([]),
        "calls": Overwrite([]),
        "outcome": None,
        "reason": None,
        "standalone": "",
        "topic": "",
        "scope": "in",
        "tier": "simple",
        "why": [],
        "searched": "",
        "passages": [],
        "confidence": 0.0,
        "reranked": "",
        "alike": None,
        "draft": "",
        "sources": [],
        "doubtful": False,
        "mode": "quote",
        "model": "",
        "prompt": "",
        "cache_key": {},
        "answer": "",
        "handoff": None,
        "scores": [],
        "error": "",
    }


async def _earlier(
    turn: Turn, secrets: dict[str, str], deps: Deps
) -> tuple[list[Message], dict[str, str], list[Verdict]]:
    """What a caller says was said before, masked, without the lines that a guard blocks.

    A thread that the desk remembers wins. Whoever speaks in a line may be made up: all pass the input's guards.
    """
    if turn.get("history"):
        return [], secrets, []
    told = [Message(line["role"], line["text"], outcome=EARLIER) for line in turn.get("earlier", [])]
    kept: list[Message] = []
    dropped: list[Verdict] = []
    for line in trimmed(told, deps.history_tokens):
        check = await deps.guards.check_input(line.text, secrets)
        if check.blocked:
            dropped.append(Verdict("earlier", "mask", check.blocked.reason, check.blocked.score))
        else:
            secrets = check.secrets
            kept.append(Message(line.role, check.text, outcome=EARLIER))
    return kept, secrets, dropped


def _language(asked: str, text: str, spoken: Sequence[Language]) -> Language:
    """As asked for, if the desk speaks it, else as the text reads."""
    for language in spoken:
        if asked == language:
            return language
    return detect_language(text, spoken)
