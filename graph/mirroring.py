"""Prompts to and from Langfuse: the operators' work on the mirror. The library in git stays the truth."""

import asyncio
from dataclasses import replace
from typing import Any

from domain.errors import UsageError
from graph.prompting import chosen, register
from graph.service import Service
from prompts.registry import prompt_file
from tracing.api import LangfuseApi
from tracing.prompts import NEWEST, PromptMirror, label_of

Json = dict[str, Any]


async def push(service: Service, *, name: str = "", who: str) -> Json:
    """Bring one version, every version of a name, or all to Langfuse: {pushed, unchanged} by label.

    A version that is there is left as it is. Raises UsageError: no keys, no such prompt, a version that says something
    else there; FrontdeskError for a server that does not take it.
    """
    pushed, unchanged = list[str](), list[str]()
    async with _api(service) as api:
        mirror = PromptMirror(api)
        for prompt in chosen(service.prompts, name):
            label = label_of(prompt.version)
            there = await mirror.find(prompt.name, label)
            if there is not None and tuple(there.messages) != prompt.messages:
                raise UsageError(
                    f"{label} says something else in Langfuse",
                    where=prompt.label,
                    fix=f"take that label off there, or: frontdesk prompts pull {prompt.name} --label {label}",
                )
            if there is not None:
                unchanged.append(prompt.label)
                continue
            config = {"frontdesk": {"label": prompt.label, "hash": prompt.hash, "variables": list(prompt.variables)}}
            await mirror.put(prompt.name, prompt.messages, label=label, note=prompt.note, config=config)
            pushed.append(prompt.label)
    if pushed:
        await asyncio.to_thread(service.store.audit.record, who, "prompts.push", None, {"prompts": pushed})
    return {"pushed": pushed, "unchanged": unchanged}


async def pull(service: Service, *, name: str, label: str = NEWEST, who: str) -> Json:
    """Register what a prompt says in Langfuse as the next version here: {registered, unchanged} by label.

    It keeps the variables and the cases of the version that it follows. Raises UsageError: no keys, no such prompt
    there or here, no chat, a text with other variables; FrontdeskError as `push`.
    """
    base = service.prompts.get(name)
    async with _api(service) as api:
        there = await PromptMirror(api).find(base.name, label)
    if there is None:
        raise UsageError(f"Langfuse has no {base.name} with the label {label}", where=name, fix="see its prompts there")
    messages = tuple(replace(line, text=line.text.strip()) for line in there.messages)
    same = next((each for each in service.prompts.all() if each.name == base.name and each.messages == messages), None)
    if same is not None:
        return {"registered": [], "unchanged": [same.label]}
    newest = max(each.version for each in service.prompts.all() if each.name == base.name)
    note = there.note or f"Pulled from Langfuse, version {there.version} there."
    fresh = replace(
        base, version=newest + 1, author=who, note=note, messages=messages, created_at="", parent="", figures={}
    )
    return await register(service, text=prompt_file(fresh), who=who)


def _api(service: Service) -> LangfuseApi:
    settings = service.settings
    if not settings.traces_to_langfuse:
        raise UsageError(
            "Langfuse is not configured", where="prompts", fix="set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"
        )
    secret = settings.langfuse_secret_key.get_secret_value()
    return LangfuseApi(settings.langfuse_host, settings.langfuse_public_key, secret, fix="see frontdesk doctor")
