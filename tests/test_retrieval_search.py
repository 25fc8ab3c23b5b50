"""Fusion, near-duplicates, languages: one shelf, real parts, vectors made by hand."""

import asyncio

import numpy as np
import pytest
from fakes import WordEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st
from test_retrieval import configured

from domain.errors import WeightsError
from retrieval.articles import Chunk
from retrieval.confidence import FEATURES, Features, confidence, quotation_answers
from retrieval.config import Calibration, Doubt, RagConfig
from retrieval.glossary import translated
from retrieval.lexical import LexicalIndex
from retrieval.likeness import measured
from retrieval.search import PublicSearch, find, rank
from retrieval.shelf import Shelf
from retrieval.text import words
from retrieval.vectors import VectorStore


def unit(*values):
    length = sum(value * value for value in values) ** 0.5
    return [value / length for value in values]


class Memory:
    """One collection, exact, in memory."""

    def __init__(self, chunks, vectors):
        self._chunks, self._by_id = chunks, dict(zip([chunk.id for chunk in chunks], vectors, strict=True))

    def chunks(self):
        return self._chunks

    def matrix(self):
        return list(self._by_id), np.asarray(list(self._by_id.values()), dtype=np.float32)

    def likeness(self):
        return None

    def nearest(self, vector, k):
        cosines = {name: sum(a * b for a, b in zip(vector, own, strict=True)) for name, own in self._by_id.items()}
        return dict(sorted(cosines.items(), key=lambda pair: -pair[1])[:k])


def shelf(*rows):
    """Rows are (article, text, vector) or (article, text, vector, language)."""
    chunks = [
        Chunk(f"{row[0]}#{n}", row[0], row[0], "", row[1], row[3] if len(row) > 3 else "en")
        for n, row in enumerate(rows)
    ]
    return Shelf(Memory(chunks, [row[2] for row in rows]))


def config(**changes) -> RagConfig:
    return configured(**changes)


def fusion(dense, lexical, candidates=50):
    return {"dense": dense, "lexical": lexical, "candidates": candidates}


ROWS = [
    ("near", "nothing in common", unit(1, 0.1)),
    ("words", "kettle warranty terms", unit(0.2, 1)),
    ("neither", "other text altogether", unit(0, 1)),
]


@pytest.mark.parametrize(
    ("weights", "first"), [((1, 0), "near"), ((0, 1), "words"), ((1, 5), "words"), ((1, 0.1), "near")]
)
def test_both_parts_have_their_weight(weights, first):
    found = find(shelf(*ROWS), "kettle warranty", unit(1, 0), config(fusion=fusion(*weights)), k=3)
    assert found.passages[0].article == first
    scores = [passage.score for passage in found.passages]
    assert scores[0] == 1
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= 0


def test_a_chunk_that_only_words_find_is_a_candidate():
    ranking = rank(shelf(*ROWS), "kettle warranty", unit(1, 0), config(fusion=fusion(1, 5, candidates=1)))
    assert ranking.places == [1, 0]


def test_near_duplicates_and_crowds_of_one_article_are_thinned():
    rows = [
        ("a", "return the kettle in thirty days", unit(1, 0)),
        ("a", "return the kettle in thirty days", unit(1, 0.01)),
        ("b", "return the kettle in thirty days", unit(1, 0.02)),
        ("a", "kettles have a plug", unit(1, 0.03)),
        ("a", "kettles have a lid", unit(1, 0.04)),
    ]
    found = find(shelf(*rows), "kettle", unit(1, 0), config(fusion=fusion(1, 0), per_article=2), k=5)
    assert [passage.id for passage in found.passages] == ["a#0", "b#2", "a#3"]


def test_without_its_article_a_question_is_less_sure():
    full = shelf(*ROWS[:2], ("neither", "other text altogether", unit(1, 0)))
    with_it = find(full, "kettle warranty", unit(0, 1), config(), k=3)
    without = find(full, "kettle warranty", unit(0, 1), config(), k=3, without={"words"})
    assert "words" not in {passage.article for passage in without.passages}
    assert without.confidence < with_it.confidence
    assert find(full, "kettle", unit(1, 0), config(), k=3, without={"near", "words", "neither"}).passages == []


