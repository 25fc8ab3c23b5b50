"""A knowledge folder that a crash or a disk has damaged: the desk serves on, and says so."""

import asyncio
import contextlib
import json
import os
import shutil
import sqlite3

import pytest
from cluster import ASKED, furnish
from fakes import FrozenClock, WordEmbedder
from test_retrieval import configured, knowing, write

from domain.errors import StoreError, WeightsError
from domain.settings import Settings
from graph.bootstrap import close_service, open_service
from graph.health import health
from graph.record import Question
from retrieval import Knowledge


@pytest.fixture
def shop(tmp_path):
    return write(
        tmp_path / "articles",
        returns="Return a kettle within thirty days.",
        shipping="Parcels to Hanoi arrive in two days, elsewhere in five.",
        internal_fraud="Agents refund suspicious vouchers quietly up to forty euros.",
    )


async def mended(kb):
    """What was lost has been built anew."""
    assert kb.mending
    await kb._beside
    assert kb.version
    assert not kb.mending


def cut_segment_of(folder, version):
    """Cut a version's vectors short: Chroma aborts the process that reads them, or says that it cannot."""
    with contextlib.closing(sqlite3.connect(folder / "chroma.sqlite3")) as database:
        rows = database.execute(
            "SELECT s.id FROM segments s JOIN collections c ON s.collection = c.id WHERE c.name = ?",
            (f"public-{version}",),
        ).fetchall()
    cut = [path for path in folder.rglob("data_level0.bin") if (path.parent.name,) in rows]
    assert cut
    os.truncate(cut[0], 50)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param("sqlite cut", marks=pytest.mark.slow),
        "sqlite gone",
        pytest.param("all gone", marks=pytest.mark.slow),
        "pointer cut",
    ],
)
def test_a_damaged_folder_serves_on_from_its_articles(tmp_path, shop, damage):
    async def fill(kb):
        await kb.ingest(shop)

    async def after(kb):
        await mended(kb)
        assert (await kb.public.search("how fast do parcels arrive in Hanoi")).passages[0].article == "shipping"
        assert "3 articles were read anew" in kb.damage
        assert "\n" not in kb.damage
        assert [article.id for article in kb.articles()] == ["internal_fraud", "returns", "shipping"]
        report = await kb.ingest(shop)
        assert len(report.unchanged) == 3

    async def later(kb):
        assert (kb.damage, len(kb.articles())) == ("", 3)

    knowing(tmp_path, fill)
    kb = tmp_path / "kb"
    if damage == "sqlite cut":
        os.truncate(kb / "chroma" / "chroma.sqlite3", 5_000)
    elif damage == "sqlite gone":
        (kb / "chroma" / "chroma.sqlite3").unlink()
    elif damage == "all gone":
        shutil.rmtree(kb / "chroma")
    else:
        os.truncate(kb / "current.json", 20)
    knowing(tmp_path, after)
    assert (kb / "chroma-damaged").is_dir() is (damage != "all gone")
    knowing(tmp_path, later)


def test_a_later_look_finds_what_was_mended_and_mends_again_what_was_not(tmp_path, shop):
    class Waking(WordEmbedder):
        failing = 2

        async def passages(self, texts, progress=None):
            if self.failing:
                self.failing -= 1
                raise WeightsError("the weights are gone")
            return await super().passages(texts, progress)

    async def looked():
        looks = (0.0, 0.0, 0.0, 0.0)
        kb = await Knowledge.open(tmp_path / "kb", configured(), Waking(), FrozenClock(), looks=looks)
        try:
            assert (kb.version, kb.damage != "") == ("", True)
            await kb._looking
            assert (kb.damage, kb.mending, len(kb.articles())) == ("", False, 3)
            return (await kb.public.search("how fast do parcels arrive in Hanoi")).passages[0].article
        finally:
            await kb.close()

    async def fill(kb):
        await kb.ingest(shop)

    knowing(tmp_path, fill)
    (tmp_path / "kb" / "chroma" / "chroma.sqlite3").unlink()
    assert asyncio.run(looked()) == "shipping"


