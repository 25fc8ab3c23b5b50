"""Write the answer from the passages: by a model where one is up, by quotation otherwise.

The hybrid form that makes a small model usable: (1) a gate on retrieval confidence, in the grey band the
model's own P(yes); (2) only what matters of the passages near the best one; (3) a few-shot prompt. What it
then writes is checked in guard_output, which falls back to a quotation.
"""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace

from langgraph.runtime import Runtime
from typing_extensions import NotRequired, TypedDict

from domain.errors import BudgetError, ModelError
from domain.ports import CacheKey, ChatReply, ChatRequest, ModelCard
from domain.turn import Call, Message, Mode, Outcome, Passage, Pins, Reason, Source, Tier, Turn, language_of, payer_of
from nodes.aloud import Aloud, Say, passes
from nodes.deps import Deps
from nodes.history import answered, trimmed
from nodes.quotation import near_the_best, own_words, quotation, sources_of
from prompts import DONT_KNOW
from scoring import cut

READ, READ_BY_A_WEAK_MODEL = 2_400, 800
"""Characters of passages that a model is given (docs/retrieval.md): a small one reads 55 tokens a second on two cores."""
SURE_ENOUGH = 0.5
YES, NO = "yes", "no"
DONT_KNOWS_BEFORE_A_PERSON = 2
TIERS: tuple[Tier, ...] = ("simple", "medium", "complex")
LANGUAGE_NAMES = {"en": "English", "vi": "Vietnamese"}


class GenerateUpdate(TypedDict):
    """The draft and its sources."""

    draft: NotRequired[str]
    sources: NotRequired[list[Source]]
    doubtful: NotRequired[bool]
    mode: Mode
    model: NotRequired[str]
    prompt: NotRequired[str]
    calls: NotRequired[list[Call]]
    cache_key: NotRequired[dict[str, str]]
    outcome: NotRequired[Outcome]
    reason: NotRequired[Reason]
    dont_knows: NotRequired[int]
    resets_at: NotRequired[str]


@dataclass(frozen=True, slots=True)
class _Written:
    """What a model made of the passages: a text, or that they do not hold the answer, or nothing.

    `short`: the budget had no room for it.
    `card`: who wrote it, where that is another than was asked.
    """

    text: str
    calls: list[Call]
    knows: bool = True
    short: BudgetError | None = None
    card: ModelCard | None = None


async def generate(turn: Turn, runtime: Runtime[Pins], *, deps: Deps) -> GenerateUpdate:
    """Answer, or say that the desk does not know; small talk has its reply from route."""
    if turn.get("reason") in ("small_talk", "clarify"):
        return {"mode": "quote"}
    pins = runtime.context or Pins()
    card = None if pins.model == "quote" else deps.chat.choose(turn["tier"], turn["confidence"])
    if card is None:
        return await _quoted(turn, [], deps)
    if turn["confidence"] < deps.grey[0]:
        return _does_not_know(turn, [], deps)
    # Only who reads along needs the words as they come: of an answer that is waited for, a failed attempt can be made again.
    say = runtime.stream_writer if turn.get("live") else None
    return await _by_model(turn, pins, card, deps, say=say)


async def _quoted(turn: Turn, calls: list[Call], deps: Deps) -> GenerateUpdate:
    """The quotation, with a caveat or not at all where it may not answer. `calls`: what a model was asked in vain."""
    quoted = await quotation(turn, deps)
    if not quoted.knows:
        return _does_not_know(turn, calls, deps)
    said: GenerateUpdate = {"draft": quoted.text, "sources": quoted.sources, "mode": "quote", "calls": calls}
    return said | {"doubtful": quoted.doubtful}


async def _by_model(turn: Turn, pins: Pins, card: ModelCard, deps: Deps, *, say: Say | None) -> GenerateUpdate:
    """The answer that was given before to the same question, else the model's, else the quotation."""
    passages = near_the_best(turn["passages"])
    prompt = deps.prompts.get(pins.prompt or "answer")
    key = _cache_key(turn, pins, card, prompt.label, deps)
    articles = {passage.article for passage in passages}
    if key and deps.cache and (known := await deps.cache.find(turn["standalone"], key, articles)):
        again: GenerateUpdate = {"draft": known.text, "sources": known.sources, "mode": "cache", "model": known.model}
        return again | {"prompt": prompt.label}
    limit = READ_BY_A_WEAK_MODEL if card.weak else READ
    read = await cut(own_words(turn), passages, limit, embedder=deps.embedder)
    messages, calls = prompt.render(**_variables(turn, read, deps)), list[Call]()
    written = await _write(turn, read, card, deps, messages, label=prompt.label, say=say)
    for cheaper in _cheaper(card, deps):
        if written.short is None:
            break
        card, calls = cheaper, [*calls, *written.calls]
        written = await _write(turn, read, card, deps, messages, label=prompt.label, say=say)
    written = replace(written, calls=[*calls, *written.calls])
    if not written.knows:
        return _does_not_know(turn, written.calls, deps)
    if not written.text:
        quoted = await _quoted(turn, written.calls, deps)
        nothing = written.short and not quoted.get("draft")
        return _over_budget(written) if nothing else quoted
    return {
        "draft": written.text,
        "sources": await sources_of(written.text, turn, deps),
        "mode": (written.card or card).mode,
        "model": (written.card or card).name,
        "prompt": prompt.label,
        "calls": written.calls,
        "cache_key": asdict(key) if key and (written.card or card).name == key.model else {},
    }


