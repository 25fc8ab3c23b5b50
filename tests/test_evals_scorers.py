"""The suites of what scores answers: faithfulness, don't-knows, the judge against people."""

import asyncio
import json

import numpy as np
import pytest
from fakes import WordEmbedder

from domain.errors import UsageError
from domain.settings import read_settings
from evals.labelled import auroc, balanced_accuracy, f1, languages_of, read_rows, spearman, with_interval
from evals.run import Run
from evals.suites import faithfulness, idk, judge
from scoring.dont_know import says_dont_know
from scoring.faithfulness import SUPPORTED
from scoring.faithfulness import faithfulness as score
from scoring.judge import LocalJudge, on_scale

CONTEXT = "Small appliances may be returned within 30 days. Shipping back costs 40,000 VND.\n\nThe Breeze has a warranty of two years."
DONT_KNOWS = [
    "I don't know.",
    "I’m not sure about that, sorry.",
    "Sorry, we could not find anything about gift cards.",
    "The articles do not mention a student discount. However, there are sales.",
    "It is unclear whether the lid is part of it.",
    "Unfortunately, I can't answer that from the information I have.",
    "Thank you for asking! The given context does not say how long it takes.",
    "Which menu it is in isn't stated. However, you can check the manual or contact support.",
    "The article is silent on islands.",
    "There aren't any details about the next sale.",
    "There is no way to tell from the text.",
    "The answer isn't in the documents I have.",
    "I can't confirm whether it ships to Peru.",
    "Tôi không biết.",
    "Thông tin này không có trong tài liệu.",
    "Câu hỏi này nằm ngoài những gì tôi biết.",
    "Thời hạn không được nêu. Tuy nhiên, bạn có thể liên hệ tổng đài.",
    "Xin lỗi, mình chưa có thông tin về chương trình này.",
    "Tài liệu không đề cập đến phí lắp đặt.",
    "Em không tìm thấy câu trả lời cho câu hỏi này ạ.",
    "Rất tiếc, tôi không chắc về điều đó. Bạn muốn gặp nhân viên không?",
    "Xin lỗi, tôi không thể trả lời câu hỏi này.",
]
ANSWERS = [
    "",
    "Batteries are not included.",
    "Damage by water is not covered by the warranty.",
    "We do not offer gift wrapping.",
    "We can't give refunds after 30 days.",
    "If you don't know your order number, look in the e-mail.",
    "No information is shared with third parties.",
    "You must provide additional information to the bank.",
    "The colour is not mentioned. However, it weighs two kilos.",
    "Returning anything takes up to 14 days. Sending it back to us is free. I don't know anything nicer.",
    "No information about you is sold to others.",
    "You don't need to provide any information to track a parcel.",
    "There are no details to fill in: press the button twice.",
    "We cannot confirm orders by phone.",
    "If the manual is missing from the box, download it.",
    "Which menu it is in isn't stated. However, the dimmer is left of the wheel.",
    "Quà tặng không có trong hộp sẽ được gửi riêng.",
    "Shop không cung cấp dịch vụ lắp đặt.",
    "Không, bạn không thể trả hàng sau 14 ngày.",
    "Nếu bạn không biết mã đơn, hãy xem email.",
    "Chúng tôi không lưu thông tin thẻ của bạn.",
]


def run(tmp_path, *rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return Run(read_settings(), say=lambda _: None, progress=lambda *_: None, data=path)


def figures(result):
    return {figure.name: figure.value for figure in result.figures}


@pytest.mark.parametrize("text", DONT_KNOWS)
def test_dont_knows_are_told_by_their_words(text):
    told = says_dont_know(text)
    assert told.found
    assert told.words


@pytest.mark.parametrize("text", ANSWERS)
def test_a_no_a_condition_and_a_limit_are_no_dont_knows(text):
    assert not says_dont_know(text).found


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("Small appliances may be returned within 30 days.", "Small appliances may be returned within 60 days."),
        ("The Breeze has a warranty of two years.", "Warranty returned appliances two Breeze small within years."),
        ("Shipping back costs 40,000 VND.", "Our founder sails to Portugal every summer."),
    ],
)
def test_a_claim_is_supported_by_words_their_order_and_its_numbers(better, worse):
    good, bad = asyncio.run(score(better, [CONTEXT])), asyncio.run(score(worse, [CONTEXT]))
    assert good is not None
    assert bad is not None
    assert good.supported
    assert not bad.supported
    assert bad.score < SUPPORTED <= good.score <= 1.0


def test_a_number_in_words_is_the_same_number():
    two, three = (asyncio.run(score(f"The Breeze has a warranty of {n} years.", [CONTEXT])) for n in (2, 3))
    assert two is not None
    assert three is not None
    assert three.score == 0.2 < two.score


