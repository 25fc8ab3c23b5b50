"""Answers given again: to the same question, never to one with another number, date, negation, product or place."""

import asyncio
import itertools
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes import FrozenClock, ScriptedChat, WordEmbedder
from house import open_house
from places import open_store
from structlog.testing import capture_logs

from domain.ports import CachedAnswer, CacheKey
from domain.turn import Pins, Source
from domain.words import fold
from evals.near_misses import near_misses
from evals.routing_report import PAIRS
from graph.caching import with_cache
from graph.desk import Done
from graph.record import Labels, Question
from models.answer_cache import AnswerCache
from models.question_words import lexicon_of
from models.same_question import SURPLUS, compared, exact_form, same_question

ANSWER = "You can return a lamp within 30 days."
ASKED = "How long can I return a lamp?"
KEY = CacheKey("lamps", "built-in", "k1", "en", "test@1", "answer@1", "scripted")


def ask(folder: Path, *questions: Question | str, pins: Pins | None = None, change: str = "", hours: float = 24) -> Any:
    """The replies, and how often a model was asked. `change` is the knowledge after the first question."""

    async def story() -> Any:
        chat = ScriptedChat([ANSWER] * 9)
        async with open_house(folder, chat=chat, cache_hours=hours, judge_rate=0.0) as house:
            replies = []
            for one in questions:
                question = one if isinstance(one, Question) else Question(one, user_id=f"user-{len(replies)}")
                replies.append(await house.desk.ask(question, pins))
                house.knowledge.version = change or "k1"
                house.clock.advance(3600)
            answers = [request for request in chat.requests if request.purpose == "answer"]
            return (
                replies,
                len(answers),
                house.store.answers(timedelta(days=1)).books(),
                house.metrics.render().decode(),
            )

    return asyncio.run(story())


def test_a_customer_does_not_wait_for_the_cache_but_for_the_books(tmp_path):
    async def story():
        async with open_house(tmp_path, chat=ScriptedChat([ANSWER]), cache_hours=24, judge_rate=0.0) as house:
            kept = house.store.answers(timedelta(days=1)).books
            events = house.desk.stream(Question(ASKED))
            while not isinstance(event := await anext(events), Done):
                pass
            reply = event.reply
            before = house.store.ledger.get(reply.turn_id).answer, kept().answers
            return reply.answer, *before, [event async for event in events], kept().answers

    assert asyncio.run(story()) == (ANSWER, ANSWER, 0, [], 1)


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(tmp_path):
    async def story():
        async with open_house(tmp_path, chat=ScriptedChat([ANSWER]), cache_hours=24, judge_rate=0.0) as house:
            with closing(sqlite3.connect(tmp_path / "desk.sqlite3")) as other:
                other.execute(
                    "CREATE TRIGGER full BEFORE INSERT ON cached_answers BEGIN SELECT RAISE(ABORT, 'full'); END"
                )
            reply = await house.desk.ask(Question(ASKED))
            return reply.answer, house.store.answers(timedelta(days=1)).books().answers

    with capture_logs() as logs:
        assert asyncio.run(story()) == (ANSWER, 0)
    assert [one["error"] for one in logs if one["event"] == "answer not kept"] == ["StoreError"]


def test_another_user_is_given_the_same_answer_without_a_model(tmp_path):
    replies, asked, books, metrics = ask(tmp_path, ASKED, "how long can i return a lamp")
    assert [reply.receipt.mode for reply in replies] == ["remote", "cache"]
    assert replies[0].answer == replies[1].answer
    assert replies[1].sources == replies[0].sources
    assert (replies[1].receipt.model, replies[1].receipt.tokens, replies[1].receipt.cost_usd) == ("scripted", 0, 0)
    assert asked == 1
    assert (books.answers, books.hits) == (1, 1)
    assert books.saved_microusd > 0
    assert 'mode="cache"' in metrics


def test_a_question_that_asks_the_same_in_other_words_is_known_again(tmp_path):
    replies, asked, *_ = ask(tmp_path, ASKED, "How long can I return a lamp please?")
    assert ([reply.receipt.mode for reply in replies], asked) == (["remote", "cache"], 1)


@pytest.mark.parametrize(
    "other",
    [
        "How long can I not return a lamp?",
        "How long can I return a chair?",
        "How long can I return a lamp in December?",
        "How long can I return 2 lamps?",
    ],
)
def test_a_question_that_differs_in_one_thing_is_answered_anew(tmp_path, other):
    replies, asked, *_ = ask(tmp_path, ASKED, other)
    assert ([reply.receipt.mode for reply in replies], asked) == (["remote", "remote"], 2)


