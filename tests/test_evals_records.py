"""Runs that are kept: rows as they finish, calls that are paid once, records, and two runs held against each other."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from fakes import ScriptedChat

from domain.errors import ModelDownError, NotFoundError, StoreError, UsageError
from domain.ports import ChatRequest, ModelCard
from domain.turn import Message, Payer
from evals.cached_calls import CachedCalls, key_of
from evals.comparing import compare
from evals.cost import expected_cost
from evals.fingerprint import code_hash, hash_of, hash_of_config, hash_of_files
from evals.records import Records
from evals.report import Side, page
from evals.run import Figure, Miss, Result, Row, share
from evals.runner import Kept, go_through
from models.catalog import load_catalog

AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def row(name, right, **more):
    return Row(
        name, "direct", {"answered_right": float(right)}, f"question {name}?", "answer", f"answer {name}", **more
    )


def result(rights, **more):
    rows = [row(f"c{place}", held, why="" if held else "without 24 months") for place, held in enumerate(rights)]
    figures = [share("answered_right", list(rights)), Figure("cost_usd", 0.25, len(rights))]
    misses = [Miss(one.id, one.kind, one.why) for one in rows if one.why]
    base = Result("desk", {"desk": "Lamps", "split": "dev"}, figures, misses=misses, rows=rows)
    return replace(base, **more)


def test_a_record_comes_back_as_it_was_kept(tmp_path):
    records = Records(tmp_path)
    kept = records.save(result([True, False], config={"prompt": "answer@1"}), began=AT, seconds=2.5, seed=7)
    assert kept.id == "desk-20261121-090000"
    found = records.find("desk-2026")
    assert found == kept
    assert (found.cost_usd, found.as_json()["answered_right"], found.as_json()["seed"]) == (0.25, 0.5, 7)
    noted = records.note(found, "langfuse", "run 1")
    assert records.find("last") == noted
    assert list(tmp_path.rglob("*.part")) == []


def test_runs_of_one_second_have_names_of_their_own_and_the_newest_comes_first(tmp_path):
    records = Records(tmp_path)
    first = records.save(result([True]), began=AT, seconds=1, seed=0)
    second = records.save(result([False]), began=AT, seconds=1, seed=0)
    third = records.save(result([True], suite="idk"), began=AT.replace(hour=8), seconds=1, seed=0)
    assert [one.id for one in records.all(lambda _: None)] == [second.id, first.id, third.id]
    assert second.id == f"{first.id}-2"
    assert records.before(records.save(result([True]), began=AT.replace(hour=10), seconds=1, seed=0)).id == second.id
    assert records.before(third) is None


def test_a_run_that_is_not_there_or_not_clear_or_broken_is_named(tmp_path):
    records = Records(tmp_path)
    with pytest.raises(NotFoundError, match="no such run"):
        records.find("last")
    records.save(result([True]), began=AT, seconds=1, seed=0)
    records.save(result([True]), began=AT.replace(hour=10), seconds=1, seed=0)
    with pytest.raises(NotFoundError, match="begins 2 runs"):
        records.find("desk")
    (records.folder / "desk-20261121-110000.json").write_text("{")
    said = []
    assert len(records.all(said.append)) == 2
    assert "is no record of a run" in said[0]
    with pytest.raises(StoreError, match="no record"):
        records.find("last")


def test_two_runs_are_compared_row_by_row(tmp_path):
    records = Records(tmp_path)
    before = [True] * 30 + [False] * 10
    after = [True] * 20 + [False] * 10 + [True] * 2 + [False] * 8
    a = records.save(result(before, config={"prompt": "answer@1", "code": "x"}), began=AT, seconds=1, seed=0)
    b = records.save(
        result(after, config={"prompt": "answer@2", "code": "x"}), began=AT.replace(hour=10), seconds=1, seed=0
    )
    found = compare(a, b)
    flat = found.as_json()
    assert (len(found.lost), len(found.won), flat["diff_answered_right"]) == (10, 2, -0.2)
    low, high = flat["diff_answered_right_ci"]
    assert low < -0.2 < high < 0
    assert flat["p_answered_right"] < 0.05
    assert flat["differs"] == {"prompt": {"a": "answer@1", "b": "answer@2"}}
    assert any("10 lost, 2 won" in title for title, _, _ in found.tables())
    for _, columns, rows in found.tables():
        assert all(len(each) == len(columns) for each in rows)


def test_a_run_against_itself_has_changed_nowhere_and_two_suites_are_not_compared(tmp_path):
    records = Records(tmp_path)
    a = records.save(result([True, False]), began=AT, seconds=1, seed=0)
    found = compare(a, a).as_json()
    assert (found["diff_answered_right"], found["p_answered_right"], found["lost"], found["won"]) == (0, 1.0, [], [])
    other = records.save(result([True], suite="idk"), began=AT, seconds=1, seed=0)
    with pytest.raises(UsageError, match="two suites"):
        compare(a, other)


def test_the_page_shows_what_was_lost_first_and_both_answers():
    before, after = result([True, True, False]), result([True, False, False])
    after.rows[1] = replace(after.rows[1], answer="now <b>wrong</b>")
    text = page(after, Side("desk-1", before))
    assert text.index("question c1?") < text.index("question c2?")
    assert "desk-1 said" in text
    assert "now &lt;b&gt;wrong&lt;/b&gt;" in text
    assert "answer c1" in text
    assert 'class="beside"' in text
    assert "-0.333" in text
    for outside in ("<script", "http:", "https:", "url(", "@import"):
        assert outside not in text


def test_a_page_of_two_variants_shows_their_difference():
    after = result([True, False, True], other_rows=result([True, True, True]).rows, about={"a": "bad", "b": "best"})
    text = page(after)
    assert "Difference to bad" in text
    assert "bad said" in text


def request(text="hello", model="m", **more):
    return ChatRequest("answer", model, [Message("user", text)], 10, **more)


def test_a_call_is_paid_for_once_and_whoever_asks_does_not_matter(tmp_path):
    path = tmp_path / "calls.jsonl"
    chat = ScriptedChat(["one", "two"])

    async def asked(cached):
        first = await cached.complete(request(payer=Payer(user="a")))
        again = await cached.complete(request(payer=Payer(user="b")))
        return first, again

    first, again = asyncio.run(asked(CachedCalls(path).around(chat)))
    assert (first.text, again.text, len(chat.requests)) == ("one", "one", 1)
    assert (first.calls[0].cost_microusd, again.calls[0].cost_microusd) == (7, 0)
    path.write_text(path.read_text() + '{"key": "cut')
    later = CachedCalls(path)

    async def heard():
        stream = later.around(chat).stream(request())
        return [word async for word in stream], stream.reply

    words, reply = asyncio.run(heard())
    assert (words, reply.text, later.hits) == (["one"], "one", 1)
    assert asyncio.run(later.around(chat).complete(request("other"))).text == "two"


def test_neither_a_failure_nor_the_word_of_a_stand_in_is_kept(tmp_path):
    calls = CachedCalls(tmp_path / "calls.jsonl")
    chat = ScriptedChat([ModelDownError("down", where="m"), "late"])
    cached = calls.around(chat)
    with pytest.raises(ModelDownError):
        asyncio.run(cached.complete(request()))
    assert asyncio.run(cached.complete(request())).text == "late"

    class StandIn(ScriptedChat):
        async def complete(self, request):
            return replace(await super().complete(request), card=ModelCard("another", "remote", "simple"))

    other = StandIn(["first", "second"])
    around = calls.around(other)
    assert asyncio.run(around.complete(request("x"))).text == "first"
    assert asyncio.run(around.complete(request("x"))).text == "second"


@pytest.mark.parametrize(
    "other",
    [
        request("bye"),
        request(model="n"),
        request(choices=("yes", "no")),
        request(prompt="a@2"),
        request(schema="{}"),
        request(temperature=1.0),
    ],
)
def test_every_part_of_a_request_counts(other):
    assert key_of(request()) == key_of(request())
    assert key_of(other) != key_of(request())


def test_rows_of_several_writers_are_whole_and_can_be_forgotten(tmp_path):
    kept = Kept(tmp_path / "deep" / "rows.jsonl")

    async def work(number):
        await asyncio.to_thread(kept.keep, str(number), {"value": "ạ" * 3000})
        return number

    done = asyncio.run(go_through(range(20), work, parallel=8, progress=lambda *_: None))
    assert done == list(range(20))
    again = Kept(tmp_path / "deep" / "rows.jsonl")
    assert set(again.done) == {str(number) for number in range(20)}
    again.forget()
    assert Kept(tmp_path / "deep" / "rows.jsonl").done == {}


def test_what_a_run_depends_on_is_told_apart(tmp_path):
    assert hash_of("ab", "c") != hash_of("a", "bc")
    assert hash_of_config({"a": 1, "b": 2}) == hash_of_config({"b": 2, "a": 1}) != hash_of_config({"a": 2, "b": 2})
    file = tmp_path / "x.py"
    for room in ("evals", "graph"):
        (tmp_path / room).mkdir()
    (tmp_path / "evals" / "x.py").write_text("1")
    before = code_hash(tmp_path)
    assert before == code_hash(tmp_path)
    (tmp_path / "evals" / "x.py").write_text("2")
    assert code_hash(tmp_path) != before
    assert hash_of_files([file]) == hash_of_files([file])


def test_the_cost_is_told_beforehand_from_the_catalog():
    row = max(load_catalog().models, key=lambda one: one.prices.output)
    card = ModelCard(row.name, "remote", row.tier, max_tokens=500)
    most = min(500 + row.thinking_tokens, row.max_output)
    bound = row.prices_on(date(2026, 11, 21)).cost(3_000, most) * 100 / 1_000_000
    said = expected_cost([card], 100, date(2026, 11, 21))
    assert f"${bound:.2f}" in said
    assert row.name in said
    assert "no cost" in expected_cost([], 100, date(2026, 11, 21))


def test_a_line_of_json_holds_a_record(tmp_path):
    kept = Records(tmp_path).save(result([True]), began=AT, seconds=1, seed=0)
    assert json.loads((tmp_path / "experiments" / f"{kept.id}.json").read_text())["result"]["suite"] == "desk"
