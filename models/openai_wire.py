"""One request to one server that speaks OpenAI's chat API: the only importer of langchain_openai.

Imported lazily by models/chat.py (the import costs 0.8 s). Nothing is retried, timed or paid here.
"""

import json
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from math import exp
from typing import Any

import httpx
import openai
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from domain.tls import tls_trouble
from domain.turn import Message, Role
from models.catalog import OPENAI, Route
from models.connection import GONE, connections
from models.wire import Usage, WireError, WireReply

TOP = 10
"""Alternatives asked for one token: all spellings of a choice ("Yes", " yes", "YES") are among them."""
BAD_REQUEST = frozenset({400, 413, 422})
BUSY = 429
RETRYABLE = frozenset({408, 409, BUSY})
FIRST_SERVER_ERROR = 500
CA_FILE = "FRONTDESK_CA_FILE"
KINDS: dict[Role, type[BaseMessage]] = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}


class Wire:
    """A connection pool to one model at one endpoint. Belongs to the event loop that first uses it."""

    def __init__(self, route: Route) -> None:
        endpoint, row = route.endpoint, route.row
        self._http = connections(endpoint)
        self._legacy = endpoint.name != OPENAI
        self._chat = ChatOpenAI(
            model=row.name,
            base_url=endpoint.base_url,
            api_key=SecretStr(endpoint.api_key or "not-needed"),
            temperature=0.0 if "temperature" in row.abilities else None,
            max_retries=0,
            http_async_client=self._http,
            openai_proxy="",
            use_responses_api=False,
            stream_chunk_timeout=None,  # the caller's deadline holds for each word
        )
        self._chat.async_client = _Plain(self._chat.root_async_client)

    async def ask(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        gone: Callable[[], None],
        logprobs: bool = False,
        schema: str = "",
        temperature: float = 0.0,
    ) -> WireReply:
        """One request, one response, of the JSON `schema` where there is one. Raises WireError.

        `temperature` above 0 is left out for a model that takes none.
        `gone` is called when the whole request is out: from then on it may be charged, whatever becomes of it.
        """
        GONE.set(gone)
        options = self._limit(max_tokens)
        if temperature and self._chat.temperature is not None:
            options["temperature"] = temperature
        if schema:
            # Not as the library's own option: that parses the answer itself, and fails on one that was cut off.
            shape = {"name": "answer", "strict": True, "schema": json.loads(schema)}
            extra = {"response_format": {"type": "json_schema", "json_schema": shape}}
            options["extra_body"] = options.get("extra_body", {}) | extra
        if logprobs:
            options |= {"logprobs": True, "top_logprobs": TOP}
        with _faults():
            said = await self._chat.ainvoke([_shaped(message) for message in messages], **options)
            return WireReply(_text(said), _usage(said), _top(said))

    async def stream(
        self, messages: Sequence[Message], *, max_tokens: int, gone: Callable[[], None]
    ) -> AsyncGenerator[str | WireReply]:
        """One request; its first word, then its sentences as they end, then the whole with the usage. Raises WireError.

        A stream that ends without saying why it ended was cut off. `gone` as above.
        """
        GONE.set(gone)
        words, usage, ended = list[str](), None, False
        options = self._limit(max_tokens) | {"stream_usage": True}
        with _faults():
            async for chunk in self._chat.astream([_shaped(message) for message in messages], **options):
                said = _chunk(chunk)
                ended = ended or bool(said.response_metadata.get("finish_reason"))
                usage = _usage(said) or usage
                if word := _text(said):
                    words.append(word)
                    yield word
        if not ended:
            raise WireError("the stream was cut off", retry=True)
        yield WireReply("".join(words), usage, {})

    def _limit(self, max_tokens: int) -> dict[str, Any]:
        # Ollama and older servers know the limit only by its first name; OpenAI refuses both at once.
        return {"max_tokens": max_tokens} | ({"extra_body": {"max_tokens": max_tokens}} if self._legacy else {})

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


class _Plain:
    """Stands before the library's completions: what goes and what comes stays the dicts that langchain has made, or makes of it.

    The library walks through each message along every kind of message that its types know, a fifth of a call. It builds
    checked objects of an answer, or of each event of a stream, which langchain takes apart again: most of an event's time.
    """

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._client = client
        self.with_raw_response = _Whole(client)

    async def create(self, **payload: Any) -> Any:
        """The events of a stream, which is all that langchain asks for here. Raises what the library raises."""
        plain = openai.AsyncStream[object]
        body = _body(payload)
        return await self._client.post("/chat/completions", body=body, cast_to=object, stream=True, stream_cls=plain)


class _Whole:
    """The same of a whole answer, which langchain asks for as a raw response and parses."""

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._client = client

    async def create(self, **payload: Any) -> "_Said":
        """As the library's. Raises what it raises."""
        return _Said(await self._client.post("/chat/completions", body=_body(payload), cast_to=object))


@dataclass(frozen=True, slots=True)
class _Said:
    """What a server said; not an object where its body is no JSON."""

    body: object

    def parse(self) -> object:
        """The body."""
        return self.body


def _body(payload: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name != "extra_body"} | (payload.get("extra_body") or {})


@contextmanager
def _faults() -> Iterator[None]:
    """What the libraries raise, as a WireError."""
    try:
        yield
    except openai.APIStatusError as fault:
        raise _refused(fault) from fault
    except (openai.APIConnectionError, httpx.HTTPError) as fault:
        if trouble := tls_trouble(fault, CA_FILE):
            raise WireError(trouble[0], fix=trouble[1]) from fault
        raise WireError(f"no connection: {type(_root(fault)).__name__}", retry=True) from fault
    except (openai.OpenAIError, ValueError, TypeError, KeyError, AttributeError, IndexError) as fault:
        # The libraries read the response without checking it: any of these is a body of another shape.
        raise WireError(f"the response is no chat completion: {type(fault).__name__}", garbage=True) from fault


def _text(said: AIMessage) -> str:
    return said.content if isinstance(said.content, str) else ""


def _chunk(chunk: BaseMessage) -> AIMessageChunk:
    if not isinstance(chunk, AIMessageChunk):
        message = f"a {type(chunk).__name__} in a stream"
        raise TypeError(message)
    return chunk


def _shaped(message: Message) -> BaseMessage:
    return KINDS[message.role](content=message.text)


def _refused(fault: openai.APIStatusError) -> WireError:
    status = fault.status_code
    return WireError(
        f"answered {status}",
        rejected=status in BAD_REQUEST,
        retry=status in RETRYABLE or status >= FIRST_SERVER_ERROR,
        busy=status == BUSY,
        wait=_retry_after(fault.response.headers),
        refused=True,
    )


def _root(fault: BaseException) -> BaseException:
    """The first cause: the libraries wrap a refused connection several times."""
    while fault.__cause__ is not None:
        fault = fault.__cause__
    return fault


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds the server asks to wait; 0 when it says nothing readable."""
    said = headers.get("retry-after", "")
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(said) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return 0.0
    return max(0.0, until.total_seconds())


def _usage(said: AIMessage) -> Usage | None:
    usage = said.usage_metadata
    if usage is None:
        return None
    cached = usage.get("input_token_details", {}).get("cache_read") or 0
    return Usage(usage["input_tokens"], usage["output_tokens"], cached)


def _top(said: AIMessage) -> dict[str, float]:
    """Probabilities of the first token's alternatives; empty when the server gives none."""
    content = (said.response_metadata.get("logprobs") or {}).get("content") or []
    if not content:
        return {}
    return {entry["token"]: exp(entry["logprob"]) for entry in content[0].get("top_logprobs") or [content[0]]}