def test_a_language_does_not_pull_its_questions_away_from_the_answer():
    # Third number: Vietnamese. Every Vietnamese chunk is nearer to the question than the English answer.
    rows = [("answer", "refunds", unit(1, 0, 0), "en"), ("decoy", "hang", unit(0.3, 1, 0.9), "vi")]
    rows += [(f"en{n}", "text", unit(0.1, 1 + n / 9, 0), "en") for n in range(6)]
    rows += [(f"vi{n}", "chu", unit(0.1, 1 + n / 9, 0.9), "vi") for n in range(6)]
    question = unit(0.75, 0.4, 1)
    plain = find(shelf(*rows), "x", question, config(fusion=fusion(1, 0, 4), centring=0.0), k=1)
    centred = find(shelf(*rows), "x", question, config(fusion=fusion(1, 0, 4), centring=1.0), k=1)
    assert plain.passages[0].language == "vi"
    assert centred.passages[0].article == "answer"


def test_chunks_of_the_questions_own_language_keep_their_cosine():
    rows = [(f"en{n}", "text", unit(1, n / 9, 0), "en") for n in range(6)]
    rows += [(f"vi{n}", "chu", unit(1, n / 9, 0.9), "vi") for n in range(6)]
    own = shelf(*rows)
    question = unit(1, 0.2, 0.9)
    plain, centred = own.nearest(question, 12, 0.0), own.nearest(question, 12, 0.8)
    assert [centred[place] for place in range(6, 12)] == pytest.approx([plain[place] for place in range(6, 12)])
    assert all(centred[place] > plain[place] + 0.01 for place in range(6))


def test_a_question_in_another_language_has_its_own_calibration():
    sure, unsure = {"bias": 9, "weights": {}}, {"bias": -9, "weights": {}}
    own = shelf(*ROWS)
    rules = config(calibration=sure, cross_language=unsure)
    english = find(own, "how long is the warranty of this kettle", unit(1, 0), rules, k=1)
    vietnamese = find(own, "bảo hành ấm đun nước trong bao lâu vậy shop", unit(1, 0), rules, k=1)
    assert english.confidence > 0.99
    assert vietnamese.confidence < 0.01
    assert (english.alike, vietnamese.alike) == (own.likeness("en"), None)


def test_confidence_is_the_logistic_of_the_weighted_features():
    features = Features(**dict.fromkeys(FEATURES, 0.0) | {"dense_top": 0.5, "coverage": 1.0})
    assert confidence(features, Calibration(bias=-1, weights={"dense_top": 2})) == pytest.approx(0.5)
    assert confidence(features, Calibration(bias=-1, weights={"coverage": 3})) == pytest.approx(0.8808, abs=1e-4)
    assert confidence(features, Calibration(bias=-9999, weights={})) < 1e-9


def test_a_quotation_answers_by_what_the_search_thought_and_how_far_it_is_above_any_two_texts():
    doubt = Doubt(bias=1, confidence=2, likeness=10, low=0.4, high=0.6)
    assert quotation_answers(0.5, -0.1, doubt) == pytest.approx(0.5)
    assert quotation_answers(0.5, 0.1, doubt) == pytest.approx(0.8808, abs=1e-4)
    assert quotation_answers(0.2, 0.1, doubt) == pytest.approx(0.3159, abs=1e-4)
    assert 0 < quotation_answers(0.0, -0.1, doubt) < quotation_answers(1.0, -0.1, doubt) < 1


