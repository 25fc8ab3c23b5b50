"""The judge that asks a model: what it says counts only where it can, and a vote decides on the edge."""

import asyncio
import json
from dataclasses import replace

import pytest
from fakes import ScriptedChat, WordEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import BudgetError, ModelDownError, NotMeasuredError, UsageError
from domain.ports import ChatReply, ModelCard
from domain.settings import read_settings
from evals.judging import ToRate, choose_judge, rate_all, with_ratings
from evals.run import Result, Row, Run
from evals.runner import Kept
from evals.suites.judge import Row as Rateable
from evals.suites.judge import by_probability, overall_of, summed_up, weak_judge
from prompts import PromptLibrary
from scoring.judge import LocalJudge
from scoring.rubric import DIMENSIONS, Judged, RubricJudge, read_ratings, schema_of, share_of

GOOD = Judged(
    "How long?", "Two years.", passages="The warranty is two years.", reference="2 years", answered_by="other"
)


def said(value=5, **other):
    return json.dumps({name: {"reason": f"because {name}", "score": other.get(name, value)} for name in DIMENSIONS})


def judge(*lines, model="scripted"):
    chat = ScriptedChat(list(lines))
    return RubricJudge(chat, PromptLibrary.load().get("rubric").render, model=model, prompt="rubric@1"), chat


def rate(judged, *lines):
    one, chat = judge(*lines)
    return asyncio.run(one.rate(judged)), chat


def values(rated):
    return {rating.name: rating.value for rating in rated.ratings}


def test_every_dimension_is_rated_with_its_reason():
    rated, chat = rate(GOOD, said(4, tone=2))
    assert values(rated) == dict.fromkeys(DIMENSIONS, 4) | {"tone": 2}
    assert rated.ratings[0].reason == "because helpfulness"
    assert (rated.votes, rated.judge, rated.own, len(rated.calls)) == (1, "scripted", False, 1)
    text = "\n".join(line.text for line in chat.requests[0].messages)
    assert all(part in text for part in ("How long?", "Two years.", "The warranty is two years.", "2 years"))
    assert json.loads(chat.requests[0].schema)["required"] == list(DIMENSIONS)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("I would call this a good answer, four out of five.", "prose"),
        ("", "prose"),
        ("[1, 2]", "prose"),
        ('{"helpfulness": {"score": NaN}}', "nan"),
        ('{"helpfulness": {"score": Infinity}}', "inf"),
        ('{"helpfulness": {"score": "11/5"}}', "11/5"),
        ('{"helpfulness": {"score": 11}}', "11"),
        ('{"helpfulness": {"score": 0}}', "0 is no"),
        ('{"helpfulness": {"score": 4.5}}', "4.5"),
        ('{"helpfulness": {"score": true}}', "True"),
        ('{"helpfulness": {"reason": "fine"}}', "not rated"),
        ("{}", "not rated"),
        ('{"helpfulness": {"score": 4', "prose"),
    ],
)
def test_what_is_no_rating_is_unscored_and_never_a_one(line, why):
    rating = read_ratings(line)["helpfulness"]
    assert rating.value is None
    assert why in rating.reason


@pytest.mark.parametrize(
    ("line", "value"),
    [('```json\n{"tone": {"score": 4}}\n```', 4), ('{"tone": 3}', 3), ('{"tone": {"score": 5.0}}', 5)],
)
def test_a_rating_is_read_however_it_is_wrapped(line, value):
    assert read_ratings(line)["tone"].value == value


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(["score", "reason", "tone"]), inner, max_size=3)
        ),
        max_leaves=6,
    )
)
@settings(max_examples=60)
def test_whatever_a_model_says_ratings_are_whole_numbers_or_none(thing):
    ratings = read_ratings(json.dumps({"tone": thing}))
    assert set(ratings) == set(DIMENSIONS)
    assert all(one.value in (None, 1, 2, 3, 4, 5) for one in ratings.values())


def test_on_the_edge_a_vote_decides_and_its_questions_differ():
    rated, chat = rate(GOOD, said(5, correctness=3), said(5, correctness=2), said(4, correctness=2))
    assert (rated.votes, values(rated)["correctness"], values(rated)["tone"], len(rated.calls)) == (3, 2, 5, 3)
    assert "votes 3, 2, 2" in next(one.reason for one in rated.ratings if one.name == "correctness")
    assert len({request.messages[-1].text for request in chat.requests}) == 3


def test_away_from_the_edge_nobody_votes():
    _, chat = rate(GOOD, said(2))
    assert len(chat.requests) == 1


def test_a_dimension_that_most_votes_leave_out_is_unscored():
    without = json.dumps({name: {"score": 3} for name in DIMENSIONS if name != "tone"})
    rated, _ = rate(GOOD, without, "prose", without)
    assert (values(rated)["tone"], values(rated)["clarity"]) == (None, 3)


def test_without_passages_faithfulness_is_not_asked_for():
    rated, chat = rate(Judged("q", "a"), said(5))
    assert values(rated)["faithfulness"] is None
    assert values(rated)["correctness"] == 5
    assert "faithfulness" not in json.loads(chat.requests[0].schema)["properties"]
    assert schema_of(["tone"])["properties"]["tone"]["properties"]["score"]["enum"] == [1, 2, 3, 4, 5]


