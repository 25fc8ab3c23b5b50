"""Names and addresses, English and Vietnamese: what is one, what is none, with and without the model."""

import hashlib
from pathlib import Path

import pytest

from domain.profile import DeskProfile
from guards.ner import SHA256
from guards.pii import Finder
from guards.placeholders import mask

PROFILE = DeskProfile.model_validate({"name": "Lantern & Ladle", "scope": {"describe": "Support."}})
VOCABULARY = frozenset({"breeze", "lotus", "visa", "express"})


@pytest.fixture(scope="module")
def rules() -> Finder:
    finder = Finder(PROFILE, vocabulary=lambda: VOCABULARY, model=False)
    finder.warm()
    return finder


@pytest.fixture(scope="module")
def model() -> Finder:
    finder = Finder(PROFILE, vocabulary=lambda: VOCABULARY, model=True)
    finder.warm()
    return finder


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("My name is Xiulan Okonjo, where is it?", "My name is <PERSON_1>, where is it?"),
        ("my name is xiulan and i wait", "my name is <PERSON_1> and i wait"),
        ("Hello, this is Zorica Petkova.", "Hello, this is <PERSON_1>."),
        ("Please ask Mrs. Harrow about it", "Please ask <PERSON_1> about it"),
        ("Where is it?\n\nKind regards,\nZorica Petkova", "Where is it?\n\nKind regards,\n<PERSON_1>"),
        ("Recipient: Zorica Petkova", "Recipient: <PERSON_1>"),
        ("it was sold to Jennifer Moss", "it was sold to <PERSON_1>"),
        ("Tên tôi là Nguyễn Văn An, đơn chưa tới", "Tên tôi là <PERSON_1>, đơn chưa tới"),
        ("ten toi la Nguyen Van An", "ten toi la <PERSON_1>"),
        ("tên em là trần thị mai", "tên em là <PERSON_1>"),
        ("đơn của anh Minh Tuấn", "đơn của anh <PERSON_1>"),
        ("Đơn hàng của Đặng Thu Hà bị sai", "Đơn hàng của <PERSON_1> bị sai"),
        ("Người nhận: Lê Hoàng Nam", "Người nhận: <PERSON_1>"),
        ("xin chào, mình là Hùng", "xin chào, mình là <PERSON_1>"),
        ("I live at 12 Oak Street, Springfield, IL 62704.", "I live at <ADDRESS_1>."),
        ("Deliver it to 221B Baker Street, London NW1 6XE.", "Deliver it to <ADDRESS_1>."),
        ("PO Box 1234, Austin, TX 78701", "<ADDRESS_1>"),
        ("my address is 55 rue de la paix apt 4 paris", "my address is <ADDRESS_1>"),
        ("it is 8 Via Roma 14, Torino", "it is <ADDRESS_1>"),
        ("tôi ở số nhà 12 ngõ 34 đường Láng, phường Láng Thượng, quận Đống Đa, Hà Nội", "tôi ở <ADDRESS_1>"),
        ("giao đến 45/6 Lê Lợi, P. Bến Nghé, Q.1, TP. Hồ Chí Minh", "giao đến <ADDRESS_1>"),
        ("dia chi 123 Nguyen Trai, phuong 5, quan 5, TP.HCM", "dia chi <ADDRESS_1>"),
        ("địa chỉ: thôn 3, xã Hòa Khánh, huyện Hòa Vang, Đà Nẵng", "địa chỉ: <ADDRESS_1>"),
    ],
)
def test_rules_find_names_and_addresses(rules: Finder, text: str, masked: str) -> None:
    assert mask(text, {}, rules).text == masked


@pytest.mark.parametrize(
    "text",
    [
        "I am Vietnamese and I want to ask about the Breeze air fryer",
        "Do you ship to Hanoi or Da Nang?",
        "Shop giao đến Huế mất bao lâu?",
        "Giao hàng tại Đà Nẵng có tính phí không?",
        "Tôi có thể thanh toán bằng thẻ Visa không?",
        "Is there a 24 month warranty on 2 Lotus rice cookers?",
        "I bought 3 pans on 12 May 2026 and 2 lids",
        "Cho hỏi nồi chiên Breeze có bảo hành không?",
        "Can I change the delivery address of order 10023?",
        "This is urgent, I am really angry. Is it Express or not?",
        "Thanks,\nwhen does it arrive?",
        "Do you deliver to 3 different addresses?",
        "Anh ơi cho em hỏi, chị Shop có ship Hồ Chí Minh không?",
        "I will be in Paris on 24 December, can you deliver to Germany?",
        "Lantern & Ladle is closed on Sunday, isn't it?",
    ],
)
def test_products_towns_and_dates_are_nobody(model: Finder, text: str) -> None:
    assert mask(text, {}, model).text == text


def test_the_model_finds_names_that_nothing_announces(rules: Finder, model: Finder) -> None:
    text = "Yesterday Szilvia Kowalczyk complained about the pan."
    assert mask(text, {}, rules).text == text
    assert mask(text, {}, model).text == "Yesterday <PERSON_1> complained about the pan."


def test_a_word_of_the_articles_is_a_name_only_where_it_is_announced(model: Finder) -> None:
    assert mask("Is the Lotus Breeze sold out?", {}, model).text == "Is the Lotus Breeze sold out?"
    assert mask("My name is Lotus Breeze.", {}, model).text == "My name is <PERSON_1>."


def test_letters_written_in_parts_are_letters(rules: Finder) -> None:
    import unicodedata  # noqa: PLC0415

    text = unicodedata.normalize("NFD", "Tên tôi là Nguyễn Văn Ấn nhé")
    masked = mask(text, {}, rules)
    assert masked.text.endswith("<PERSON_1> nhe\u0301")
    assert list(masked.secrets.values()) == [unicodedata.normalize("NFD", "Nguyễn Văn Ấn")]


def test_the_models_weights_are_those_that_were_chosen() -> None:
    from importlib.metadata import distribution  # noqa: PLC0415

    from guards.ner import FOLDER, PACKAGE, WEIGHTS  # noqa: PLC0415

    path = Path(str(distribution(PACKAGE).locate_file(f"{FOLDER}/{WEIGHTS}")))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256
