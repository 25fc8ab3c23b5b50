"""Questions to small businesses: the desks that are made of them, and what counts as a right answer."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from domain.errors import UsageError
from evals.small_businesses import (
    BUSINESSES,
    Asked,
    Row,
    ask_all,
    businesses,
    chosen_by,
    make_desk,
    rows_of,
    share,
    table,
)
from graph.profiles import read_profile

HELD = Row(id="q1", text="when are you open?", relevant=["hours"], facts=["9 to 5", "Sunday"])
MISS = Row(id="q2", text="do you have a pool?")


def asked(row: Row, answer: str, outcome: str = "answer", *, caveat: bool = False) -> Asked:
    reply: Any = SimpleNamespace(outcome=outcome, answer=answer)
    return Asked(row, reply, caveat)


@pytest.mark.parametrize("name", [one.name for one in businesses()])
def test_every_business_that_ships_has_questions_to_its_articles_and_near_misses(name):
    ids = {json.loads(row)["id"] for row in (BUSINESSES / f"{name}_kb.jsonl").read_text(encoding="utf-8").splitlines()}
    rows = rows_of(BUSINESSES / f"{name}.jsonl", Row)
    assert {article for row in rows for article in row.relevant} <= ids
    assert (len([row for row in rows if row.relevant]), len([row for row in rows if not row.relevant])) > (30, 10)


def test_a_desk_is_made_of_a_name_a_sentence_and_the_articles(tmp_path):
    [hostel] = chosen_by(["hostel"], fitted=False)
    folder = make_desk(hostel, BUSINESSES / "hostel_kb.jsonl", tmp_path / "desk")
    profile = read_profile(folder)
    assert (profile.name, profile.languages, profile.scope.describe) == (hostel.called, ["en", "vi"], hostel.describe)
    assert (folder / "knowledge" / "rooms.md").read_text(encoding="utf-8").startswith("---\nid: rooms\n---\n\n# Rooms")


def test_a_right_answer_holds_every_fact_and_a_near_miss_gets_none():
    assert asked(HELD, "From 9 to 5, closed on Sunday.").right
    assert not asked(HELD, "From 9 to 5.").right
    assert not asked(HELD, "9 to 5, Sunday", "refuse").right
    assert asked(MISS, "I do not know.", "dont_know").right
    assert not asked(MISS, "From 9 to 5.").right


def test_every_question_has_a_thread_of_its_own_and_a_caveat_is_seen():
    class Desk:
        async def ask(self, question, pins=None):
            assert question.thread_id == ""
            assert pins is not None
            assert not pins.judge
            return SimpleNamespace(outcome="answer", answer=f"This may be wrong.\n\n{question.message}")

    told = asyncio.run(ask_all(Desk(), [HELD, MISS], ["Das kann falsch sein.", "This may be wrong."]))
    assert [(one.row.id, one.caveat) for one in told] == [("q1", True), ("q2", True)]


def test_the_table_tells_questions_from_near_misses():
    told = [asked(HELD, "9 to 5, Sunday"), asked(HELD, "", "dont_know"), asked(MISS, "From 9", caveat=True)]
    assert table({"inn": told})[2] == "| inn | 0.50 of 2 | 0.50 of 2 | 0.00 of 2 | 0.00 of 1 | 1.00 of 1 |"
    assert share([True] * 21) == "1.00 (0.85-1.00) of 21"
    assert share([]) == "-"


def test_what_is_reported_on_is_what_nothing_was_fitted_on(tmp_path):
    assert {one.split for one in chosen_by([], fitted=True)} == {"dev"}
    assert {one.split for one in chosen_by([], fitted=False)} == {"held_out"}
    with pytest.raises(UsageError, match="no such business"):
        chosen_by(["butcher"], fitted=False)
    (tmp_path / "q.jsonl").write_text('{"text": "no id"}', encoding="utf-8")
    with pytest.raises(UsageError, match=r"q\.jsonl:1"):
        rows_of(tmp_path / "q.jsonl", Row)
