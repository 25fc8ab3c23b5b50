"""A caller's own trace: who is believed, and which headers are valid."""

import pytest

from api.traceparent import read_traceparent
from domain.turn import TraceParent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f" 00-{TRACE}-{SPAN}-00 ", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"01-{TRACE}-{SPAN}-01-what-the-future-says", True),
    ],
)
def test_a_valid_header_is_the_callers_span(header: str, *, sampled: bool) -> None:
    assert read_traceparent(header) == TraceParent(TRACE, SPAN, sampled=sampled)


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE[:-1]}-{SPAN}-01",
    ],
)
def test_an_invalid_header_is_none(header: str) -> None:
    assert read_traceparent(header) is None
