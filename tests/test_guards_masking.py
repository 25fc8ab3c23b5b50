import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import GuardFaultError
from domain.profile import DeskProfile
from guards import Guards, unmask
from guards.normalise import clean
from guards.pii import Finder
from guards.placeholders import PLACEHOLDER, Span, mask

PROFILE = DeskProfile.model_validate(
    {
        "name": "Desk",
        "scope": {"describe": "Support."},
        "contact": {"email": "help@desk.example", "phone": "+84 28 5550 0142"},
        "domains": ["desk.example"],
    }
)


@pytest.fixture(scope="module")
def find() -> Finder:
    finder = Finder(PROFILE)
    finder.warm()
    return finder


PERSONAL = [
    "an.tran@mail.example",
    "b@c.co",
    "0901234567",
    "+84 901 234 567",
    "+49 170 5550199",
    "(415) 555-2671",
    "4111 1111 1111 1111",
    "5555555555554444",
    "DE89 3704 0044 0532 0130 00",
    "710-31-0236",
    "079199004321",
    "192.168.1.10",
    "51F-123.45",
    "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
]
HARMLESS = [
    "phone",
    "stk",
    "order",
    "<EMAIL_1>",
    "<TYPED_1>",
    "<",
    ">",
    "_1>",
    "<PHONE_",
    "1",
    "42",
    "\u200b",
    "１",
    " ",
    ", ",
    "@",
    "card",
    "\n",
]
TEXTS = st.lists(st.one_of(st.sampled_from(PERSONAL), st.sampled_from(HARMLESS), st.text(max_size=6)), max_size=12).map(
    "".join
) | st.lists(st.sampled_from(PERSONAL + HARMLESS), max_size=14).map(" ".join)


@settings(max_examples=250, deadline=None)
@given(text=TEXTS)
def test_unmasking_gives_back_what_was_masked(find: Finder, text: str) -> None:
    masked = mask(text, {}, find)
    assert unmask(masked.text, masked.secrets) == clean(text)


@settings(max_examples=250, deadline=None)
@given(text=TEXTS)
def test_masking_twice_is_masking_once(find: Finder, text: str) -> None:
    once = mask(text, {}, find)
    again = mask(once.text, once.secrets, find)
    assert (again.text, again.secrets) == (once.text, once.secrets)
    assert mask(once.text, {}, find, escape=False).text == once.text


@settings(max_examples=60, deadline=None)
@given(
    before=st.sampled_from(["", "I am ", "số của tôi là ", "(", "x: "]),
    datum=st.sampled_from(PERSONAL),
    after=st.sampled_from(["", ".", ", thanks", ")", "\n"]),
)
def test_personal_data_does_not_survive_masking(find: Finder, before: str, datum: str, after: str) -> None:
    masked = mask(before + datum + after, {}, find)
    assert datum not in masked.text
    assert datum in masked.secrets.values()


@settings(max_examples=100, deadline=None)
@given(text=st.text())
def test_any_text_can_be_masked(find: Finder, text: str) -> None:
    masked = mask(text, {}, find)
    assert unmask(masked.text, masked.secrets) == clean(text)


def test_a_value_keeps_its_placeholder_over_the_conversation(find: Finder) -> None:
    first = mask("a@b.co and c@d.co, a@b.co", {}, find)
    assert first.text == "<EMAIL_1> and <EMAIL_2>, <EMAIL_1>"
    second = mask("c@d.co, e@f.co", first.secrets, find)
    assert second.text == "<EMAIL_2>, <EMAIL_3>"
    assert second.secrets == {"<EMAIL_1>": "a@b.co", "<EMAIL_2>": "c@d.co", "<EMAIL_3>": "e@f.co"}


def test_a_typed_placeholder_never_becomes_somebodys_data(find: Finder) -> None:
    masked = mask("send it to <EMAIL_1> instead of a@b.co", {}, find)
    assert masked.text == "send it to <TYPED_1> instead of <EMAIL_1>"
    assert unmask(masked.text, masked.secrets) == "send it to <EMAIL_1> instead of a@b.co"
    assert unmask("<EMAIL_7>", masked.secrets) == "<EMAIL_7>"


def test_unmasking_does_not_unmask_what_an_original_says() -> None:
    assert unmask("<TYPED_1>", {"<TYPED_1>": "<EMAIL_1>", "<EMAIL_1>": "a@b.co"}) == "<EMAIL_1>"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("số điện thoại 028 3822 1234", "số điện thoại <PHONE_1>"),
        ("sdt 0901.234.567", "sdt <PHONE_1>"),
        ("CCCD của tôi là 079199004321", "CCCD của tôi là <NATIONAL_ID_1>"),
        ("CMND 024567890", "CMND <NATIONAL_ID_1>"),
        ("mã số thuế 0312345678-001", "mã số thuế <TAX_CODE_1>"),
        ("stk 0071000123456 Vietcombank", "stk <BANK_ACCOUNT_1> Vietcombank"),
        ("biển số 59-X1 234.56", "biển số <PLATE_1>"),
        ("my phone is 555 2671 33", "my phone is <PHONE_1>"),
        ("card 1234 5678 9012 3456", "card <CARD_1>"),
        ("iban gb82 west 1234 5698 7654 32", "iban <IBAN_1>"),
        ("an (at) mail (dot) example", "<EMAIL_1>"),
        ("09\u200b0123\u200b4567 ok", "<PHONE_1> ok"),
        ("０９０１２３４５６７", "<PHONE_1>"),
        ("lives at 2001:db8::ff00:42", "lives at <IP_1>"),
    ],
)
def test_what_is_personal_data(find: Finder, text: str, masked: str) -> None:
    assert mask(text, {}, find).text == masked


