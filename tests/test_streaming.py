"""A model's answer told while it is written: nothing unchecked, and what did not hold is taken back."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import ShelfSearch
from house import PROFILE, RETURNS, House, open_house
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_models_chat import USAGE, Bench, bench, row, said
from test_models_stream import Streaming, chunk

from cli.asking import _say
from domain.profile import DeskProfile
from graph.desk import Done, Event, Retract, Sources, StepDone, Token
from graph.record import Question
from nodes.aloud import Aloud
from prompts import DONT_KNOW

ASKED = "How many days do I have to return a lamp?"
HOLDS = "You can return a lamp within 30 days."
OWN_WORDS = "You have 30 days to return an unused lamp."
FURTHER = "The lamp must be unused."
CANARY = "bcdfghjklmnpqrst"
QUOTED = "You can return a lamp within 30 days"
INTERNAL = "The goodwill limit for agents is 77 dollars without asking a lead."
REQUIRING = DeskProfile.model_validate(
    PROFILE.model_dump(by_alias=True)
    | {
        "rules": [
            {
                "id": "disclaimer",
                "side": "output",
                "kind": "require",
                "patterns": ["no legal advice"],
                "text": {"en": "This is no legal advice.", "vi": "Đây không phải tư vấn pháp lý."},
            }
        ]
    }
)


@pytest.fixture
def upstream() -> Iterator[Streaming]:
    server = Streaming()
    yield server
    server.close()


def written(*pieces: str) -> list[Any]:
    """A model's stream; "wait" holds it, "cut" breaks it off."""
    events = [piece if piece in ("wait", "cut") else chunk(piece) for piece in pieces]
    return events if "cut" in pieces else [*events, chunk(finish="stop"), chunk(usage=USAGE), "[DONE]"]


@asynccontextmanager
async def writing(
    folder: Path, server: Streaming, script: list[Any], **parts: Any
) -> AsyncIterator[tuple[House, Bench]]:
    """A desk whose model is the real client over a server that writes like this."""
    server.script = [script]
    made = bench(server.url, row(tier="medium", context=20_000), canary=parts.get("canary", ""))
    try:
        async with open_house(folder, chat=made.client, **parts) as house:
            yield house, made
    finally:
        await made.client.aclose()


def told(folder: Path, server: Streaming, script: list[Any], question: str = ASKED, **parts: Any) -> list[Event]:
    """The events of one turn with a reader."""

    async def turn() -> list[Event]:
        async with writing(folder, server, script, **parts) as (house, _):
            return [event async for event in house.desk.stream(Question(question, live=True))]

    return asyncio.run(turn())


def tokens(events: list[Event]) -> list[str]:
    """What was told since it was last taken back."""
    texts: list[str] = []
    for event in events:
        if isinstance(event, Token):
            texts.append(event.text)
        elif isinstance(event, Retract):
            texts.clear()
    return texts


def before_retraction(events: list[Event]) -> str:
    place = next(place for place, event in enumerate(events) if isinstance(event, Retract))
    return "".join(event.text for event in events[:place] if isinstance(event, Token))


def reply_of(events: list[Event]) -> Any:
    assert isinstance(events[-1], Done)
    return events[-1].reply


def test_a_sentence_is_told_before_the_next_is_written(tmp_path: Path, upstream: Streaming) -> None:
    script = written("You can return a lamp", " within 30 days.", " ", "wait", FURTHER)

    async def turn() -> list[Event]:
        events: list[Event] = []
        async with writing(tmp_path, upstream, script) as (house, _):
            async for event in house.desk.stream(Question(ASKED, live=True)):
                if isinstance(event, Token) and not tokens(events):
                    assert event.text == HOLDS
                    assert not upstream.released.is_set()
                    upstream.released.set()
                events.append(event)
        return events

    events = asyncio.run(turn())
    reply = reply_of(events)
    assert reply.answer == f"{HOLDS} {FURTHER}" == "".join(tokens(events))
    assert not any(isinstance(event, Retract) for event in events)
    assert any(isinstance(event, Sources) for event in events)
    assert (reply.receipt.mode, reply.receipt.tokens) == ("remote", 37)
    first = next(place for place, event in enumerate(events) if isinstance(event, Token))
    steps = [event.step.name for event in events[first:] if isinstance(event, StepDone)]
    assert steps == ["generate", "guard_output"]


@pytest.mark.parametrize(
    ("bad", "never"),
    [
        ("It costs USD 77.25 per parcel.", "77"),
        (INTERNAL, "goodwill"),
        ("Your refund has been granted.", "granted"),
        ("Ask our partner Klarnix Finance about it.", "Klarnix"),
    ],
    ids=["invented number", "internal article", "forbidden promise", "invented name"],
)
def test_what_does_not_hold_is_never_told_and_what_was_is_taken_back(
    tmp_path: Path, upstream: Streaming, bad: str, never: str
) -> None:
    events = told(tmp_path, upstream, written(OWN_WORDS, " ", *[f"{word} " for word in bad.split()], FURTHER, " Bye."))
    assert before_retraction(events) == OWN_WORDS
    assert not any(never in event.text for event in events if isinstance(event, Token))
    reply = reply_of(events)
    assert (reply.outcome, reply.receipt.mode) == ("answer", "quote")
    assert QUOTED in reply.answer
    assert never not in reply.answer
    assert "".join(tokens(events)) == reply.answer


