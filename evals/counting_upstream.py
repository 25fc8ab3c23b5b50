"""evals/upstream.py with a count of the tokens that go in and come out: `python -m evals.counting_upstream`.

Tokens are those of the WordPiece table that the English embedder ships (30,522 pieces), which is no provider's: English text
has a little more pieces in it than in the larger tables that models of today are billed by.
"""

import json
from typing import Any

from tokenizers import Tokenizer

from evals.upstream import Receive, Send, Upstream, recited, serve
from models.embedder import SPECS, find_weights

TABLE = "bge-small-en-v1.5"
AROUND = 4
"""Tokens of a message's role and separators, as in the known chat templates."""


class CountingUpstream:
    """Answers as `Upstream` does, at once; `/tokens` tells what was sent and said."""

    def __init__(self) -> None:
        """Raises WeightsError where the table is not installed."""
        spec = SPECS[TABLE]
        self._inner = Upstream(0.0)
        self._table = Tokenizer.from_file(str(find_weights(spec.package, spec.files)[1]))
        self._table.no_truncation()
        self._told = {"calls": 0, "input_tokens": 0, "output_tokens": 0}

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["path"] == "/tokens":
            await _told(send, self._told)
            return
        body = await _whole(receive)
        request = json.loads(body or b"{}")
        self._told["calls"] += 1
        for message in request.get("messages", []):
            self._told["input_tokens"] += self._count(str(message.get("content", ""))) + AROUND
        self._told["output_tokens"] += self._count(recited(request))

        async def again() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        await self._inner(scope, again, send)

    def _count(self, text: str) -> int:
        return len(self._table.encode(text, add_special_tokens=False).ids)


async def _whole(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def _told(send: Send, what: dict[str, int]) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(what).encode()})


if __name__ == "__main__":
    serve(CountingUpstream())
