"""The suite of retrieval: what counts as found, what is left out, and what stands beside our row."""

import asyncio
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from fakes import WordEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from cli.main import build
from domain.errors import KnowledgeError, UsageError
from domain.settings import read_settings
from evals.bench_kb import Asked, opened_bench, plain_embedding, read_article_rows, titled
from evals.calibration import Seen, fit, left_out, said, seen
from evals.kept_vectors import KEPT_AT_ONCE, KeptQuestions, KeptVectors
from evals.ranking import PlainBm25, Ranked, differences, figures, values
from evals.report import page
from evals.run import Run
from evals.suites.retrieval import Measured, compared, languages, read_material, reliability, summed_up, trust
from retrieval import load_rag_config
from retrieval.confidence import FEATURES, Features
from training.confidence import threshold
from training.confidence import told as report_of_confidence

CONFIG = load_rag_config("english")


def rows_file(path, rows):
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    return path


def run(tmp_path, articles, questions, **more):
    return Run(
        read_settings(),
        say=lambda _: None,
        progress=lambda *_: None,
        kb=rows_file(tmp_path / "kb.jsonl", articles),
        data=rows_file(tmp_path / "questions.jsonl", questions),
        **more,
    )


def asked(ids, *, confidence=0.9, holds=True, without=0.1, tokens=100):
    return Asked(Ranked(ids, 2.0), confidence, holds, without, tokens)


def test_a_ranking_is_worth_what_its_places_say():
    found = values(Ranked(["x", "a", "y", "b", "z", "w"]), ["a", "b", "c", "d"])
    assert found == {
        "hit@1": 0.0,
        "hit@5": 1.0,
        "hit@10": 1.0,
        "mrr@10": 0.5,
        "precision@5": 0.4,
        "recall@10": 0.5,
    }
    assert set(values(Ranked([]), ["a"]).values()) == {0.0}


@settings(max_examples=30)
@given(st.lists(st.sampled_from("abcdefghijklmno"), unique=True), st.sets(st.sampled_from("abcdef"), min_size=1))
def test_figures_stay_in_their_range_and_hits_grow_with_depth(ids, relevant):
    found = values(Ranked(ids), relevant)
    assert all(0 <= value <= 1 for value in found.values())
    assert found["hit@1"] <= found["hit@5"] <= found["hit@10"]
    assert found["hit@1"] <= found["mrr@10"] <= found["hit@10"]


def test_plain_bm25_is_the_formula():
    index = PlainBm25(["tea kettle", "tea tea cup saucer", "pan"])
    # idf of a word in 1 of 3 texts; the mean length is 7/3.
    idf = math.log(1 + 2.5 / 1.5)
    wanted = idf * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 1 / (7 / 3)))
    assert index.scores("Pan?")[2] == pytest.approx(wanted)
    assert index.best("tea saucer", 2) == [1, 0]


def test_differences_are_paired_and_carry_their_sign():
    first, second = [Ranked(["a"]), Ranked(["x"])] * 20, [Ranked(["a"]), Ranked(["b"])] * 20
    told = {one.name: one for one in differences(first, second, [["a"], ["b"]] * 20)}
    assert told["diff_hit@1"].value == 0.5
    assert 0 < told["diff_hit@1"].ci[0] < 0.5 < told["diff_hit@1"].ci[1] < 1
    assert {one.value for one in differences(first, first, [["a"], ["b"]] * 20)} == {0.0}
    assert {one.name: one.value for one in figures(first, [["a"], ["b"]] * 20, "x_")}["x_hit@1"] == 0.5


def test_what_cannot_be_asked_is_counted_and_every_article_is_searched(tmp_path):
    articles = [
        {"id": 1, "title": "Returns", "text": "Thirty days.", "audience": "internal"},
        {"id": 1, "title": "Returns", "text": "In the box."},
        {"id": "2", "title": None, "text": "A text without a title"},
        {"id": "3", "title": "", "text": ""},
        ["no article"],
    ]
    questions = [
        {"id": "q1", "text": "How long?", "relevant": ["1"]},
        {"id": "q2", "text": "Nothing for me", "relevant": []},
        {"id": "q3", "text": "Elsewhere", "relevant": ["99"]},
        {"text": ""},
    ]
    material = read_material(run(tmp_path, articles, questions))
    assert [row.id for row in material.articles] == ["1", "1", "2"]
    assert titled(material.articles[2]) == "A text without a title"
    assert ([row.id for row in material.questions], len(material.unanswered), material.unscored) == (["q1"], 1, 4)
    with pytest.raises(UsageError, match="no rows"):
        read_material(run(tmp_path, articles, questions[1:]))
    with pytest.raises(UsageError, match="--kb FILE"):
        read_material(Run(read_settings(), say=print, progress=print))


