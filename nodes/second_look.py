"""The last step of the guards' cascade: a configured model rules on a question that the local classifiers are unsure of.

It sees masked text, is paid for by the turn, and has a few seconds. Whatever goes wrong with it, the classifiers'
verdicts stand.
"""

import json
import re
from dataclasses import replace

from domain.errors import ModelError
from domain.ports import ChatRequest
from domain.turn import Call, Payer
from guards import InputCheck
from guards.doubt import FAMILIES, HARMLESS, settled
from nodes.deps import Deps

PURPOSE = "second_look"
SECONDS = 3.0
"""How long a customer may wait for it."""
MAX_TOKENS = 24
RULINGS = (*FAMILIES, HARMLESS)
SCHEMA = {
    "type": "object",
    "properties": {"verdict": {"type": "string", "enum": list(RULINGS)}},
    "required": ["verdict"],
    "additionalProperties": False,
}


async def second_look(check: InputCheck, payer: Payer, deps: Deps) -> tuple[InputCheck, list[Call]]:
    """The check as it is after a ruling on what is in doubt, and the attempts that were made for it."""
    card = deps.chat.choose("simple", 1.0) if check.doubtful and deps.second_look else None
    if card is None or card.weak:
        return check, []
    prompt = deps.prompts.get(PURPOSE)
    messages = prompt.render(desk=deps.profile.name, question=check.text)
    request = ChatRequest(
        PURPOSE, card.name, messages, MAX_TOKENS, (), payer, prompt.label, json.dumps(SCHEMA), seconds=SECONDS
    )
    try:
        reply = await deps.chat.complete(request)
        ruling, calls = _ruling(reply.text), reply.calls
    except ModelError as fault:
        ruling, calls = "", fault.calls
    verdicts = settled(check.verdicts, check.doubtful, ruling)
    blocked = next((verdict for verdict in verdicts if verdict.action == "block"), None)
    return replace(check, verdicts=verdicts, blocked=blocked), calls


def _ruling(text: str) -> str:
    """The verdict that a model's JSON holds; empty where it holds none."""
    found = re.search(r"\{[^{}]*\}", text)
    try:
        given = json.loads(found[0]) if found else {}
    except ValueError:
        return ""
    said = given.get("verdict")
    return said if said in RULINGS else ""