def test_an_answer_about_a_customer_is_neither_kept_nor_given(tmp_path):
    order = [{"title": "Order", "text": "Your lamp was bought on Monday."}]
    known = Question(ASKED, user_id="u1", context=order)
    mail = Question(f"{ASKED} I am an@example.com", user_id="u2")
    _, asked, books, _ = ask(tmp_path / "a", known, mail)
    assert (asked, books.answers) == (2, 0)
    replies, asked, *_ = ask(tmp_path / "b", ASKED, known, mail)
    assert [reply.receipt.mode for reply in replies] == ["remote", "remote", "remote"]


def test_a_later_turn_of_a_thread_is_answered_anew(tmp_path):
    async def story() -> list[str]:
        async with open_house(tmp_path, chat=ScriptedChat([ANSWER] * 9), cache_hours=24, judge_rate=0.0) as house:
            first = await house.desk.ask(Question(ASKED, user_id="u"))
            second = await house.desk.ask(Question(ASKED, user_id="u", thread_id=first.thread_id))
            return [first.receipt.mode, second.receipt.mode]

    assert asyncio.run(story()) == ["remote", "remote"]


def test_new_knowledge_time_and_the_setting_forget(tmp_path):
    assert ask(tmp_path / "a", ASKED, ASKED, change="k2")[1] == 2
    assert ask(tmp_path / "b", ASKED, ASKED, hours=0.5)[1] == 2
    assert ask(tmp_path / "c", ASKED, ASKED, hours=0)[1] == 2


def test_a_measurement_is_given_no_old_answer_and_leaves_none(tmp_path):
    _, asked, books, _ = ask(tmp_path, ASKED, ASKED, pins=Pins(judge=False))
    assert (asked, books.answers) == (2, 0)


@pytest.mark.parametrize("field", ["desk", "release", "knowledge", "language", "rag_config", "prompt", "model"])
def test_every_bound_of_an_answer_separates(tmp_path, field):
    async def story() -> list[CachedAnswer | None]:
        store = open_store(tmp_path, FrozenClock())
        cache = AnswerCache(store.answers(timedelta(hours=1)), WordEmbedder())
        await cache.keep(ASKED, KEY, CachedAnswer(ASKED, ANSWER, [], "m", 7))
        other = CacheKey(**{name: "vi" if name == field else getattr(KEY, name) for name in KEY.__slots__})
        found = [await cache.find(ASKED, KEY, ()), await cache.find(ASKED, other, ())]
        await cache.keep(ASKED, KEY, CachedAnswer(ASKED, "Another.", [], "m", 9))
        found.append(await cache.find(f"{ASKED} Please?", KEY, ()))
        store.close()
        return found

    mine, foreign, newer = asyncio.run(story())
    assert (mine.text, mine.cost_microusd, foreign, newer.text) == (ANSWER, 7, None, "Another.")


def test_an_answer_from_an_article_that_the_question_does_not_find_is_not_given(tmp_path):
    async def story() -> tuple[list[bool], int]:
        store = open_store(tmp_path, FrozenClock())
        answers = store.answers(timedelta(hours=1))
        cache = AnswerCache(answers, WordEmbedder())
        said = Source("lamps", "Lamps", "Within 30 days.")
        await cache.keep(ASKED, KEY, CachedAnswer(ASKED, ANSWER, [said], "m", 7))
        found = [await cache.find(ASKED, KEY, articles) for articles in (("chairs",), ("chairs", "lamps"))]
        hits = answers.books().hits
        store.close()
        return [one is not None for one in found], hits

    assert asyncio.run(story()) == ([False, True], 1)


def test_no_near_miss_is_taken_for_the_same():
    pairs = near_misses()
    assert len(pairs) >= 1000
    assert {"number", "date", "negation", "product", "place", "action", "added"} <= {one.kind for one in pairs}
    assert [one for one in pairs if one.stored == one.asked] == []
    assert [one for one in pairs if same_question(one.stored, one.asked, one.language)] == []


def test_pairs_of_other_businesses_are_told_apart_and_a_third_of_the_same_are_known():
    rows = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    alike = [(row["a"], row["b"], row["language"]) for row in rows if not row["same"]]
    bare = [(fold(one), fold(two), language) for one, two, language in alike if language == "vi"]
    assert len(alike) > 400
    wrong = [pair for pair in alike + bare if same_question(*pair) or same_question(pair[1], pair[0], pair[2])]
    assert wrong == []
    known = [same_question(row["a"], row["b"], row["language"]) for row in rows if row["same"]]
    assert sum(known) / len(known) > 1 / 3


def test_a_frame_is_found_by_itself_where_it_is_found_among_all():
    rows = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    found = set()
    for row, side in itertools.product(rows, "ab"):
        lexicon, text = lexicon_of(row["language"], marked=False), fold(row[side])
        assert lexicon.is_framed(text) == bool(lexicon.frames.search(text))
        found.add(lexicon.is_framed(text))
    assert found == {True, False}