def test_confidence_is_held_against_the_truth():
    good = [asked(["a"], confidence=0.95, without=0.05)] * 30
    blind = [asked(["a"], confidence=0.5, without=0.5)] * 30
    told = [{one.name: one.value for one in trust(each)} for each in (good, blind)]
    assert [each["confidence_auroc"] for each in told] == [1.0, 0.5]
    assert told[0]["confidence_brier"] < 0.01 < told[1]["confidence_brier"]
    _, columns, rows = reliability([asked(["a"], confidence=0.75, holds=False, without=0.75)] * 3)
    assert (columns, rows) == (["confidence", "n", "said", "held"], [["0.7-0.8", 6, 0.75, 0.0]])


def test_the_result_names_our_figures_and_those_beside_them(tmp_path):
    given = run(tmp_path, [{"id": "a", "title": "A", "text": "a"}], [{"id": "q", "text": "b", "relevant": ["a"]}])
    material = read_material(given)
    measured = Measured(CONFIG, [asked(["x"], holds=False)], 1.5, 7)
    result = summed_up(given, material, measured, [Ranked(["a"])], [Ranked(["x", "a"])])
    flat = result.as_json()
    assert (flat["hit@1"], flat["bm25_hit@1"], flat["bm25_mrr@10"], flat["plain_hit@1"]) == (0.0, 0.0, 0.5, 1.0)
    assert (flat["rag_config"], flat["ms_p50"], flat["misses"][0]["id"]) == (CONFIG.label, 2.0, "q")
    assert flat["tables"]["confidence against truth"][0]["held"] == 0.0
    other = Measured(CONFIG, [asked(["a"], tokens=40)], 1.0, 7)
    told = compared(given, material, measured, other)
    assert (told.as_json()["diff_hit@1"], told.as_json()["diff_tokens"]) == (1.0, -60.0)
    assert "b_reranked" not in told.as_json()
    slow = Measured(load_rag_config("english-rerank"), [replace(asked(["a"]), reranked="late")], 1.0, 7)
    assert compared(given, material, measured, slow).as_json()["b_reranked"] == 0.0
    # A difference below 0 is no place on a scale from 0 to 1.
    assert "diff_hit@1" in page(told)
    assert 'cx="-' not in page(compared(given, material, other, measured))


def test_a_configuration_may_extend_another(tmp_path):
    small, large = load_rag_config("english-256"), load_rag_config("english-512")
    assert (small.chunking.size, large.chunking.size, small.label) == (1000, 2000, "english-256@2")
    assert small.embedder == large.embedder == CONFIG.embedder
    path = tmp_path / "mine.yaml"
    path.write_text("extends: nothing\nname: mine\n", encoding="utf-8")
    with pytest.raises(KnowledgeError, match="no such RAG configuration"):
        load_rag_config(str(path))
    assert plain_embedding(CONFIG).fusion.lexical == 0


def test_the_language_chooses_the_configuration(tmp_path):
    english = [{"id": "a", "title": "Returns", "text": "You can return any unused item within thirty days."}]
    asked_in = {"id": "q", "text": "Tôi muốn đổi trả hàng thì làm thế nào?", "relevant": ["a"]}
    assert languages(read_material(run(tmp_path, english, [asked_in]))) == ["en", "vi"]
    asked_in["text"] = "How long do I have to return something?"
    assert languages(read_material(run(tmp_path, english, [asked_in]))) == ["en"]


@pytest.mark.slow
def test_the_real_thing_finds_and_times_and_compares(tmp_path):
    articles = [
        {
            "id": "return",
            "title": "Returns",
            "text": "You can return any unused item within thirty days.",
            "audience": "x",
        },
        {"id": "ship", "title": "Shipping", "text": "Express delivery takes one working day and costs 60,000."},
    ]
    questions = [{"id": "1", "text": "How long can I send something back?", "relevant": ["return"]}]
    given = run(tmp_path, articles, questions)
    arguments = ["eval", "retrieval", "--kb", str(given.kb), "--data", str(given.data), "--json"]
    done = CliRunner().invoke(build(), arguments)
    flat = json.loads(done.stdout.splitlines()[-1])
    assert (done.exit_code, flat["hit@1"], flat["plain_hit@1"], flat["hit@1_n"]) == (0, 1.0, 1.0, 1)
    assert flat["ms_p50"] > 0
    done = CliRunner().invoke(build(), [*arguments, "--compare", "english-256", "english-512"])
    flat = json.loads(done.stdout.splitlines()[-1])
    assert (done.exit_code, flat["diff_hit@1"], flat["a"], flat["b"]) == (0, 0.0, "english-256@2", "english-512@2")