@pytest.mark.slow
def test_articles_that_are_gone_leave_the_version_before(tmp_path, shop):
    versions, clock = [], FrozenClock()

    async def fill(kb):
        versions.append((await kb.ingest(shop)).version)
        write(shop, shipping="Parcels to Hanoi arrive by boat.")
        clock.advance(60)
        versions.append((await kb.ingest(shop)).version)

    async def after(kb):
        await mended(kb)
        assert "two days" in (await kb.public.search("parcels to Hanoi arrive")).passages[0].text
        assert f"{versions[0]} serves" in kb.damage

    knowing(tmp_path, fill, clock=clock)
    (tmp_path / "kb" / "articles" / f"{versions[1]}.jsonl").unlink()
    knowing(tmp_path, after)


@pytest.mark.slow
def test_a_cut_segment_that_would_abort_the_process_leaves_the_version_before_until_it_is_mended(tmp_path):
    rows = [{"id": f"a{n}", "title": f"Article {n}", "text": f"text {n}", "language": "en"} for n in range(1_100)]
    path = tmp_path / "kb.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    versions, clock = [], FrozenClock()

    async def fill(kb):
        versions.append((await kb.ingest(path)).version)
        path.write_text("\n".join(json.dumps(row) for row in [*rows, rows[0] | {"id": "new"}]), "utf-8")
        clock.advance(60)
        versions.append((await kb.ingest(path)).version)

    async def opened(kb):
        assert (kb.version, kb.mending) == (versions[0], True)
        assert f"{versions[0]} serves, the version before" in kb.damage
        assert (await kb.public.search("text 7")).passages[0].article == "a7"
        await mended(kb)
        assert kb.version not in versions
        assert len(kb.articles()) == 1_101
        assert [row.version for row in kb.versions()] == [kb.version, versions[0]]

    async def later(kb):
        assert (kb.damage, len(kb.articles())) == ("", 1_101)

    knowing(tmp_path, fill, clock=clock)
    cut_segment_of(tmp_path / "kb" / "chroma", versions[1])
    knowing(tmp_path, opened)
    knowing(tmp_path, later)


@pytest.mark.slow
def test_what_is_lost_is_not_lost_by_an_attempt_that_fails(tmp_path, shop):
    class Broken(WordEmbedder):
        async def passages(self, texts, progress=None):
            del texts, progress
            raise WeightsError("the weights are gone")

    async def fill(kb):
        await kb.ingest(shop)

    async def failed(kb):
        await kb._beside
        assert "failed: the weights are gone" in kb.damage
        assert (kb.version, kb.mending) == ("", True)
        with pytest.raises(StoreError, match="read anew"):
            await kb.public.search("parcels")

    async def after(kb):
        await mended(kb)
        assert len(kb.articles()) == 3

    knowing(tmp_path, fill)
    (tmp_path / "kb" / "chroma" / "chroma.sqlite3").unlink()
    knowing(tmp_path, failed, embedder=Broken())
    knowing(tmp_path, after)


@pytest.mark.slow
def test_a_desk_answers_although_a_segment_of_its_knowledge_is_cut(tmp_path):
    desk = furnish(tmp_path)
    rows = [{"id": f"part-{n}", "title": f"Part {n}", "text": f"No. {n}", "language": "en"} for n in range(1_010)]
    (tmp_path / "parts.jsonl").write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    settings = Settings(home=tmp_path / "home", desk=str(desk), llm="off", ner="off")

    async def filled():
        service = await open_service(settings)
        first = service.knowledge.version
        try:
            await service.knowledge.ingest(tmp_path / "parts.jsonl")
            return first, service.knowledge.version
        finally:
            await close_service(service)

    async def asked():
        service = await open_service(settings)
        try:
            meanwhile = health(service)[0]
            reply = await service.desk.ask(Question(ASKED[0]))
            await mended(service.knowledge)
            return meanwhile, reply, health(service)[0], len(service.knowledge.articles())
        finally:
            await close_service(service)

    before, lost = asyncio.run(filled())
    [folder] = (tmp_path / "home").rglob("chroma")
    cut_segment_of(folder, lost)
    meanwhile, reply, then, articles = asyncio.run(asked())
    assert (meanwhile.state, reply.outcome, reply.sources != []) == ("degraded", "answer", True)
    assert f"{before} serves, the version before" in meanwhile.detail
    assert reply.receipt.knowledge == before
    assert then.state == "degraded"
    assert "were read anew" in then.detail
    assert articles > len(rows)