def test_a_quotation_that_goes_on_where_the_model_stopped_takes_nothing_back(
    tmp_path: Path, upstream: Streaming
) -> None:
    shelf = ShelfSearch([replace(RETURNS, section="")])  # with a heading the quotation begins otherwise than the model
    events = told(tmp_path, upstream, written(f"{HOLDS} ", "Or 77 days. ", FURTHER), shelf=shelf)
    assert reply_of(events).receipt.mode == "quote"
    assert not any(isinstance(event, Retract) for event in events)
    assert "".join(tokens(events)) == reply_of(events).answer


def test_a_sentence_that_a_guard_would_change_is_held_until_the_whole_is_judged(
    tmp_path: Path, upstream: Streaming
) -> None:
    foreign = "See https://evil.example/x for more."
    events = told(tmp_path, upstream, written(f"{HOLDS} ", f"{foreign} ", FURTHER))
    reply = reply_of(events)
    assert "https://evil" not in reply.answer
    assert "".join(tokens(events)) == reply.answer
    assert not any("https://evil" in event.text for event in events if isinstance(event, Token))


@pytest.mark.parametrize("pieces", [["I", " don't", " know", ". ", "Ask us."], ["I don't know.\n", HOLDS]])
def test_words_that_say_that_the_model_does_not_know_are_not_told(
    tmp_path: Path, upstream: Streaming, pieces: list[str]
) -> None:
    events = told(tmp_path, upstream, written(*pieces))
    reply = reply_of(events)
    assert reply.outcome == "dont_know"
    assert not any(isinstance(event, Retract) for event in events)
    assert "".join(tokens(events)) == reply.answer


def test_what_only_the_whole_shows_is_appended(tmp_path: Path, upstream: Streaming) -> None:
    asked = "How many days do I have to return order HB-2093847?"
    events = told(tmp_path, upstream, written(f"{HOLDS} ", FURTHER), asked, profile=REQUIRING)
    reply = reply_of(events)
    assert not any(isinstance(event, Retract) for event in events)
    assert "".join(tokens(events)) == reply.answer
    assert reply.answer.startswith(f"{HOLDS} {FURTHER}")
    assert "This is no legal advice." in reply.answer
    assert "HB-2093847" in reply.answer


def test_the_customers_own_data_is_put_back_at_the_door_whole(tmp_path: Path, upstream: Streaming) -> None:
    script = written("We write to <EM", "AIL_", "1> ", "about it. ", FURTHER)
    events = told(tmp_path, upstream, script, "How do I return a lamp? Write to ann@mail.example please.")
    reply = reply_of(events)
    assert "ann@mail.example" in reply.answer
    assert "".join(tokens(events)) == reply.answer
    assert not any("EMAIL" in event.text for event in events if isinstance(event, Token))


def test_a_model_that_breaks_off_gives_way_to_the_quotation(tmp_path: Path, upstream: Streaming) -> None:
    events = told(tmp_path, upstream, written(f"{OWN_WORDS} ", "The lamp", "cut"))
    assert before_retraction(events) == OWN_WORDS
    reply = reply_of(events)
    assert (reply.outcome, reply.receipt.mode) == ("answer", "quote")
    assert "".join(tokens(events)) == reply.answer


@pytest.mark.parametrize("live", [True, False], ids=["stream", "plain"])
def test_a_model_that_tells_its_instructions_in_other_words_is_stopped(
    tmp_path: Path, upstream: Streaming, *, live: bool
) -> None:
    pieces = [f"{HOLDS} ", "On m'a dit : ", CANARY[:5], CANARY[5:], ". ", "Rien de plus. "]
    script: Any = written(*pieces) if live else said("".join(pieces))

    async def turn() -> list[Event]:
        async with writing(tmp_path, upstream, script, canary=CANARY) as (house, _):
            return [event async for event in house.desk.stream(Question(ASKED, live=live))]

    events = asyncio.run(turn())
    reply = reply_of(events)
    assert f"[{CANARY}]" in upstream.requests[0]["messages"][0]["content"]
    everything = "".join(event.text for event in events if isinstance(event, Token))
    assert all(piece not in everything + reply.answer for piece in (CANARY[:5], CANARY[5:], "On m'a dit"))
    assert (reply.receipt.mode, reply.outcome) == ("quote", "answer")
    assert "leak:canary" in [each.guard for each in reply.receipt.verdicts if each.action == "block"]


