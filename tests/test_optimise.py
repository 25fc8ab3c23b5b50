"""Optimising a prompt: split, search, verdict, books and what goes wrong, against models behind a real HTTP server."""

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from fakes import ShelfSearch, WordEmbedder
from house import PROFILE, RETURNS
from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st
from optimise_double import BROKEN, CARDS, WORSE, rows_to_sort, subject, workshop, written

from domain.errors import BudgetError, ModelDownError, UsageError
from domain.ports import ModelCard
from domain.profile import DeskProfile
from prompts import PromptCase, PromptLibrary
from prompts.registry import parse_prompt, prompt_file
from store.limits import Slot
from training.asking import ANSWERS, Said
from training.desk_subjects import Shelf, answer_subject, rewrite_subject
from training.optimise import Plan, Tried, case_holds, read_proposal, verdict, with_instruction
from training.optimised import new_version, report
from training.splitting import drawn, split
from training.subjects import Mark, judge_subject, read_label, scope_subject


def test_a_better_instruction_becomes_a_version_with_its_parent_and_figures(tmp_path):
    with workshop(tmp_path) as shop:
        given = subject(tmp_path)
        done = asyncio.run(shop.run(given))
        result = report(done, given, plan_of(tmp_path), shop.asking, "")
    flat = result.as_json()
    assert done.pays
    before = sum(done.before.right().values())
    assert f"scope@1: {before} of {len(done.sides.held_out)} held-out rows right" in shop.lines
    assert flat["after_right"] == 1.0
    assert flat["before_right"] == pytest.approx(1 / 3, abs=0.1)
    assert flat["diff_right_ci"][0] > 0
    assert flat["after_f1"] == 1.0 > flat["before_f1"]
    cards = next(row for row in flat["tables"]["by label"] if row["label"] == "cards")
    assert (cards["precision"], cards["recall"], cards["F1 after"]) == ("-", "0.000", "1.000")
    assert cards["interval"].startswith("0.00-0.")
    assert cards["interval after"].endswith("-1.00")
    library = PromptLibrary.load()
    version = new_version(done, library.all(), result)
    back = parse_prompt(prompt_file(version), where="test")
    assert (back.label, back.parent) == ("scope@2", "scope@1")
    assert back.figures["after_right"] == 1.0
    assert "MAGIC" in back.messages[0].text
    assert back.messages[1:] == library.get("scope").messages[1:]
    assert library.get("scope").version == 1
    assert shop.seen[-1][0] <= shop.seen[-1][1]


def plan_of(folder):
    return Plan("student", "teacher", 60, folder)


def test_a_worse_best_keeps_the_start(tmp_path):
    with workshop(tmp_path, WORSE) as shop:
        given = subject(tmp_path)
        done = asyncio.run(shop.run(given))
        result = report(done, given, plan_of(tmp_path), shop.asking, "")
    assert done.after is None
    assert "nothing was better" in done.why
    assert new_version(done, PromptLibrary.load().all(), result) is None
    assert result.as_json()["diff_right"] == 0.0


def test_a_proposal_without_its_placeholder_is_asked_for_again_and_never_used(tmp_path):
    with workshop(tmp_path, BROKEN) as shop:
        done = asyncio.run(shop.run(subject(tmp_path)))
        wishes = shop.models.asked("teacher")
    assert (done.after, done.proposals, done.unusable) == (None, 2, 2)
    assert "{{desk}} is missing" in wishes[1]["messages"][-1]["content"]
    assert [wish["temperature"] for wish in wishes] == [1.0, 1.0]
    assert {wish["temperature"] for wish in shop.models.asked("student")} == {0}


