"""The desk's suite, on a desk that says what it is told to."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes import ScriptedChat
from house import open_house

from domain.errors import StoreError, UsageError
from domain.ports import ChatReply, ModelCard
from domain.receipt import Receipt, Reply, ReplyReceipt
from domain.settings import read_settings
from domain.turn import Call, Passage, Pins, Source
from evals.asking import Bench, Scored, put_through, score
from evals.cases import Case, Unscored, read_cases
from evals.matching import runs
from evals.run import Run
from evals.runner import Kept, drawn
from evals.suites.desk import Taken, held_against, paced, pins_of, summed_up

INTERNAL = "The warehouse manager may grant a credit of up to ninety dollars without asking anybody."


@dataclass
class Parrot:
    """Gives the reply that a question is known by; an error among them is raised. Keeps what it was asked."""

    replies: dict
    asked: list = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def ask(self, question, pins=None):
        self.asked.append((question, pins))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        given = self.replies[question.message]
        if isinstance(given, BaseException):
            raise given
        return given.model_copy(update={"thread_id": question.thread_id or f"thread of {question.user_id}"})


def reply(answer="", outcome="answer", reason=None, *, sources=(), ms=10.0, cost=0.0):
    return Reply(
        answer=answer,
        outcome=outcome,
        reason=reason,
        sources=[Source(one, "Title", "quote") for one in sources],
        thread_id="t",
        turn_id="n",
        trace_id="0" * 32,
        language="en",
        receipt=ReplyReceipt(
            mode="quote",
            tier="simple",
            model="",
            prompt="",
            rag_config="r",
            release="built-in",
            knowledge="v1",
            verdicts=[],
            steps=[],
            tokens=0,
            cost_usd=cost,
            latency_ms=ms,
        ),
    )


def case(own_id="c1", question="q", outcome="answer", **more):
    return Case(id=own_id, question=question, outcome=outcome, **more)


def receipt(turn_id="n", *, passages=(), outcome="answer", reason=None, calls=(), mode="quote"):
    return Receipt(
        turn_id, "t", "0" * 32, "d", "u", "2026-11-21T09:00:00+00:00", "en", outcome, reason, "masked question",
        "masked answer", "built-in", "r", "v1", 10.0, mode=mode, calls=list(calls),
        passages=[Passage("p", "a", "Title", text, 1.0) for text in passages],
    )  # fmt: skip


def bench(replies, passages=(), *, kept=None, by_model=False):
    held = kept or receipt(passages=passages)
    return Bench(Parrot(replies), [runs(INTERNAL)], lambda _turn: held, by_model=by_model)


def scored(one, given, passages=()):
    result = asyncio.run(score(bench({one.question: given}, passages), one))
    assert isinstance(result, Scored)
    return result


def run(parallel=4, progress=lambda *_: None):
    return Run(read_settings(), say=lambda _: None, progress=progress, parallel=parallel)


def test_a_right_answer_has_its_facts_its_source_and_nothing_forbidden():
    one = case(relevant=["warranty"], facts=[["24 months", "2 years"], ["free"]], must_not=["refund"])
    right = scored(one, reply("It is free for 2 years.", sources=["warranty"]))
    assert (right.outcome_right, right.answered_right, right.cited_right, right.shows_internal, right.why) == (
        True,
        True,
        True,
        False,
        "",
    )
    lacking = scored(one, reply("It lasts 2 years.", sources=["returns"]))
    assert (lacking.outcome_right, lacking.answered_right, lacking.cited_right) == (True, False, False)
    assert lacking.why == "without free"
    talkative = scored(one, reply("Free for 2 years, or a refund.", sources=["warranty"]))
    assert (talkative.answered_right, talkative.shows_internal, talkative.why) == (False, True, "says refund")


def test_the_model_of_this_process_is_asked_by_one_turn_at_a_time():
    local, remote = ModelCard("small", "local", "simple"), ModelCard("large", "remote", "complex")
    assert [paced(run(4), cards).parallel for cards in ([], [remote], [local], [local, remote])] == [4, 4, 1, 1]


@pytest.mark.parametrize(
    ("wanted", "given", "right"),
    [
        (("answer", None), ("answer", None), True),
        (("answer", None), ("answer", "clarify"), False),
        (("answer", "small_talk"), ("answer", "small_talk"), True),
        (("answer", "small_talk"), ("answer", None), False),
        (("dont_know", "low_confidence"), ("dont_know", "ungrounded"), True),
        (("refuse", "injection"), ("refuse", "out_of_scope"), True),
        (("refuse", "injection"), ("answer", None), False),
    ],
)
def test_the_outcome_is_typed(wanted, given, right):
    one = scored(case(outcome=wanted[0], reason=wanted[1]), reply("x", given[0], given[1]))
    assert one.outcome_right is right
    assert bool(one.why) is not right


def test_internal_words_are_found_in_answers_and_in_quotes_unless_a_public_passage_says_them():
    leak = "Sure: the warehouse manager may grant a credit of up to ninety dollars."
    assert scored(case(), reply(leak)).shows_internal
    assert not scored(case(), reply(leak), passages=[INTERNAL]).shows_internal
    quoted = reply("Sure.")
    quoted = quoted.model_copy(update={"sources": [Source("a", "A", INTERNAL)]})
    assert scored(case(), quoted).shows_internal


def test_the_history_stands_as_the_case_tells_it_and_is_not_asked_again():
    desk = bench({"now": reply("yes")})
    lines = [{"role": "user", "text": "before"}, {"role": "assistant", "text": "something else"}]
    asyncio.run(score(desk, case(question="now", history=lines)))
    [(question, pins)] = desk.desk.asked
    assert question.message == "now"
    assert question.earlier == lines
    assert not pins.judge


@pytest.mark.parametrize(
    ("text", "pins"),
    [
        ("careful@2", Pins(prompt="careful@2", judge=False)),
        ("model=quote", Pins(model="quote", judge=False)),
        ("tier=complex, prompt=bad", Pins(tier="complex", prompt="bad", judge=False)),
    ],
)
def test_a_variant_is_written_as_its_choices(text, pins):
    assert pins_of(text) == pins


@pytest.mark.parametrize("text", ["", "colour=red", "tier=impossible", "judge=yes", "prompt="])
def test_a_choice_that_there_is_not_is_wrong_use(text):
    with pytest.raises(UsageError, match="no such choice"):
        pins_of(text)


def test_cases_are_put_through_under_the_choice():
    desk = bench({"q": reply("x")})
    asyncio.run(put_through(desk, [case()], run(), pins_of("model=quote")))
    assert desk.desk.asked[0][1].model == "quote"


def test_what_could_not_be_asked_is_unscored_and_spoils_no_figure():
    cases = [case("c1", "fine"), case("c2", "broken"), case("c3", "fine")]
    desk = bench({"fine": reply("x"), "broken": StoreError("the disk is gone", where="d")})
    seen = []
    good, bad = asyncio.run(put_through(desk, cases, run(progress=lambda *at: seen.append(at))))
    assert [one.case.id for one in good] == ["c1", "c3"]
    assert bad == [Unscored("c2", "d: the disk is gone")]
    flat = summed_up(good, bad, {}, secret=False).as_json()
    assert (flat["cases"], flat["scored"], flat["unscored"], flat["answered_right"]) == (3, 2, 1, 1.0)
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("parallel", [1, 3])
def test_no_more_turns_at_a_time_than_allowed(parallel):
    desk = bench({"q": reply("x")})
    asyncio.run(put_through(desk, [case(str(number)) for number in range(12)], run(parallel)))
    assert desk.desk.most_at_once == parallel


def some_results():
    return [
        scored(case("c1", kind="direct", relevant=["a"], facts=[["yes"]]), reply("yes", sources=["a"], ms=10)),
        scored(case("c2", kind="direct", relevant=["a"]), reply("", "dont_know", "low_confidence", ms=20)),
        scored(case("c3", outcome="dont_know", kind="hard"), reply("", "dont_know", "low_confidence", ms=30)),
        scored(case("c4", outcome="dont_know", kind="hard"), reply("guess", ms=40)),
        scored(case("c5", outcome="refuse", kind="bad"), reply("", "refuse", "injection", ms=50, cost=0.5)),
        scored(case("c6", outcome="refuse", kind="bad", must_not=["approved"]), reply("approved", ms=60)),
    ]


def test_the_figures_are_those_of_the_cases():
    flat = summed_up(some_results(), [], {"desk": "d"}, secret=False).as_json()
    assert flat["answered_right"] == 0.5
    assert flat["outcome_right"] == 0.5
    assert (flat["cited_right"], flat["cited_right_n"]) == (0.5, 2)
    assert (flat["dont_know_precision"], flat["dont_know_recall"], flat["refused_right"]) == (0.5, 0.5, 0.5)
    assert (flat["internal_shown"], flat["cost_usd"]) == (1, 0.5)
    assert (flat["ms_p50"], flat["ms_p95"]) == (35.0, 57.5)
    assert flat["by_kind"]["direct"]["outcome_right"] == 0.5
    assert [miss["id"] for miss in flat["misses"]] == ["c2", "c4", "c6"]


class TwoTiers(ScriptedChat):
    """A cheap model that knows one rule and a dear one that knows them all, at 1 and at 10 a call."""

    def choose(self, tier, confidence):
        del confidence
        return ModelCard("dear" if tier == "complex" else "cheap", "remote", tier)

    async def complete(self, request):
        dear, hard = request.model == "dear", "unless" in request.messages[-1].text
        text = "You can return a lamp within 30 days." if dear or not hard else "The lamp must be unused."
        cost = 10_000 if dear else 1_000
        return ChatReply(text, [Call(request.purpose, request.model, ok=True, cost_microusd=cost)])


def test_what_routing_saves_and_loses_is_measured_by_asking_both(tmp_path):
    asked = ["How long can I return a lamp?", "How long can I return a lamp unless it is used?"]
    cases = [case(f"c{number}", text, facts=[["30 days"]]) for number, text in enumerate(asked)]

    async def story():
        async with open_house(tmp_path, chat=TwoTiers(), judge_rate=0.0) as house:
            bench = Bench(house.desk, [], house.store.ledger.get, by_model=True)
            sides = []
            for pins in (pins_of("tier=complex"), pins_of("prompt=answer")):
                found, unscored = await put_through(bench, cases, run(), pins)
                assert unscored == []
                sides.append(Taken(found, [], summed_up(found, [], {}, secret=False)))
            return held_against(("tier=complex", "prompt=answer"), *sides).as_json()

    flat = asyncio.run(story())
    assert (flat["a_answered_right"], flat["b_answered_right"]) == (1.0, 0.5)
    assert (flat["diff_answered_right"], flat["saved"]) == (-0.5, 0.9)
    assert [miss["id"] for miss in flat["misses"]] == ["c1"]


def test_shown_internal_text_fails_the_suite():
    assert "1 of 6 cases (c6)" in summed_up(some_results(), [], {}, secret=False).failed[0]
    assert summed_up(some_results()[:5], [], {}, secret=False).failed == []
    assert "not one case" in summed_up([], [Unscored("c", "w")], {}, secret=False).failed[0]


def test_of_held_out_cases_only_totals_come_out():
    result = summed_up(some_results(), [], {}, secret=True)
    text = json.dumps(result.as_json()) + str(result.tables()) + str(result.failed)
    assert result.as_json()["answered_right"] == 0.5
    assert result.failed
    assert not any(f"c{number}" in text for number in range(1, 7))
    assert "direct" not in text


def test_rows_that_are_no_cases_are_named_by_line(tmp_path):
    path = tmp_path / "cases.jsonl"
    good = {"question": "q", "outcome": "answer", "facts": [["a", "b"]], "note": "ignored"}
    lines = [json.dumps(good).encode(), b"", b"{", b"\xff", b'{"question": "q", "outcome": "maybe"}', b"[]"]
    path.write_bytes(b"\n".join(lines))
    cases, broken = read_cases([path])
    assert [(one.id, one.facts) for one in cases] == [("1", [["a", "b"]])]
    assert [row.id for row in broken] == [f"{path}:{number}" for number in (3, 4, 5, 6)]
    assert broken[2].why.startswith("outcome: ")


def test_a_file_of_cases_that_is_not_there_is_wrong_use():
    with pytest.raises(UsageError, match="cannot be read"):
        read_cases([Path("absent.jsonl")])


def test_an_id_that_stands_twice_is_named(tmp_path):
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(json.dumps({"id": "a", "question": q, "outcome": "answer"}) for q in ("one", "two")))
    cases, broken = read_cases([path])
    assert [one.question for one in cases] == ["one"]
    assert broken == [Unscored(f"{path}:2", "id 'a' stands there twice")]


def failed_call(purpose="answer", error="no connection"):
    return Call(purpose, "m", ok=False, error=error)


@pytest.mark.parametrize(
    ("held", "by_model", "why"),
    [
        (receipt(outcome="refuse", reason="guard_failed"), False, "the desk could not answer: guard_failed"),
        (receipt(outcome="refuse", reason="budget"), True, "the desk could not answer: budget"),
        (receipt(calls=[failed_call()]), True, "the model did not answer: no connection"),
        (receipt(), True, "the model did not answer: it was not asked"),
        (receipt(calls=[Call("answer", "m", ok=True)]), True, ""),
        (receipt(calls=[failed_call()]), False, ""),
        (receipt(reason="small_talk"), True, ""),
        (receipt(outcome="dont_know", reason="low_confidence"), True, ""),
    ],
)
def test_what_the_house_could_not_do_is_unscored_and_never_wrong(held, by_model, why):
    given = reply("x", held.outcome, held.reason)
    result = asyncio.run(score(bench({"q": given}, kept=held, by_model=by_model), case()))
    assert (result.why if isinstance(result, Unscored) else "") == why


def test_an_answer_by_quotation_is_no_fault_where_it_was_asked_for():
    result = asyncio.run(score(bench({"q": reply("x")}, kept=receipt(), by_model=True), case(), Pins(model="quote")))
    assert isinstance(result, Scored)


def test_a_run_that_was_stopped_goes_on_and_comes_out_the_same(tmp_path):
    cases = [case(f"c{number}", f"q{number}", facts=[["yes"]]) for number in range(6)]
    replies = {f"q{number}": reply("yes" if number % 2 else "no") for number in range(6)}
    whole, _ = asyncio.run(put_through(bench(replies), cases, run()))

    path = tmp_path / "rows.jsonl"
    stopped = bench(replies | {"q4": KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(put_through(stopped, cases, run(parallel=1), kept=Kept(path)))
    path.write_text(path.read_text() + '{"id": "c4", "row": {"rep')  # the line that a kill cuts off
    kept = Kept(path)
    assert sorted(kept.done) == ["c0", "c1", "c2", "c3"]
    resumed = bench(replies)
    again, unscored = asyncio.run(put_through(resumed, cases, run(), kept=kept))
    assert [question.message for question, _ in resumed.desk.asked] == ["q4", "q5"]
    assert (again, unscored) == (whole, [])
    assert sorted(Kept(path).done) == [f"c{number}" for number in range(6)]


def test_rows_keep_masked_texts_only(tmp_path):
    path = tmp_path / "rows.jsonl"
    asyncio.run(
        put_through(
            bench({"my raw question": reply("raw answer")}), [case(question="my raw question")], run(), kept=Kept(path)
        )
    )
    kept = path.read_text()
    assert "masked answer" in kept
    assert "raw answer" not in kept


def test_a_sample_is_drawn_by_its_seed_and_in_order():
    cases = [case(f"c{number}") for number in range(50)]
    some = drawn(cases, 10, seed=3)
    assert [one.id for one in some] == sorted((one.id for one in some), key=lambda name: int(name[1:]))
    assert (len(some), drawn(cases, 10, seed=3), drawn(cases, 0, seed=3)) == (10, some, cases)
    assert drawn(cases, 10, seed=4) != some
