"""Conversations with small businesses: what is said, and what counts as a right answer."""

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from domain.errors import UsageError
from domain.turn import Source
from evals.small_businesses import BUSINESSES, businesses
from evals.talks import SORTS, Line, Said, say_all, table, talks

LINE = Line(
    id="t1-2",
    talk="t1",
    text="and on Sunday?",
    leans=True,
    kind="question",
    relevant=["hours"],
    facts=["9 to 5", "closed"],
    history=["when are you open"],
)


def said(line: Line, answer: str, *sources: str, outcome: str = "answer") -> Said:
    cited = [Source(source, source, "") for source in sources]
    reply: Any = SimpleNamespace(outcome=outcome, answer=answer, sources=cited, reason=None)
    return Said(line, reply)


@pytest.mark.parametrize("name", [one.name for one in businesses()])
def test_every_line_that_ships_can_be_answered_from_its_business(name: str):
    rows = [json.loads(row) for row in (BUSINESSES / f"{name}_kb.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = {row["id"]: f"{row['title']}\n{row['text']}" for row in rows}
    told = talks(BUSINESSES / f"{name}-talks.jsonl")
    assert {line.sort for talk in told for line in talk} == {*SORTS}
    for talk in told:
        assert [line.history for line in talk] == [[one.text for one in talk[:at]] for at in range(len(talk))]
        for line in talk:
            assert bool(line.relevant) == (line.kind == "question")
            assert all(any(fact in texts[article] for article in line.relevant) for fact in line.facts)


def test_a_line_that_is_none_is_named_by_its_place(tmp_path):
    path = tmp_path / "talks.jsonl"
    path.write_text(f'{LINE.model_dump_json()}\n{{"id": "t1-3"}}\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"talks\.jsonl:2"):
        talks(path)


def test_a_line_is_right_when_its_answer_holds_every_fact():
    assert said(LINE, "Open 9 to 5, closed on Sunday.", "hours").right
    assert not said(LINE, "Open 9 to 5.", "hours").right
    assert not said(LINE, "Open 9 to 5, closed on Sunday.", "hours", outcome="dont_know").right
    assert (said(LINE, "", "hours").cited, said(LINE, "", "parking").cited) == (True, False)


def test_a_closing_line_is_right_when_nothing_was_looked_up():
    closing = LINE.model_copy(update={"kind": "closing", "relevant": [], "facts": []})
    assert said(closing, "Is there anything else?").right
    assert not said(closing, "We open at 9.", "hours").right


def test_a_talk_is_one_customer_in_one_thread():
    asked = []

    class Desk:
        async def ask(self, question, pins=None):
            assert pins is not None
            assert not pins.judge
            asked.append((question.message, question.user_id, question.thread_id))
            return SimpleNamespace(thread_id="thread-1")

    lines = [LINE.model_copy(update={"id": str(at), "text": text}) for at, text in enumerate(["open?", "and Sunday?"])]
    assert [one.line.id for one in asyncio.run(say_all(Desk(), lines))] == ["0", "1"]
    assert asked == [("open?", "t1", ""), ("and Sunday?", "t1", "thread-1")]


def test_the_table_tells_each_sort_of_line_apart():
    first = LINE.model_copy(update={"history": [], "leans": False})
    right, wrong = said(LINE, "9 to 5, closed", "hours"), said(first, "I do not know", outcome="dont_know")
    rows = table({"inn": [right, replace(right, line=LINE), wrong]})
    assert rows[2] == "| inn | 0.00 of 1, cited 0.00 | 1.00 of 2, cited 1.00 | - | - |"
    assert rows[3].startswith("| all | 0.00")
