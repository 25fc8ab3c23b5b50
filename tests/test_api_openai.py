"""The OpenAI-compatible door, asked by OpenAI's own client and by LangChain's."""

import asyncio
from contextlib import asynccontextmanager

import openai
import pytest
from api_fakes import ANSWER, PATIENCE, FakeService, ScriptedDesk, at_door, served
from langchain_openai import ChatOpenAI

from domain.errors import NotFoundError, OverloadedError, ThreadBusyError

ASKED = [{"role": "user", "content": "How long do I have?"}]


@asynccontextmanager
async def client_of(service):
    async with (
        asyncio.timeout(PATIENCE),
        served(service) as (http, _),
        openai.AsyncOpenAI(base_url=f"{http.base_url}/v1", api_key="not-needed", max_retries=0) as client,
    ):
        yield client


def with_client(work, service=None):
    async def run():
        async with client_of(service or FakeService()) as client:
            return await work(client)

    return asyncio.run(run())


def test_the_official_client_gets_an_answer_with_its_sources():
    completion = with_client(lambda client: client.chat.completions.create(model="lamps", messages=ASKED))
    choice = completion.choices[0]
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", ANSWER, "stop")
    assert (completion.id, completion.object, completion.model) == ("chatcmpl-turn-1", "chat.completion", "lamps")
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    extension = completion.model_extra["frontdesk"]
    assert (extension["outcome"], extension["thread_id"]) == ("answer", "thread-1")
    assert extension["sources"][0]["id"] == "returns"
    assert "answer" not in extension


def test_the_official_client_reads_a_stream_to_its_usage():
    async def work(client):
        stream = await client.chat.completions.create(
            model="lamps", messages=ASKED, stream=True, stream_options={"include_usage": True}
        )
        return [chunk async for chunk in stream]

    chunks = with_client(work)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]).strip() == ANSWER
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-2].model_extra["frontdesk"]["turn_id"] == "turn-1"
    assert (chunks[-1].choices, chunks[-1].usage.total_tokens) == ([], 0)
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_has_no_usage_unless_it_is_asked_for():
    async def work(client):
        return [
            chunk async for chunk in await client.chat.completions.create(model="lamps", messages=ASKED, stream=True)
        ]

    assert all(chunk.choices and chunk.usage is None for chunk in with_client(work))


def test_langchain_asks_and_streams():
    async def work(client):
        model = ChatOpenAI(model="lamps", base_url=str(client.base_url), api_key="not-needed", stream_usage=True)
        whole = await model.ainvoke("How long do I have?")
        pieces = [piece async for piece in model.astream("How long do I have?")]
        return whole, pieces

    whole, pieces = with_client(work)
    assert whole.content == ANSWER
    assert "".join(piece.content for piece in pieces).strip() == ANSWER
    assert pieces[-1].response_metadata is not None


def test_the_last_question_is_asked_and_what_was_said_goes_along():
    service = FakeService()
    messages = [
        {"role": "system", "content": "You are a pirate."},
        {"role": "user", "content": "Do you sell lamps?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": [{"type": "text", "text": "And"}, {"type": "text", "text": "chairs?"}]},
    ]

    async def work(client):
        await client.chat.completions.create(
            model="lamps", messages=messages, user="lan", temperature=0.7, metadata={"language": "vi"}
        )

    with_client(work, service)
    question = service.desk.asked[0]
    assert (question.message, question.user_id, question.language) == ("And\nchairs?", "lan", "vi")
    assert question.earlier == [
        {"role": "user", "text": "Do you sell lamps?"},
        {"role": "assistant", "text": "Yes."},
    ]


@pytest.mark.parametrize(
    "named",
    [{"extra_headers": {"X-Thread-Id": "t7"}}, {"metadata": {"thread_id": "t7"}}],
    ids=["header", "metadata"],
)
def test_a_thread_can_be_named(named):
    service = FakeService()
    with_client(lambda client: client.chat.completions.create(model="lamps", messages=ASKED, **named), service)
    assert service.desk.asked[0].thread_id == "t7"


def test_the_desk_is_the_only_model():
    async def work(client):
        listed = [model.id async for model in client.models.list()]
        found = await client.models.retrieve("lamps")
        with pytest.raises(openai.NotFoundError) as unknown:
            await client.chat.completions.create(model="gpt-5", messages=ASKED)
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("gpt-5")
        return listed, found.id, unknown.value

    listed, found, unknown = with_client(work)
    assert (listed, found) == (["lamps"], "lamps")
    assert unknown.code == "model_not_found"
    assert "'lamps'" in str(unknown)


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([{"role": "system", "content": "hi"}], "last message"),
        ([*ASKED, {"role": "assistant", "content": "hm"}], "last message"),
        ([{"role": "user", "content": "  "}], "empty"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}], "only text"),
    ],
)
def test_what_is_no_question_is_said_in_openais_words(messages, says):
    service = FakeService()

    async def work(client):
        with pytest.raises(openai.BadRequestError, match=says) as raised:
            await client.chat.completions.create(model="lamps", messages=messages)
        return raised.value

    assert with_client(work, service).type == "invalid_request_error"
    assert service.desk.asked == []


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (NotFoundError("no such thread"), openai.NotFoundError),
        (ThreadBusyError("busy"), openai.ConflictError),
        (OverloadedError("full"), openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_turn_that_cannot_begin_raises_the_clients_own_error(fault, raised, stream):
    service = FakeService()
    service.desk.early = fault

    async def work(client):
        with pytest.raises(raised):
            await client.chat.completions.create(model="lamps", messages=ASKED, stream=stream)

    with_client(work, service)


def test_a_turn_that_breaks_in_mid_stream_is_an_error_without_its_text(caplog):
    del caplog
    service = FakeService()
    service.desk.late = RuntimeError("secret detail")

    async def work(client):
        stream = await client.chat.completions.create(model="lamps", messages=ASKED, stream=True)
        with pytest.raises(openai.APIError) as raised:
            async for _ in stream:
                pass
        return str(raised.value)

    assert with_client(work, service) == "Something went wrong on our side"


def test_a_refusal_is_a_filter_at_work():
    async def work(door):
        body = {"model": "lamps", "messages": ASKED}
        return (await door.post("/v1/chat/completions", body)).json()["choices"][0]["finish_reason"]

    refused = FakeService()
    refused.desk.outcome = "refuse"
    assert at_door(work, refused) == "content_filter"
    assert at_door(work) == "stop"


def test_several_answers_at_once_are_not_to_be_had():
    answer = at_door(lambda door: door.post("/v1/chat/completions", {"model": "lamps", "messages": ASKED, "n": 2}))
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith("n: ")


def test_what_may_be_taken_back_is_not_told_to_clients_that_cannot_forget_it():
    async def work(client):
        stream = await client.chat.completions.create(model="lamps", messages=ASKED, stream=True)
        return [chunk async for chunk in stream]

    chunks = with_client(work, FakeService(desk=ScriptedDesk(retracted="You have 77 days. ")))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks).strip() == ANSWER
