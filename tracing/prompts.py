"""Prompts in Langfuse: a mirror of the library, to be read, tried and linked there, and to bring back what was changed there.

The library in git stays the truth. Version 2 of ours carries the label `frontdesk-2` there, as Langfuse counts its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import quote

from domain.errors import UsageError
from domain.turn import Message, Role
from tracing.api import LangfuseApi

PROMPTS = "/api/public/v2/prompts"
NEWEST = "latest"
"""The label that Langfuse itself keeps on the newest version."""


@dataclass(frozen=True, slots=True)
class MirroredPrompt:
    """One version as it stands in Langfuse; `version` is its number there."""

    name: str
    version: int
    messages: Sequence[Message]
    note: str


def label_of(version: int) -> str:
    """The label there of a version of ours."""
    return f"frontdesk-{version}"


class PromptMirror:
    """A Langfuse server, for prompts. Every call raises FrontdeskError as LangfuseApi does."""

    def __init__(self, api: LangfuseApi) -> None:
        self._api = api

    async def find(self, name: str, label: str = NEWEST) -> MirroredPrompt | None:
        """The version that carries a label, if there is one. Raises UsageError for one that is no chat of plain lines."""
        said = await self._api.ask("GET", f"{PROMPTS}/{quote(name, safe='')}?label={quote(label, safe='')}")
        if not said:
            return None
        where = f"{name} version {said.get('version')} in Langfuse"
        if said.get("type") != "chat" or not isinstance(said.get("prompt"), list):
            raise UsageError("is one text, not a chat", where=where, fix="make it a chat prompt there")
        messages = [_message(line, where) for line in said["prompt"]]
        return MirroredPrompt(name, int(said.get("version", 0)), messages, str(said.get("commitMessage") or ""))

    async def put(
        self, name: str, messages: Sequence[Message], *, label: str, note: str, config: Mapping[str, Any]
    ) -> int:
        """Make a new version under a label; its number there."""
        body = {
            "type": "chat",
            "name": name,
            "prompt": [{"role": line.role, "content": line.text} for line in messages],
            "labels": [label],
            "tags": ["frontdesk"],
            "config": dict(config),
            "commitMessage": note[:500],
        }
        return int((await self._api.ask("POST", PROMPTS, body)).get("version", 0))


def _message(line: object, where: str) -> Message:
    if not isinstance(line, dict) or line.get("role") not in get_args(Role) or not isinstance(line.get("content"), str):
        raise UsageError(
            "holds a line without role and text", where=where, fix=f"use {', '.join(get_args(Role))}; no placeholders"
        )
    return Message(line["role"], line["content"])
