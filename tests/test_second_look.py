"""The end of the guards' cascade: a configured model rules on what the classifiers are unsure of, and nothing else."""

import asyncio
import json
import math
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from house import PROFILE, open_house
from hypothesis import given
from hypothesis import strategies as st
from test_models_chat import Status, Upstream, bench, row, said

from domain.ports import ModelCard
from domain.turn import Payer, Verdict
from graph.record import Question
from guards import Guards, InputCheck
from guards.doubt import FAMILIES, HARMLESS, LEFT, UNHEARD, WIDTH, doubtful, settled
from nodes.second_look import SECONDS, second_look
from prompts import PromptLibrary

ASKED = "Tell me the rules: how many days do I have to return a lamp? Write to an.tran@mail.example."
BLOCKED = Verdict("injection:head", "block", "injection", 0.6)
PASSED = Verdict("injection", "pass", "", 0.4)
RULES = [Verdict("length", "pass"), Verdict("profanity", "pass", "", 0.3)]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.close()


def check_of(verdict: Verdict, *others: Verdict) -> InputCheck:
    verdicts = [*RULES, verdict, *others]
    blocked = next((one for one in verdicts if one.action == "block"), None)
    return InputCheck("May I?", {}, verdicts, blocked, doubtful(verdicts, lambda _family: 0.5))


class Parts:
    """What the step uses of the deps."""

    def __init__(self, chat: Any, *, on: bool = True) -> None:
        self.chat, self.second_look = chat, on
        self.profile, self.prompts = PROFILE, PromptLibrary.load()


def looked(server: Upstream, check: InputCheck, *, on: bool = True, limit: int = 1_000_000, **card: Any) -> Any:
    """The check after a second look, the attempts, and the books, with the real client over a scripted server."""
    made = bench(server.url, row(context=5_000, abilities=["temperature", "json_schema"], **card), limit=limit)

    async def look() -> Any:
        try:
            return await second_look(check, Payer("u", "", "t1"), Parts(made.client, on=on))  # type: ignore[arg-type]
        finally:
            await made.client.aclose()

    after, calls = asyncio.run(look())
    assert made.balanced(calls)
    return after, calls


def test_a_ruling_of_harmless_serves_what_the_classifier_would_have_refused(upstream: Upstream) -> None:
    upstream.script = [said('{"verdict": "harmless"}')]
    after, [call] = looked(upstream, check_of(BLOCKED))
    assert after.blocked is None
    assert after.verdicts[-2:] == [
        replace(BLOCKED, action="pass", reason=LEFT),
        Verdict("second_look", "pass", HARMLESS),
    ]
    assert (call.purpose, call.ok, call.prompt) == ("second_look", True, "second_look@1")
    [request] = upstream.requests
    assert request["response_format"]["json_schema"]["schema"]["properties"]["verdict"]["enum"] == [*FAMILIES, HARMLESS]
    assert "<message>May I?</message>" in request["messages"][-1]["content"]


@pytest.mark.parametrize(("family", "verdict"), list(zip(FAMILIES, (PASSED, BLOCKED, PASSED), strict=True)))
def test_a_ruling_names_the_family_that_blocks(upstream: Upstream, family: str, verdict: Verdict) -> None:
    upstream.script = [said(f'Sure: {{"verdict": "{family}"}}')]
    after, _ = looked(upstream, check_of(verdict))
    assert after.blocked == Verdict("second_look", "block", family, 1.0)


@pytest.mark.parametrize(
    ("trouble", "calls", "verdict"),
    [
        ("garbage", 1, BLOCKED),
        ('{"verdict": ["harmless"]}', 1, BLOCKED),
        ('{"verdict": "fine"}', 1, PASSED),
        ("", 1, PASSED),
        ("down", 1, BLOCKED),
        ("no money", 0, PASSED),
    ],
)
def test_whatever_goes_wrong_the_classifiers_verdict_stands(
    upstream: Upstream, trouble: str, calls: int, verdict: Verdict
) -> None:
    upstream.script = [Status(401)] if trouble == "down" else [said(trouble)]
    check = check_of(verdict)
    after, made = looked(upstream, check, limit=0 if trouble == "no money" else 1_000_000)
    assert after.blocked == check.blocked
    assert after.verdicts == [*check.verdicts, Verdict("second_look", "pass", UNHEARD)]
    assert len(made) == calls


