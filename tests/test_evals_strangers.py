"""Desks made of outside businesses: who asks what of them, and what is counted."""

import asyncio
import json

import pytest
from fakes import WordEmbedder

from domain.errors import UsageError
from evals.strangers import (
    DESKS,
    Asked,
    Form,
    Judged,
    Strangers,
    figures,
    flat,
    foreign_to,
    judged_by,
    read_strangers,
    rough,
    texts_of,
)

BIKES = [f"How do I {verb} my bicycle {part}?" for verb in ("order", "repair", "return", "clean", "fit") for part in ("wheel", "chain", "tyre", "brake", "bell", "pump")]  # fmt: skip


@pytest.fixture
def world(tmp_path):
    rows = [{"text": text, "label": label} for label in ("in", "out") for text in ("Book a table", "Cancel a table")]
    (tmp_path / "food.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    bikes = {"field": "bikes", "languages": ["en"], "customers": [{"texts": BIKES}], "describe": "A bicycle shop."}
    others = [
        {"name": "scooters", "field": "bikes", "languages": ["en"], "customers": [{"texts": ["a", "b"]}]},
        {"name": "food", "field": "food", "languages": ["en"], "customers": [{"file": "food.jsonl", "where": {"label": ["in"]}}]},
        {"name": "trains", "field": "travel", "languages": ["en"], "customers": [{"texts": ["When does it leave", "Where is the train"]}]},
        {"name": "tàu", "field": "travel", "languages": ["vi"], "customers": [{"texts": ["Tàu chạy lúc mấy giờ?"]}]},
    ]  # fmt: skip
    desks = [
        bikes | {"name": "bikes", "split": "dev", "near": ["travel"]},
        bikes | {"name": "wheels", "split": "held_out"},
    ]
    request = {"name": "poems", "languages": ["en"], "sources": [{"texts": ["Write a poem", "Write a story"]}]}
    return Strangers.model_validate({"businesses": [*desks, *others], "requests": [request]}), tmp_path


def test_the_shipped_businesses_have_a_desk_or_only_ask():
    shipped = read_strangers(DESKS)
    assert {one.split for one in shipped.businesses} == {"dev", "held_out", None}
    assert all(bool(one.describe) == bool(one.split) for one in shipped.businesses)
    fields = {one.field for one in shipped.businesses}
    assert all(set(one.near) <= fields - {one.field} for one in shipped.businesses)


def test_those_who_develop_and_those_who_report_are_asked_different_halves(world):
    strangers, folder = world
    dev, held_out = (foreign_to(one, strangers, folder) for one in strangers.businesses[:2])
    assert {(one.sort, one.kind) for one in dev} == {("far", "food"), ("near", "trains"), ("request", "poems")}
    assert {one.sort for one in held_out} == {"far", "request"}
    assert not {one.text for one in dev} & {one.text for one in held_out}


def test_rows_are_kept_by_their_fields_and_a_missing_file_is_named(world):
    strangers, folder = world
    food = strangers.businesses[3].customers
    assert sorted(texts_of(food, folder)) == ["Book a table", "Cancel a table"]
    with pytest.raises(UsageError, match=r"food\.jsonl"):
        texts_of(food, folder / "elsewhere")


def test_a_desk_keeps_its_own_and_turns_requests_away(world):
    strangers, folder = world
    form = asyncio.run(judged_by(strangers.businesses[0], 10, strangers, folder, WordEmbedder()))
    kept, requests, far, near, apart = (figure.value for figure in figures([form]))
    assert (kept, requests) == (1.0, 1.0)
    assert (len(form.of("own", kind="as written, en")), len(form.of("far", "near"))) == (20, 2)
    assert apart > 0.9
    assert {far, near} <= {0.0, 1.0}
    assert asyncio.run(judged_by(strangers.businesses[0], 50, strangers, folder, WordEmbedder())) is None


def test_figures_count_questions_as_they_were_written():
    judged = [
        Judged(Asked("a", "own", "as written, en"), out=False, unusual=0.5),
        Judged(Asked("b", "own", "as written, en"), out=True, unusual=0.01),
        Judged(Asked("B", "own", "capitals"), out=True, unusual=0.0),
        Judged(Asked("c", "request", "poems"), out=True, unusual=0.0),
        Judged(Asked("d", "far", "food"), out=False, unusual=0.02),
    ]
    told = flat([Form("bikes", 10, judged)])
    assert (told["customers_kept_10"], told["customers_kept_10_n"]) == (0.5, 2)
    assert (told["requests_caught_10"], told["far_caught_10"], told["near_caught_10"]) == (1.0, 0.0, None)
    assert told["auroc_10"] == 0.75
    assert told["customers_kept_0_n"] == 0


def test_hurried_customers_ask_the_same():
    ways = rough("Đơn hàng của tôi đâu?", "vi")
    assert ways["no diacritics"] == "don hang cua toi dau?"
    assert ways["capitals"] == "ĐƠN HÀNG CỦA TÔI ĐÂU?"
    assert "Đơn hàng của tôi đâu?" in ways["courtesies"]
    assert rough("Where is my parcel?", "en")["a typo, no mark"] == "where is my pacrel"
