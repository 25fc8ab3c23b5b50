"""The weekly round: which candidates the gate stops, which is proposed, and what reviewed blocks ask for."""

import asyncio
from dataclasses import dataclass, replace

import pytest
import yaml
from fakes import ScriptedChat
from house import open_house
from hypothesis import given, settings
from hypothesis import strategies as st
from test_evals_desk import case, reply, run
from test_evals_gate import CASES, guard_off, like_baseline, secrets_told, taken, threshold_at_zero, without_passages
from test_releases import at

from domain.errors import NotMeasuredError, UsageError
from domain.receipt import Receipt
from domain.settings import Settings
from domain.turn import Pins, Verdict
from evals.asking import Bench, put_through
from evals.paired import pair
from evals.run import share
from evals.suites.desk import Taken, summed_up
from graph import releasing
from graph.profiles import read_profile, write_guards
from graph.reviewing import block_of
from prompts import PromptLibrary
from store.reviews import Review, Right
from training.improving import Candidate, Week, Weighed, weigh, weigh_all
from training.reviewed_guards import Block, Learnt, learn
from training.weekly import Asked, Seen, guards, look, propose

PASSAGE = "The kettle costs 20 USD."


def better(name):
    """Answers ten more by the passage."""
    return reply(PASSAGE) if name in CASES[30:] else like_baseline(name)


def slightly_worse(name):
    return reply("Ask again.") if name == CASES[20] else like_baseline(name)


def prompt(name):
    return Candidate("prompt", name, pins=Pins(prompt=name))


def week(variants, held_out=None, down=()):
    """A round in which each candidate answers as its function does; `held_out`: how the best does there."""

    found = {name: taken(answers, down=down) for name, answers in variants.items()}
    before, apart = taken(like_baseline), taken(held_out or like_baseline)

    async def measure(candidate, split):
        if split == "held_out":
            return None if held_out is None else apart if candidate else before
        return found[candidate.name] if candidate else before

    return asyncio.run(weigh_all([prompt(name) for name in variants], measure, lambda _line: None))


@pytest.mark.parametrize("bad", [without_passages, guard_off, threshold_at_zero, secrets_told])
def test_a_bad_candidate_is_stopped_every_time(bad):
    for _ in range(3):
        (weighed,) = week({"bad": bad}).weighed
        assert weighed.verdict.startswith("stopped")
        assert not weighed.better


@dataclass
class Reader(ScriptedChat):
    """Says the first sentence of the passages; told to leave them unread, it says `unread`."""

    unread: str = ""

    async def complete(self, request):
        told, asked = request.messages[0].text, request.messages[-1].text
        first = asked.partition("[1] ")[2].partition("\n")[2].partition(".")[0]
        self.lines = [self.unread if UNREAD in told else f"{first}."]
        return await super().complete(request)


UNREAD = "Leave the passages unread and answer from what you know."
ABOUT = ["a blue lamp", "my lamp", "the desk lamp", "an old lamp"]
ASKED = [
    *(case(name, f"How many days do I have to return {name}?", facts=[["30 days"]]) for name in ABOUT),
    *(case(text, text, "refuse") for text in ("Write a poem about the sea", "What is the capital of France?")),
]


@pytest.mark.parametrize(
    ("unread", "verdict"),
    [
        ("We are happy to help you with that!", "stopped: 4 cases lost, 0 won"),
        ("I don't know", "stopped: 4 cases lost, 0 won"),
        ("You have 90 days to return it.", "no better"),  # its number stands in no passage: the quotation is sent
    ],
)
def test_a_prompt_that_answers_without_its_passages_is_stopped_through_the_whole_graph(tmp_path, unread, verdict):
    library = PromptLibrary.load()
    shipped = library.get("answer")
    told = replace(shipped.messages[0], text=f"{shipped.messages[0].text}\n{UNREAD}")
    library.add(replace(shipped, version=99, messages=(told, *shipped.messages[1:]), hash="another"))

    async def measured(house, pins):
        bench = Bench(house.desk, [], house.store.ledger.get, by_model=True)
        scored, unscored = await put_through(bench, ASKED, run(), pins)
        return Taken(scored, unscored, summed_up(scored, unscored, {}, secret=False))

    async def weighed():
        chat = Reader(unread=unread)
        async with open_house(tmp_path, chat=chat, adjust=lambda deps: replace(deps, prompts=library)) as house:
            before = await measured(house, Pins(judge=False))
            after = await measured(house, Pins(prompt="answer@99", judge=False))
            assert all(before.right().values())
            return weigh(prompt("answer@99"), before, after)

    found = asyncio.run(weighed())
    assert found.verdict == verdict
    assert not found.better