def test_a_model_that_is_down_leaves_everything_unscored_and_a_spent_budget_ends_the_run():
    rated, _ = rate(GOOD, ModelDownError("away", where="m"))
    assert set(values(rated).values()) == {None}
    assert "did not answer" in rated.ratings[0].reason
    with pytest.raises(BudgetError):
        rate(GOOD, BudgetError("spent", where="m"))


def test_a_judge_of_its_own_answers_says_so():
    own = Judged("q", "a", answered_by="scripted")
    assert rate(own, said(5))[0].own

    class Stands(ScriptedChat):
        async def complete(self, request):
            self.requests.append(request)
            return ChatReply(said(5), [], card=ModelCard("other", "remote", "simple"))

    stand_in = RubricJudge(Stands(), PromptLibrary.load().get("rubric").render, model="scripted")
    rated = asyncio.run(stand_in.rate(GOOD))
    assert (rated.judge, rated.own) == ("other", True)


class Tiers(ScriptedChat):
    """A model of each tier."""

    def choose(self, tier, confidence):
        assert confidence == 1.0
        return ModelCard(f"{tier}-model", "remote", tier)


def test_the_best_model_that_did_not_answer_is_chosen():
    assert choose_judge(Tiers(), []) == "complex-model"
    assert choose_judge(Tiers(), ["complex-model"]) == "medium-model"
    assert choose_judge(Tiers(), ["complex-model", "medium-model", "simple-model"]) == "complex-model"
    with pytest.raises(UsageError, match="no model is up"):
        choose_judge(ScriptedChat(card=None), [])


def test_ratings_become_figures_and_a_stopped_run_goes_on(tmp_path):
    run = Run(read_settings(), say=lambda _: None, progress=lambda *_: None, parallel=1)
    rows = [ToRate("a", GOOD), ToRate("b", GOOD)]
    path = tmp_path / "judge.jsonl"

    class Stopped(ScriptedChat):
        async def complete(self, request):
            if not self.lines:
                raise KeyboardInterrupt
            return await super().complete(request)

    stopped = RubricJudge(Stopped([said(4)]), PromptLibrary.load().get("rubric").render, model="scripted")
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(rate_all(rows, stopped, run, Kept(path)))
    again, chat = judge(said(2, tone=1))
    rated = asyncio.run(rate_all(rows, again, run, Kept(path)))
    assert len(chat.requests) == 1
    result = with_ratings(
        Result("desk", {}, [], rows=[Row("a", "k", {"answered_right": 1.0}), Row("c", "k", {})]), rated
    )
    flat = result.as_json()
    assert (flat["judge_helpfulness"], flat["judge_helpfulness_n"], flat["judge_tone"]) == (3.0, 2, 2.5)
    assert (flat["judge"], flat["judge_own_answers"], flat["judge_unscored"]) == ("scripted", 0, 0)
    assert flat["judge_cost_usd"] == pytest.approx(14e-6)
    assert result.rows[0].scores["judge_helpfulness"] == share_of(4) == 0.75
    assert result.rows[1].scores == {}
    assert overall_of(rated["a"]) == [0.75] * 4


def test_without_a_judge_nothing_changes():
    result = Result("desk", {}, [])
    assert with_ratings(result, {}) is result


class Opinionated(ScriptedChat):
    """Finds what is good good, more surely the longer it is; has nothing to say of silence."""

    async def complete(self, request):
        asked = request.messages[-1].text
        answer = asked.partition("<answer>")[2].partition("</answer>")[0]
        assert f"<passages>\n{answer}\n</passages>" in asked
        self.yes = float("nan") if answer == "..." else min(0.9, len(answer) / 20)
        return await super().complete(request)

    def up(self):
        return {self.card.name: self.card, "other": None}


def test_a_weak_model_is_held_against_people_by_its_p_yes_and_a_strong_one_by_its_ratings():
    weak = ModelCard("small", "local", "simple", weak=True)
    chat, run = Opinionated(card=weak), Run(read_settings(), say=print, progress=lambda *_: None, judge="small")
    assert weak_judge(run, chat) == weak
    assert weak_judge(replace(run, judge="auto"), chat) == weak
    assert weak_judge(replace(run, judge="other"), chat) is None
    assert weak_judge(run, Opinionated(card=ModelCard("small", "remote", "complex"))) is None
    answers = {"no": 1.0, "two years": 2.0, "two years in full": 4.0, "...": 3.0}
    rows = [Rateable(id=text, question="how long?", answer=text, human=human) for text, human in answers.items()]
    local = LocalJudge(WordEmbedder(), chat, PromptLibrary.load().get("judge").render, "judge@1")
    scored, unscored, about = asyncio.run(by_probability(rows, local, weak, run))
    assert [round(one.rating, 2) for one in scored] == [1.3, 2.35, 3.55]
    assert [miss.id for miss in unscored] == ["..."]
    assert about == {"judge": "P(yes) of small"}
    figures = {one.name: one.value for one in summed_up(scored, unscored, about).figures}
    assert (figures["spearman"], figures["accuracy"], figures["unscored"]) == (1.0, 1.0, 1)
    with pytest.raises(NotMeasuredError, match="judged not one of 1"):
        asyncio.run(by_probability(rows[3:], local, weak, run))
