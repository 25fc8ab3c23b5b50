"""A prompt's own tests: what they catch, and that the shipped ones can fail."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import ScriptedChat, WordEmbedder

from domain.errors import ConflictError, ModelDownError, UsageError
from graph.rehearsing import rehearse
from prompts import PromptCase, PromptLibrary
from prompts.registry import parse_prompt

FILE = """\
name: x
version: 1
author: a
note: n
variables: [who]
messages: [{role: user, text: "{{who}}"}]
cases: [{id: one, variables: {who: Lan}, CASE}]
"""
FIVE = (
    "order-status",
    "refund-is-handed-over-and-never-granted",
    "long-complaint-short-answer",
    "case-number-is-kept",
    "cooking-is-declined",
)


def service(*lines: str | Exception, **options: Any) -> Any:
    return SimpleNamespace(
        prompts=PromptLibrary.load(), embedder=WordEmbedder(), chat=ScriptedChat([*lines], **options)
    )


def faults(answer: str, **case: Any) -> list[str]:
    made = PromptCase(id="one", variables={}, **case)
    return made.faults(answer, knows=not answer.startswith("I don't know"), language="en", cited=[1])


@pytest.mark.parametrize(
    ("case", "passes", "fails"),
    [
        ({"contains": [["15 May", "May 15"]]}, "By MAY 15.", "By 25 May."),
        ({"contains": [["5 days"]]}, "In 5 DAYS.", "In 15 days."),
        ({"not_contains": ["Refunded"]}, "It is inspected.", "It was refunded."),
        ({"not_contains": ["14"]}, "It costs 140.", "It costs 14 euros."),
        ({"regex": [r"\bcs-\d{4}\b"]}, "Case CS-4821.", "Case CS-48."),
        ({"max_words": 3}, "One two three", "One two three four"),
        ({"cites": [1]}, "Anything.", None),
        ({"cites": [2]}, None, "Anything."),
        ({"outcome": "dont_know"}, "I don't know", "Stir the rice."),
        ({"outcome": "answer"}, "Stir the rice.", "I don't know"),
        ({"language": "en"}, "Hello.", None),
        ({"language": "vi"}, None, "Hello."),
    ],
)
def test_each_check_passes_and_fails(case: dict[str, Any], passes: str | None, fails: str | None) -> None:
    if passes is not None:
        assert faults(passes, **case) == []
    if fails is not None:
        assert len(faults(fails, **case)) == 1


@pytest.mark.parametrize(
    ("case", "says"),
    [("regex: ['(']", "no regular expression"), ("outcome: maybe", "cases.0.outcome"), ("lenght: 3", "cases.0.lenght")],
)
def test_a_case_that_cannot_be_is_named(case: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_prompt(FILE.replace("CASE", case), where="x.yaml")


def test_the_shipped_cases_pass_their_right_answers_and_fail_their_wrong_ones() -> None:
    found = asyncio.run(rehearse(service()))
    assert [(row["case"], row["faults"]) for row in found["cases"] if row["faults"]] == []
    own = {row["case"]: row["unscored"] for row in found["cases"] if row["prompt"] == "answer@1"}
    assert [own[name] for name in FIVE] == [""] * len(FIVE)


def test_a_case_whose_wrong_answer_passes_is_a_fault_of_the_case() -> None:
    made = service()
    prompt = parse_prompt(FILE.replace("CASE", "contains: [[a]], right: b, wrong: [abc]"), where="x")
    made.prompts.add(prompt)
    found = asyncio.run(rehearse(made, name="x"))
    assert found["failed"] == 1
    assert found["cases"][0]["faults"] == ["its right answer lacks a", "its wrong answer passes: abc"]


def test_a_model_is_asked_held_to_the_cases_and_its_failure_is_no_answer() -> None:
    made = service("Hello Lan", ModelDownError("away"), "Bye", yes=0.1)
    for number, case in enumerate(("contains: [[lan]]", "contains: [[lan]]", "judge: [It greets.]"), start=1):
        text = (
            FILE.replace("CASE", case)
            .replace("{{who}}", f"{{{{who}}}} {number}")
            .replace("version: 1", f"version: {number}")
        )
        made.prompts.add(parse_prompt(text, where="x"))
    runs = [asyncio.run(rehearse(made, name=f"x@{number}", model="model")) for number in (1, 2, 3)]
    assert [(run["passed"], run["failed"], run["unscored"]) for run in runs] == [(1, 0, 0), (0, 0, 1), (0, 1, 0)]
    assert runs[0]["cases"][0]["answer"] == "Hello Lan"
    assert runs[2]["cases"][0]["faults"] == ["is judged otherwise: It greets."]
    assert [request.prompt for request in made.chat.requests] == ["x@1", "x@2", "x@3", "holds@1"]


def test_without_a_model_nothing_is_said_to_have_passed() -> None:
    with pytest.raises(ConflictError, match="no language model is up"):
        asyncio.run(rehearse(service(card=None), model="model"))
    with pytest.raises(UsageError, match="no model 'gpt'"):
        asyncio.run(rehearse(service(), model="gpt"))