def _cache_key(turn: Turn, pins: Pins, card: ModelCard, prompt: str, deps: Deps) -> CacheKey | None:
    """Within which bounds the answer may be shared; None for one that leans on this customer, or on an experiment.

    Shared are first questions without personal data and without facts about the customer (safety rule 8). A run
    with pins is a measurement: it must neither be given an old answer nor leave one behind.
    """
    personal = turn.get("secrets") or turn.get("facts") or turn.get("history")
    if deps.cache_key is None or personal or pins != Pins():
        return None
    return deps.cache_key(language_of(turn), prompt, card.name)


def _cheaper(card: ModelCard, deps: Deps) -> list[ModelCard]:
    """Models of lower tiers, the nearest first: what a budget that refuses one may still have room for."""
    lower = reversed(TIERS[: TIERS.index(card.tier)])
    found = {one.name: one for tier in lower if (one := deps.chat.choose(tier, 1.0)) and one.name != card.name}
    return list(found.values())


def _over_budget(written: _Written) -> GenerateUpdate:
    """Nothing to quote and no money for a model: a polite refusal that says when there is again."""
    reset = written.short.resets_at if written.short else None
    return {
        "mode": "quote",
        "calls": written.calls,
        "outcome": "refuse",
        "reason": "budget",
        "resets_at": reset.isoformat() if reset else "",
    }


def numbered(passages: Sequence[Passage]) -> list[str]:
    """Passages as a model reads them."""
    # Without its heading ("What we do not accept") a passage may read as its opposite.
    return [
        f"[{number}] {' - '.join(part for part in (item.title, item.section) if part)}\n{item.text}"
        for number, item in enumerate(passages, start=1)
    ]


def _variables(turn: Turn, passages: Sequence[Passage], deps: Deps) -> dict[str, str]:
    facts = [f"{fact['title']}: {fact['text']}" for fact in turn.get("facts", [])]
    history = trimmed(answered(turn.get("history", [])), deps.history_tokens)
    return {
        "desk": deps.profile.name,
        "tone": deps.profile.tone,
        "language": LANGUAGE_NAMES[turn["language"]],
        "passages": "\n\n".join([*numbered(passages), *facts]),
        "history": "\n".join(f"{line.role}: {line.text}" for line in history),
        "question": turn["standalone"],
    }


async def _write(
    turn: Turn,
    passages: Sequence[Passage],
    card: ModelCard,
    deps: Deps,
    messages: list[Message],
    *,
    label: str,
    say: Say | None,
) -> _Written:
    """Ask the model; one that is down, slow, over budget or talks nonsense leaves the quotation."""
    calls, payer = list[Call](), payer_of(turn)
    try:
        if card.weak and turn["confidence"] < deps.grey[1]:
            variables = _variables(turn, passages, deps)
            gate = deps.prompts.get("answerable")
            asked = gate.render(passages=variables["passages"], question=variables["question"])
            sure = await deps.chat.complete(
                ChatRequest("answerable", card.name, asked, 1, (YES, NO), payer, gate.label)
            )
            calls += sure.calls
            if sure.probabilities.get(YES, 0.0) < SURE_ENOUGH:
                return _Written("", calls, knows=False)
        request = ChatRequest("answer", card.name, messages, card.max_tokens, (), payer, label)
        reply = await (_aloud(request, turn, deps, say) if say else deps.chat.complete(request))
    except ModelError as fault:
        short = fault if isinstance(fault, BudgetError) else None
        return _Written("", [*calls, *fault.calls], short=short)
    text = reply.text.strip()
    return _Written(text, [*calls, *reply.calls], not text.lower().startswith(DONT_KNOW.lower()), card=reply.card)


async def _aloud(request: ChatRequest, turn: Turn, deps: Deps, say: Say) -> ChatReply:
    """Ask the model, and tell what has passed while it still writes. Raises ModelError as `complete` does."""
    aloud = Aloud(lambda so_far, passed: passes(so_far, passed, turn, deps), say)
    async with aclosing(deps.chat.stream(request)) as words:
        async for word in words:
            await aloud.hear(word)
    assert words.reply is not None  # the words ended without an error
    return words.reply


def _does_not_know(turn: Turn, calls: list[Call], deps: Deps) -> GenerateUpdate:
    """The second don't-know in a row is a case for a person, unless the desk says otherwise."""
    times = turn.get("dont_knows", 0) + 1
    person = deps.profile.handoff.repeated_dont_know
    again = times >= DONT_KNOWS_BEFORE_A_PERSON and person != "never"
    return {
        "mode": "quote",
        "calls": calls,
        "outcome": "handoff" if again and person == "open" else "dont_know",
        "reason": "repeated_dont_know" if again else "low_confidence",
        "dont_knows": 0 if again else times,
    }
