"""Customers in a closed loop: each sends the next request when the last is answered, over a connection that stays open.

Raw HTTP/1.1 on asyncio's streams, because whoever asks shares the cores with what is measured.
"""

import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

MS = 1000.0
PATIENCE = 60.0
WRITTEN = ("local", "remote")
"""Modes of an answer that a model has written."""
OK = 200


@dataclass(frozen=True, slots=True)
class Answered:
    """One request: its time, the time to the first token of a stream, and what the desk says of the turn (its Reply)."""

    ms: float
    first_ms: float
    status: int
    reply: Mapping[str, Any]

    @property
    def why_not(self) -> str:
        """Why it does not count as a whole turn; empty: it does."""
        if self.status != OK:
            return f"status {self.status}"
        if self.reply.get("outcome") != "answer":
            return f"{self.reply.get('outcome')}: {self.reply.get('reason')}"
        mode = str(self.reply["receipt"]["mode"])
        return "" if mode in WRITTEN else f"by {mode}"


@dataclass(slots=True)
class Load:
    """What a closed loop has seen. `bare`: the server is no desk; every 200 counts."""

    clients: int
    seconds: float = 0.0
    answers: list[Answered] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def take(self, answered: Answered, *, bare: bool) -> None:
        """Count one answer, or why it does not count."""
        why = "" if bare and answered.status == OK else answered.why_not
        if why:
            self.left_out[why] += 1
        else:
            self.answers.append(answered)

    @property
    def per_second(self) -> float:
        """Whole turns a second."""
        return len(self.answers) / self.seconds if self.seconds else 0.0

    def ms(self, share: float) -> float:
        """The time that this share of the turns stays below."""
        return quantile([one.ms for one in self.answers], share)

    def first_ms(self, share: float) -> float:
        """The same of the time to the first token."""
        return quantile([one.first_ms for one in self.answers], share)

    def step_ms(self) -> dict[str, float]:
        """Median time of each step, by the turns' receipts."""
        times: dict[str, list[float]] = {}
        for one in self.answers:
            for step in one.reply["receipt"]["steps"]:
                times.setdefault(step["name"], []).append(step["ms"])
        return {name: statistics.median(each) for name, each in times.items()}


def quantile(values: list[float], share: float) -> float:
    """By linear interpolation; NaN of nothing."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


async def closed_loop(
    url: str, bodies: Iterable[Mapping[str, object]], *, clients: int, requests: int, bare: bool = False
) -> Load:
    """`requests` bodies posted to one URL by so many clients. A connection that breaks counts as status 0."""
    load, waiting = Load(clients), _first(bodies, requests)
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(_client(url, waiting, load, bare=bare))
    load.seconds = time.perf_counter() - began
    return load


def _first(bodies: Iterable[Mapping[str, object]], count: int) -> Iterator[Mapping[str, object]]:
    for _, body in zip(range(count), bodies, strict=False):
        yield body


async def _client(url: str, bodies: Iterator[Mapping[str, object]], load: Load, *, bare: bool) -> None:
    line = Line(url)
    for body in bodies:
        try:
            async with asyncio.timeout(PATIENCE):
                answered = await line.post(body)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
            answered = Answered(0.0, 0.0, 0, {})
            line.hang_up()
        load.take(answered, bare=bare)
    line.hang_up()


class Line:
    """One connection to one URL."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._path = parts.hostname or "127.0.0.1", parts.port or 80, parts.path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def hang_up(self) -> None:
        """Close the connection; the next request opens another."""
        if self._streams:
            self._streams[1].close()
        self._streams = None

    async def post(self, body: Mapping[str, object]) -> Answered:
        """One request. Raises OSError, IncompleteReadError, ValueError."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        data = json.dumps(body).encode()
        head = f"POST {self._path} HTTP/1.1\r\nhost: {self._host}:{self._port}\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        began = time.perf_counter()
        writer.write(head.encode() + data)
        status, headers = _head(await reader.readuntil(b"\r\n\r\n"))
        if length := headers.get("content-length"):
            text = await reader.readexactly(int(length))
            ended = time.perf_counter()
            return Answered((ended - began) * MS, (ended - began) * MS, status, json.loads(text))
        text, first = await _chunks(reader)
        ended = time.perf_counter()
        return Answered((ended - began) * MS, ((first or ended) - began) * MS, status, _done(text))


def _head(raw: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = raw.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return int(first.split()[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _chunks(reader: asyncio.StreamReader) -> tuple[bytes, float]:
    """A chunked body, and the moment in which its first token came."""
    text, first = b"", 0.0
    while size := int(await reader.readline(), 16):
        text += await reader.readexactly(size)
        await reader.readline()
        if not first and b"event: token" in text:
            first = time.perf_counter()
    await reader.readline()
    return text, first


def _done(events: bytes) -> dict[str, Any]:
    """The Reply at the end of a stream of events; nothing where it does not end with one."""
    for event in reversed(events.split(b"\n\n")):
        if event.startswith(b"event: done\n"):
            reply: dict[str, Any] = json.loads(event.partition(b"data: ")[2])
            return reply
    return {}
