"""The two embedders with their real weights."""

import asyncio
import hashlib
import threading
import time

import pytest

from domain.errors import SettingsError, WeightsError
from models.embedder import EmbedderSpec, LocalEmbedder, PinnedFile, check_file, find_weights, load_embedder


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


class CountingEngine:
    def __init__(self, paths):
        self.paths, self.asked = paths, []

    def query(self, text):
        time.sleep(0.01)
        self.asked.append(text)
        return [float(len(text)), 1.0]

    def passage(self, text):
        return [float(len(text)), 2.0]


def counting(cache_size=2):
    engines = []

    def start(paths):
        engines.append(CountingEngine(paths))
        return engines[-1]

    file = PinnedFile(
        "numpy/__init__.py", hashlib.sha256(find_file("numpy", "numpy/__init__.py").read_bytes()).hexdigest()
    )
    return LocalEmbedder(EmbedderSpec("counting", "numpy", (file,), start, 2), cache_size=cache_size), engines


def find_file(package, path):
    from importlib.metadata import distribution  # noqa: PLC0415

    return distribution(package).locate_file(path)


@pytest.mark.parametrize("name", ["bge-small-en-v1.5", "multilingual-e5-small"])
def test_a_question_is_nearer_to_its_answer_than_to_another_text(name):
    async def run():
        embedder = load_embedder(name)
        question = await embedder.query("How long does a refund take?")
        answer, other = await embedder.passages(
            ["Your money comes back within five days of the return.", "The lamp has an oak foot."]
        )
        assert len(question) == 384
        assert dot(question, question) == pytest.approx(1, abs=1e-3)
        assert dot(question, answer) > dot(question, other) + 0.03
        assert embedder.name == name

    asyncio.run(run())


def test_a_vietnamese_question_finds_its_english_answer():
    async def run():
        embedder = load_embedder("multilingual-e5-small")
        question = await embedder.query("Bao lâu thì tôi được hoàn tiền?")
        answer, other = await embedder.passages(
            ["Your money comes back within five days of the return.", "The lamp has an oak foot."]
        )
        assert dot(question, answer) > dot(question, other)

    asyncio.run(run())


def test_a_passage_has_the_same_vector_alone_and_among_others():
    async def run():
        embedder = load_embedder("bge-small-en-v1.5")
        seen = []
        many = await embedder.passages(["short", "a much longer passage about lamps " * 9], lambda *at: seen.append(at))
        assert await embedder.passages(["short"]) == many[:1]
        assert seen == [(1, 2), (2, 2)]
        assert await embedder.passages([]) == []

    asyncio.run(run())


@pytest.mark.parametrize("name", ["bge-small-en-v1.5", "multilingual-e5-small"])
def test_odd_texts_get_a_vector(name):
    async def run():
        embedder = load_embedder(name)
        for text in ("", "a\0b", "word " * 2_000, "🙂"):
            assert len(await embedder.query(text)) == 384

    asyncio.run(run())


def test_a_question_is_computed_once_and_the_oldest_is_forgotten():
    async def run():
        embedder, engines = counting(cache_size=2)
        await asyncio.gather(*(embedder.query("a") for _ in range(5)))
        await embedder.query("bb")
        await embedder.query("a")
        await embedder.query("ccc")
        await embedder.query("a")
        assert engines[0].asked == ["a", "bb", "ccc"]
        await embedder.query("bb")
        assert engines[0].asked == ["a", "bb", "ccc", "bb"]

    asyncio.run(run())


def test_the_caller_may_change_its_vector():
    async def run():
        embedder, _ = counting()
        first = await embedder.query("abc")
        first[0] = 99.0
        assert await embedder.query("abc") == [3.0, 1.0]

    asyncio.run(run())


def test_nothing_is_loaded_before_first_use():
    async def run():
        embedder, engines = counting()
        assert engines == []
        await embedder.warm()
        await embedder.warm()
        assert len(engines) == 1
        assert engines[0].paths[0].name == "__init__.py"

    asyncio.run(run())


def test_inference_leaves_the_event_loop_free():
    go = threading.Event()

    def held(text):
        assert go.wait(60)  # nobody could say go, if the loop stood still meanwhile
        return [float(len(text))]

    async def run():
        embedder, engines = counting()
        await embedder.warm()
        engines[0].query = held
        asking = asyncio.create_task(embedder.query("q"))
        await asyncio.sleep(0)
        go.set()
        assert await asking == [1.0]

    asyncio.run(run())


def test_two_questions_are_computed_at_a_time_and_no_more():
    meeting, inside, most = threading.Barrier(2, timeout=60), 0, 0
    counting_them = threading.Lock()

    def held(text):
        nonlocal inside, most
        with counting_them:
            inside += 1
            most = max(most, inside)
        meeting.wait()  # nobody passes alone
        with counting_them:
            inside -= 1
        return [float(len(text))]

    async def run():
        embedder, engines = counting()
        await embedder.warm()
        engines[0].query = held
        texts = ["a", "bb", "ccc", "dddd"]
        assert await asyncio.gather(*(embedder.query(text) for text in texts)) == [[1.0], [2.0], [3.0], [4.0]]

    asyncio.run(run())
    assert most == 2


def test_a_question_that_could_not_be_computed_is_computed_anew():
    answers = iter([RuntimeError("no"), [1.0]])

    def breaking(_text):
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    async def run():
        embedder, engines = counting()
        await embedder.warm()
        engines[0].query = breaking
        with pytest.raises(RuntimeError, match="no"):
            await embedder.query("a")
        assert await embedder.query("a") == [1.0]

    asyncio.run(run())


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match=r"bge-small-en-v1\.5, multilingual-e5-small"):
        load_embedder("big-embedder")


def test_wrong_weights_are_refused(tmp_path):
    file = tmp_path / "weights.bin"
    file.write_bytes(b"good")
    right = hashlib.sha256(b"good").hexdigest()
    assert check_file(file, right, fix="") == file
    file.write_bytes(b"evil")
    with pytest.raises(WeightsError, match=r"weights\.bin: sha256 is .* pinned is .*reinstall"):
        check_file(file, right, fix="reinstall it")
    with pytest.raises(WeightsError, match="No such file"):
        check_file(tmp_path / "absent", right, fix="")


def test_weights_of_a_package_that_is_not_there():
    with pytest.raises(WeightsError, match="no-such-package: the package"):
        find_weights("no-such-package", ())


def test_weights_with_another_hash_stop_the_first_use():
    async def run():
        spec = EmbedderSpec("x", "numpy", (PinnedFile("numpy/__init__.py", "0" * 64),), CountingEngine, 1)
        with pytest.raises(WeightsError):
            await LocalEmbedder(spec, cache_size=2).query("a")

    asyncio.run(run())


def test_the_reranker_puts_the_answer_first_and_is_the_pinned_one():
    from models.reranker import load_reranker  # noqa: PLC0415  # only here
    from retrieval import load_rag_config  # noqa: PLC0415  # the two rooms meet only here

    async def run():
        pinned = load_rag_config("english-rerank").reranker
        reranker = load_reranker(pinned.name)
        other, answer = await reranker.scores(
            "How long does a refund take?", ["The lamp has an oak foot. \ud800", "Your money is back within five days."]
        )
        assert answer > other + 1
        assert (reranker.name, reranker.sha256) == (pinned.name, pinned.sha256)
        with pytest.raises(SettingsError, match="no reranker named 'x'"):
            load_reranker("x")

    asyncio.run(run())
