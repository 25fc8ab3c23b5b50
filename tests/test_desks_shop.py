"""The shop's data: large enough, consistent in form, its cases split by the stated rule."""

import asyncio
import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from domain.settings import Settings
from evals.cases import read_cases
from graph.bootstrap import close_service, open_service
from graph.record import Question
from models.language import detect_language
from retrieval import load_rag_config
from retrieval.chunking import chunk_articles
from retrieval.reading import read_articles
from retrieval.shipped import key_of, read_vectors

SHOP = Path(__file__).parents[1] / "desks" / "shop"
MOVED = {"shop-002", "shop-005", "shop-006"}
REPLACING = {"shop-154", "shop-155", "shop-156"}
ADDED = {f"shop-{number}" for number in range(157, 202)}


def cases(split):
    return [json.loads(line) for line in (SHOP / "cases" / f"{split}.jsonl").read_text("utf-8").splitlines()]


def test_the_articles_are_all_taken_and_dated():
    reading = read_articles(SHOP / "knowledge")
    assert reading.skipped == []
    assert len(reading.articles) >= 80
    assert sum(article.audience == "internal" for article in reading.articles) >= 10
    assert sum(article.language == "vi" for article in reading.articles) >= 12
    assert all(article.updated and article.review_by > article.updated for article in reading.articles)
    assert all(article.id == Path(article.place).stem for article in reading.articles)


def test_every_case_points_at_public_articles():
    public = {article.id for article in read_articles(SHOP / "knowledge").articles if article.audience == "public"}
    rows = cases("dev") + cases("held_out")
    assert [row["id"] for row in rows if not set(row["relevant"]) <= public] == []
    assert max(Counter(row["id"] for row in rows).values()) == 1
    assert len(rows) >= 150


def test_the_split_follows_its_rule():
    def drawn(own_id):
        return int(hashlib.sha256(own_id.encode()).hexdigest(), 16) % 10 < 3

    dev, held_out = ({row["id"] for row in cases(split)} for split in ("dev", "held_out"))
    assert dev >= MOVED
    assert held_out >= REPLACING | ADDED
    later = {own_id for own_id in dev | held_out if own_id > "shop-090"} - REPLACING - ADDED
    assert {own_id for own_id in later if drawn(own_id)} == later & held_out
    assert 60 <= len(held_out) < 0.5 * len(dev | held_out)


def test_questions_that_no_article_answers_are_many_in_both_languages_and_halved():
    rows, broken = read_cases([SHOP.parent / desk / "cases" / "unanswered.jsonl" for desk in ("shop", "clinic")])
    assert broken == []
    assert {row.outcome for row in rows} == {"dont_know"}
    assert len({row.question for row in rows} - {row["question"] for row in cases("dev") + cases("held_out")}) >= 60
    assert Counter(row.kind for row in rows) == {"worked on": 30, "reported": 30}
    assert min(Counter(detect_language(row.question, ["en", "vi"]) for row in rows).values()) >= 25


@pytest.mark.parametrize("name", ["shop", "clinic"])
def test_the_vectors_of_every_article_ship_with_the_desk(name):
    config = load_rag_config("multilingual")
    chunks = chunk_articles(read_articles(SHOP.parent / name / "knowledge").articles, config.chunking)
    texts = {chunk.embedded for rows in chunks.values() for chunk in rows}
    ready = read_vectors(SHOP.parent / name / "vectors", config.embedder)
    missing = sum(key_of(text) not in ready for text in texts)
    assert missing == 0, (
        f"{missing} of {len(texts)}: run `frontdesk knowledge vectors --desk {name}` and commit the file"
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shop", "clinic"])
def test_every_question_that_the_page_suggests_is_answered(name, tmp_path):
    async def ask_all():
        service = await open_service(Settings(llm="off", desk=name, home=tmp_path))
        try:
            texts = [text for each in service.profile.suggestions for text in (each.en, each.vi) if text]
            return {text: (await service.desk.ask(Question(text, "visitor"))).outcome for text in texts}
        finally:
            await close_service(service)

    outcomes = asyncio.run(ask_all())
    assert len(outcomes) >= 6
    assert set(outcomes.values()) == {"answer"}, outcomes
