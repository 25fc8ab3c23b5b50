"""A Langfuse server as one writes to it: spans, scores, and what its answers mean."""

import asyncio
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Literal

import httpx

from tracing.langfuse import check_server

TRACES = "/api/public/otel/v1/traces"
SCORES = "/api/public/scores"
REQUEST_SECONDS = 5.0
GZIP_LEVEL = 3

Verdict = Literal["taken", "later", "refused", "partly"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request. `later`: nothing was taken, try again; `why` says what to mend.

    `refused`: it will never be taken. `partly`: some was; `errors` has the status of each score that was not, by id.
    """

    verdict: Verdict
    why: str = ""
    wait: float = 0.0
    errors: Mapping[str, int] = field(default_factory=dict)


class LangfuseServer:
    """Belongs to one event loop; close it with `aclose`. Nothing is raised for what a server does."""

    def __init__(self, host: str, public_key: str, secret_key: str, *, seconds: float = REQUEST_SECONDS) -> None:
        """`seconds`: how long a request may take in all."""
        self._host = host.rstrip("/")
        self._seconds = seconds
        self._keys = (public_key, secret_key)
        self._client = httpx.AsyncClient(
            timeout=seconds,
            auth=httpx.BasicAuth(public_key, secret_key),
            headers={
                "x-langfuse-sdk-name": "python",
                "x-langfuse-sdk-version": version("langfuse"),
                "x-langfuse-public-key": public_key,
                "x-langfuse-ingestion-version": "4",  # spans are shown at once
            },
        )

    async def spans(self, body: bytes) -> Answer:
        """Send a gzipped ExportTraceServiceRequest."""
        return await self._send(TRACES, body, {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"})

    async def scores(self, scores: Sequence[Mapping[str, Any]]) -> Answer:
        """Send scores as the API's JSON."""
        return await self._send(SCORES, json.dumps(scores).encode(), {"Content-Type": "application/json"})

    async def fault(self) -> str:
        """What is wrong with a server that answers: too old for our scores, or it refuses the keys. Empty if nothing is."""
        said = await check_server(self._host, self._keys)
        return said.fault if said.version else ""

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _send(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        try:
            # httpx counts each read by itself: a server that dribbles would hold us for ever.
            async with asyncio.timeout(self._seconds):
                said = await self._client.post(f"{self._host}{path}", content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as fault:
            return Answer("later", f"no answer from {self._host} ({type(fault).__name__})")
        return _read(said)


def packed(bodies: Sequence[bytes]) -> bytes:
    """Serialized requests as one that can be sent."""
    return gzip.compress(b"".join(bodies), GZIP_LEVEL)


def _read(said: httpx.Response) -> Answer:
    code = said.status_code
    if code == httpx.codes.MULTI_STATUS:
        return Answer("partly", "a part was refused", errors=_errors(said))
    if said.is_success:
        return Answer("taken")
    if code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return Answer("later", f"the keys are refused ({code}): mend LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY")
    if code == httpx.codes.NOT_FOUND or said.is_redirect:
        return Answer("later", f"no Langfuse there ({code}): mend LANGFUSE_HOST")
    if said.is_server_error or code in (httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS):
        return Answer("later", f"it answers {code}", _wait(said))
    return Answer("refused", f"it answers {code}")


def _wait(said: httpx.Response) -> float:
    asked = said.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else 0.0


def _errors(said: httpx.Response) -> dict[str, int]:
    try:
        return {str(one["id"]): int(one.get("status", 400)) for one in said.json().get("errors", [])}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
