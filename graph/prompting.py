"""Prompts as versions: the operators' work on the library."""

import asyncio
import os
from dataclasses import replace
from difflib import unified_diff
from pathlib import Path
from typing import Any

from domain.errors import UsageError
from graph.rooms import PROMPTS
from graph.service import Service
from prompts import Prompt, PromptLibrary
from prompts.registry import export_prompts, parse_prompts, prompt_file

Json = dict[str, Any]


async def prompts(service: Service) -> Json:
    """Every version of every prompt: {prompts:[{label,name,version,author,note,hash,created_at,cases,shipped}]}."""
    return {"prompts": [_row(service.prompts, each) for each in service.prompts.all()]}


async def show(service: Service, *, name: str) -> Json:
    """One version: a row of `prompts` with `variables`, `messages:[{role,text}]`, `parent`, `figures`. Raises UsageError."""
    prompt = service.prompts.get(name)
    messages = [{"role": line.role, "text": line.text} for line in prompt.messages]
    origin = {"parent": prompt.parent, "figures": dict(prompt.figures)}
    return _row(service.prompts, prompt) | {"variables": list(prompt.variables), "messages": messages} | origin


async def diff(service: Service, *, a: str, b: str) -> Json:
    """What `b` says otherwise than `a`: {a, b, same, diff:[lines of a unified diff]}. Raises UsageError."""
    first, second = service.prompts.get(a), service.prompts.get(b)
    lines = unified_diff(_lines(first), _lines(second), first.label, second.label, lineterm="")
    return {"a": first.label, "b": second.label, "same": first.hash == second.hash, "diff": list(lines)}


async def export(service: Service, *, name: str = "") -> Json:
    """One version, every version of a name, or all as YAML documents: {count, yaml}. Raises UsageError."""
    found = chosen(service.prompts, name)
    return {"count": len(found), "yaml": export_prompts(found)}


def chosen(library: PromptLibrary, name: str) -> list[Prompt]:
    """The one version that `name@version` says, every version of a name, or with no name all. Raises UsageError."""
    if not name:
        return library.all()
    found = library.get(name)
    return [found] if "@" in name else [each for each in library.all() if each.name == found.name]


async def register(service: Service, *, text: str, who: str) -> Json:
    """Write the prompts of a YAML text into the desk's folder, and log who did: {registered, unchanged} by label.

    All or none. A prompt that is there, version and text, is left as it is. None answers before it is named
    somewhere. Raises UsageError: what is no prompt, a version that is taken, a text that is there under another name.
    """
    given = parse_prompts(text, where="prompts")
    if not given:
        raise UsageError("holds no prompt", where="text", fix="give a prompt's file, or what `prompts export` wrote")
    known = {(each.label, each.hash) for each in service.prompts.all()}
    now = service.clock.now().isoformat()
    fresh = [replace(each, created_at=each.created_at or now) for each in given if (each.label, each.hash) not in known]
    PromptLibrary({(each.name, each.version): each for each in service.prompts.all()}, fresh)
    folder = service.desk_folder / PROMPTS
    await asyncio.to_thread(_keep, folder, fresh)
    for each in fresh:
        service.prompts.add(each)
        after = {"prompt": each.label, "hash": each.hash}
        await asyncio.to_thread(service.store.audit.record, who, "prompts.register", None, after)
    labels = [each.label for each in fresh]
    return {"registered": labels, "unchanged": [each.label for each in given if each.label not in labels]}


def _keep(folder: Path, fresh: list[Prompt]) -> None:
    """One file each, none of which was there; after a failure none of them is."""
    written: list[Path] = []
    try:
        folder.mkdir(exist_ok=True)
        for each in fresh:
            path = folder / f"{each.name}-{each.version}.yaml"
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(prompt_file(each))
                file.flush()
                os.fsync(file.fileno())
    except OSError as fault:
        for path in written:
            path.unlink()
        why = "somebody else has registered it" if isinstance(fault, FileExistsError) else "cannot be written"
        raise UsageError(why, where=str(fault.filename or folder), fix="see that folder, then try again") from fault


def _row(library: PromptLibrary, prompt: Prompt) -> Json:
    return {
        "label": prompt.label,
        "name": prompt.name,
        "version": prompt.version,
        "author": prompt.author,
        "note": prompt.note,
        "hash": prompt.hash,
        "created_at": prompt.created_at,
        "cases": len(prompt.cases),
        "shipped": library.ships(prompt),
    }


def _lines(prompt: Prompt) -> list[str]:
    return [part for line in prompt.messages for part in (f"[{line.role}]", *line.text.splitlines())]
