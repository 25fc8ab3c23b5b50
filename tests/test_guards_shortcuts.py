"""What spares the finder of personal data its work never costs it a find: every find holds what is looked for first."""

import re
from functools import cache
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from guards.addresses import (
    FORM_NEEDS,
    GLUED,
    GLUED_ENDS,
    NUMBERED,
    STREETS,
    VIETNAMESE,
    VN_ANNOUNCED,
    may_be_vietnamese,
)
from guards.names import SAID, SAID_BODY, SAID_NEEDS
from guards.normalise import fold_each
from guards.pii import SCORE, WORTH, _build_engine

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine

NUMBERS = st.lists(
    st.sampled_from([*"0123456789", "12", "090", "84", "+", "00", " ", ".", "-", "(", ")", "/", ":"]), max_size=22
)
PIECES = st.lists(
    st.one_of(
        NUMBERS.map("".join),
        st.from_regex(r"[A-Za-z]{2}[0-9]{2}([ -]?[A-Z0-9]{4}){2,6}", fullmatch=True),
        st.from_regex(r"([0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}", fullmatch=True),
        st.from_regex(r"[1-9][0-9][ -]?[A-Za-z]{1,2}[0-9]?[ .-]{0,3}[0-9]{3}\.?[0-9]{1,2}", fullmatch=True),
        st.sampled_from(
            """an@lan.example b@c.co a(at)b.co a [at]b[dot]com an{at}b .vn GB82WEST12345698765432 DE89370400440532013000 4111111111111111
            192.168.1.17 ::1 fe80::1 dead::beef ::ffff:1.2.3.4 1BoatSLRHtKNngkdXEeobR76b53LETtpyT bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq
            079199004321 52K1-123.45 30G-12345 516-23-4567 call phone số thẻ 30 days 25.000đ 2026 21/11/2026 1,250,000 08:00""".split()  # noqa: SIM905
        ),
        st.text(max_size=6),
    ),
    max_size=9,
).map(" ".join)


@cache
def engine() -> "AnalyzerEngine":
    return _build_engine()


@given(PIECES)
@settings(deadline=None, max_examples=60)
def test_presidio_finds_nothing_where_it_is_not_asked(text: str) -> None:
    made = engine()
    nothing = made.nlp_engine.process_text("", "en")
    for found in made.analyze(text, "en", score_threshold=SCORE, nlp_artifacts=nothing):
        assert WORTH.search(text[found.start : found.end]), text[found.start : found.end]


CUED = st.lists(
    st.sampled_from(
        """My NAME full name is was : on the order account? customer's It's it is under UNDER booking called he Named họ và Tên ten TÊN tôi em
        người nhận là l Anna anna Berg "Lê Văn An . , \n ſ K""".split(" ")  # noqa: SIM905
    ),
    max_size=12,
).map(" ".join)


@given(CUED)
@settings(deadline=None, max_examples=200)
def test_no_name_is_announced_without_the_word_that_is_looked_for(text: str) -> None:
    for cue, needs in zip(SAID, SAID_NEEDS, strict=True):
        for found in re.finditer(f"(?i:{cue}){SAID_BODY}", text):
            assert any(need in found[0].lower() for need in needs), found[0]


STREET = st.lists(
    st.one_of(
        st.sampled_from(
            """12 8 Haupt haupt Strasse STRAßE straẞe ſtraſſe str. Prinsen gracht straat STRAAT gatan Kungs gade vägen VÄGEN veg platz katu Katu tie útca Új tja
            weg. , 5b ٣ Berlin""".split()  # noqa: SIM905
        ),
        st.just(" "),
    ),
    max_size=12,
).map("".join)


@given(STREET)
@settings(deadline=None, max_examples=300)
def test_no_street_is_glued_to_its_name_where_no_word_ends_so(text: str) -> None:
    for found in STREETS[GLUED].finditer(text):
        lower = found[0].lower().replace("ſ", "s")
        assert any(lower.endswith(GLUED_ENDS, 0, blank.start()) for blank in NUMBERED.finditer(lower)), found[0]


BOXED = st.lists(
    st.sampled_from(
        """12 4 P.O. PO p.o. po box BOX bOx corner Corner of OF Main and & Oak the PSC CMR Unit APO FPO AP AE 96520 , . # :""".split()  # noqa: SIM905
    ),
    min_size=3,
    max_size=10,
).map(" ".join)


@given(BOXED)
@settings(deadline=None, max_examples=200)
def test_no_form_of_a_street_is_found_without_what_it_needs(text: str) -> None:
    for form, needs in FORM_NEEDS.items():
        for found in STREETS[form].finditer(text):
            assert needs in found[0].lower().replace("ſ", "s"), found[0]


VIETNAMESE_WORDS = st.lists(
    st.one_of(
        st.sampled_from(
            """12 45/6 7B 8 số nhà Số can hộ căn hộ tòa nhà chung cư block lô tầng Tang đường ĐƯỜNG phố ngõ Ngo ngách hẻm kıệt QL quốc lộ tl phường P. p. q. QUẬN
            Quận1 quậnBa PhườngTân xã thôn ấp apGiang Lê Lợi Hà Nội TP. HCM tỉnh Đà Nẵng Quận Hai địa chỉ là giao hàng đến nhà tôi ở : , - ſ""".split()  # noqa: SIM905
        ),
        st.sampled_from([" ", ", ", "", " "]),
    ),
    min_size=3,
    max_size=16,
).map(" ".join)


@given(VIETNAMESE_WORDS)
@settings(deadline=None, max_examples=400)
def test_no_vietnamese_address_is_found_where_none_is_looked_for(text: str) -> None:
    for folded in (fold_each(text), fold_each(text).replace("  ", " "), fold_each(text).replace("   ", "").upper()):
        for form in (VIETNAMESE, VN_ANNOUNCED):
            for found in form.finditer(folded):
                assert may_be_vietnamese(found[0]), found[0]