def test_a_proposal_that_says_nothing_new_is_asked_for_again(tmp_path):
    """Small teachers copy: the start with other marks, or what they said before."""
    copied = (
        PromptLibrary.load().get("scope").messages[0].text.replace('"', "'").upper().replace("{{DESK}}", "{{desk}}")
    )

    def twice(job):
        job.ask(job.start, job.train[0])
        assert [job.propose(job.start, job.train[:1]) for _ in range(2)] == [WORSE, job.start]
        return job.start

    with workshop(tmp_path / "a", copied) as shop:
        done = asyncio.run(shop.run(subject(tmp_path)))
        wishes = shop.models.asked("teacher")
    assert (done.after, done.proposals, done.unusable) == (None, 2, 2)
    assert "says what the instruction says already" in wishes[1]["messages"][-1]["content"]
    with workshop(tmp_path / "b", WORSE) as shop:
        done = asyncio.run(shop.run(subject(tmp_path), twice))
        assert "was proposed before" in shop.models.asked("teacher")[-1]["messages"][-1]["content"]
    assert (done.proposals, done.unusable) == (3, 2)


def test_a_teacher_that_is_down_is_one_clear_line_before_anything_is_spent(tmp_path):
    with workshop(tmp_path) as shop:
        shop.models.down = "teacher"
        with pytest.raises(ModelDownError) as fault:
            asyncio.run(shop.run(subject(tmp_path)))
        assert shop.models.asked("student") == []
    assert str(fault.value).startswith("teacher: does not answer")
    assert "\n" not in str(fault.value)


def test_a_killed_run_pays_for_nothing_twice(tmp_path):
    with workshop(tmp_path) as shop:
        shop.models.fails_after = 20
        with pytest.raises(ModelDownError):
            asyncio.run(shop.run(subject(tmp_path)))
        first = len((tmp_path / ANSWERS).read_text("utf-8").splitlines())
        with (tmp_path / ANSWERS).open("a", encoding="utf-8") as file:
            file.write('{"key": "half a li')
        with (tmp_path / ANSWERS).open("a", encoding="utf-8") as file:
            file.write("\n")
        shop.models.fails_after = 10**6
        asked = len(shop.models.asked("student"))
        done = asyncio.run(shop.run(subject(tmp_path)))
        again = [json.dumps(each["messages"]) for each in shop.models.asked("student")[asked:]]
        before = [json.dumps(each["messages"]) for each in shop.models.asked("student")[: asked - 1]]
    assert first == 20
    assert done.pays
    assert not set(before) & set(again)


def test_every_call_is_booked_and_the_cost_limit_holds(tmp_path):
    with workshop(tmp_path) as shop:
        purse = Slot("key", "optimise-scope-1", "ever")
        shop.store.budget.change(purse, 6_000, "test")
        with pytest.raises(BudgetError):
            asyncio.run(shop.run(subject(tmp_path)))
        spent = shop.store.ledger.totals(shop.clock.now() - timedelta(days=1))
        by_key = shop.store.costs.by("key", shop.clock.now() - timedelta(days=1))
        shop.clock.advance(24 * 3600)
        assert shop.store.costs.compare("bank") == []
        assert shop.store.costs.profile(shop.clock.now() - timedelta(days=3), 10) == []
    assert 0 < spent.cost_microusd <= 6_000
    assert spent.calls == len(shop.models.requests) > 3
    assert [(each.name, each.cost_microusd) for each in by_key] == [("optimise-scope-1", spent.cost_microusd)]


def test_a_fault_of_the_student_ends_the_search_and_is_no_score(tmp_path):
    def careless(job):
        for row in job.validation:
            try:
                job.ask(job.start, row)
            except Exception:  # noqa: BLE001  # as DSPy does
                raise AssertionError("a fault became an ordinary error") from None
        return job.start

    with workshop(tmp_path) as shop:
        shop.models.fails_after = 16
        with pytest.raises(ModelDownError):
            asyncio.run(shop.run(subject(tmp_path), careless))


def test_two_rows_and_one_label_are_told(tmp_path):
    with pytest.raises(UsageError, match="rows are too few"):
        split(subject(tmp_path, rows_to_sort()[:1] + rows_to_sort()[-1:]).rows)
    with pytest.raises(UsageError, match="every row is labelled 'cards'"):
        subject(tmp_path, rows_to_sort()[:6])
    with pytest.raises(UsageError, match="no row can be used"):
        subject(tmp_path, [{"utterance": "my card", "category": "cards"}])


