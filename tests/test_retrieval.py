"""The knowledge of a desk: versions that switch whole, searches that see public articles only."""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fakes import FrozenClock, WordEmbedder

from domain.errors import ConflictError, KnowledgeError
from domain.profile import Contact
from retrieval import Knowledge, RagConfig, default_rag_config, load_rag_config
from retrieval.contact import DeskContact

REPOSITORY = Path(__file__).parents[1]


class CountingEmbedder(WordEmbedder):
    def __init__(self):
        self.questions, self.texts = [], []

    async def query(self, text):
        self.questions.append(text)
        return await super().query(text)

    async def passages(self, texts, progress=None):
        self.texts += texts
        return await super().passages(texts, progress)


def configured(**changes) -> RagConfig:
    plain = load_rag_config("english").model_dump()
    plain["chunking"]["least"] = 0
    return RagConfig.model_validate(plain | {"embedder": {"name": "words", "sha256": "a" * 64}} | changes)


def write(folder, **articles):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in articles.items():
        audience = "internal" if name.startswith("internal") else "public"
        head = f"---\nid: {name}\ntitle: About {name}\naudience: {audience}\nlanguage: en\n---\n"
        (folder / f"{name}.md").write_text(head + text, "utf-8")
    return folder


@pytest.fixture
def shop(tmp_path):
    return write(
        tmp_path / "articles",
        returns="## Window\n\nReturn a kettle within thirty days.\n\n## Cost\n\nReturn parcels are free of charge.",
        shipping="Parcels to Hanoi arrive in two days, elsewhere in five.",
        internal_fraud="Agents refund suspicious vouchers quietly up to forty euros.",
    )


def knowing(tmp_path, test, *, config=None, embedder=None, clock=None):
    """Run `test(knowledge)` on the folder of this test, opened and closed."""

    async def run():
        knowledge = await Knowledge.open(
            tmp_path / "kb", config or configured(), embedder or CountingEmbedder(), clock or FrozenClock()
        )
        try:
            return await test(knowledge)
        finally:
            await knowledge.close()

    return asyncio.run(run())


def test_what_was_ingested_is_found_with_its_section(tmp_path, shop):
    async def test(kb):
        report = await kb.ingest(shop)
        assert sorted(report.added) == ["internal_fraud", "returns", "shipping"]
        assert (report.changed, report.removed, report.unchanged, report.skipped) == ([], [], [], [])
        assert kb.version == report.version != ""
        found = await kb.public.search("what does it cost to return a parcel", 2)
        first = found.passages[0]
        assert (first.article, first.title, first.section, first.language) == ("returns", "About returns", "Cost", "en")
        assert first.text == "Return parcels are free of charge."
        assert first.score == 1.0
        assert len(found.passages) == 2
        assert found.passages[1].score < 1
        assert (await kb.public.search("how fast do parcels arrive in Hanoi")).passages[0].article == "shipping"

    knowing(tmp_path, test)


def test_an_empty_folder_finds_nothing(tmp_path):
    async def test(kb):
        found = await kb.public.search("anything")
        assert (found.passages, found.confidence, kb.version, kb.articles()) == ([], 0.0, "", [])

    knowing(tmp_path, test)


def test_a_blank_question_finds_nothing(tmp_path, shop):
    async def test(kb):
        await kb.ingest(shop)
        assert (await kb.public.search("  \n")).passages == []

    knowing(tmp_path, test)


def test_internal_articles_are_out_of_a_customers_reach(tmp_path, shop):
    async def test(kb):
        await kb.ingest(shop)
        found = await kb.public.search("refund suspicious vouchers quietly up to forty euros", 20)
        assert {passage.article for passage in found.passages} <= {"returns", "shipping"}
        assert kb.texts("internal") == ["Agents refund suspicious vouchers quietly up to forty euros."]
        held = [kb.public]
        seen = set()
        # What the searcher can reach of ours, walked: neither the knowledge, nor the store, nor a word of it.
        while held:
            thing = held.pop()
            if (
                id(thing) in seen
                or isinstance(thing, type)
                or not type(thing).__module__.startswith(("retrieval", "builtins"))
            ):
                continue
            seen.add(id(thing))
            assert type(thing).__name__ not in {"Knowledge", "VectorStore", "Article"}
            assert "suspicious" not in repr(thing) if isinstance(thing, str) else True
            held += [kept for kept in gc.get_referents(thing) if not callable(kept)]
        assert len(seen) > 20

    knowing(tmp_path, test)