def test_lexical_scores_compare_between_questions():
    index = LexicalIndex(
        [Chunk("a", "a", "kettle", "", "warranty of two years", "en"), Chunk("b", "b", "pan", "", "lid", "en")]
    )
    assert index.scores(["kettl", "warranty"]).text[0] > index.scores(["kettl", "zebra"]).text[0] > 0
    assert index.scores(["zebra"]).text.tolist() == [0, 0]
    assert index.coverage(["kettl", "zebra"], [0]) == pytest.approx(index.coverage(["pan", "zebra"], [1]))
    assert 0 < index.coverage(["kettl", "zebra"], [0]) < 1
    assert index.coverage(["kettl"], [0]) == 1
    assert index.coverage([], [0]) == 0
    assert LexicalIndex([Chunk("a", "a", "...", "", "?!", "en")]).scores(["x"]).text.tolist() == [0]


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60), st.integers(1, 6))
def test_any_question_gets_at_most_k_passages_and_a_probability(question, k):
    texts = ["return the kettle", "kettle warranty", "đổi trả hàng", "parcels to Hanoi", "gift cards"]
    embedder = WordEmbedder()
    vectors = asyncio.run(embedder.passages(texts))
    own = shelf(*[(f"a{n}", text, vector) for n, (text, vector) in enumerate(zip(texts, vectors, strict=True))])
    found = find(own, question, asyncio.run(embedder.query(question)), config(), k=k)
    assert len(found.passages) == min(k, 5)
    assert 0 <= found.confidence <= 1
    assert len({passage.id for passage in found.passages}) == len(found.passages)
    assert all(0 <= passage.score <= 1 for passage in found.passages)


def test_a_title_and_neighbouring_words_tell_more_than_words_alone():
    rows = [("gift card", "buy one here", unit(1, 0)), ("other", "card for a gift", unit(1, 0))]
    own = shelf(*rows, ("third", "something else", unit(1, 0)))
    scores = own.lexical.scores(words("gift card"))
    assert scores.title[0] > scores.title[1] == 0
    assert scores.pairs[0] > scores.pairs[1] == 0
    plain = {"dense": 1, "lexical": 0, "candidates": 50}
    for part in ("title", "pairs"):
        assert rank(own, "gift card", unit(1, 0), config(fusion=plain | {part: 0.5})).places[0] == 0
        turned = shelf(rows[1], rows[0])
        assert rank(turned, "gift card", unit(1, 0), config(fusion=plain | {part: 0.5})).places[0] == 1


def test_words_meet_across_the_languages():
    assert translated("Toi muon hoan tien", "vi") == translated("Tôi muốn hoàn tiền", "vi") == words("refund")
    assert translated("When is my refund due?", "en") == words("hoàn tiền")
    assert translated("thẻ quà tặng", "vi") == words("gift card")  # the longest phrase, not "card" and "gift"
    assert translated("zebra", "en") == translated("", "vi") == []
    own = shelf(("b", "parcels", unit(1, 0), "en"), ("a", "refunds take five days", unit(1, 0), "en"))
    asked = "bao giờ tôi được hoàn tiền vậy shop"
    assert rank(own, asked, unit(1, 0), config(fusion=fusion(1, 1))).places[0] == 0
    assert rank(own, asked, unit(1, 0), config(fusion=fusion(1, 1), translated={"vi": 0.8})).places[0] == 1


def test_nothing_stands_out_from_nothing():
    one = rank(shelf(("only", "kettle", unit(1, 0))), "kettle", unit(1, 0), config()).features
    assert (one.dense_lead, one.lexical_lead, one.fused_lead, one.fused_gap) == (0, 0, 0, 0)
    two = rank(shelf(*ROWS), "kettle warranty", unit(0.2, 1), config()).features
    assert min(two.fused_gap, two.lexical_lead, two.fused_lead) > 0


def test_a_desk_of_one_article_is_as_sure_as_the_article_has_the_questions_words():
    own = shelf(("only", "we open at seven and close at two", unit(1, 0)), ("only", "cakes by phone", unit(1, 0)))

    def sure(question):
        return find(own, question, unit(1, 0), config(), k=2).confidence

    assert sure("when do you open, and do you have cakes") == 1.0
    assert 0 < sure("open for a birthday") < 1.0
    assert sure("rent a bicycle") == 0.0


