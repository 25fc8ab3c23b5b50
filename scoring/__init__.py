"""Scorers that need no reference answer, and the extractive quote, which shares their eye for words."""

from scoring.cutting import cut
from scoring.judge import DIMENSIONS, Judgement, LocalJudge, overall
from scoring.quoting import cite, quote

__all__ = ["DIMENSIONS", "Judgement", "LocalJudge", "cite", "cut", "overall", "quote"]