def test_what_ends_a_comparison_early_never_changes_it():
    rows = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    pairs = [(one.stored, one.asked, one.language) for one in near_misses()]
    pairs += [(row["a"], row["b"], row["language"]) for row in rows]
    pairs += [(f"{one} 20 days", f"{two} 20 days", language) for one, two, language in pairs[::5]]
    whole = [compared(*pair) for pair in pairs]
    assert [same_question(*pair) for pair in pairs] == [
        found.fits and not found.over and found.light <= SURPLUS for found in whole
    ]


@pytest.mark.parametrize(
    ("language", "one", "two"),
    [
        ("en", "How do I return my order?", "how can i return an order please"),
        ("en", "How much is shipping to Hanoi?", "What does delivery to Hanoi cost?"),
        ("en", "Can I pay in two instalments?", "Can I pay in 2 instalments?"),
        ("en", "I don't know what I need to do to change my address", "could you help me with editing my address"),
        ("en", "I have a question about the cancellation fee", "How much is the penalty for canceling?"),
        ("en", "How do I close my account?", "I want to delete the account"),
        ("en", "Where's my order?", "i would like to track an order"),
        ("vi", "Tôi muốn hủy đơn hàng", "Mình cần huỷ đơn thì làm sao ạ?"),
        ("vi", "Làm sao để trả hàng?", "em muon gui tra lai hang thi lam the nao"),
        ("vi", "Shop có giao hàng tới Đà Nẵng không?", "shop co giao hang toi da nang khong vay"),
        ("vi", "Cho mình hỏi phí ship đi Hà Nội bao nhiêu ạ?", "Phí ship đi Hà Nội bao nhiêu?"),
    ],
)
def test_the_same_question_is_known_in_other_words(language, one, two):
    assert same_question(one, two, language)
    assert same_question(two, one, language)


@pytest.mark.parametrize(
    ("language", "one", "two"),
    [
        ("en", "How long is the warranty?", "How long is the warranty on the kettle?"),
        ("en", "Can I ship from Laos to Vietnam?", "Can I ship from Vietnam to Laos?"),
        ("en", "Do you ship to Hanoi?", "When do you ship to Hanoi?"),
        ("en", "I do not know how to return a lamp", "I do not know where to return a lamp"),
        ("en", "Can I change my order?", "Can I change my account?"),
        ("en", "What time is check-in?", "What time is check-out?"),
        ("en", "Do I need a receipt?", "How do I get a receipt?"),
        ("en", "Can you call me?", "Can I call you?"),
        ("en", "Do you ship to the US?", "Do you ship?"),
        ("en", "Can I see the invoice of May?", "Can I see my invoice?"),
        ("en", "What is your address?", "What is my address?"),
        ("en", "Has my order arrived?", "Has my refund arrived?"),
        ("vi", "Tôi có cần hóa đơn không?", "Tôi muốn hóa đơn thì làm sao?"),
        ("vi", "Đơn đã giao chưa?", "Đơn có giao không?"),
        ("vi", "Tủ có bảo hành không?", "Từ đó có bảo hành không?"),
        ("vi", "Chảo bảo hành bao lâu?", "Cháo bảo hành bao lâu?"),
        ("vi", "Tôi đổi hàng được không?", "Tôi trả hàng được không?"),
    ],
)
def test_what_was_added_swapped_or_spelt_otherwise_is_another_question(language, one, two):
    assert not same_question(one, two, language)
    assert not same_question(two, one, language)


def test_two_spellings_have_one_exact_form():
    assert exact_form("  Where is  my ORDER?? ") == exact_form("where is my order") != exact_form("Where is my order 2")


def test_a_changed_contact_bounds_answers_anew(tmp_path):
    """What desk.yaml says of it is answered beside every version of the knowledge."""

    store = open_store(tmp_path, FrozenClock())
    cache = AnswerCache(store.answers(timedelta(hours=1)), WordEmbedder())

    def keyed(deps, **changes):
        profile = deps.profile.model_copy(update={"contact": deps.profile.contact.model_copy(update=changes)})
        bounded = with_cache(
            replace(deps, profile=profile), cache, Labels("lamps", "r1", "english@1", "dev"), lambda: "k1"
        )
        return bounded.cache_key("en", "answer@1", "m")

    async def story():
        seen = []
        async with open_house(tmp_path / "house", adjust=lambda deps: seen.append(deps) or deps):
            return keyed(seen[0]), keyed(seen[0]), keyed(seen[0], phone="+1 555 010 1111")

    before, same, after = asyncio.run(story())
    store.close()
    assert before == same != after