def test_how_near_is_near_is_measured_by_how_alike_the_texts_are_apart_from_their_own_article():
    def above(*vectors):
        rows = [(f"{n}", "kettle", unit(*vector)) for n, vector in enumerate(vectors)]
        own = shelf(*rows)
        return rank(own, "kettle", unit(1, 0.1), config()).features.dense_above, own.likeness("en")

    unlike, alike = above((1, 0), (0, 1), (-1, 0)), above((1, 0), (1, 0.2), (1, -0.2))
    assert unlike[1] < 0 < alike[1] < alike[0] + alike[1] <= 1
    assert alike[0] < unlike[0] / 2
    assert (above((1, 0), (0, 1))[1], above((1, 0))[1]) == (pytest.approx(0), 0)


def test_likeness_is_kept_with_a_collection_so_that_no_vector_is_read_for_it(tmp_path):
    texts = [(f"{n}", "kettle", unit(1, n % 3)) for n in range(6)]
    chunks = [Chunk(f"{article}#0", article, article, "", text, "en") for article, text, _ in texts]
    vectors = [vector for *_, vector in texts]
    store = VectorStore(tmp_path)
    store.fill("own", chunks, vectors, {"config": "c"})
    kept = store.open("own", len(chunks))
    expected = measured(chunks, np.asarray(vectors, dtype=np.float32))
    assert kept.likeness() == expected
    assert set(expected) == {"", "en"}
    read = list[str]()
    whole, kept.matrix = kept.matrix, lambda: read.append("all") or whole()
    large = Shelf(kept, at_hand=0)
    assert (large.likeness("en"), read) == (expected["en"], [])
    assert large.nearest(unit(1, 0), 2, 0.0).keys() == Shelf(kept).nearest(unit(1, 0), 2, 0.0).keys()
    assert read == ["all"]
    store.close()


class Reader:
    """A reranker that likes texts with a word in them; it may wait for ever, or fail."""

    def __init__(self, word, fault=None):
        self.word, self.fault, self.read = word, fault, []

    async def scores(self, question, texts):
        del question
        self.read += texts
        if self.fault is TimeoutError:
            await asyncio.Event().wait()
        if self.fault:
            raise self.fault
        return [float(self.word in text) - 9 for text in texts]


@pytest.mark.parametrize(
    ("fault", "candidates", "order", "mark"),
    [
        (None, 3, ["c", "a", "b"], "done"),
        (None, 2, ["a", "b", "c"], "done"),
        (TimeoutError, 3, ["a", "b", "c"], "late"),
        (WeightsError("gone"), 3, ["a", "b", "c"], "failed"),
    ],
)
def test_a_reranker_orders_the_first_candidates_or_leaves_them(fault, candidates, order, mark):
    rule = {"name": "reader", "sha256": "a" * 64, "candidates": candidates, "deadline_ms": 1 if fault else 60_000}
    rules = config(reranker=rule, fusion=fusion(1, 0))
    own = shelf(("a", "one", unit(1, 0.1)), ("b", "two", unit(1, 0.2)), ("c", "three kettles", unit(1, 0.3)))

    class Pointing(WordEmbedder):
        async def query(self, text):
            del text
            return unit(1, 0)

    reader = Reader("kettles", fault)
    search = PublicSearch(rules, Pointing(), reader)
    search.serve(own)
    plain = PublicSearch(config(fusion=fusion(1, 0)), Pointing(), reader)
    plain.serve(own)
    found, before = asyncio.run(search.search("which?", 3)), asyncio.run(plain.search("which?", 3))
    assert [passage.article for passage in found.passages] == order
    assert (found.reranked, before.reranked) == (mark, "")
    assert [passage.article for passage in before.passages] == ["a", "b", "c"]
    assert [passage.score for passage in found.passages] == [passage.score for passage in before.passages]
    assert found.confidence == before.confidence
    assert len(reader.read) == candidates
