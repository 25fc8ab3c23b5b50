"""Gaps become drafts of articles with what colleagues answered; none of them is served before somebody has read it."""

import asyncio
from pathlib import Path

import pytest
from fakes import ShelfSearch
from house import RETURNS
from test_reviewing import MAIL, opened

from domain.errors import UsageError
from graph.record import Question
from retrieval.reading import read_articles

CANDLES = "Can I return a candle for a lamp?"


def test_a_gap_becomes_a_draft_with_the_answer_of_the_colleague_who_was_asked(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path, shelf=ShelfSearch([RETURNS], 0.0), judge_rate=0.0) as bench:
            desk = bench.house.desk
            asked = await bench.ask(CANDLES)
            assert asked.outcome == "dont_know"
            await bench.ask(CANDLES.lower(), "bob")
            await bench.ask("How long is the warranty on a parcel of tables?", "eve")
            bench.house.clock.advance(60)
            handed = await desk.ask(Question("I want to talk to a person", "ann", asked.thread_id))
            assert handed.handoff is not None
            assert (await bench.run("gaps.draft"))["written"] == 0
            bench.house.clock.advance(60)
            await desk.reply(handed.handoff.ticket, f"Candles may be returned within 14 days. Write to {MAIL}.")

            dry = await bench.run("gaps.draft", write=False)
            assert (dry["written"], dry["left_out"], dry["drafts"][0]["asked"]) == (0, 1, 2)
            done = await bench.run("gaps.draft")
            assert done["drafts"] == [
                {
                    "file": "draft-can-i-return-a-candle-for-a-lamp.md",
                    "title": CANDLES.lower(),
                    "asked": 2,
                    "answers": 1,
                }
            ]
            again = await bench.run("gaps.draft")
            assert (again["written"], again["there"], again["left_out"]) == (0, 1, 1)
            both = await bench.run("gaps.draft", unanswered=True)
            assert [one["answers"] for one in both["drafts"]] == [0]
            assert [(one.who, one.what) for one in bench.house.store.audit.recent(1)] == [
                ("key k1 (Linh)", "gaps.draft")
            ]

    asyncio.run(story())
    drafts = tmp_path / "desk" / "drafts"
    file = drafts / "draft-can-i-return-a-candle-for-a-lamp.md"
    words = file.read_text("utf-8")
    assert "Candles may be returned within 14 days" in words
    assert "Asked 2 times by 2 customers" in words
    assert MAIL not in words
    read = read_articles(drafts)
    assert read.articles == []
    assert [skip.why[:7] for skip in read.skipped] == ["a draft"] * 2
    file.write_text(words.replace("draft: true\n", ""), "utf-8")
    (article,) = read_articles(drafts).articles
    assert (article.id, article.title, article.language) == (file.stem, CANDLES.lower(), "en")
    assert article.text.startswith("Candles may be returned")


def test_a_reviewers_right_answer_is_an_answer_too(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path, shelf=ShelfSearch([RETURNS], 0.0), judge_rate=0.0) as bench:
            asked = await bench.ask(CANDLES)
            await bench.run("review.correct", turn_id=asked.turn_id, answer="Candles are not taken back.")
            bench.house.clock.advance(1)
            assert (await bench.run("gaps.draft"))["drafts"][0]["answers"] == 1
            file = tmp_path / "desk" / "drafts" / "draft-can-i-return-a-candle-for-a-lamp.md"
            file.write_text("somebody's own words", "utf-8")
            with pytest.raises(UsageError, match="is there already"):
                await bench.run("gaps.draft")
            assert file.read_text("utf-8") == "somebody's own words"
            for wrong in ({"most": 0}, {"since": "soon"}):
                with pytest.raises(UsageError):
                    await bench.run("gaps.draft", **wrong)

    asyncio.run(story())


@pytest.mark.parametrize(("word", "taken"), [("true", 0), ("yes", 0), ("maybe", 0), ("false", 1), ("no", 1), ("", 1)])
def test_only_what_is_no_draft_is_taken(tmp_path: Path, word: str, taken: int) -> None:
    (tmp_path / "a.md").write_text(f"---\nid: a\ntitle: A lamp\ndraft: {word}\n---\nIt shines.\n", "utf-8")
    assert len(read_articles(tmp_path).articles) == taken
