"""Prompts put to their own tests: by the answers that the cases themselves bring, or by the model that is up."""

import re
from collections.abc import Sequence
from typing import Any, get_args

from domain.errors import ConflictError, ModelError, UsageError
from domain.ports import ChatRequest, ModelCard
from domain.turn import Language, Passage
from graph.service import Service
from models.language import detect_language
from prompts import DONT_KNOW, Prompt, PromptCase
from scoring import quote

Json = dict[str, Any]
PASSAGE = re.compile(r"^\[(\d+)\] (.*)$", re.MULTILINE)
YES, NO = "yes", "no"
SURE_ENOUGH = 0.5


async def rehearse(service: Service, *, name: str = "", model: str = "scripted") -> Json:
    """Run the cases of a prompt (of its newest version that ships), of `name@version`, or of all of them.

    `model`: scripted runs each case's own right and wrong answers, which shows that the case can fail; model asks the one
    that is up. {with, model, mode, passed, failed, unscored, cases:[{prompt,case,faults,unscored,answer}]}.
    Raises UsageError, and ConflictError where no model is up.
    """
    chosen = [service.prompts.get(name)] if name else service.prompts.all()
    pairs = [(prompt, case) for prompt in chosen for case in prompt.cases]
    if model == "scripted":
        rows = [await _scripted(service, prompt, case) for prompt, case in pairs]
        return {"with": "scripted", "model": "", "mode": ""} | _summed(rows)
    if model != "model":
        raise UsageError(f"no model {model!r}", where="model", fix="scripted or model")
    card = service.chat.choose("simple", 1.0)
    if card is None:
        raise ConflictError("no language model is up", where="prompts test", fix="see frontdesk doctor")
    rows = [await _asked(service, prompt, case, card) for prompt, case in pairs]
    return {"with": "model", "model": card.name, "mode": card.mode} | _summed(rows)


async def _scripted(service: Service, prompt: Prompt, case: PromptCase) -> Json:
    """A case whose right answer fails, or whose wrong one passes, tests nothing."""
    prompt.render(**case.variables)
    faults = [f"its right answer {fault}" for fault in await _faults(service, case, case.right)] if case.right else []
    wrong = [(answer, await _faults(service, case, answer)) for answer in case.wrong]
    faults += [f"its wrong answer passes: {answer}" for answer, found in wrong if not found]
    none = "" if case.right or case.wrong else "it brings no answer of its own"
    return {"prompt": prompt.label, "case": case.id, "faults": faults, "unscored": none, "answer": case.right}


async def _asked(service: Service, prompt: Prompt, case: PromptCase, card: ModelCard) -> Json:
    row: Json = {"prompt": prompt.label, "case": case.id, "faults": [], "unscored": "", "answer": ""}
    messages = prompt.render(**case.variables)
    try:
        said = await service.chat.complete(
            ChatRequest("prompt_test", card.name, messages, card.max_tokens, prompt=prompt.label)
        )
        row["answer"] = said.text.strip()
        row["faults"] = await _faults(service, case, row["answer"])
        row["faults"] += await _judged(service, case, row["answer"], card)
    except ModelError as fault:
        row["unscored"] = str(fault)
    return row


async def _faults(service: Service, case: PromptCase, answer: str) -> list[str]:
    knows = not answer.lower().startswith(DONT_KNOW.lower())
    passages = _passages(case.variables.get("passages", ""))
    rests_on = await quote(answer, passages, embedder=service.embedder) if knows and passages and case.cites else []
    language = detect_language(answer, get_args(Language))
    return case.faults(answer, knows=knows, language=language, cited=[int(passage.article) for passage, _ in rests_on])


async def _judged(service: Service, case: PromptCase, answer: str, card: ModelCard) -> list[str]:
    """What the model says does not hold of the answer; it may be the one that has written it."""
    holds = service.prompts.get("holds")
    faults = []
    for sentence in case.judge:
        messages = holds.render(answer=answer, sentence=sentence)
        said = await service.chat.complete(ChatRequest("holds", card.name, messages, 1, (YES, NO), prompt=holds.label))
        if said.probabilities.get(YES, 0.0) < SURE_ENOUGH:
            faults.append(f"is judged otherwise: {sentence}")
    return faults


def _passages(text: str) -> Sequence[Passage]:
    """The numbered passages of a case, as a turn would have had them."""
    found = list(PASSAGE.finditer(text))
    ends = [*(each.start() for each in found[1:]), len(text)][: len(found)]
    return [
        Passage(id=each[1], article=each[1], title=each[2], text=text[each.end() : end].strip(), score=1.0)
        for each, end in zip(found, ends, strict=True)
    ]


def _summed(rows: Sequence[Json]) -> Json:
    return {
        "passed": sum(not row["faults"] and not row["unscored"] for row in rows),
        "failed": sum(bool(row["faults"]) for row in rows),
        "unscored": sum(bool(row["unscored"]) for row in rows),
        "cases": list(rows),
    }
