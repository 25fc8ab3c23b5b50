"""Scorers that need no reference answer, and the extractive quote, which shares their eye for words."""

from scoring.judge import DIMENSIONS, Judgement, LocalJudge, overall
from scoring.quoting import best_sentences, quote

__all__ = ["DIMENSIONS", "Judgement", "LocalJudge", "best_sentences", "overall", "quote"]
