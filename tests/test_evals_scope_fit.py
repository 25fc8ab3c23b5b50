"""`scope fit`: what it fits, what it refuses, and that a desk uses it."""

import asyncio
import json

import pytest
from fakes import WordEmbedder

from domain.errors import DeskError, UsageError
from domain.profile import DeskProfile
from domain.settings import Settings
from evals.run import Run
from evals.scope_fit import LEAST, distinct_rows, fitted_to, halves
from guards import ScopeFilter
from guards.scope_head import FILE, fit_scope_head, read_scope_head, write_scope_head

PROFILE = DeskProfile.model_validate({"name": "Bikes", "scope": {"describe": "A shop."}})
PARTS = ["wheel", "chain", "saddle", "brake", "pedal", "lamp", "bell", "tube"]
PLACES = ["Rome", "Hanoi", "Oslo", "Lima", "Cairo", "Delhi", "Perth", "Quito"]


def lines(count=8):
    inside = [
        {"text": f"{ask} my bicycle {part}?", "label": "in", "kind": ask}
        for part in PARTS[:count]
        for ask in ("Can you repair", "When do you deliver")
    ]
    out = [
        {"text": f"{ask} in {place}?", "label": "out", "kind": "travel"}
        for place in PLACES[:count]
        for ask in ("Book a flight to land", "Will it rain")
    ]
    return inside + out


def run_on(path, rows, said=None):
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return Run(Settings(), (said if said is not None else []).append, lambda *_: None, data=path)


def test_a_fit_learns_from_three_quarters_and_is_judged_on_the_rest(tmp_path):
    run = run_on(tmp_path / "q.jsonl", lines())
    rows, left_out = distinct_rows(run.data, run)
    embedder = WordEmbedder()
    about = {"profile": PROFILE, "embedder": embedder, "unfitted": ScopeFilter(PROFILE, embedder)}
    done = asyncio.run(fitted_to(rows, run, left_out=left_out, **about))
    after = {each.name: each.value for each in done.after.figures}
    assert (done.fitted, done.held_out, done.head.rows) == (24, 8, 32)
    assert (after["accuracy"], after["precision"], after["f1"]) == (1.0, 1.0, 1.0)
    assert done.pays
    assert "travel" in done.after.by_kind


def test_the_same_question_spelt_otherwise_never_stands_on_both_sides_of_the_split(tmp_path):
    twins = [row | {"text": row["text"].upper().replace("?", " ?!")} for row in lines()]
    run = run_on(tmp_path / "q.jsonl", lines() + twins)
    rows, left_out = distinct_rows(run.data, run)
    assert (len(rows), left_out) == (32, 32)
    kept, held_out = halves(rows)
    assert {row.label for row in held_out} == {"in", "out"}
    assert not {row.text.lower().strip(" ?!") for row in kept} & {row.text.lower().strip(" ?!") for row in held_out}


def test_a_text_of_both_labels_is_left_out_and_told(tmp_path):
    said = []
    run = run_on(tmp_path / "q.jsonl", [*lines(), {"text": "will it rain in rome", "label": "in"}], said)
    rows, _ = distinct_rows(run.data, run)
    assert len(rows) == 31
    assert said == ["1 texts are labelled in and out: left out"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row for row in lines() if row["label"] == "in"], "0 different questions are labelled out"),
        (lines(1)[1:3], f"at least {LEAST} are needed"),
        ([{"question": "Where?", "intent": "in"}] * 30, "no row can be used"),
        ([], "it is empty"),
        ([lines()[0]] * 20 + [lines()[-1]] * 20, "1 different questions are labelled in"),
    ],
)
def test_a_file_that_cannot_teach_is_refused_in_one_line(tmp_path, rows, words):
    run = run_on(tmp_path / "q.jsonl", rows)
    with pytest.raises(UsageError, match=words) as caught:
        distinct_rows(run.data, run)
    assert str(run.data) in str(caught.value)


def head_of(embedder="words"):
    texts = [(row["text"], row["label"] == "out") for row in lines()]
    vectors = [asyncio.run(WordEmbedder().query(text)) for text, _ in texts]
    return fit_scope_head(embedder, vectors, [out for _, out in texts])


def test_a_desk_with_a_fit_is_judged_by_it_sentence_by_sentence(tmp_path):
    write_scope_head(tmp_path, head_of())
    scope = ScopeFilter(PROFILE, WordEmbedder(), head=read_scope_head(tmp_path, "words"))
    assert asyncio.run(scope.judge("Can you repair my bicycle gears?")).scope == "in"
    assert asyncio.run(scope.judge("Will it rain in Paris?")).scope == "out"
    hidden = asyncio.run(scope.judge("Can you repair my bicycle gears? Please book a flight to land in Paris."))
    assert (hidden.scope, "in one of its sentences" in hidden.reason) == ("out", True)


def test_a_file_of_another_embedder_or_changed_by_hand_is_an_error_that_names_the_command(tmp_path):
    assert read_scope_head(tmp_path, "words") is None
    path = write_scope_head(tmp_path, head_of())
    with pytest.raises(DeskError, match=r"embedder words, the desk uses other.*frontdesk scope fit"):
        read_scope_head(tmp_path, "other")
    held = json.loads(path.read_text())
    path.write_text(json.dumps(held | {"bias": 5.0}))
    with pytest.raises(DeskError, match="sha256"):
        read_scope_head(tmp_path, "words")
    for broken in ("", "[]", "{}", json.dumps(held)[:50]):
        (tmp_path / FILE).write_text(broken)
        with pytest.raises(DeskError, match="cannot be read"):
            read_scope_head(tmp_path, "words")
