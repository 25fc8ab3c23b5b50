"""Gaps in the knowledge and the figures of retrieval, from receipts."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from fakes import FrozenClock, WordEmbedder
from places import open_store

from domain.errors import UsageError
from domain.receipt import Receipt
from domain.turn import Passage, Source, Step
from graph.gaps import drift, gaps, group_by_meaning, retrieval_figures
from retrieval.articles import ArticleInfo

PLAIN = Receipt(
    turn_id="t0", thread_id="th", trace_id="0" * 32, desk="lamps", user="u0", at="2026-11-21T08:00:00+00:00",
    language="en", outcome="dont_know", reason="low_confidence", question="do you sell candles", answer="",
    release="built-in", rag_config="test@1", knowledge="k1", latency_ms=12.0, confidence=0.1,
    passages=[Passage("lamps#0", "lamps", "Our lamps", "text", 1.0)],
    steps=[Step("guard_input", 1.0), Step("retrieve", 4.0)],
)  # fmt: skip
SUBJECTS = ["returning a lamp", "shipping times abroad", "warranty claims", "paying by card", "opening hours"]


def turn(number, question, **changes):
    return replace(PLAIN, turn_id=f"t{number:08}", question=question, user=f"u{number % 2}", **changes)


ASKED = [
    turn(1, "do you sell candles", at="2026-11-20T08:00:00+00:00"),
    turn(2, "sell candles please", at="2026-11-21T08:00:00+00:00"),
    turn(3, "is there parking at night", passages=[]),
    turn(4, "what lamps are blue", outcome="answer", reason=None, confidence=0.8, sources=[Source("a", "A", "q")]),
    turn(5, "write a poem", outcome="refuse", reason="out_of_scope", steps=[Step("guard_input", 1.0)]),
    turn(6, "is the model gone", reason="model_down"),
    turn(7, "do you sell candles", at="2026-11-10T08:00:00+00:00"),
    turn(8, "hello", outcome="answer", reason="small_talk", steps=[Step("route", 1.0)]),
]


@pytest.fixture
def service(tmp_path):
    clock = FrozenClock()
    store = open_store(tmp_path, clock)
    for receipt in ASKED:
        store.ledger.save(receipt)
    infos = [ArticleInfo(f"a{n}", title, "public", "en", "", "") for n, title in enumerate(SUBJECTS)]
    knowledge = SimpleNamespace(articles=lambda: infos)
    yield SimpleNamespace(clock=clock, store=store, knowledge=knowledge, embedder=WordEmbedder())
    store.close()


def test_unanswered_questions_are_grouped_by_meaning(service):
    found = asyncio.run(gaps(service))
    assert (found["turns"], found["unanswered"]) == (7, 3)
    first, second = found["gaps"]
    assert (first["count"], first["users"], first["example"]) == (2, 2, "sell candles please")
    assert (first["nearest"], first["nearest_title"], first["confidence"]) == ("lamps", "Our lamps", 0.1)
    assert (first["first"][:10], first["last"][:10]) == ("2026-11-20", "2026-11-21")
    assert first["receipts"] == ["t00000002", "t00000001"]
    assert (second["example"], second["nearest"]) == ("is there parking at night", "")


def test_the_span_decides_what_is_looked_at(service):
    assert asyncio.run(gaps(service, "30d"))["gaps"][0]["count"] == 3
    assert asyncio.run(gaps(service, "10m"))["gaps"] == []
    with pytest.raises(UsageError, match="no span of time"):
        asyncio.run(gaps(service, "soon"))


def test_what_retention_removes_is_no_gap_any_more(service):
    service.store.purge(service.clock.now() - timedelta(hours=12))
    assert asyncio.run(gaps(service))["gaps"][0]["count"] == 1


def test_the_figures_of_retrieval_count_searched_turns_only():
    figures = retrieval_figures(ASKED)
    assert figures["searches"] == 6
    assert (figures["retrieval_ms_p50"], figures["confidence_p50"], figures["confidence_p90"]) == (4.0, 0.1, 0.45)
    assert figures["confidence_histogram"] == [0, 5, 0, 0, 0, 0, 0, 0, 1, 0]
    assert figures["dont_know_rate"] == pytest.approx(4 / 6, abs=1e-4)
    assert figures["no_passage_rate"] == 0.0
    assert retrieval_figures([replace(ASKED[3], sources=[])])["no_passage_rate"] == 1.0
    assert retrieval_figures([])["dont_know_rate"] is None


def test_drift_is_told_only_from_enough_questions():
    before = [n / 100 for n in range(100)]
    assert drift(before, before[:10])["drift_alarm"] is None
    same = drift(before, before)
    assert (same["drift_psi"], same["drift_low_share"], same["drift_alarm"]) == (0.0, 0.1, False)
    worse = drift(before, [value / 3 for value in before])
    assert worse["drift_alarm"] is True
    assert worse["drift_psi"] > 0.25
    assert worse["drift_low_share"] == pytest.approx(0.3, abs=0.02)


def test_groups_hold_every_question_once():
    groups = asyncio.run(group_by_meaning(ASKED, SUBJECTS, WordEmbedder()))
    assert sorted(one.turn_id for group in groups for one in group) == [one.turn_id for one in ASKED]
    assert [len(group) for group in groups] == sorted((len(group) for group in groups), reverse=True)