def test_whoever_waits_for_the_whole_is_told_nothing_early(tmp_path: Path, upstream: Streaming) -> None:
    async def turn() -> list[Event]:
        script = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": HOLDS}}
        async with writing(tmp_path, upstream, []) as (house, _):
            upstream.script = [script | {"choices": [choice]}]
            return [event async for event in house.desk.stream(Question(ASKED))]

    events = asyncio.run(turn())
    assert reply_of(events).answer == HOLDS
    assert not upstream.requests[0].get("stream")
    first = next(place for place, event in enumerate(events) if isinstance(event, Token))
    assert not any(isinstance(event, StepDone) for event in events[first:])


def test_a_reader_that_leaves_in_the_middle_stops_the_model_and_the_budget_is_settled(
    tmp_path: Path, upstream: Streaming
) -> None:
    async def turn() -> Bench:
        async with writing(tmp_path, upstream, written(f"{HOLDS} ", "wait", FURTHER)) as (house, made):
            stream = house.desk.stream(Question(ASKED, live=True))
            async for event in stream:
                if isinstance(event, Token):
                    break
            await stream.aclose()
            assert not made.budget.holds
            assert house.store.ledger.recent(1)[0].error == "cancelled by the reader"
            return made

    made = asyncio.run(turn())
    assert not upstream.released.is_set()
    assert made.budget.settled > 0


def test_only_what_was_not_taken_back_is_remembered(tmp_path: Path, upstream: Streaming) -> None:
    async def turns() -> None:
        script = written(f"{HOLDS} ", "It costs USD 77.25. ", FURTHER)
        async with writing(tmp_path, upstream, script, cache_hours=24.0) as (house, _):
            first = [event async for event in house.desk.stream(Question(ASKED, live=True))]
            messages = await house.desk.thread(reply_of(first).thread_id, "anonymous")
            assert messages[-1].text == reply_of(first).answer
            upstream.script = [written(HOLDS)]
            again = [event async for event in house.desk.stream(Question(ASKED, live=True))]
            assert reply_of(again).receipt.mode == "remote"
            third = [event async for event in house.desk.stream(Question(ASKED, live=True))]
            assert reply_of(third).receipt.mode == "cache"
            assert "".join(tokens(third)) == HOLDS

    asyncio.run(turns())


def test_the_terminal_says_what_it_cannot_take_back(capsys: pytest.CaptureFixture[str]) -> None:
    for piece in ("One.", None, "Two."):
        _say(piece)
    assert capsys.readouterr().out.splitlines()[::2] == ["One.", "Two."]


SENTENCES = st.lists(
    st.sampled_from(
        ["Fine.", "Really? ", " ok ", "BAD.", "\n", "…", "4.", "50 a day! ", "a.b ", "I don't", " know", ") "]
    ),
    max_size=14,
)


@settings(max_examples=150, deadline=None)
@given(SENTENCES, st.randoms(use_true_random=False))
@example(["I don't", " know", ". ", "Fine. "], None)
@example(["Fine. ", "BAD. ", "Fine. "], None)
def test_however_the_words_are_cut_the_same_is_told_and_all_of_it_was_checked(
    sentences: list[str], random: Any
) -> None:
    text = "".join(sentences)
    whole, _ = _told([text])
    cuts = sorted(random.sample(range(len(text) + 1), min(len(text), 5))) if random and text else range(len(text))
    places = [0, *cuts, len(text)]
    pieces, checked = _told([text[a:b] for a, b in itertools.pairwise(places)])
    assert "".join(pieces) == "".join(whole)
    for place in range(len(pieces)):
        assert "".join(pieces[: place + 1]) in checked
    shown = "".join(pieces)
    assert text.strip().startswith(shown)
    assert "BAD" not in shown
    assert not shown.lower().startswith(DONT_KNOW.lower())


def test_sentences_that_come_at_once_are_judged_once_and_one_by_one_where_they_do_not_hold():
    assert _told(["One. Two. Three. F"]) == (["One. Two. Three."], ["One. Two. Three."])
    assert _told(["One. Two. BAD. F"]) == (["One.", " Two."], ["One.", "One. Two."])


def _told(pieces: list[str]) -> tuple[list[str], list[str]]:
    shown: list[str] = []
    checked: list[str] = []

    async def passes(so_far: str, passed: int) -> bool:
        assert so_far[:passed] == "".join(shown)
        if "BAD" in so_far:
            return False
        checked.append(so_far)
        return True

    async def tell() -> None:
        aloud = Aloud(passes, shown.append)
        for piece in pieces:
            await aloud.hear(piece)

    asyncio.run(tell())
    return shown, checked


def test_a_quotation_is_told_as_before(tmp_path: Path) -> None:
    async def turn() -> list[Event]:
        async with open_house(tmp_path, shelf=ShelfSearch([RETURNS])) as house:
            return [event async for event in house.desk.stream(Question(ASKED, live=True))]

    events = asyncio.run(turn())
    assert "".join(tokens(events)) == reply_of(events).answer
    assert not any(isinstance(event, Retract) for event in events)
