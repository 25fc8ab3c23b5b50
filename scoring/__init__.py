"""Scorers that need no reference answer, and the extractive quote, which shares their eye for words."""

from scoring.judge import DIMENSIONS, LocalJudge, overall
from scoring.quoting import best_sentences, quote

__all__ = ["DIMENSIONS", "LocalJudge", "best_sentences", "overall", "quote"]
