"""Takes a user's traces out of Langfuse, by its public API."""

from collections.abc import Sequence

import httpx

from domain.errors import FrontdeskError

BATCH = 200
"""Traces a request: Langfuse takes them in and deletes in the background."""
SECONDS = 30.0


async def forget_traces(host: str, public_key: str, secret_key: str, traces: Sequence[str]) -> None:
    """Ask Langfuse to delete these traces with all that belongs to them. Raises FrontdeskError when it does not say yes."""
    url = f"{host.rstrip('/')}/api/public/traces"
    async with httpx.AsyncClient(timeout=SECONDS, auth=(public_key, secret_key)) as client:
        for start in range(0, len(traces), BATCH):
            batch = list(traces[start : start + BATCH])
            try:
                answer = await client.request("DELETE", url, json={"traceIds": batch})
            except (httpx.HTTPError, httpx.InvalidURL) as fault:
                raise _refused(f"no Langfuse server answers at {host} ({type(fault).__name__})") from fault
            if not answer.is_success:
                raise _refused(f"Langfuse at {host} answers {answer.status_code}")


def _refused(what: str) -> FrontdeskError:
    return FrontdeskError(f"{what}; nothing was deleted", where="langfuse", fix="mend that and delete again")
