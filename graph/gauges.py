"""What is read whenever the metrics are: money left, and models that are left alone."""

from collections.abc import Mapping

from domain.receipt import MICRO
from models.chat import ModelClient
from store import Store
from tracing import Metrics

SHARED = ("total", "model")
"""Scopes whose budgets are watched: users and keys are too many for labels."""


def watch(metrics: Metrics, store: Store, chat: ModelClient) -> None:
    """Show budgets and breakers beside what is counted."""

    def limits() -> Mapping[tuple[str, ...], float]:
        return _budgets(store, left=False)

    def left() -> Mapping[tuple[str, ...], float]:
        return _budgets(store, left=True)

    def up() -> Mapping[tuple[str, ...], float]:
        return {(model,): float(card is not None) for model, card in chat.up().items()}

    labels = ("scope", "name", "period", "kind")
    metrics.watch("frontdesk_budget_limit_usd", "The limit of a budget.", labels, limits)
    metrics.watch("frontdesk_budget_left_usd", "What may still be spent of a budget.", labels, left)
    metrics.watch("frontdesk_model_up", "0 while the circuit breaker leaves a model alone.", ("model",), up)


def _budgets(store: Store, *, left: bool) -> Mapping[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {}
    for one in store.budget.standings():
        if one.account.scope in SHARED and one.limit.amount is not None:
            spent = one.settled + one.reserved if left else 0
            labels = (one.account.scope, one.account.name, one.account.period, one.limit.slot.kind)
            found[labels] = max(0, one.limit.amount - spent) / MICRO
    return found
