"""An upstream that recites: it speaks OpenAI's streaming dialect and says the first passage of each prompt, word by word."""

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import Sequence

PAUSE = 0.03
SLOTS = 30
"""The streams are spoken to in turns, so that no burst of words comes every 30 ms."""
FIRST_PASSAGE = re.compile(r"\[1\] [^\n]*\n(.+)")
SENTENCE = re.compile(r"(?<=[.!?])\s")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


class Upstream:
    """Speaks OpenAI's streaming dialect. `ended`: when each sentence was whole, by its question's number."""

    def __init__(self) -> None:
        self.ended: dict[str, list[float]] = defaultdict(list)
        self.words = 0
        self.open = self.most_open = self.begun = 0
        self.speak, self.there, self.fading = asyncio.Event(), asyncio.Semaphore(0), asyncio.Event()
        self._slots: list[set[Recital]] = [set() for _ in range(SLOTS)]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, then goodbye."""
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            found = re.search(r"content-length: (\d+)", head)
            body = json.loads(await reader.readexactly(int(found[1]) if found else 0))
            prompt = body["messages"][-1]["content"]
            numbers = re.findall(r"\((\d+)\)", prompt)
            await self._recite(writer, prompt, numbers[-1] if numbers else "")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the desk has left
        finally:
            self.open -= 1
            writer.close()

    @property
    def said(self) -> int:
        """Sentences of all answers together."""
        return sum(map(len, self.ended.values()))

    async def conduct(self) -> None:
        """Give every open stream a word every 30 ms."""
        due = time.perf_counter()
        while True:
            for slot in self._slots:
                for recital in list(slot):
                    if not recital.say():
                        slot.discard(recital)
                due += PAUSE / SLOTS
                await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def _recite(self, writer: asyncio.StreamWriter, prompt: str, number: str) -> None:
        match = FIRST_PASSAGE.search(prompt)
        sentences = [one.split() for one in SENTENCE.split(match[1])[:3]] if match else [["Nothing", "here."]]
        while self.words > sum(map(len, sentences)):
            sentences += sentences[: len(sentences)]
        writer.write(HEAD)
        self.there.release()
        await self.speak.wait()
        recital = Recital(writer, sentences, self.ended[number])
        self._slots[self.begun % SLOTS].add(recital)
        self.begun += 1
        await recital.over.wait()
        self.fading.set()
        _say(writer, {}, "stop")
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()


class Recital:
    """One answer, word by word; `ended` takes the moments in which its sentences are known to be ones."""

    def __init__(self, writer: asyncio.StreamWriter, sentences: Sequence[Sequence[str]], ended: list[float]) -> None:
        self.over = asyncio.Event()
        self._writer, self._ended = writer, ended
        # Of the last one only the end of the stream says that it is over.
        ends = [*([False] * (len(one) - 1) + [True] for one in sentences[:-1]), [False] * len(sentences[-1])]
        self._words = [pair for one, last in zip(sentences, ends, strict=True) for pair in zip(one, last, strict=True)]
        self._words.reverse()

    def say(self) -> bool:
        """The next word; False where none is left."""
        if not self._words or self._writer.is_closing():
            self.over.set()
            return False
        word, last = self._words.pop()
        _say(self._writer, {"content": f"{word} "})
        if last:
            self._ended.append(time.perf_counter())
        return True


def _say(writer: asyncio.StreamWriter, delta: dict[str, str], finish: str | None = None) -> None:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "reciter", "choices": [choice]}
    writer.write(f"data: {json.dumps(chunk)}\n\n".encode())
