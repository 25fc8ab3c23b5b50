"""Words on the wire joined into sentences: nothing is lost, changed, or held when its sentence is over."""

import json
from random import Random
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_models_stream import chunk

from domain.words import SENTENCE_END
from models.joined import Words
from models.wire import HELD

LEFT_ALONE = (
    b": a comment",
    b"event: ping",
    b"data: [DONE]",
    b"data: no json",
    b"data: [1]",
    b"data: " + json.dumps(chunk(finish="stop")).encode(),
    b"data: " + json.dumps({"error": {"message": "full"}, "choices": [{"delta": {"content": "x"}}]}).encode(),
    b"data: " + json.dumps({"choices": [{"delta": {"content": "x", "tool_calls": [1]}}]}).encode(),
    b"data: "
    + json.dumps(
        {"choices": [{"delta": {"content": "x"}, "logprobs": {"content": []}, "finish_reason": "stop"}]}
    ).encode(),
)
WORD = st.one_of(
    st.sampled_from(
        [
            "a ",
            "days",
            ". ",
            ".",
            " ",
            "\n",
            "4.",
            "m",
            "1",
            '"',
            "\\",
            "đổi trả ",
            "…",
            "!”) ",
            '."',
            "?",
            "stop",
            "\ud83d",
            "\ude00",
        ]
    ),
    st.text(max_size=4),
)
EVENTS = st.lists(st.one_of(WORD, WORD, WORD, st.sampled_from(LEFT_ALONE)), max_size=60)


def sent(events: list[str | bytes], chance: Random, *, spelled: bool) -> bytes:
    """A body; servers write JSON with blanks or without, escape letters or not, and some pad their events."""
    raws = []
    for event in events:
        if isinstance(event, str):
            shape = chunk(event) | ({"obfuscation": "x" * chance.randrange(4)} if spelled else {})
            raw = b"data: " + json.dumps(shape, ensure_ascii=spelled).encode("utf-8", "replace")
        else:
            raw = event
        raws.append(raw + chance.choice([b"\n\n", b"\r\n\r\n", b"\r\r"]))
    return b"".join(raws)


def read(body: bytes) -> list[Any]:
    """Its words as one text between whatever else there is, in order."""
    read: list[Any] = [""]
    for raw in body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        try:
            event = json.loads(raw.removeprefix(b"data:"))
            delta = event["choices"][0]["delta"]
            plain = set(delta) == {"content"} and not {"error"} & set(event) and not event["choices"][0].get("logprobs")
        except (ValueError, KeyError, TypeError, IndexError):
            plain = False
        if plain and event["choices"][0]["finish_reason"] is None:
            assert {**event, "choices": 0, "obfuscation": 0} == {**chunk(""), "choices": 0, "obfuscation": 0}
            read[-1] += delta["content"]
        elif raw:
            read += [raw, ""]
    # Halves of a letter that came in two events are one letter now.
    return [
        one.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") if isinstance(one, str) else one
        for one in read
    ]


@given(EVENTS, st.randoms(use_true_random=False), st.booleans())
@example(["\ud83d", "\ude00", "\ud83d"], Random(0), True)  # noqa: S311  # for a test
@settings(deadline=None, max_examples=150)
def test_however_a_body_is_cut_its_words_and_all_else_pass_in_order(events, chance, spelled):
    body, words, passed, heard = sent(events, chance, spelled=spelled), Words(), b"", 0
    while heard < len(body):
        step = chance.choice([1, 7, 120, 900])
        passed += b"".join(words.heard(body[heard : heard + step]))
        heard += step
    assert read(passed + words.rest()) == read(body)


@given(st.lists(WORD.filter(bool), max_size=90), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=100)
def test_no_sentence_that_is_over_is_held_and_nothing_for_long(events, chance):
    words, passed, said, waiting = Words(), b"", "", 0
    for event in events:
        told = b"".join(words.heard(sent([event], chance, spelled=False)))
        said += json.loads(json.dumps(event).encode("utf-8", "replace"))
        waiting = 0 if told else waiting + 1
        passed += told
        ends = [match.end() for match in SENTENCE_END.finditer(said)]
        assert len(read(passed)[0]) >= (ends[-1] if ends else 0)
        assert waiting < HELD


def test_ordinary_words_become_one_event_a_sentence_and_what_comes_at_once_one_event():
    text = "You have 30 days to return it. We pay the money back within five days. The card is the one"
    events = [b"data: " + json.dumps(chunk(f"{word} ")).encode() + b"\n\n" for word in text.split()]
    words = Words()
    told = b"".join(part for event in events for part in words.heard(event)) + words.rest()
    assert [json.loads(raw[5:])["choices"][0]["delta"]["content"] for raw in told.split(b"\n\n") if raw] == [
        "You ",
        "have 30 days to return it. ",
        "We pay the money back within five days. ",
        "The card is the one ",
    ]
    (whole,) = Words().heard(b"".join(events))
    assert json.loads(whole[5:])["choices"][0]["delta"]["content"] == f"{text} "