def test_near_duplicates_stay_on_one_side(tmp_path):
    rows = rows_to_sort()
    rows += [{"text": each["text"].upper() + "!", "category": each["category"]} for each in rows]
    sides = split(subject(tmp_path, rows).rows)
    held = {row.text.lower().strip("!") for row in sides.held_out}
    assert sides.near_duplicates >= 30
    assert not held & {row.text.lower().strip("!") for row in (*sides.train, *sides.validation)}
    assert len(sides.train) + len(sides.validation) + len(sides.held_out) == 60
    assert {row.label for row in sides.held_out} == {row.label for row in sides.train} == {"cards", "apps", "out"}


def test_rows_like_a_held_out_one_of_a_file_are_left_out(tmp_path):
    given = written(tmp_path, rows_to_sort())
    apart = [{"text": f"{text.title()}.", "category": "cards"} for text in CARDS] + rows_to_sort()[-1:]
    both = scope_subject(given, "Harbour Bank", held_out=written(tmp_path, apart, "held.jsonl"))
    sides = split(both.rows, both.held_out)
    assert sides.dropped == 6
    assert len(sides.held_out) == 6


def tried(prompt, rows, right):
    return Tried(prompt, rows, {row.id: Mark(float(each), each, "") for row, each in zip(rows, right, strict=True)})


def test_worse_on_the_held_out_rows_or_a_lost_case_keeps_the_start(tmp_path):
    rows, prompt = subject(tmp_path).rows[:4], PromptLibrary.load().get("scope")
    better, worse = tried(prompt, rows, [True, True, True, False]), tried(prompt, rows, [True, False, False, False])
    assert verdict(worse, better, []) == (True, "2 held-out rows won, 0 lost")
    assert not verdict(better, worse, [])[0]
    assert not verdict(better, better, [])[0]
    assert not verdict(worse, better, ["instruction-in-a-passage"])[0]


def test_what_a_teacher_writes_is_read_strictly():
    assert read_proposal('Sure! {"new_instruction": "Sort for {{desk}}."} Bye', ["desk"]) == ("Sort for {{desk}}.", "")
    for text, fault in (
        ("Sort for {{desk}}.", "no JSON object"),
        ('{"new_instruction": ""}', "empty"),
        ('{"new_instruction": 5}', "no JSON object"),
        ('{"new_instruction": "Sort."}', "is missing"),
        ('{"new_instruction": "{{desk}} {{user}}"}', "no placeholder"),
        ('{"new_instruction": "{{desk}} {name}"}', "braces"),
        (json.dumps({"new_instruction": "{{desk}}" + "x" * 7000}), "longer"),
    ):
        assert fault in read_proposal(text, ["desk"])[1]


def test_cases_of_a_prompt_hold_or_not():
    case = PromptCase(id="a", variables={}, contains=[["32", "thirty-two"]], not_contains=["95"], max_words=4)
    assert case_holds(case, Said("It costs 32."))
    assert not case_holds(case, Said("It costs 32, not 95."))
    assert not case_holds(case, Said("It costs about 32 euros or so."))
    assert not case_holds(case, Said("", usable=False))


def test_labels_are_read_from_what_models_say():
    labels = ("cards", "payment_accounts", "out")
    assert read_label("Cards.", labels) == "cards"
    assert read_label("The category is: payment accounts", labels) == "payment_accounts"
    assert read_label("cards or out", labels) == ""
    assert read_label("nothing", labels) == ""


def test_the_judge_is_held_against_people(tmp_path):
    rows = [{"question": "q", "answer": "a", "human": 4}, {"question": "q2", "answer": "b", "human": 1}]
    good, bad = judge_subject(written(tmp_path, rows)).rows
    sure = Said("yes", {"yes": 0.9, "no": 0.1})
    assert asyncio.run(good.mark(sure)).score == 0.9
    assert asyncio.run(good.mark(sure)).right
    assert not asyncio.run(bad.mark(sure)).right