def test_the_weakest_sentence_is_named_and_a_claim_without_words_is_unscored():
    found = asyncio.run(score("Shipping back costs 40,000 VND. Our founder sails to Portugal.", [CONTEXT]))
    assert found is not None
    assert found.weakest.sentence == "Our founder sails to Portugal."
    assert asyncio.run(score("It is.", [CONTEXT])) is None


def test_faithfulness_counts_what_it_cannot_score_apart(tmp_path):
    rows, broken = read_rows(
        run(
            tmp_path,
            {"context": CONTEXT, "claim": "Shipping back costs 40,000 VND.", "label": "supported"},
            {"context": CONTEXT, "claim": "The founder sails far.", "label": "unsupported"},
            {"context": CONTEXT, "claim": "It is.", "label": "supported"},
            {"context": CONTEXT, "label": "supported"},
            {"context": CONTEXT, "claim": "x", "label": "maybe"},
            "no json",
        ).data,
        faithfulness.Row,
    )
    scored, unscored = asyncio.run(faithfulness.put_through(rows, WordEmbedder(), run(tmp_path)))
    result = faithfulness.summed_up(scored, [*broken, *unscored], {})
    assert (result.about["scored"], result.about["unscored"]) == (2, 4)
    assert figures(result)["balanced_accuracy"] == figures(result)["auroc"] == figures(result)["f1"] == 1.0
    assert [miss.id for miss in broken] == ["rows.jsonl:4", "rows.jsonl:5", "rows.jsonl:6"]


def test_the_dont_know_suite_measures_what_is_told(tmp_path):
    result = asyncio.run(
        idk.measure(
            run(
                tmp_path,
                {"answer": "I don't know.", "label": "idk"},
                {"answer": "Ask me tomorrow.", "label": "idk"},
                {"answer": "It costs 5 USD.", "label": "answer"},
                {"answer": "", "label": "idk"},
            )
        )
    )
    shown = figures(result)
    assert (shown["precision"], shown["recall"]) == (1.0, 0.5)
    assert shown["f1"] == pytest.approx(2 / 3)
    assert result.about["unscored"] == 1
    assert [miss.id for miss in result.misses] == ["2", "rows.jsonl:4"]


def test_the_judge_is_held_against_people_and_unscored_is_never_bad():
    rows = [
        judge.Row(
            id="1", question="How long is the kettle's warranty?", answer="The kettle's warranty: long.", human=4
        ),
        judge.Row(id="2", question="How long is the kettle's warranty?", answer="Dogs sleep under trees.", human=1),
        judge.Row(id="3", question="How long is the kettle's warranty?", answer="It is.", human=4),
    ]
    scored, unscored = asyncio.run(
        judge.put_through(
            rows, LocalJudge(WordEmbedder()), Run(read_settings(), say=lambda _: None, progress=lambda *_: None)
        )
    )
    result = judge.summed_up(scored, unscored, {})
    assert figures(result)["spearman"] == pytest.approx(1.0)
    assert figures(result)["unscored"] == 1
    assert result.about["scored"] == 2
    assert [miss.id for miss in unscored] == ["3"]


@pytest.mark.parametrize("human", [0.5, 5, float("nan"), "11/5", None])
def test_a_rating_that_is_none_is_no_row(tmp_path, human):
    with pytest.raises(UsageError):
        asyncio.run(judge.measure(run(tmp_path, {"question": "q", "answer": "a", "human": human})))


def test_statistics_against_worked_examples():
    truth, scores = np.array([1.0, 1, 0, 0]), np.array([0.9, 0.4, 0.4, 0.1])
    assert auroc(truth, scores) == pytest.approx(3.5 / 4)
    assert balanced_accuracy(truth, np.array([1.0, 0, 0, 0])) == 0.75
    assert f1(truth, np.array([1.0, 0, 1, 0])) == 0.5
    assert spearman(np.array([1.0, 2, 3]), np.array([10.0, 30, 20])) == pytest.approx(0.5)
    assert auroc(np.ones(3), scores[:3]) is balanced_accuracy(np.zeros(3), np.zeros(3)) is None
    assert spearman(np.ones(3), scores[:3]) is None
    figure = with_interval("auroc", list(truth), list(scores), auroc)
    assert figure.ci is not None
    assert figure.ci[0] <= 0.875 <= figure.ci[1]


def test_scales_and_languages():
    assert [on_scale(0.0), on_scale(0.5), on_scale(1.0), on_scale(1.0, 1, 4)] == [1.0, 3.0, 5.0, 4.0]
    assert languages_of(["How long does it take?"] * 9 + ["Tôi muốn đổi hàng"]) == ["en"]
    assert languages_of(["How long does it take?", "Tôi muốn đổi hàng"]) == ["en", "vi"]
