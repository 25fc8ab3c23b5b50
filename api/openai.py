"""The desk as if it were an OpenAI model: `/v1/chat/completions` and `/v1/models`.

The last user message is the question. Earlier messages are what the caller says was said: untrusted, and
guarded like a question; `system` messages and sampling parameters are read over. With a thread id, in
`metadata.thread_id` or the header X-Thread-Id, the desk's own memory of that thread wins. What OpenAI has no
word for stands in the extension field `frontdesk`: outcome, sources, ids, receipt.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api import problems
from api.chat import admit, caller, check_length
from api.doors import Doors, Here
from api.responses import HEARTBEAT, events, finished, reply_response, streamed
from api.schemas import ID_CHARS, USER_CHARS
from api.traceparent import traceparent_of
from api.turns import RunningTurn
from domain.receipt import Reply
from domain.turn import Language, Line
from graph.desk import Done, Event, Token
from graph.record import Question

OWNED_BY = "frontdesk"
MESSAGES = 200
EARLIER = 40
"""How many of the earlier messages are looked at; a model is shown fewer still."""

FinishReason = Literal["stop", "content_filter"]

router = APIRouter(prefix="/v1", tags=["OpenAI-compatible"])


class _Lenient(BaseModel):
    """Clients send many parameters of OpenAI's; those that mean nothing here are read over."""

    model_config = ConfigDict(extra="ignore")


class Part(_Lenient):
    """A piece of a message's content."""

    type: str
    text: str = ""


class ChatMessage(_Lenient):
    """One message. A content of parts must be text alone."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    @property
    def parts(self) -> list[Part]:
        """The content as parts."""
        return self.content if isinstance(self.content, list) else [Part(type="text", text=self.content or "")]

    @property
    def text(self) -> str:
        """The message's text, parts joined."""
        return "\n".join(part.text for part in self.parts)


class StreamOptions(_Lenient):
    """How a stream ends."""

    include_usage: bool | None = False


class Metadata(_Lenient):
    """Where Frontdesk's own parameters travel."""

    thread_id: str | None = Field(None, min_length=1, max_length=ID_CHARS)
    language: Language | None = None


class CompletionBody(_Lenient):
    """A conversation to be continued by the desk."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [
                {"model": "shop", "messages": [{"role": "user", "content": "How long do I have to return a lamp?"}]},
                {
                    "model": "shop",
                    "stream": True,
                    "messages": [
                        {"role": "user", "content": "How long do I have to return a lamp?"},
                        {"role": "assistant", "content": "You have 30 days."},
                        {"role": "user", "content": "And if it was on sale?"},
                    ],
                    "metadata": {"language": "en"},
                },
            ]
        },
    )

    model: str = Field(max_length=USER_CHARS)
    messages: list[ChatMessage] = Field(min_length=1, max_length=MESSAGES)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = None
    user: str | None = Field(None, max_length=USER_CHARS)
    safety_identifier: str | None = Field(None, max_length=USER_CHARS)
    metadata: Metadata | None = None

    @property
    def usage_asked(self) -> bool:
        """Whether a stream is to end with a chunk of usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


class Model(BaseModel):
    """A model as OpenAI lists it."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = OWNED_BY


class ModelList(BaseModel):
    """Every model that can be named."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.get("/models", summary="List the models: the desk")
async def models(doors: Here) -> ModelList:
    """One model, named as the desk's folder is."""
    return ModelList(data=[Model(id=_name(doors))])


@router.get("/models/{model}", summary="Look a model up", responses=problems.documented(problems.NO_MODEL))
async def model(model: str, doors: Here) -> Model:
    """The desk, if it is named so."""
    _known(model, doors)
    return Model(id=model)


@router.post(
    "/chat/completions",
    summary="Ask a question as one asks an OpenAI model",
    response_class=Response,
    responses=problems.documented(
        problems.UNREADABLE,
        problems.WRONG_REQUEST,
        problems.KEY_NEEDED,
        problems.UNKNOWN_KEY,
        problems.WRONG_SCOPE,
        problems.NOT_FOUND,
        problems.NO_MODEL,
        problems.THREAD_BUSY,
        problems.TOO_LARGE,
        problems.TOO_LONG,
        problems.INVALID_FIELDS,
        problems.TOO_MANY,
        problems.OVERLOADED,
    ),
)
async def completions(
    request: Request,
    body: CompletionBody,
    doors: Here,
    x_thread_id: Annotated[str | None, Header(min_length=1, max_length=ID_CHARS)] = None,
) -> Response:
    """One turn of the desk in the shape of a chat completion. A refusal has the finish_reason content_filter."""
    _known(body.model, doors)
    user = caller(request, body.user or body.safety_identifier)
    question = _question(body, user, x_thread_id)
    check_length(question.message, doors)
    question = replace(question, key=await admit(request, user, doors), parent=traceparent_of(request))
    turn = doors.turns.start(doors.service.desk.stream(question))
    if body.stream:
        return await streamed(turn, doors.heartbeat, lambda first: _chunks(turn, first, body, doors))
    reply = await finished(turn, request)
    return reply_response(reply, _completion(reply, body.model, _now(doors)) if reply else "")