def test_a_mark_before_the_first_row_costs_no_row(tmp_path):
    path = tmp_path / "kb.jsonl"
    path.write_bytes('\ufeff{"id": "a", "text": "kettle"}\r\n{"id": "b", "text": "pan"}\r\n'.encode())
    rows, broken = read_article_rows(path)
    assert ([row.id for row in rows], broken) == (["a", "b"], [])


@pytest.mark.slow
def test_a_collection_is_searched_again_in_another_way(tmp_path):
    rows, _ = read_article_rows(
        rows_file(tmp_path / "kb.jsonl", [{"id": 7, "text": "kettle"}, {"id": 8, "text": "pan"}])
    )

    async def both():
        async with opened_bench(CONFIG, rows, None) as bench:
            ours = await bench.ask("a kettle", ["7"])
            async with bench.again(plain_embedding(CONFIG)) as plain:
                return ours, await plain.rank("a pan")

    ours, plain = asyncio.run(both())
    assert (ours.ranked.ids[0], ours.holds, plain.ids[0]) == ("7", True, "8")
    assert ours.tokens > 0


def test_kept_vectors_are_embedded_once_and_questions_always(tmp_path):
    class Counting(WordEmbedder):
        asked = 0

        async def passages(self, texts, progress=None):
            Counting.asked += len(texts)
            return await super().passages(texts, progress)

    async def both():
        first = await KeptVectors(Counting(), tmp_path).passages(["a pan", "a kettle", "a pan"])
        again = KeptVectors(Counting(), tmp_path)
        second = await again.passages(["a kettle", "a lamp", "a pan"])
        return first, second, await again.query("a pan"), again.name

    first, second, question, name = asyncio.run(both())
    assert (Counting.asked, name) == (3, WordEmbedder().name)
    assert first[0] == first[2] == pytest.approx(second[2])
    assert second[0] == pytest.approx(first[1])
    assert question == asyncio.run(WordEmbedder().query("a pan"))


def test_questions_are_kept_between_runs_even_where_the_last_was_cut_off(tmp_path):
    asked = []

    class Counting(WordEmbedder):
        async def query(self, text):
            asked.append(text)
            return await super().query(text)

    def ask(*texts):
        kept = KeptQuestions(Counting(), tmp_path)
        return [asyncio.run(kept.query(text)) for text in texts]

    first = ask("a pan", "a kettle", "a pan")
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-3])
    again = ask("a kettle", "a pan", "a lamp")
    assert asked == ["a pan", "a kettle", "a kettle", "a lamp"]
    assert again[:2] == [pytest.approx(first[1]), pytest.approx(first[0])]
    assert ask("a lamp")[0] == pytest.approx(again[2])


def test_vectors_are_kept_of_a_run_that_is_cut_off(tmp_path):
    class Tired(WordEmbedder):
        async def passages(self, texts, progress=None):
            if "the last" in texts:
                raise KeyboardInterrupt
            return await super().passages(texts, progress)

    told = []
    texts = [*(f"pan {n}" for n in range(KEPT_AT_ONCE)), "the last"]
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(KeptVectors(Tired(), tmp_path).passages(texts, lambda done, total: told.append((done, total))))
    assert told[-1] == (KEPT_AT_ONCE, KEPT_AT_ONCE + 1)
    assert len(asyncio.run(KeptVectors(Tired(), tmp_path).passages(texts[:-1]))) == KEPT_AT_ONCE


def look(top, lead):
    return Features(**dict.fromkeys(FEATURES, 0.0) | {"dense_top": top, "fused_lead": lead})