CASES = [
    {"id": "a", "question": "How long can I return a lamp?", "outcome": "answer", "relevant": ["returns"], "facts": [["30 days"]], "must_not": ["77"]},
    {"id": "b", "question": "Do you rent out boats?", "outcome": "dont_know", "relevant": []},
    {"id": "c", "question": "Where is the moon?", "outcome": "answer", "relevant": ["moon"], "facts": [["up"]]},
    {"id": "d", "question": "and for lamps?", "outcome": "answer", "relevant": ["returns"], "facts": [["30 days"]], "history": [{"role": "user", "text": "Can I return things?"}]},
]  # fmt: skip


def shelf():
    return Shelf(PROFILE, ShelfSearch([RETURNS]), WordEmbedder(), top_k=5, reader=ModelCard("m", "local", "simple"))


def test_answers_are_marked_by_facts_numbers_and_dont_knows(tmp_path):
    data = written(tmp_path, CASES)
    given = asyncio.run(answer_subject(shelf(), tmp_path, data=data))
    answer, unknown = given.rows
    assert given.notes == ["1 cases left out: search does not find their article"]
    assert "30 days" in answer.variables["passages"]
    for text, score in (
        ("Within 30 days.", 1.0),
        ("I don't know", 0.0),
        ("30 days, or 77 with a lead.", 0.0),
        ("Soon.", 0.0),
    ):
        mark = asyncio.run(answer.mark(Said(text)))
        assert (mark.score, mark.right) == (score, score == 1.0), text
    assert "no passage: 41" in asyncio.run(answer.mark(Said("30 days, 41 at most."))).feedback
    assert asyncio.run(unknown.mark(Said("I don't know"))).right
    assert not asyncio.run(unknown.mark(Said("Yes, within 30 days."))).right


def test_follow_ups_are_marked_by_what_the_search_finds(tmp_path):
    (row,) = asyncio.run(rewrite_subject(shelf(), tmp_path, data=written(tmp_path, CASES))).rows
    assert asyncio.run(row.mark(Said("Can I return lamps?"))).right
    mark = asyncio.run(replace(row).mark(Said(" ")))
    assert (mark.score, mark.right) == (0.0, False)
    assert "not at all" in mark.feedback


def test_a_desk_without_cases_says_so(tmp_path):
    with pytest.raises(UsageError, match="no cases"):
        asyncio.run(answer_subject(shelf(), tmp_path))
    assert DeskProfile.model_validate({"name": "x", "scope": {"describe": "y"}})


def test_another_instruction_leaves_the_rest_of_a_prompt_alone():
    prompt = PromptLibrary.load().get("answer")
    other = with_instruction(prompt, "Be {{tone}} at {{desk}}, or say {{dont_know}}.")
    assert other.messages[1:] == prompt.messages[1:]
    assert "Be friendly" in other.render(**dict.fromkeys(prompt.variables, "") | {"tone": "friendly"})[0].text


@dataclass(frozen=True)
class Sampled:
    id: str
    text: str
    stratum: str = ""


@given_any(st.lists(st.text(min_size=1, max_size=6), unique=True, min_size=1, max_size=12), st.integers(0, 14))
@settings(max_examples=30, deadline=None)
def test_a_sample_is_the_same_each_time_in_its_own_order_and_grows_by_what_it_had(texts, most):
    rows = [Sampled(f"{place}", text) for place, text in enumerate(texts)]
    few, more = drawn(rows, most), drawn(rows, most + 1)
    assert len(few) == (min(most, len(rows)) or len(rows))
    assert few == [row for row in rows if row in few]
    assert most == 0 or set(few) <= set(more)
    assert {row.id for row in drawn(rows[::-1], most)} == {row.id for row in few}
