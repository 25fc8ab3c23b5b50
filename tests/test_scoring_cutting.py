"""Passages cut to what matters before a model reads them."""

import asyncio
from dataclasses import replace
from pathlib import Path

from fakes import ScriptedChat, ShelfSearch, WordEmbedder
from house import open_house
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.ports import ModelCard
from domain.turn import Passage, Pins
from graph.record import Question
from scoring import cut

RETURNS = Passage(
    "returns#0",
    "returns",
    "Returning a lamp",
    "Our shop was founded in a shed. You may return a lamp within 30 days. It must be unused. The shed is red now. "
    "We like the sea.",
    0.9,
)
FEES = Passage(
    "fees#1",
    "fees",
    "Shipping",
    "| Country | Fee |\n|---|---|\n| Japan | USD 14 |\n| Malaysia | USD 9.80 |\n\nParcels are blue.",
    0.8,
    section="Fees abroad",
)
STEPS = Passage("how#0", "how", "Repairs", "1. Open the case.\n2. Take the lamp out.\n3. Send it to us.", 0.7)


def _cut(question: str, limit: int, *passages: Passage) -> list[Passage]:
    return asyncio.run(cut(question, passages, limit, embedder=WordEmbedder()))


def test_what_fits_stays_as_it_was():
    assert _cut("return a lamp", 1_000, RETURNS, FEES) == [RETURNS, FEES]


def test_the_answer_stays_with_its_condition_and_the_rest_goes():
    (kept,) = _cut("When may I return a lamp?", 70, RETURNS, FEES)
    assert kept == replace(RETURNS, text="You may return a lamp within 30 days.\nIt must be unused.")


def test_a_row_is_understood_without_its_table():
    (kept,) = _cut("What is the fee to Japan?", 25, FEES, RETURNS)
    assert (kept.article, kept.text) == ("fees", "Fees abroad:\n- Japan — Fee: USD 14")


def test_steps_stay_together():
    kept = _cut("How do I take the lamp out of its case for repairs?", 60, STEPS, FEES)
    assert kept[0].text.splitlines() == ["- Open the case.", "- Take the lamp out.", "- Send it to us."]


def test_the_best_piece_stays_whatever_its_length():
    (kept,) = _cut("When may I return a lamp?", 5, RETURNS)
    assert kept.text == "You may return a lamp within 30 days."


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400), st.sampled_from(["return a lamp", "fee to Japan", "take the lamp out", "?"]))
def test_cut_passages_keep_order_and_length(limit, question):
    kept = _cut(question, limit, RETURNS, FEES, STEPS)
    order = [RETURNS.id, FEES.id, STEPS.id]
    assert [one.id for one in kept] == sorted((one.id for one in kept), key=order.index)
    assert kept
    leads = sum(len("Fees abroad:\n") for one in kept if one.id == FEES.id)
    marks = 3 * sum(one.text.count("\n") + 1 for one in kept)
    longest = len("You may return a lamp within 30 days.")
    assert sum(len(one.text) for one in kept) <= max(limit, longest) + leads + marks


def test_a_weak_model_reads_less_of_the_same_passages(tmp_path: Path):
    idle = [f"Room {number} of the old shed has windows on every side of it." for number in range(30)]
    long = replace(RETURNS, text=" ".join([RETURNS.text, *idle]))

    async def read(*, weak: bool) -> str:
        card = ModelCard("small", "local", "simple", weak=weak)
        chat = ScriptedChat(["You have 30 days to return a lamp."], card=card)
        async with open_house(tmp_path / str(weak), chat=chat, shelf=ShelfSearch([long], confidence=0.9)) as house:
            reply = await house.desk.ask(Question("When may I return a lamp?"), Pins(judge=False))
            assert [one.section for one in reply.sources] == [long.section]
            # The receipt keeps what was found, whole.
            assert house.store.ledger.get(reply.turn_id).passages == [long]
        return next(m.text for m in reversed(chat.requests[-1].messages) if m.role == "user")

    weak, strong = (asyncio.run(read(weak=one)) for one in (True, False))
    assert "You may return a lamp within 30 days." in weak
    assert len(weak) < len(strong) - 800
    assert "Room 29" in strong