def _name(doors: Doors) -> str:
    return doors.service.desk_folder.name


def _now(doors: Doors) -> int:
    return int(doors.clock.now().timestamp())


def _known(name: str, doors: Doors) -> None:
    """Raises ProblemError when a model is not the desk."""
    if name != _name(doors):
        raise problems.ProblemError(problems.NO_MODEL.saying(f"the only model here is {_name(doors)!r}"))


def _question(body: CompletionBody, user: str, thread: str | None) -> Question:
    """The last user message with what was said before it. Raises ProblemError when that is not what comes last."""
    spoken = [message for message in body.messages if message.role in ("user", "assistant")]
    if not spoken or spoken[-1].role != "user":
        raise problems.ProblemError(problems.WRONG_REQUEST.saying("the last message must be the user's question"))
    if any(part.type != "text" for message in spoken for part in message.parts):
        raise problems.ProblemError(problems.WRONG_REQUEST.saying("only text can be read: no images, audio, files"))
    if not spoken[-1].text.strip():
        raise problems.ProblemError(problems.WRONG_REQUEST.saying("the question is empty"))
    earlier: list[Line] = [
        {"role": "user" if message.role == "user" else "assistant", "text": message.text}
        for message in spoken[-EARLIER - 1 : -1]
        if message.text.strip()
    ]
    metadata = body.metadata or Metadata()
    return Question(spoken[-1].text, user, metadata.thread_id or thread or "", metadata.language or "", earlier=earlier)


async def _chunks(turn: RunningTurn, first: Event | None, body: CompletionBody, doors: Doors) -> AsyncIterator[bytes]:
    """The turn as `chat.completion.chunk` events, in the order that OpenAI's own come in."""
    head = {
        "id": f"chatcmpl-{doors.ids.new()}",
        "object": "chat.completion.chunk",
        "created": _now(doors),
        "model": body.model,
    }
    yield _data(head | _choice({"role": "assistant", "content": ""}))
    async for event in events(turn, first, doors.heartbeat):
        match event:
            case Token(text):
                yield _data(head | _choice({"content": text}))
            case Done(reply):
                yield _data(head | _choice({}, _finish(reply)) | {"frontdesk": _extension(reply)})
                if body.usage_asked:
                    yield _data(head | {"choices": [], "usage": _usage(reply)})
            case None:
                yield HEARTBEAT
            case _:
                pass
    if turn.fault:
        problem, occurrence = problems.problem_of(turn.fault), doors.ids.new()
        problems.report(turn.fault, problem, occurrence)
        yield _data({"error": problems.openai_error(problem)})
    yield b"data: [DONE]\n\n"


def _completion(reply: Reply, model: str, created: int) -> str:
    message = {"role": "assistant", "content": reply.answer, "refusal": None}
    return json.dumps(
        {
            "id": f"chatcmpl-{reply.turn_id}",
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply)}],
            "usage": _usage(reply),
            "frontdesk": _extension(reply),
        },
        ensure_ascii=False,
    )


def _choice(delta: dict[str, str], finish: FinishReason | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}


def _finish(reply: Reply) -> FinishReason:
    """A refusal is a filter at work; everything else, a don't-know too, is an answer that came to its end."""
    return "content_filter" if reply.outcome == "refuse" else "stop"


def _usage(reply: Reply) -> dict[str, int]:
    receipt = reply.receipt
    return {
        "prompt_tokens": receipt.input_tokens,
        "completion_tokens": receipt.output_tokens,
        "total_tokens": receipt.tokens,
    }


def _extension(reply: Reply) -> dict[str, Any]:
    """Everything of the Reply but its words."""
    return reply.model_dump(mode="json", exclude={"answer"})


def _data(chunk: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()
