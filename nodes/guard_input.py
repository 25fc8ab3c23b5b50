"""First step: the only one that sees the raw question. Masks it, checks it, starts the turn afresh."""

from collections.abc import Sequence

from langgraph.types import Overwrite
from typing_extensions import TypedDict

from domain.turn import (
    Fact,
    Handoff,
    Language,
    Mode,
    Outcome,
    Passage,
    Reason,
    Scope,
    Score,
    Source,
    Tier,
    Turn,
    reason_of,
)
from models.language import detect_language
from nodes.deps import Deps


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
    scope: Scope
    tier: Tier
    why: list[str]
    passages: list[Passage]
    confidence: float
    draft: str
    quoted: str
    sources: list[Source]
    mode: Mode
    model: str
    prompt: str
    answer: str
    handoff: Handoff | None
    scores: list[Score]
    error: str


async def guard_input(turn: Turn, *, deps: Deps) -> GuardInputUpdate:
    """Mask personal data, look for attacks, find the language of the turn."""
    check = await deps.guards.check_input(turn["question"], turn.get("secrets", {}))
    facts, secrets, fact_verdicts = await deps.guards.check_facts(turn.get("context", []), check.secrets)
    return fresh_turn() | {
        "masked": check.text,
        "facts": facts,
        "secrets": secrets,
        "language": _language(turn.get("language", ""), check.text, deps.profile.languages),
        "verdicts": Overwrite([*check.verdicts, *fact_verdicts]),
        "outcome": "refuse" if check.blocked else None,
        "reason": reason_of(check.blocked) if check.blocked else None,
    }


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
        "scope": "in",
        "tier": "simple",
        "why": [],
        "passages": [],
        "confidence": 0.0,
        "draft": "",
        "quoted": "",
        "sources": [],
        "mode": "quote",
        "model": "",
        "prompt": "",
        "answer": "",
        "handoff": None,
        "scores": [],
        "error": "",
    }


def _language(asked: str, text: str, spoken: Sequence[Language]) -> Language:
    """As asked for, if the desk speaks it, else as the text reads."""
    for language in spoken:
        if asked == language:
            return language
    return detect_language(text, spoken)
