"""What a run will cost in models, told before it begins."""

from collections.abc import Sequence
from datetime import date

from domain.ports import ModelCard
from domain.receipt import MICRO
from models.catalog import load_catalog

INPUT_TOKENS = 3_000
"""Of one question with its passages, instructions and examples: above what the shipped prompts send."""


def expected_cost(cards: Sequence[ModelCard], rows: int, today: date) -> str:
    """A line for the terminal: an upper estimate for so many questions, at the dearest of the models that may be asked."""
    catalog = load_catalog()
    dearest, bound = "", 0
    for card in cards:
        row = catalog.find(card.name)
        if row is None:
            continue
        most = min(card.max_tokens + row.thinking_tokens, row.max_output)
        cost = row.prices_on(today).cost(INPUT_TOKENS, most)
        if cost > bound:
            dearest, bound = card.name, cost
    if not bound:
        who = ", ".join(dict.fromkeys(card.name for card in cards)) or "quotation"
        return f"{rows} questions, answered by {who}: no cost that the catalog knows of"
    return f"{rows} questions: at most about ${rows * bound / MICRO:.2f}, were all answered by {dearest}"
