"""An answer that grows: what is judged behind what has passed before is judged as the whole beginning would be."""

import asyncio
from functools import cache
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_guards_masking import PROFILE

from guards import Guards
from guards.pii import REACH

PLAIN = (
    "You can return an unused pan within 30 days, and the money is back on your card within five working days after that.",
    "Delivery costs 25,000 VND and takes 3 to 5 working days; parcels over 500,000 VND are free of any charge at all.",
    "Bạn có 30 ngày để đổi trả, phí giao hàng là 25.000đ.",
    "Keep the box, please!",
    "- Open your account.\n- Choose the order.\n",
    "Is it “new”?",
)
PERSONAL = (
    "Please ask for Anna.", "Berg is her name.", "Her address is 12 Oak Street.", "London NW1 6XE is the town.", "Call me at +49 170", "5550199 please.",
    "It goes to Mr.", "Zorica Petkova has it.", "Kind regards,\n", "Samantha Rhiner\n", "12 Hill Road\n", "Write to an.tran@mail.", "example about it.",
    "Số nhà 12, ngõ 5 đường Láng,", "phường Láng Hạ, quận Đống Đa, Hà Nội.", "Số điện thoại của khách là", "0901234567.", "Tên tôi là", "Nguyễn Văn An.",
    "My card number is 4111 1111", "1111 1111, it says.", "The order is for Peter.", "the passport number is\n", "B1234567.",
)  # fmt: skip
ANSWERS = st.lists(st.one_of(*[st.sampled_from(PLAIN)] * 4, st.sampled_from(PERSONAL)), min_size=2, max_size=24)


@cache
def guards() -> Guards:
    return Guards.load(PROFILE, ner=True)


async def passing(answer: str, passed: int) -> bool:
    nothing: dict[str, Any] = {"question": "How?", "passages": [], "facts": [], "own": {}, "language": "en"}
    check = await guards().check_output(answer, **nothing, whole=False, passed=passed)
    return not check.blocked and check.text == answer


@given(ANSWERS)
@example([*[PLAIN[0]] * 5, "Please ask for Anna.", "Berg is her name."])
@example([*[PLAIN[2]] * 9, "Số nhà 12, ngõ 5 đường Láng,", "phường Láng Hạ, quận Đống Đa, Hà Nội."])
@settings(deadline=None, max_examples=25)
def test_an_answer_is_judged_as_it_grows_as_it_is_judged_anew(sentences: list[str]) -> None:
    async def story() -> None:
        passed = 0
        for count in range(1, len(sentences) + 1):
            so_far = " ".join(sentences[:count]).strip()
            anew = await passing(so_far, 0)
            assert await passing(so_far, passed) == anew, so_far[max(0, passed - REACH) :]
            if not anew:
                return
            passed = len(so_far)

    asyncio.run(story())


def test_what_has_passed_is_not_read_again_but_what_new_words_lean_on_is() -> None:
    async def story() -> None:
        before = " ".join([PLAIN[0]] * 6)
        beginning = f"The order is for mara.lindt@mail.example, she says. {before}"
        assert not await passing(beginning, 0)
        assert await passing(beginning, len(beginning) - len(PLAIN[0]))
        said = f"{before} Call my phone 0901"
        assert await passing(said, 0)
        assert not await passing(f"{said} 234 567 now.", len(said))

    asyncio.run(story())