def test_confidence_tells_an_answerable_question_from_another(tmp_path, shop):
    async def test(kb):
        await kb.ingest(shop)
        known = await kb.public.search("return parcels cost free of charge")
        unknown = await kb.public.search("zebra astronomy lecture Tuesday")
        assert 0 <= unknown.confidence < known.confidence <= 1

    knowing(tmp_path, test)


def test_an_ingest_embeds_only_what_changed(tmp_path, shop):
    embedder, clock = CountingEmbedder(), FrozenClock()

    async def test(kb):
        first = await kb.ingest(shop)
        assert first.embedded == first.chunks == len(embedder.texts) == 4
        clock.advance(60)
        again = await kb.ingest(shop)
        assert (again.version, again.embedded, len(again.unchanged)) == (first.version, 0, 3)
        write(shop, shipping="Parcels to Hanoi arrive in three days.", gifts="We wrap gifts in paper.")
        (shop / "returns.md").unlink()
        embedder.texts.clear()
        third = await kb.ingest(shop)
        assert (third.added, third.changed, third.removed, third.unchanged) == (
            ["gifts"],
            ["shipping"],
            ["returns"],
            ["internal_fraud"],
        )
        assert sorted(text.splitlines()[-1] for text in embedder.texts) == [
            "Parcels to Hanoi arrive in three days.",
            "We wrap gifts in paper.",
        ]
        assert third.version != first.version == kb.versions()[1].version
        assert (await kb.public.search("when do parcels arrive in Hanoi")).passages[0].text.endswith("three days.")

    knowing(tmp_path, test, embedder=embedder, clock=clock)


def test_an_ingest_removes_only_what_its_own_path_brought(tmp_path, shop):
    more = write(tmp_path / "more", gifts="We wrap gifts in paper.")

    async def test(kb):
        await kb.ingest(shop)
        assert (await kb.ingest(more)).removed == []
        (shop / "returns.md").unlink()
        assert (await kb.ingest(shop)).removed == ["returns"]
        assert [row.id for row in kb.articles()] == ["gifts", "internal_fraud", "shipping"]
        assert [row.audience for row in kb.articles()] == ["public", "internal", "public"]

    knowing(tmp_path, test)


def test_nothing_taken_leaves_the_old_knowledge(tmp_path, shop):
    async def test(kb):
        version = (await kb.ingest(shop)).version
        empty = tmp_path / "bad"
        empty.mkdir()
        (empty / "a.md").write_text("no front matter", "utf-8")
        with pytest.raises(KnowledgeError, match=r"no article could be taken \(1 skipped, first a\.md: no title"):
            await kb.ingest(empty)
        (empty / "a.md").unlink()
        with pytest.raises(KnowledgeError, match="no article could be taken: there is no file in it"):
            await kb.ingest(empty)
        with pytest.raises(KnowledgeError, match="no such file"):
            await kb.ingest(tmp_path / "absent")
        assert kb.version == version
        assert (await kb.public.search("return a kettle")).passages

    knowing(tmp_path, test)


def test_three_versions_are_kept_and_one_can_come_back(tmp_path, shop):
    clock = FrozenClock()

    async def test(kb):
        names = []
        for days in ("two", "three", "four", "five"):
            write(shop, shipping=f"Parcels to Hanoi arrive in {days} days.")
            clock.advance(5)
            names.append((await kb.ingest(shop)).version)
        assert [row.version for row in kb.versions()] == names[:0:-1]
        assert [row.serving for row in kb.versions()] == [True, False, False]
        await kb.rollback(names[1])
        assert kb.version == names[1]
        assert "three days" in (await kb.public.search("parcels arrive in Hanoi")).passages[0].text
        with pytest.raises(KnowledgeError, match="no such kept version"):
            await kb.rollback(names[0])
        return names[1]

    async def still(kb):
        assert kb.version == version
        assert "three days" in (await kb.public.search("parcels arrive in Hanoi")).passages[0].text

    version = knowing(tmp_path, test, clock=clock)
    knowing(tmp_path, still)


