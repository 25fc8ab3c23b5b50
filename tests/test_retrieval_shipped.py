"""Vectors that ship with a desk: used when they fit, passed over when they do not."""

import asyncio

import numpy as np
import pytest
from fakes import FrozenClock
from test_retrieval import CountingEmbedder, configured, write

from domain.errors import KnowledgeError
from retrieval import Knowledge
from retrieval.shipped import KeptQuestions, key_of, read_vectors, ship_vectors


@pytest.fixture
def articles(tmp_path):
    return write(
        tmp_path / "knowledge", returns="Return a kettle in thirty days.", shipping="Parcels arrive in two days."
    )


def shipped(tmp_path, articles, config):
    return asyncio.run(ship_vectors(articles, tmp_path / "vectors", config, CountingEmbedder()))


def embedded_by_first_start(tmp_path, articles, config):
    embedder = CountingEmbedder()

    async def run():
        folder = tmp_path / f"kb{len(list(tmp_path.iterdir()))}"
        knowledge = await Knowledge.open(folder, config, embedder, FrozenClock(), shipped=tmp_path / "vectors")
        report = await knowledge.ingest(articles)
        found = await knowledge.public.search("return a kettle")
        await knowledge.close()
        return report.embedded, found.passages[0].article

    counted, first = asyncio.run(run())
    assert first == "returns"
    assert counted == len(embedder.texts)
    return counted


def test_a_first_start_computes_only_what_does_not_ship(tmp_path, articles):
    config = configured()
    assert embedded_by_first_start(tmp_path, articles, config) == 2
    assert shipped(tmp_path, articles, config)["texts"] == 2
    assert embedded_by_first_start(tmp_path, articles, config) == 0
    write(articles, gifts="We wrap gifts in paper.")
    assert embedded_by_first_start(tmp_path, articles, config) == 1
    assert shipped(tmp_path, articles, config)["computed"] == 1


def test_what_ships_is_what_the_embedder_says(tmp_path, articles):
    config = configured()
    shipped(tmp_path, articles, config)
    text = "About returns\nReturn a kettle in thirty days."
    kept = read_vectors(tmp_path / "vectors", config.embedder)[key_of(text)]
    assert np.dot(kept, asyncio.run(CountingEmbedder().query(text))) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("wrong", ["cut", "another embedder", "not unit", "pickled", "text"])
def test_a_file_that_does_not_fit_is_not_used(tmp_path, articles, wrong):
    config = configured()
    shipped(tmp_path, articles, config)
    path = tmp_path / "vectors" / "words.npz"
    with np.load(path) as held:
        parts = dict(held)
    if wrong == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif wrong == "another embedder":
        np.savez(path, **(parts | {"embedder": parts["embedder"] ^ 1}))
    elif wrong == "not unit":
        np.savez(path, **(parts | {"vectors": parts["vectors"] * 2}))
    elif wrong == "pickled":
        np.savez(path, **(parts | {"keys": np.array([{"a": 1}], dtype=object)}))
    else:
        path.write_text("hello", "utf-8")
    assert read_vectors(tmp_path / "vectors", config.embedder) == {}
    assert embedded_by_first_start(tmp_path, articles, config) == 2


def test_a_desk_without_articles_is_named(tmp_path):
    with pytest.raises(KnowledgeError, match="no such file or folder"):
        shipped(tmp_path, tmp_path / "absent", configured())


def test_the_desks_questions_are_computed_once_and_kept_from_start_to_start(tmp_path):
    def start(texts, meant=str, folder="scope"):
        embedder = CountingEmbedder()
        kept = KeptQuestions(tmp_path / folder, configured().embedder, embedder, meant)
        return embedder.questions, asyncio.run(kept.vectors(texts))

    asked, first = start(["where is it", "can I return it"])
    assert asked == ["where is it", "can I return it"]
    asked, second = start(["can I return it", "where is it"])
    assert asked == []
    for text in first:
        assert np.dot(first[text], second[text]) == pytest.approx(1, abs=1e-6)
    assert start(["where is it", "what does it cost"])[0] == ["what does it cost"]
    assert start(["where is it"], lambda text: f"{text} really")[0] == ["where is it"]
    assert start(["can I return it"])[0] == ["can I return it"]  # it was not among the last that were asked for
    (tmp_path / "file").write_text("no folder", "utf-8")
    assert list(start(["where is it"], folder="file")[1]) == ["where is it"]
