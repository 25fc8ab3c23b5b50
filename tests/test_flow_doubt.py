"""What is quoted may not answer: said with a caveat, or not at all."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import ScriptedChat, ShelfSearch
from house import PROFILE, RETURNS, open_house

from domain.turn import Pins
from graph.record import Question
from prompts import Replies
from retrieval.config import Doubt

ANSWERED = "Can you return a lamp within 30 days, and must the lamp be unused?"
NEAR_MISS = "Do you repair a lamp that was bought elsewhere?"
CAVEAT = "it may not answer your question"
RULE = Doubt(bias=0.0, confidence=0.0, likeness=10.0, low=0.5, high=0.8)


def told(folder: Path, question: str, shelf: ShelfSearch, chat: ScriptedChat | None = None) -> tuple[str, str, int]:
    """Outcome, answer and number of sources of one question to a desk that doubts its quotations."""

    async def turn() -> tuple[str, str, int]:
        async with open_house(folder, shelf=shelf, chat=chat, adjust=lambda deps: replace(deps, doubt=RULE)) as house:
            reply = await house.desk.ask(Question(question), Pins(judge=False))
            return reply.outcome, reply.answer, len(reply.sources)

    return asyncio.run(turn())


def test_a_quotation_unlike_its_question_gets_a_caveat_or_is_not_said(tmp_path: Path) -> None:
    plain, far, between = (ShelfSearch([RETURNS], alike=alike) for alike in (0.1, 0.4, 0.2))
    outcome, answer, sources = told(tmp_path / "a", ANSWERED, plain)
    assert (outcome, CAVEAT in answer, sources) == ("answer", False, 1)
    outcome, answer, sources = told(tmp_path / "b", NEAR_MISS, between)
    assert (outcome, CAVEAT in answer, sources) == ("answer", True, 1)
    assert answer.endswith("Return shipping costs USD 4.50.")
    assert told(tmp_path / "c", NEAR_MISS, far)[0] == "dont_know"


@pytest.mark.parametrize("written", [[], ["You have 90 days to return a lamp."]], ids=["quoted", "instead of a model"])
def test_the_caveat_is_not_judged(tmp_path: Path, written: list[str | Exception]) -> None:
    async def grounded(alike: float) -> list[float]:
        shelf, folder = ShelfSearch([RETURNS], alike=alike), tmp_path / str(alike)
        chat = ScriptedChat(written) if written else None
        async with open_house(folder, shelf=shelf, chat=chat, adjust=lambda deps: replace(deps, doubt=RULE)) as house:
            reply = await house.desk.ask(Question(NEAR_MISS))
            await house.judging.drain()
            scores = house.store.ledger.get(reply.turn_id).scores
            return [
                float(CAVEAT in reply.answer),
                *(one.value for one in scores if one.name == "grounding" and one.value),
            ]

    with_caveat, plain = asyncio.run(grounded(0.2)), asyncio.run(grounded(0.0))
    assert (with_caveat[0], plain[0]) == (1, 0)
    assert with_caveat[1:] == plain[1:] != []


def test_words_like_the_caveat_that_a_model_wrote_are_judged(tmp_path: Path) -> None:
    async def grounded(written: str) -> list[float | None]:
        chat = ScriptedChat([written])
        async with open_house(tmp_path / str(len(written)), chat=chat) as house:
            reply = await house.desk.ask(Question(ANSWERED))
            await house.judging.drain()
            assert reply.receipt.mode == "remote"
            scores = house.store.ledger.get(reply.turn_id).scores
            return [one.value for one in scores if one.name == "grounding"]

    said, caveat = "You can return a lamp within 30 days.", Replies(PROFILE).text("doubtful", "en")
    assert asyncio.run(grounded(f"{caveat} {said}")) != asyncio.run(grounded(said))


def test_the_confidence_of_the_search_decides_where_likeness_says_nothing(tmp_path: Path) -> None:
    assert told(tmp_path / "a", NEAR_MISS, ShelfSearch([RETURNS]))[0] == "answer"
    assert told(tmp_path / "b", ANSWERED, ShelfSearch([RETURNS], confidence=0.2))[0] == "dont_know"


def test_a_quotation_that_is_like_its_question_is_said_however_unsure_the_search(tmp_path: Path) -> None:
    unsure = ShelfSearch([RETURNS], confidence=0.2, alike=0.1)
    assert told(tmp_path / "a", ANSWERED, unsure)[0] == "answer"


def test_what_stands_in_for_a_model_is_doubted_too(tmp_path: Path) -> None:
    outcome, answer, _ = told(tmp_path, NEAR_MISS, ShelfSearch([RETURNS], alike=0.2), ScriptedChat([""]))
    assert (outcome, CAVEAT in answer) == ("answer", True)
