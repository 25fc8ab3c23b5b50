"""What a customer is told when the money is out: a cheaper model, the quotation, a polite refusal, in this order."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes import ScriptedChat, ShelfSearch
from house import PROFILE, RETURNS, open_house

from domain.errors import BudgetError
from domain.ports import ChatReply, ChatRequest, ModelCard
from domain.receipt import Receipt, Reply
from domain.settings import Settings
from domain.turn import Message, Payer
from graph.bootstrap import close_service, open_service
from graph.record import Question
from graph.system import SystemClock
from models.own_models import OWN, add_row, own_catalog
from store import Store
from store.limits import Slot

QUESTION = "How do I return a lamp?"
RESET = datetime(2026, 11, 22, tzinfo=UTC)
SAIGON = PROFILE.model_copy(update={"contact": PROFILE.contact.model_copy(update={"timezone": "Asia/Ho_Chi_Minh"})})
CARDS = {tier: ModelCard(f"the-{tier}", "remote", tier) for tier in ("simple", "medium", "complex")}


@dataclass
class Purse(ScriptedChat):
    """A model a tier; those that are not `payable` are beyond the budget."""

    payable: tuple[str, ...] = ()

    def choose(self, tier, confidence):
        del confidence
        return CARDS[tier]

    async def complete(self, request: ChatRequest) -> ChatReply:
        if request.model not in self.payable:
            self.requests.append(request)
            raise BudgetError("no room", where=request.model, resets_at=RESET)
        return await super().complete(request)


def ask(folder: Path, chat: Purse, *, question=QUESTION, shelf=None, key="", language=""):
    async def turn() -> tuple[Reply, Receipt]:
        async with open_house(folder, chat=chat, shelf=shelf, profile=SAIGON) as house:
            reply = await house.desk.ask(Question(question, "ann", language=language, key=key))
            await house.judging.drain()
            return reply, house.store.ledger.get(reply.turn_id)

    return asyncio.run(turn())


def test_a_cheaper_model_answers_first(tmp_path: Path) -> None:
    chat = Purse(["You can return a lamp within 30 days."], payable=("the-simple",))
    question = "Compare returning an unused lamp with returning a broken one, and which of both costs me more, please?"
    reply, _ = ask(tmp_path, chat, question=question)
    assert (reply.outcome, reply.receipt.model) == ("answer", "the-simple")
    assert chat.requests[0].model != "the-simple"


def test_then_the_articles_are_quoted(tmp_path: Path) -> None:
    reply, _ = ask(tmp_path, Purse())
    assert (reply.outcome, reply.receipt.mode) == ("answer", "quote")
    assert "30 days" in reply.answer


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", "07:00 on 2026-11-22 (Asia/Ho_Chi_Minh)"),
        ("vi", "07:00 ngày 22/11/2026 (Asia/Ho_Chi_Minh)"),
    ],
)
def test_with_nothing_to_quote_the_refusal_names_the_reset_in_the_desks_time(
    tmp_path: Path, language: str, told: str
) -> None:
    reply, _ = ask(tmp_path, Purse(), language=language, shelf=ShelfSearch([replace(RETURNS, text="")], 0.9))
    assert (reply.outcome, reply.reason) == ("refuse", "budget")
    assert told in reply.answer


def test_every_call_of_a_turn_is_on_its_payers_account(tmp_path: Path) -> None:
    chat = Purse(["You can return a lamp within 30 days."], payable=tuple(card.name for card in CARDS.values()))
    reply, receipt = ask(tmp_path, chat, key="key-9")
    assert {request.payer for request in chat.requests} == {Payer(receipt.user, "key-9", reply.turn_id)}
    assert {request.purpose for request in chat.requests} >= {"answer", "judge"}
    assert receipt.key == "key-9"


@pytest.mark.slow
def test_a_copy_of_a_desk_knows_the_models_of_the_desk_beside_it_which_pays(tmp_path: Path) -> None:
    """A gate answers in a folder that goes: its calls must not have a fresh budget each time, and a model may be our own."""
    home, copy = tmp_path / "home", tmp_path / "copy"
    store = Store.open(home / "clinic", SystemClock())
    store.budget.change(Slot(), 0, "test")
    store.close()
    shipped = next(row for row in own_catalog(home).models if row.name == "gpt-4.1")
    add_row(home / OWN, shipped.model_dump(mode="json") | {"name": "ours"})
    settings = Settings(desk="clinic", home=copy, llm_base_url="http://127.0.0.1:9/v1", llm_model="ours", llm="auto")

    async def story() -> None:
        service = await open_service(settings, beside=home)
        try:
            assert {name: card and card.tier for name, card in service.chat.up().items()} == {"ours": shipped.tier}
            with pytest.raises(BudgetError, match=r"daily budget of \$0"):
                await service.chat.complete(ChatRequest("answer", "ours", [Message("user", "Hello?")], 50))
        finally:
            await close_service(service)

    asyncio.run(story())