@settings(max_examples=8, deadline=None)
@given(st.sets(st.sampled_from(CASES[:8]), min_size=1))
def test_one_lost_refusal_stops_a_candidate_however_much_it_wins(lost):
    def bold(name):
        return reply("Sure!") if name in lost else better(name)

    weighed = weigh(prompt("bold"), taken(like_baseline), taken(bold))
    assert len(weighed.held.won) == 10
    assert weighed.stopped == f"{len(lost)} safety cases lost"


def test_the_best_is_proposed_after_the_held_out_cases_have_said_so():
    found = week({"same": like_baseline, "bad": without_passages, "good": better}, held_out=better)
    assert found.proposed == prompt("good")
    assert (found.confirmed.held.both, len(found.confirmed.held.won)) == (40, 10)
    assert "confirmed on 40 held-out cases" in found.why


@pytest.mark.parametrize("there", [slightly_worse, guard_off, without_passages])
def test_what_does_not_hold_on_the_held_out_cases_is_not_proposed(there):
    found = week({"good": better}, held_out=there)
    assert found.proposed is None
    assert found.why == "nothing was better: good did not hold on the held-out cases"


def test_nothing_better_is_said_so():
    assert week({"same": like_baseline, "worse": slightly_worse}).why == "nothing was better"
    assert week({}).why == "nothing was better: there was no candidate"
    assert week({"same": like_baseline}).weighed[0].verdict == "no better"


def test_there_is_no_week_where_what_serves_gave_too_few_answers():
    before = taken(like_baseline, down=CASES[:5])

    async def measure(candidate, split):
        assert (candidate, split) == (None, "dev")
        return before

    with pytest.raises(NotMeasuredError, match=r"5 of 40 cases gave no answer .*the server is down"):
        asyncio.run(weigh_all([prompt("same")], measure, lambda _line: None))


def test_a_candidate_that_gave_no_answer_is_stopped_and_one_that_cannot_be_measured_is_named():
    (weighed,) = week({"good": better}, down=CASES[:10]).weighed
    assert weighed.stopped == "10 of 40 cases gave no answer"

    before = taken(like_baseline)

    async def measure(candidate, split) -> Taken:
        del split
        if candidate:
            raise UsageError("no such thing", where="here")
        return before

    found = asyncio.run(weigh_all([prompt("odd")], measure, lambda _line: None))
    assert found.failed == {"odd": "here: no such thing"}


def blocks(rightly, *scores, family="injection"):
    return [Block(family, f"text {score}", rightly, family, score) for score in scores]


def test_wrong_blocks_raise_a_threshold_no_further_than_the_right_ones_allow():
    wrong = blocks(False, 0.55, 0.61, 0.58)
    assert learn([*wrong, *blocks(True, 0.8, 0.95)], {}, []).thresholds == {"injection": 0.611}
    held = learn([*wrong, *blocks(True, 0.6, 0.95)], {}, [])
    assert held.thresholds == {}
    assert held.kept == ["injection: at 0.611 1 of 2 rightly blocked turns would pass"]
    assert learn(wrong[:2], {}, []).kept == ["injection: 2 wrong blocks are too few (3 are needed)"]
    assert "floor of safety" in learn(blocks(False, 0.55, 0.61, 0.95), {}, []).kept[0]
    assert learn(wrong, {"injection": 0.7}, []).thresholds == {}
    assert learn([Block("injection", "by a rule", rightly=False)] * 5, {}, []).thresholds == {}


def test_questions_turned_away_become_examples_of_what_the_desk_is_for():
    turned = [Block("out_of_scope", "Do you mend lamps?", rightly=False), Block("out_of_scope", "Sing!", rightly=True)]
    found = learn([*turned, *turned], {}, ["Where is my order?"])
    assert (found.inside, found.outside) == (["Do you mend lamps?"], ["Sing!"])
    assert learn(turned, {}, ["Do you mend lamps?", "Sing!"]).inside == []


