"""Langfuse's HTTP API, for what is sent or fetched on somebody's word: experiments and prompts, not turns."""

import asyncio
from collections.abc import Mapping
from typing import Any, Self

import httpx

from domain.errors import FrontdeskError

SECONDS = 10.0


class LangfuseApi:
    """One Langfuse server. Belongs to one event loop; use it as a context manager.

    Every call raises FrontdeskError for a server that is away, refuses the keys, or does not take what it is given;
    `fix` is what its line then says.
    """

    def __init__(self, host: str, public_key: str, secret_key: str, *, fix: str) -> None:
        self._host, self._fix = host.rstrip("/"), fix
        self._http = httpx.AsyncClient(
            timeout=SECONDS,
            auth=httpx.BasicAuth(public_key, secret_key),
            headers={"x-langfuse-public-key": public_key, "x-langfuse-ingestion-version": "4"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object that it answers; empty where there is no such thing (404)."""
        said = await self._request(method, path, json=body)
        if said.status_code == httpx.codes.NOT_FOUND:
            return {}
        try:
            found = said.json()
        except ValueError as fault:
            raise self._fault("answers, but not as a Langfuse server does") from fault
        if not isinstance(found, dict):
            raise self._fault("answers, but not as a Langfuse server does")
        return found

    async def send(self, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Bytes that it has to take whole."""
        said = await self._request("POST", path, content=body, headers=dict(headers))
        if said.status_code == httpx.codes.MULTI_STATUS:
            raise self._fault("took a part only: some scores were refused")

    async def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            async with asyncio.timeout(SECONDS):
                said = await self._http.request(method, f"{self._host}{path}", **options)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as fault:
            raise self._fault(f"gives no answer ({type(fault).__name__})") from fault
        if said.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise self._fault("refuses the keys")
        missing = method == "GET" and said.status_code == httpx.codes.NOT_FOUND
        if not said.is_success and not missing:
            raise self._fault(f"answers {said.status_code} to {path}")
        return said

    def _fault(self, what: str) -> FrontdeskError:
        return FrontdeskError(f"Langfuse {what}", where=self._host, fix=self._fix)
