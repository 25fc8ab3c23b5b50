"""The trace that a request belongs to already: W3C trace context, `traceparent`."""

import re

from fastapi import Request

from api.identity import identity_of
from domain.turn import TraceParent

HEADER = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
SAMPLED = 1
NEVER = "ff"


def traceparent_of(request: Request) -> TraceParent | None:
    """The caller's span; None without a valid header, and from somebody who is not trusted with others' traces.

    Customers' browsers are not: whoever names a trace writes into it, and may ask that nothing is recorded.
    """
    identity = identity_of(request)
    given = request.headers.getlist("traceparent")
    if len(given) != 1 or not (identity.open or identity.may("server")):
        return None
    return read_traceparent(given[0])


def read_traceparent(header: str) -> TraceParent | None:
    """A header's value; None where it is not valid. Versions after 00 may say more, which is passed over."""
    found = HEADER.fullmatch(header.strip())
    if not found:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == NEVER or (version == "00" and more) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return TraceParent(trace_id, span_id, sampled=bool(int(flags, 16) & SAMPLED))