def test_a_fit_tells_apart_what_can_be_told_apart():
    def sets(shift):
        rows = []
        for n in range(60):
            good, poor = look(0.8 + shift, 0.3 + n / 300), look(0.8 + shift, n / 300)
            rows.append(Asked(Ranked(["a"]), 0.5, n % 10 > 0, 0.5, 9, 0.5, good, poor, poor))
        return seen(rows, ["dense_top", "fused_lead"])

    names = ["dense_top", "fused_lead"]
    given = {"one": sets(0.0), "two": sets(0.01), "three": sets(-0.01)}
    found = fit(list(given.values()), names)
    assert found.weights["fused_lead"] > 0
    for row in left_out(given, names):
        assert (row.rows, row.apart) == (180, 1.0)
        assert row.brier < 0.15
    one = given["one"]
    told = (one.weight * said(one, names, found)).sum() / one.weight.sum()
    assert told == pytest.approx((one.weight * one.answerable).sum() / one.weight.sum(), abs=0.03)
    lines = report_of_confidence(given, names, lost=0.1)
    assert f"bias {found.bias}, weights {dict(found.weights)}" in lines[0]
    assert lines[-1] == "don't-know begins below 0.6"  # they are apart: nothing is lost up to the last one tried
    with pytest.raises(UsageError, match="cannot be left out"):
        report_of_confidence({"one": one}, names, lost=0.1)


def test_questions_that_no_article_answers_stand_for_the_topic_missing():
    there, gone, far = look(0.9, 0.4), look(0.8, 0.1), look(0.7, 0.0)
    asked = [Asked(Ranked(["a"]), 0.5, True, 0.5, 9, 0.5, there, gone, far)] * 6
    alone = seen(asked, ["dense_top"])
    beside = seen(
        asked, ["dense_top"], [Asked(Ranked(["a"]), 0.5, False, 0.5, 9, 0.5, look(0.85, 0.2), None, None)] * 2
    )
    assert sorted(set(alone.features[:, 0])) == [0.7, 0.8, 0.9]
    assert sorted(set(beside.features[:, 0])) == [0.8, 0.85, 0.9]
    for one in (alone, beside):
        assert one.weight[one.answerable > 0].sum() / one.weight.sum() == pytest.approx(0.75)
        assert one.with_article.sum() == 6


def test_a_set_that_is_tried_changes_no_fit():
    names = ["dense_top", "fused_lead"]
    rows = [Asked(Ranked(["a"]), 0.5, True, 0.5, 9, 0.5, look(0.8, 0.3), look(0.8, 0.1), look(0.8, 0.1))] * 9
    other = [Asked(Ranked(["a"]), 0.5, True, 0.5, 9, 0.5, look(0.8, 0.0), look(0.8, 0.4), look(0.8, 0.4))] * 9
    given = {name: seen(rows, names) for name in ("one", "two")}
    alone, beside = (report_of_confidence(given, names, 0.1, tried) for tried in ({}, {"odd": seen(other, names)}))
    assert (alone[0], alone[-1]) == (beside[0], beside[-1])
    assert [line for line in beside if line.startswith("| odd | 27 | 0.000 |")]


def test_dont_know_begins_where_the_sets_allow_it_on_average():
    def heard(*of_answerable):
        told = np.asarray([*of_answerable, 0.1])
        answerable = np.asarray([1.0] * (len(told) - 1) + [0.0])
        return Seen(np.zeros((len(told), 1)), answerable, np.ones(len(told)), answerable), told

    sets = {"easy": heard(0.9, 0.9, 0.9, 0.9), "hard": heard(0.32, 0.9, 0.9, 0.9)}
    rows, said_of = {name: one[0] for name, one in sets.items()}, {name: one[1] for name, one in sets.items()}
    assert threshold(rows, said_of, 0.0) == 0.3
    assert threshold(rows, said_of, 0.12) == 0.3
    assert threshold(rows, said_of, 0.125) == 0.6
    assert threshold(rows, {"easy": np.zeros(5), "hard": np.zeros(5)}, 0.25) == 0.0


def test_the_pictures_are_those_of_the_pages_tables():
    from evals.retrieval_pictures import FOLDER, PAGE, pictures  # noqa: PLC0415  # only here

    text = PAGE.read_text("utf-8")
    drawn = pictures(text)
    assert drawn == {path.name: path.read_text("utf-8") for path in FOLDER.glob("retrieval-*.svg")}
    assert all(f"(pictures/{name})" in text for name in drawn)
    row = re.search(r"\| 0\.6-0\.7 \| (\d+) \| ([\d.]+) \| ([\d.]+) \|", text)
    moved = pictures(text.replace(row[0], row[0].replace(row[3], "0.013")))
    assert moved["retrieval-confidence.svg"] != drawn["retrieval-confidence.svg"]
    assert moved["retrieval-latency.svg"] == drawn["retrieval-latency.svg"]