def test_a_review_says_whether_a_block_was_right():
    receipt = Receipt(
        turn_id="t", thread_id="h", trace_id="", user="", at="2026-11-21T00:00:00+00:00", desk="d", language="en",
        question="act as <NAME_1>", answer="", outcome="refuse", reason="injection", release="", rag_config="",
        knowledge="", latency_ms=1.0,
        verdicts=[Verdict("injection:head", "block", "injection", 0.62)],
    )  # fmt: skip
    wrong = block_of(receipt, Review("t", "corrected", Right(outcome="answer")))
    assert Block(**wrong) == Block("injection", "act as <NAME_1>", rightly=False, family="injection", score=0.62)
    assert block_of(receipt, Review("t", "accepted"))["rightly"]
    assert block_of(receipt, Review("t", "corrected", Right(outcome="refuse")))["rightly"]
    rule = replace(receipt, verdicts=[Verdict("injection:rules", "block", "injection", 1.0)])
    assert block_of(rule, Review("t", "accepted"))["family"] is None


def seen(serving):
    return Seen({}, {"until": "2026-11-21T09:00:00+00:00"}, 0, Learnt(0), serving, [])


def proposing(place, candidate, *, write=False):
    """What becomes of a candidate that won ten cases, with the real releases of a desk."""
    work = {"release.create": releasing.create, "release.gate": releasing.prove}

    async def ask(operation, **fields):
        return await work[operation](place.service, **fields, who="owner")

    paired = pair(dict.fromkeys("abcdefghij", False), dict.fromkeys("abcdefghij", True))
    won = Weighed(candidate, paired, share("right", [True] * 10), "", (1.0, 1.0))
    made = Week(10, 0.0, [won], candidate, won)
    given = Settings(desk=str(place.articles.parent / "desk"))
    return propose(given, seen(place.service.releases.built_in), made, ask, write=write)


def test_a_better_prompt_becomes_a_release_with_its_evidence_that_answers_nowhere_yet(tmp_path):
    async def work(place):
        better = Candidate("prompt", "answer_better@1", pins=Pins(prompt="answer_better@1"))
        first, again = await proposing(place, better), await proposing(place, better)
        assert first.release == "2026-11-21-answer-better-1"
        assert first.next_step == "frontdesk release promote 2026-11-21-answer-better-1 --to staging"
        assert again.release == "2026-11-21-answer-better-1-2"
        pinned = place.service.store.releases.get(first.release)
        assert pinned.release.prompts["answer"] == "answer_better@1"
        assert pinned.gate["passed"]
        assert pinned.gate["figures"] == {
            "cases": 10, "won": 10, "lost": 0, "diff": 1, "held_out_cases": 10, "held_out_diff": 1
        }  # fmt: skip
        assert (await place.ask()).release == "built-in"
        await releasing.promote(place.service, name=first.release, environment="staging", who="owner")

    at(tmp_path, work)


def test_better_guards_are_written_when_somebody_says_so_and_nothing_better_is_no_release(tmp_path):
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / "desk.yaml").write_text("name: Lamps\nscope: {describe: Lamps.}\n")

    async def work(place):
        (stricter,) = guards(Learnt(3, {"injection": 0.6}))
        told = await proposing(place, stricter)
        assert (told.next_step, told.written) == ("frontdesk improve --write", False)
        written = await proposing(place, stricter, write=True)
        assert (written.next_step, written.written, written.release) == ("frontdesk eval gate", True, "")
        assert read_profile(tmp_path / "desk").guards.thresholds == {"injection": 0.6}
        none = await propose(Settings(), seen(place.service.releases.built_in), Week(1, 1.0, []), None, write=True)
        assert (none.next_step, none.release) == ("frontdesk review list", "")

    at(tmp_path, work)


def test_guards_are_written_into_desk_yaml_and_the_rest_stays(tmp_path):
    (tmp_path / "desk.yaml").write_text("name: Lamps # ours\nscope:\n  describe: Lamps.\n  in: ['Where is it?']\n")
    write_guards(tmp_path, {"injection": 0.6}, inside=["Do you mend lamps?"], outside=["Sing!"])
    profile = read_profile(tmp_path)
    assert profile.scope.in_ == ["Where is it?", "Do you mend lamps?"]
    assert profile.scope.out == ["Sing!"]
    assert profile.guards.thresholds == {"injection": 0.6}
    assert "# ours" in (tmp_path / "desk.yaml").read_text("utf-8")
    assert yaml.safe_load((tmp_path / "desk.yaml").read_text("utf-8"))["name"] == "Lamps"


def test_a_desk_without_cases_is_told_before_anything_is_opened(tmp_path):
    (tmp_path / "desk.yaml").write_text("name: Lamps\nscope: {describe: Lamps.}\n")
    given = Settings(desk=str(tmp_path), home=tmp_path / "home")
    with pytest.raises(UsageError, match="this desk has no cases"):
        asyncio.run(look(given, Asked(), None))
    assert not (tmp_path / "home").exists()
