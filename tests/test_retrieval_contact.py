"""Questions for opening hours, phone and e-mail are answered from desk.yaml, and articles keep what they say better."""

import asyncio

import pytest
from fakes import WordEmbedder
from test_models_words import NO_SMALL_TALK

from domain.ports import Found
from domain.profile import Contact, DeskProfile
from domain.turn import Passage
from guards import ScopeFilter
from retrieval.contact import ARTICLE, SURE, DeskContact

CONTACT = Contact(
    email="help@lamps.example",
    phone="+1 555 010 9999",
    hours={"en": "Monday to Saturday, 9 to 17", "vi": "Thứ Hai đến thứ Bảy, 9 giờ đến 17 giờ"},
)
DESK = DeskContact(CONTACT, ["en", "vi"], "Lamp Shop")


def passage(text, article="parcels", score=1.0):
    return Passage(f"{article}#0", article, f"About {article}", text, score, language="en")


def told(question, *articles, desk=DESK, k=3):
    found = Found([passage(text, f"article{n}", 1.0 - n / 10) for n, text in enumerate(articles)], 0.3)
    return desk.beside(question, found, k)


@pytest.mark.parametrize(
    ("question", "said", "unsaid"),
    [
        ("what are your opening hours", ["Monday to Saturday, 9 to 17"], ["help@", "555"]),
        ("What time do you close?", ["9 to 17"], ["help@"]),
        ("when is the lamp shop open", ["9 to 17"], ["help@"]),
        ("What's your phone number?", ["+1 555 010 9999", "9 to 17"], ["help@"]),
        ("which e-mail address can I write to", ["help@lamps.example"], ["555", "9 to 17"]),
        ("how can I reach you", ["+1 555 010 9999", "help@lamps.example", "9 to 17"], []),
        ("Bạn mở cửa mấy giờ?", ["Thứ Hai đến thứ Bảy"], ["help@", "Monday"]),
        ("ban mo cua may gio", ["Thứ Hai đến thứ Bảy"], ["help@", "Monday"]),
        ("số điện thoại của cửa hàng là gì", ["Bạn có thể gọi số +1 555 010 9999"], ["help@"]),
        ("cho mình xin email shop với ạ", ["help@lamps.example"], ["555"]),
        ("lam sao de lien he", ["+1 555 010 9999", "help@lamps.example"], ["You can"]),
    ],
)
def test_a_bare_question_is_answered_by_the_desk_alone(question, said, unsaid):
    found = told(question, "Our newsletter opens hearts.", "Phone cases are for sale.")
    assert [one.article for one in found.passages] == [ARTICLE]
    assert all(part in found.passages[0].text for part in said)
    assert not any(part in found.passages[0].text for part in unsaid)
    assert found.confidence == SURE
    assert DESK.answers(question)


@pytest.mark.parametrize(
    "question",
    [
        "what is my phone number",
        "change my e-mail address",
        "what may I call you",
        "my card has not come in the mail yet",
        "I opened the box this morning",
        "how long is the warranty",
        "bao lâu thì giao hàng",
        "gói quà có mất tiền không",
        "đổi số điện thoại của tôi",
        *(question for question in NO_SMALL_TALK if question != "are you open on sunday"),
    ],
)
def test_other_questions_are_left_as_they_were(question):
    found = told(question, "Lamps.", "Shades.")
    assert [one.article for one in found.passages] == ["article0", "article1"]
    assert found.confidence == 0.3
    assert not DESK.answers(question)


def test_a_question_that_says_more_is_for_the_articles():
    found = told("What are the opening hours of your showroom?", "The showroom is open till 21.", "Lamps.", "Shades.")
    assert [one.article for one in found.passages] == ["article0", "article1", ARTICLE]
    assert found.passages[-1].score == pytest.approx(0.8)
    assert found.confidence == 0.3


@pytest.mark.parametrize(
    ("question", "article", "first"),
    [
        ("are you open on sunday", "We are open every day, Sundays included.", "article0"),
        ("are you open on sunday", "Parcels do not come on Sundays. We opened in 1990.", ARTICLE),
        ("are you open on saturday", "We are open every day, Saturdays included.", ARTICLE),
        ("chủ nhật có mở cửa không", "Chủ nhật chúng tôi đóng cửa.", "article0"),
        ("chủ nhật có mở cửa không", "Chủ nhật không giao hàng.", ARTICLE),
    ],
)
def test_an_article_wins_that_knows_a_day_of_which_the_desk_says_nothing(question, article, first):
    assert told(question, article).passages[0].article == first


@pytest.mark.parametrize(
    ("contact", "question", "answered"),
    [
        ({}, "what are your opening hours", False),
        ({"phone": "+1 555"}, "what is your e-mail", False),
        ({"phone": "+1 555"}, "how can I reach you", True),
        ({"hours": "9 to 17"}, "how can I reach you", False),
        ({"hours": "9 to 17"}, "when do you open and what is your phone number", False),
        ({"hours": "9 to 17", "phone": "+1 555"}, "when do you open and what is your phone number", True),
    ],
)
def test_the_desk_answers_only_what_it_says(contact, question, answered):
    desk = DeskContact(Contact(**contact), ["en"])
    assert desk.answers(question) is answered
    assert (told(question, "Lamps.", desk=desk).confidence == SURE) is answered


def test_a_desk_of_one_language_says_it_in_that():
    desk = DeskContact(CONTACT, ["en"])
    assert told("ban mo cua may gio", desk=desk).passages[0].text.startswith("Our opening hours")


def test_how_to_reach_a_business_is_in_its_scope():
    def why(**given):
        scope = ScopeFilter(
            DeskProfile.model_validate({"name": "Lamp Shop", "scope": {"describe": "A shop for lamps."}}),
            WordEmbedder(),
            **given,
        )
        return asyncio.run(scope.judge("What time do you close?")).reason

    assert why(answered=DESK.answers) == "how to reach the business" != why()