def test_what_is_forgotten_is_found_no_more_until_its_version_comes_back(tmp_path, shop):
    page = write(tmp_path / "wrong", prices="Vouchers cost nine euros in Hanoi.") / "prices.md"

    async def test(kb):
        await kb.ingest(shop)
        old = (await kb.ingest(page)).version
        rows, chunks = await kb.named("returns", str(shop))
        assert ([row.id for row in rows], chunks) == (["returns"], 2)
        assert [row.id for row in (await kb.named("", str(shop)))[0]] == ["internal_fraud", "returns", "shipping"]
        assert [row.id for row in (await kb.named("", str(shop / "shipping.md")))[0]] == ["shipping"]
        assert [row.id for row in (await kb.named("prices.md", str(page)))[0]] == ["prices"]
        kb._embedder.texts.clear()
        with pytest.raises(ConflictError, match=f"{old} serves, not v0"):
            await kb.forget(["prices"], replaces="v0")
        done = await kb.forget(["prices"], replaces=old)
        assert (done.removed, len(done.unchanged), kb._embedder.texts) == (["prices"], 3, [])
        assert kb.version == done.version != old
        assert "prices" not in {one.article for one in (await kb.public.search("vouchers in Hanoi cost")).passages}
        assert (await kb.ingest(shop)).version == done.version
        await kb.rollback(old)
        assert (await kb.public.search("vouchers in Hanoi cost")).passages[0].article == "prices"

    knowing(tmp_path, test)


def test_everything_may_be_forgotten_and_stays_so(tmp_path, shop):
    async def test(kb):
        await kb.ingest(shop)
        await kb.forget([row.id for row in kb.articles()])

    async def still(kb):
        assert (kb.articles(), bool(kb.version)) == ([], True)
        assert (await kb.public.search("return a kettle")).passages == []
        await kb.ingest(shop)
        assert (await kb.public.search("return a kettle")).passages[0].article == "returns"

    knowing(tmp_path, test)
    knowing(tmp_path, still)


def test_what_nobody_brought_is_answered_with_the_nearest_names(tmp_path, shop):
    async def test(kb):
        await kb.ingest(shop)
        with pytest.raises(KnowledgeError) as fault:
            await kb.named("shiping", str(tmp_path / "shiping"))
        assert str(fault.value).startswith("shiping: no article has this id")
        assert "nearest: shipping" in str(fault.value)
        with pytest.raises(KnowledgeError, match=r"nearest: .*articles"):
            await kb.named("", str(tmp_path / "article"))

    knowing(tmp_path, test)


def test_knowledge_of_another_configuration_is_not_served_until_rebuilt(tmp_path, shop):
    write(tmp_path / "more", gifts="We wrap gifts in paper.")

    async def fill(kb):
        await kb.ingest(tmp_path / "more")
        return (await kb.ingest(shop)).version

    async def other(kb):
        assert kb.version == ""
        with pytest.raises(KnowledgeError, match=r"english@4, not with english@9 .*frontdesk ingest PATH --desk D"):
            await kb.public.search("return a kettle")
        with pytest.raises(KnowledgeError, match="frontdesk ingest"):
            await kb.rollback(version)
        await kb.ingest(shop)
        assert (await kb.public.search("return a kettle")).passages[0].article == "returns"
        assert "gifts" in {row.id for row in kb.articles()}

    version = knowing(tmp_path, fill)
    knowing(tmp_path, other, config=configured(version=9))


def test_the_embedder_must_be_the_configurations(tmp_path):
    with pytest.raises(KnowledgeError, match=r"made for bge-small-en-v1\.5, not words"):
        knowing(tmp_path, None, config=load_rag_config("english"))


def test_a_configuration_with_a_reranker_wants_it(tmp_path):
    rule = {"name": "reader", "sha256": "a" * 64, "candidates": 3, "deadline_ms": 9}
    with pytest.raises(KnowledgeError, match="is made for reader"):
        knowing(tmp_path, None, config=configured(reranker=rule))


def test_searches_go_on_while_an_ingest_runs(tmp_path, shop):
    class Slow(CountingEmbedder):
        async def passages(self, texts, progress=None):
            await asyncio.sleep(0.05)
            return await super().passages(texts, progress)

    async def test(kb):
        old = (await kb.ingest(shop)).version
        write(shop, shipping="Parcels to Hanoi arrive by boat.")
        running = asyncio.create_task(kb.ingest(shop))
        answers = []
        while not running.done():
            answers.append((await kb.public.search("parcels to Hanoi arrive")).passages[0].text)
        assert "two days" in answers[0]
        assert len(answers) > 1
        assert (await running).version != old
        assert "boat" in (await kb.public.search("parcels to Hanoi arrive")).passages[0].text

    knowing(tmp_path, test, embedder=Slow())


