"""A model's words on the wire, joined into one event a sentence before anything is made of them.

A server sends an event for each word. What the libraries make of one (a checked object, a dict, two messages) costs
more than the word's whole way to the customer, and nobody is told of a word before its sentence is over. So events that
differ in nothing but their words become one; every other event passes as it came.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx

from domain.words import SENTENCE_END
from models.wire import HELD

EVENT_END = re.compile(rb"\r?\n\r?\n|\r\r")
DATA = b"data:"
BEHIND = 8
"""Characters before the new words that may belong to a sentence's end."""
PADDING = "obfuscation"
"""A member that OpenAI fills with random letters, so that nobody reads the length of a word off its event."""
OTHER = "another word"
CROWD, PAUSE_EACH, LONGEST_PAUSE = 40, 0.0004, 0.05
"""From so many open streams on each is left alone for so many seconds a stream after it was read, so that a look finds
several words: a look costs more than the words in it."""


class Joiner:
    """Joins the words of all streams of one client."""

    def __init__(self) -> None:
        self.open = 0

    async def __call__(self, response: httpx.Response) -> None:
        """A hook of an httpx client, called before a body is read."""
        kind = response.headers.get("content-type", "")
        if kind.startswith("text/event-stream") and "content-encoding" not in response.headers:
            assert isinstance(response.stream, httpx.AsyncByteStream)  # the hook of an asynchronous client
            response.stream = _Joined(response.stream, self)

    @property
    def pause(self) -> float:
        """Seconds between two looks at a stream in the middle of a sentence."""
        return min(LONGEST_PAUSE, PAUSE_EACH * self.open) if self.open >= CROWD else 0.0


class _Joined(httpx.AsyncByteStream):
    """The stream of a response, with fewer events."""

    def __init__(self, stream: httpx.AsyncByteStream, joiner: Joiner) -> None:
        self._stream, self._joiner = stream, joiner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        words = Words()
        self._joiner.open += 1
        try:
            async for data in self._stream:
                if told := b"".join(words.heard(data)):
                    yield told
                if pause := self._joiner.pause:
                    await asyncio.sleep(pause)
        except httpx.TransportError:
            yield words.rest()  # what was written before the stream broke off is to be known, and paid
            raise
        finally:
            self._joiner.open -= 1
        yield words.rest()

    async def aclose(self) -> None:
        await self._stream.aclose()


class Words:
    """Joins the events of one stream."""

    def __init__(self) -> None:
        self._unread = b""
        self._event: dict[str, Any] = {}
        self._around = (b"", b"")
        self._held: list[str] = []
        self._tail = ""
        self._begun = False

    def heard(self, data: bytes) -> Iterator[bytes]:
        """The events that pass now that `data` is there: several sentences that came at once are one event too."""
        *events, self._unread = EVENT_END.split(self._unread + data)
        due = False
        for raw in events:
            word = self._same(raw)
            if not word:
                event, word = _word(raw)
                if self._held and (not word or event != self._event):
                    yield self._told()
                if not word:
                    yield raw + b"\n\n"
                    continue
                self._event, self._around = event, _around(raw, event, word)
            self._held.append(word)
            # The first word passes at once: how long a model took to it is a figure of its own.
            due = self._over(word) or due or not self._begun
            self._begun = True
        if due and self._held:
            yield self._told()

    def rest(self) -> bytes:
        """What is left at the end."""
        return (self._told() if self._held else b"") + self._unread

    def _same(self, raw: bytes) -> str:
        """The words of an event that is otherwise, letter by letter, the one before."""
        before, behind = self._around
        if not before or not raw.startswith(before) or not raw.endswith(behind):
            return ""
        word = raw[len(before) : max(len(raw) - len(behind), len(before))]
        if b'"' in word or b"\\" in word:
            return ""
        try:
            return word.decode()
        except UnicodeDecodeError:
            return ""

    def _over(self, word: str) -> bool:
        """Whether a sentence may be over with this word, or what is held is long."""
        self._tail = self._tail[-BEHIND:] + word
        ends = [match.end() for match in SENTENCE_END.finditer(self._tail)]
        if ends:
            self._tail = self._tail[ends[-1] :]
        return bool(ends) or len(self._held) >= HELD

    def _told(self) -> bytes:
        """The held words as one event."""
        choice = self._event["choices"][0]
        said = choice["delta"] | {"content": "".join(self._held)}
        self._held.clear()
        told = self._event | {"choices": [choice | {"delta": said}]}
        return b"data: " + json.dumps(told).encode() + b"\n\n"


def _word(raw: bytes) -> tuple[dict[str, Any], str]:
    """An event without its words, and the words; no words where it is anything but words."""
    if not raw.startswith(DATA) or b"\n" in raw or b"\r" in raw:
        return {}, ""
    try:
        event = json.loads(raw[len(DATA) :])
        (choice,) = event["choices"]
        delta = choice["delta"]
        word = delta.pop("content")
        alone = not any(value for name, value in delta.items() if name != "role")
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}, ""
    if not isinstance(word, str) or not alone or choice.get("finish_reason") or choice.get("logprobs"):
        return {}, ""
    if event.get("usage") or event.get("error"):
        return {}, ""
    event.pop(PADDING, None)
    return event, word


def _around(raw: bytes, event: dict[str, Any], word: str) -> tuple[bytes, bytes]:
    """What stands before and behind the words of an event; nothing where it cannot be told."""
    before, _, behind = raw.partition(b'"' + word.encode("utf-8", "surrogatepass") + b'"')
    around = before + b'"', b'"' + behind
    return around if _word(OTHER.encode().join(around)) == (event, OTHER) else (b"", b"")
