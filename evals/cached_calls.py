"""Model calls of measurements, kept by what was asked: the same question to the same model is paid for once."""

import asyncio
import hashlib
import json
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from domain.errors import StoreError
from domain.ports import ChatModel, ChatReply, ChatRequest, ChatStream, ModelCard
from domain.turn import Call, Tier

REPLY = TypeAdapter(ChatReply)


class CachedCalls:
    """A file of replies, by the hash of their requests. Requests hold masked text, and only their hash is kept.

    A reply that is given again costs nothing and takes no time: its calls say so. Failed calls are not kept.
    """

    def __init__(self, path: Path) -> None:
        """Raises StoreError for a file that cannot be read."""
        self._path = path
        self._lock = threading.Lock()
        self._known: dict[str, ChatReply] = {}
        self.hits = 0
        try:
            lines = path.read_bytes().splitlines() if path.is_file() else []
        except OSError as fault:
            raise StoreError(f"cannot be read: {fault.strerror}", where=str(path), fix="remove it") from fault
        for line in lines:
            self._take(line)

    def around(self, chat: ChatModel) -> ChatModel:
        """The same model, asked only what is not known yet."""
        return _Cached(chat, self)

    def find(self, key: str) -> ChatReply | None:
        """The reply to a request, its calls free of charge."""
        known = self._known.get(key)
        if known is None:
            return None
        self.hits += 1
        return replace(known, calls=[replace(call, cost_microusd=0, ms=0.0, first_ms=0.0) for call in known.calls])

    def keep(self, key: str, reply: ChatReply) -> None:
        """Keep a reply. Raises StoreError."""
        self._known[key] = reply
        line = json.dumps({"key": key, "reply": asdict(reply)}, ensure_ascii=False)
        try:
            with self._lock:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("a", encoding="utf-8", errors="replace") as file:
                    file.write(f"{line}\n")
        except OSError as fault:
            raise StoreError(
                f"cannot be written: {fault.strerror}", where=str(self._path), fix="see its rights"
            ) from fault

    def _take(self, line: bytes) -> None:
        try:
            given: dict[str, Any] = json.loads(line)
            self._known[str(given["key"])] = REPLY.validate_python(given["reply"])
        except (ValueError, KeyError, TypeError):
            return  # cut off by a kill, or of another version: asked again


def key_of(request: ChatRequest) -> str:
    """The hash of everything that a reply depends on: not on whose account it is asked."""
    asked = [
        request.purpose,
        request.model,
        [[one.role, one.text] for one in request.messages],
        request.max_tokens,
        list(request.choices),
        request.prompt,
        request.schema,
        *([request.temperature] if request.temperature else []),
    ]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


class _Cached:
    """Implements domain.ports.ChatModel."""

    def __init__(self, chat: ChatModel, calls: CachedCalls) -> None:
        self._chat = chat
        self._calls = calls

    def choose(self, tier: Tier, confidence: float) -> ModelCard | None:
        return self._chat.choose(tier, confidence)

    async def complete(self, request: ChatRequest) -> ChatReply:
        key = key_of(request)
        if known := self._calls.find(key):
            return known
        reply = await self._chat.complete(request)
        if reply.card is None or reply.card.name == request.model:  # another model that stood in is not this one's word
            await asyncio.to_thread(self._calls.keep, key, reply)
        return reply

    def stream(self, request: ChatRequest) -> ChatStream:
        """Measurements wait for the whole answer: a stream is the whole at once."""

        async def words() -> AsyncGenerator[str]:
            reply = await self.complete(request)
            yield reply.text
            said.calls.extend(reply.calls)
            said.reply = reply

        said = _Whole(words())
        return said


@dataclass(slots=True)
class _Whole:
    words: AsyncGenerator[str]
    calls: list[Call] = field(default_factory=list)
    reply: ChatReply | None = None

    def __aiter__(self) -> AsyncIterator[str]:
        return self.words

    async def aclose(self) -> None:
        await self.words.aclose()
