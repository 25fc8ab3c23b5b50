"""The local judge: what it scores, what it leaves unscored, and that it never says 0 for "unknown"."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes import ScriptedChat, WordEmbedder

from domain.errors import ModelDownError, WeightsError
from domain.ports import ChatReply, ChatRequest, ModelCard, Progress, Vector
from domain.turn import Language, Message, Outcome, Passage, Score
from scoring import DIMENSIONS, LocalJudge, overall
from scoring.grounding import supported_in_words, supports
from scoring.judge import AGREEMENT

PASSAGE = Passage(
    "returns#0",
    "returns",
    "Return policy",
    "Electric appliances may be returned within 14 days after delivery. Sending a parcel back costs 30,000 VND.",
    0.9,
    "Time limits",
)
QUESTION = "How many days do I have to return an electric kettle?"
GOOD = "Electric appliances may be returned within 14 days after delivery."


class NoWeights:
    """An embedder whose weights are absent."""

    name = "absent"

    async def query(self, text: str) -> Vector:
        raise WeightsError("absent", where=text)

    async def passages(self, texts: Sequence[str], progress: Progress | None = None) -> list[Vector]:
        del texts, progress
        raise WeightsError("absent")


def asks(*, question: str, answer: str, passages: str) -> list[Message]:
    return [Message("user", f"{question}|{answer}|{passages}")]


def judged(
    answer: str,
    *,
    judge: LocalJudge | None = None,
    question: str = QUESTION,
    passages: Sequence[Passage] = (PASSAGE,),
    language: Language = "en",
    outcome: Outcome = "answer",
) -> dict[str, Score]:
    judged = asyncio.run(
        (judge or LocalJudge(WordEmbedder())).score(
            question=question, answer=answer, passages=passages, language=language, outcome=outcome
        )
    )
    scores = judged.scores
    assert tuple(score.name for score in scores) == DIMENSIONS
    return {score.name: score for score in scores}


def value(scores: dict[str, Score], name: str) -> float:
    found = scores[name].value
    assert found is not None, scores[name]
    return found


def test_a_quoted_sentence_is_grounded_and_an_invented_one_is_not() -> None:
    good = judged(GOOD)
    invented = judged("Our founder sails to Portugal every summer with twelve friends.")
    half = judged(f"{GOOD} Our founder sails to Portugal every summer.")
    assert value(good, "grounding") > 0.95
    assert value(invented, "grounding") < 0.4
    assert value(invented, "grounding") < value(half, "grounding") < value(good, "grounding")


def test_a_sentence_with_a_wrong_number_is_not_supported() -> None:
    wrong = judged("Electric appliances may be returned within 41 days after delivery.")
    assert value(wrong, "grounding") <= 0.2
    assert value(wrong, "numbers") == 0.0
    assert "41" in wrong["numbers"].comment


def test_the_guard_and_the_judge_measure_support_by_the_same_words() -> None:
    texts = [PASSAGE.text, "Returns are free for members."]
    answer = f"{GOOD} You have 41 days. Returns cost nothing.\n- Our founder sails to Portugal."
    asked = asyncio.run(supports(answer, texts, None))
    assert supported_in_words(answer, texts) == [(one.share, one.words) for one in asked]
    assert len({share for share, _ in supported_in_words(answer, texts)}) > 2


def test_a_number_of_the_question_or_in_other_grouping_is_supported() -> None:
    assert value(judged("Sending it back costs 30.000đ."), "numbers") == 1.0
    assert value(judged("Order 4711 can go back.", question="Can order 4711 go back?"), "numbers") == 1.0
    assert value(judged("Order 4711 can go back."), "numbers") == 0.0


def test_an_answer_to_the_question_is_more_relevant_than_another() -> None:
    beside = judged("Sending a parcel back costs 30,000 VND.")
    assert value(judged(GOOD), "relevance") > value(beside, "relevance")


@pytest.mark.parametrize(
    ("answer", "language", "expected"),
    [
        (GOOD, "en", 1.0),
        (GOOD, "vi", 0.0),
        ("Đồ điện được trả trong vòng 14 ngày kể từ ngày nhận hàng.", "vi", 1.0),
        ("Đồ điện được trả trong vòng 14 ngày kể từ ngày nhận hàng.", "en", 0.0),
        ("The showroom is at 27 Đèn Lồng Street, Phú Nhuận, and it is open on every day of the week.", "en", 1.0),
        ("14", "en", None),
    ],
)
def test_the_language_is_the_one_that_was_asked_for(answer: str, language: Language, expected: float | None) -> None:
    assert judged(answer, language=language)["language"].value == expected


def test_a_long_answer_is_less_concise() -> None:
    assert value(judged(GOOD), "conciseness") == 1.0
    assert 0.0 < value(judged("word " * 150), "conciseness") < 1.0
    assert value(judged("word " * 400), "conciseness") == 0.0


def test_helpful_is_the_models_own_probability() -> None:
    chat = ScriptedChat(card=ModelCard("small", "local", "simple", weak=True), yes=0.83)
    helpful = judged(GOOD, judge=LocalJudge(WordEmbedder(), chat, asks))["helpful"]
    assert helpful.value == 0.83
    assert "small" in helpful.comment
    assert "weak" in helpful.comment
    (request,) = chat.requests
    assert request.purpose == "judge"
    assert request.choices == ("yes", "no")
    assert request.messages[0].text == f"{QUESTION}|{GOOD}|{PASSAGE.title}\nTime limits\n{PASSAGE.text}"
    assert "which wrote the answer" not in helpful.comment
    large = LocalJudge(WordEmbedder(), ScriptedChat(yes=0.2), asks)
    assert "weak" not in judged(GOOD, judge=large)["helpful"].comment


class DownChat(ScriptedChat):
    """A model that is up until it is asked."""

    async def complete(self, request: ChatRequest) -> ChatReply:
        raise ModelDownError("gone", where=request.model)


def test_what_cannot_be_scored_is_unscored_and_says_why() -> None:
    for judge, why in (
        (LocalJudge(WordEmbedder()), "no model is up"),
        (LocalJudge(WordEmbedder(), ScriptedChat(card=None), asks), "no model is up"),
        (LocalJudge(WordEmbedder(), DownChat(), asks), "ModelDownError"),
        (LocalJudge(WordEmbedder(), ScriptedChat(yes=float("nan")), asks), "no probability"),
        (LocalJudge(WordEmbedder(), ScriptedChat(yes=11.0), asks), "no probability"),
    ):
        helpful = judged(GOOD, judge=judge)["helpful"]
        assert helpful.value is None
        assert why in helpful.comment
    weightless = judged("Wir verkaufen auch Fahrräder.", judge=LocalJudge(NoWeights()))
    assert weightless["grounding"].value is None
    assert weightless["relevance"].value is None
    assert "WeightsError" in weightless["relevance"].comment
    bare = judged(GOOD, passages=())
    assert bare["grounding"].value is None
    assert bare["numbers"].value is None


@pytest.mark.parametrize("outcome", ["refuse", "dont_know", "handoff"])
def test_a_non_answer_is_judged_by_its_form_only(outcome: Outcome) -> None:
    chat = ScriptedChat()
    scores = judged(
        "I can only help with questions about our shop.", judge=LocalJudge(WordEmbedder(), chat, asks), outcome=outcome
    )
    assert {name for name, score in scores.items() if score.value is not None} == {"language", "conciseness"}
    assert outcome in scores["grounding"].comment
    assert chat.requests == []


def test_overall_leaves_out_what_was_not_scored() -> None:
    assert overall([Score("grounding", 0.8), Score("helpful", None)]) == pytest.approx(0.8)
    assert overall([Score("grounding", 1.0), Score("relevance", 0.5)]) == pytest.approx((0.3 + 0.125) / 0.55)
    assert overall([Score("grounding", 1.0), Score("feedback", 0.0)]) == pytest.approx(1.0)
    assert overall([Score("language", 1.0), Score("conciseness", 1.0), Score("grounding", None)]) is None
    assert overall([]) is None


def test_what_the_scores_are_worth_is_what_the_page_says() -> None:
    page = (Path(__file__).parents[1] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    figures = re.findall(r"\.\d\d", AGREEMENT)
    assert len(figures) == 3
    assert [figure for figure in figures if figure not in page] == []
