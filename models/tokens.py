"""An estimate of tokens that is never too low, without a tokenizer's table (tiktoken downloads its own)."""

import re
from collections.abc import Iterable
from functools import lru_cache

from domain.turn import Message

WORD, GAP = re.compile(r"[A-Za-z]+"), re.compile(r"\s+")
HARD = re.compile(r"[bcdfghjklmnpqrstvwxz]{4,}", re.IGNORECASE | re.ASCII)
"""No word holds these runs: vocabularies have few pairs of them, so each letter counts."""
MESSAGE_TOKENS = 8
"""Role and separators of one message: 3-5 in the known chat templates."""
KEPT = 256
"""Texts whose estimate is remembered: of a prompt all but the last message is the same in every turn."""
REQUEST_TOKENS = 24
"""What a template adds of its own: a default system line and the reply's opening."""


@lru_cache(maxsize=KEPT)
def estimate_tokens(text: str) -> int:
    """An upper bound of the tokens of `text`, about twice the truth for English and Vietnamese.

    Byte-pair vocabularies hold nearly every pair of ASCII letters, so a word has at most half its letters;
    digits, signs and other letters have at most one token a byte; a single space joins its word.
    """
    words = WORD.findall(text)
    halves = sum((len(letters) + 1) // 2 for letters in (*words, *HARD.findall(text)))
    return len(text.encode()) - sum(map(len, words)) - GAP.findall(text).count(" ") + halves


def estimate_request(messages: Iterable[Message]) -> int:
    """An upper bound of the input tokens of a request."""
    return REQUEST_TOKENS + sum(MESSAGE_TOKENS + estimate_tokens(message.text) for message in messages)