INGEST = """
import asyncio, sys, time
from pathlib import Path
sys.path[:0] = [{repository!r}, {repository!r} + "/tests"]
from test_retrieval import CountingEmbedder, configured
from fakes import FrozenClock
from retrieval import Knowledge

class Slow(CountingEmbedder):
    async def passages(self, texts, progress=None):
        print("embedding", flush=True)
        await asyncio.sleep({seconds})
        return await super().passages(texts, progress)

async def main():
    clock = FrozenClock()
    clock.advance(60)
    knowledge = await Knowledge.open(Path({folder!r}), configured(), Slow(), clock)
    await knowledge.ingest(Path({path!r}))
    print("done", flush=True)
    time.sleep(60)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("embedding", marks=pytest.mark.slow),
        "writing",
        pytest.param("done", marks=pytest.mark.slow),
    ],
)
def test_a_kill_in_the_middle_of_an_ingest_loses_nothing(tmp_path, shop, moment):
    async def fill(kb):
        return (await kb.ingest(shop)).version

    async def after(kb):
        text = (await kb.public.search("parcels to Hanoi arrive")).passages[0].text
        new = kb.version != version
        assert new is ("boat" in text)
        assert {"embedding": not new, "writing": True, "done": new}[moment]
        assert len(list((tmp_path / "kb" / "articles").iterdir())) == len(kb.versions()) == (2 if new else 1)
        assert (await kb.ingest(shop)).version
        assert "boat" in (await kb.public.search("parcels to Hanoi arrive")).passages[0].text

    version = knowing(tmp_path, fill)
    write(shop, shipping="Parcels to Hanoi arrive by boat.")
    script = INGEST.format(
        repository=str(REPOSITORY),
        folder=str(tmp_path / "kb"),
        path=str(shop),
        seconds=30 if moment == "embedding" else 0,
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as running:
        if moment == "writing":
            until = time.monotonic() + 30
            while len(list((tmp_path / "kb" / "articles").glob("*.jsonl"))) < 2 and time.monotonic() < until:
                time.sleep(0.0005)
        else:
            assert any(line.strip() == moment for line in running.stdout)
        os.kill(running.pid, signal.SIGKILL)
    knowing(tmp_path, after)


def test_a_clean_folder_is_not_opened_twice(tmp_path, shop):
    async def fill(kb):
        await kb.ingest(shop)
        assert not (tmp_path / "kb" / "clean.json").exists()

    async def nothing(kb):
        assert kb.version

    knowing(tmp_path, fill)
    assert json.loads((tmp_path / "kb" / "clean.json").read_text())
    started = time.process_time()
    knowing(tmp_path, nothing)
    assert time.process_time() - started < 1


def test_the_shipped_configurations_name_the_shipped_embedders():
    from models.embedder import load_embedder  # noqa: PLC0415  # the two rooms meet only here

    for name in ("english", "multilingual"):
        config = load_rag_config(name)
        embedder = load_embedder(config.embedder.name)
        assert config.label == f"{name}@{config.version}"
        assert embedder.sha256 == config.embedder.sha256
        assert 0 < config.grey[0] < config.grey[1] < 1
    assert (default_rag_config(["en"]), default_rag_config(["en", "vi"])) == ("english", "multilingual")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("top_k: 8\n", "top_k: Field required"),
        ("grey: [", "grey must be"),
        ("size: 1000", r"chunking\.sized: Extra inputs"),
    ],
)
def test_a_wrong_configuration_is_named_by_file_and_key(tmp_path, change, message):
    from retrieval.config import FOLDER  # noqa: PLC0415

    swaps = {"top_k: 8\n": "", "grey: [": "grey: [1.0, ", "size: 1000": "size: 1000, sized: 1"}
    text = (FOLDER / "english.yaml").read_text("utf-8").replace(", 0.65]", "]" if "grey" in change else ", 0.65]")
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(change, swaps[change]), "utf-8")
    with pytest.raises(KnowledgeError, match=rf"mine\.yaml: .*{message}"):
        load_rag_config(str(path))
    with pytest.raises(KnowledgeError, match="one of english"):
        load_rag_config("nonsense")


def test_a_changed_desk_answers_beside_the_same_knowledge(tmp_path):
    articles = write(tmp_path / "articles", returns="Return a kettle within thirty days.")

    async def asked(contact):
        knowledge = await Knowledge.open(
            tmp_path / "kb", configured(), WordEmbedder(), FrozenClock(), contact=DeskContact(contact, ["en"])
        )
        try:
            version = knowledge.version or (await knowledge.ingest(articles)).version
            pinned, _ = await knowledge.pinned.search(version, configured().label)
            return version, [
                (await search.search("what is your phone number")).passages[0].text
                for search in (knowledge.public, pinned)
            ]
        finally:
            await knowledge.close()

    before, old = asyncio.run(asked(Contact(phone="+1 555 1")))
    after, new = asyncio.run(asked(Contact(phone="+1 555 2")))
    assert before == after
    assert old == ["You can call us at +1 555 1."] * 2
    assert new == ["You can call us at +1 555 2."] * 2