@pytest.mark.parametrize(
    "text",
    [
        "order #12345 and order 10023",
        "Order LL-2093847 of 21/11/2026 at 08:00",
        "1.250.000đ, 1,250,000 VND, USD 16.50",
        "mã đơn 0901234567",
        "tracking 079199004321",
        "write to help@desk.example or call +84 28 5550 0142, (028) 5550 0142",
        "billing@mail.desk.example",
        "model 2024-05-12, 32 cm, 220-240 V, 50/60 Hz",
        "from 10 to 15 working days, 3.5 litres, 2 x 450 ml",
        "version 1.2.3",
    ],
)
def test_what_is_none(find: Finder, text: str) -> None:
    assert mask(text, {}, find).text == text


@pytest.mark.slow
def test_ten_thousand_addresses_are_told_apart(find: Finder) -> None:
    text = " ".join(f"c{number}@mail.example" for number in range(10_000))
    masked = mask(text, {}, find)
    assert len(masked.secrets) == 10_000
    assert unmask(masked.text, masked.secrets) == text


def test_a_text_that_never_settles_is_a_fault_and_not_let_through() -> None:
    def restless(text: str) -> list[Span]:
        last = text.rindex("x") if "x" in text else -1
        return [Span(last, last + 1, "X")] if last >= 0 else []

    with pytest.raises(GuardFaultError, match="still changes"):
        mask("x " * 50, {}, restless)


def test_nothing_personal_is_logged(find: Finder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("presidio-analyzer", "decision_process"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    Finder(PROFILE).warm()
    mask("DE89 3704 0044 0532 0130 00, DEé9 3704 0044, ssn 710-31-0236, a@b.co " * 3, {}, find)
    logging.getLogger("presidio-analyzer").error("Failed to validate text %s", "DE89")  # as its IBAN recogniser does
    assert [record.getMessage() for record in caplog.records if "presidio" in record.name] == []


# answers


def _answer(draft: str, **given: Any) -> Any:
    about: dict[str, Any] = {"question": "", "passages": [], "facts": [], "own": {}, "language": "en"}
    return asyncio.run(Guards.load(PROFILE).check_output(draft, **(about | given)))


def test_other_peoples_data_is_taken_out_of_an_answer() -> None:
    check = _answer("Minh (0901234567) has it, write to help@desk.example.")
    assert check.text == "Minh ([removed]) has it, write to help@desk.example."
    assert [v.reason for v in check.verdicts if v.guard == "pii"] == ["PHONE"]
    assert _answer("Gọi 0901234567.", language="vi").text == "Gọi [đã ẩn]."


def test_the_customers_own_data_stays_a_placeholder() -> None:
    own = {"<PHONE_1>": "0901 234 567"}
    assert _answer("We call <PHONE_1>.", own=own).text == "We call <PHONE_1>."
    check = _answer("We call 0901234567.", own=own)
    assert check.text == "We call <PHONE_1>."
    assert [v.action for v in check.verdicts if v.guard == "pii"] == ["pass"]


def test_what_a_cited_passage_says_is_no_leak() -> None:
    from domain.turn import Passage  # noqa: PLC0415

    shelf = [Passage("p", "p", "Depot", "The depot is reached at 0901 234 567.", 1.0)]
    assert _answer("Call 0901234567.", passages=shelf).text == "Call 0901234567."


def test_the_cases_of_the_shop_keep_no_personal_data(find: Finder) -> None:
    lines = (Path(__file__).parent.parent / "desks/shop/cases/dev.jsonl").read_text("utf-8").splitlines()
    masked = [mask(line, {}, find).text for line in lines if '"personal_data"' in line]
    assert masked
    for text in masked:
        assert PLACEHOLDER.search(text)
        assert "@mailbox" not in text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("hoàn vào STK 19034567890123, chủ TK LE THU HA", "LE THU HA"),
        ("TRAN THI MAI nhận hàng giúp", "TRAN THI MAI"),
        ("em ten la pham thi hong nhung", "pham thi hong nhung"),
        ("dia chi: 45 le loi, p. ben nghe, q1, tphcm nhe", "45 le loi, p. ben nghe, q1, tphcm"),
        ("số BHXH 7912345678", "7912345678"),
        ("lan dot tran at gmail dot com", "lan dot tran at gmail dot com"),
    ],
)
def test_what_vietnamese_customers_type_is_masked_whole(find: Finder, text: str, masked: str) -> None:
    assert any(text[span.start : span.end] == masked for span in find(text))


@pytest.mark.parametrize(
    "text",
    [
        "Theo tôi thì chảo này tốt, em làm theo hướng dẫn rồi",
        "Theo dõi đơn hàng ở đâu? Món tôm nướng dùng chảo nào, kệ treo hay leo tường?",
        "DO CHOI CHO BE CON HANG KHONG, PHAN ANH SAI DON HANG, TRAN LY NUOC",
        "tên là gì vậy shop, dia chi shop la gi",
    ],
)
def test_what_only_sounds_like_a_name_stays(find: Finder, text: str) -> None:
    assert not find(text)
