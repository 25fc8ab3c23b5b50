"""What is wrong with a server's certificate, in a sentence, and what mends it."""

import ssl

EXPIRED, NOT_YET = 10, 9
UNTRUSTED = frozenset({2, 18, 19, 20, 21})
OTHER_NAME = frozenset({62, 64})
"""OpenSSL's numbers (X509_V_ERR_…) for why it refuses a certificate."""


def tls_trouble(fault: BaseException, authority: str) -> tuple[str, str] | None:
    """What a failed handshake was about, and how to mend it; None where TLS is not the cause.

    `authority`: where this server's private certificate authority is named.
    """
    cause = _handshake(fault)
    if cause is None:
        return None
    code = getattr(cause, "verify_code", 0) if isinstance(cause, ssl.SSLCertVerificationError) else 0
    if code in UNTRUSTED:
        return (
            "TLS: its certificate is signed by nobody that is trusted here",
            f"name its authority's PEM file in {authority}",
        )
    if code == EXPIRED:
        return "TLS: its certificate has expired", "give the server a new certificate"
    if code == NOT_YET:
        return "TLS: its certificate is not valid yet", "compare the clocks of both machines"
    if code in OTHER_NAME:
        return (
            "TLS: its certificate is for another name",
            "ask it by a name in its certificate, or have one made for this name",
        )
    reason = (cause.reason or "the handshake failed").lower().replace("_", " ")
    return f"TLS: {reason}", "does the server speak TLS on this port? compare http with https, redis with rediss"


def _handshake(fault: BaseException) -> ssl.SSLError | None:
    """The first TLS error behind an error: the libraries wrap it several times, aiohttp in a TLS error without its particulars."""
    seen, found = set[int](), None
    cause: BaseException | None = fault
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, ssl.SSLError):
            found = cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return found