def test_a_model_that_keeps_silent_is_left_within_seconds(upstream: Upstream) -> None:
    class Slow:
        """A chat that says for how long it may be waited for."""

        def choose(self, *_: object) -> ModelCard:
            return ModelCard("m", "remote", "simple")

        async def complete(self, request: Any) -> Any:
            self.request = request
            async with aclosing(bench(upstream.url, timeout=0.05).client) as client:
                return await client.complete(replace(request, seconds=0.01))

    upstream.script = ["hang"]
    slow, check = Slow(), check_of(BLOCKED)
    after, [call] = asyncio.run(second_look(check, Payer(), Parts(slow)))  # type: ignore[arg-type]
    upstream.released.set()
    assert (after.blocked, call.error) == (BLOCKED, "timed out")
    assert slow.request.seconds == SECONDS


@pytest.mark.parametrize(
    "check",
    [
        check_of(Verdict("injection:head", "block", "injection", 0.95)),
        check_of(Verdict("injection", "pass", "", 0.05)),
        check_of(Verdict("injection", "block", "injection", 1.0)),
        check_of(BLOCKED, Verdict("domain_rules:x", "block", "domain_rule", 1.0)),
        check_of(BLOCKED, Verdict("malicious", "block", "guard_failed", 1.0)),
    ],
    ids=["sure of it", "sure of nothing", "a rule", "another guard", "a fault"],
)
def test_what_is_decided_asks_nobody(upstream: Upstream, check: InputCheck) -> None:
    assert looked(upstream, check) == (check, [])
    assert upstream.requests == []


def test_switched_off_or_with_a_small_model_nobody_is_asked(upstream: Upstream) -> None:
    check = check_of(BLOCKED)
    assert looked(upstream, check, on=False) == (check, [])
    assert looked(upstream, check, weak=True) == (check, [])
    assert upstream.requests == []


@given(st.floats(0.01, 0.99), st.floats(0.001, 0.999))
def test_the_band_is_as_wide_on_either_side_of_any_threshold(threshold: float, score: float) -> None:
    near = abs(math.log(score / (1 - score)) - math.log(threshold / (1 - threshold))) <= WIDTH
    assert bool(doubtful([Verdict("toxicity", "pass", "", score)], lambda _family: threshold)) == near


def test_no_ruling_changes_what_was_decided() -> None:
    sure = Verdict("malicious", "pass", "", 0.01)
    assert settled([sure, BLOCKED], [BLOCKED], HARMLESS)[0] == sure


def test_a_turn_is_masked_before_it_is_looked_at_again_and_the_receipt_tells(
    tmp_path: Path, upstream: Upstream
) -> None:
    score = next(one.score for one in asyncio.run(Guards.load(PROFILE).check_input(ASKED, {})).verdicts if "injection" in one.guard)  # fmt: skip
    odds = math.log(score / (1 - score)) - 0.5
    guards = Guards.load(PROFILE, thresholds={"injection": 1 / (1 + math.exp(-odds))})
    assert (blocked := asyncio.run(guards.check_input(ASKED, {})).blocked)
    assert blocked.guard == "injection:head"
    upstream.script = [said('{"verdict": "harmless"}'), said("You can return a lamp within 30 days.")]
    made = bench(upstream.url, row(tier="medium", context=20_000))

    async def turn() -> Any:
        try:
            async with open_house(
                tmp_path, chat=made.client, adjust=lambda deps: replace(deps, guards=guards, second_look=True)
            ) as house:
                reply = await house.desk.ask(Question(ASKED))
                return reply, house.store.ledger.get(reply.turn_id), house.tracer.spans
        finally:
            await made.client.aclose()

    reply, receipt, spans = asyncio.run(turn())
    assert (reply.outcome, reply.answer) == ("answer", "You can return a lamp within 30 days.")
    assert "an.tran" not in json.dumps(upstream.requests)
    assert [(call.purpose, call.step) for call in receipt.calls] == [
        ("second_look", "guard_input"),
        ("answer", "generate"),
    ]
    assert ("second_look", HARMLESS) in {(one.guard, one.reason) for one in reply.receipt.verdicts}
    assert [[call.purpose for call in span.calls] for span in spans if span.name == "guard_input"] == [["second_look"]]
