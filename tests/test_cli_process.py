"""The terminal's door on a real desk: real processes, a real server, and two doors to the same work."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import build
from store import HomeLock, read_owner

pytestmark = pytest.mark.slow
PROGRAM = Path(sys.executable).with_name("frontdesk")
START_SECONDS = 60
DESK = """\
name: Lamp Shop
scope:
  describe: "An online shop for lamps: orders, delivery, returns, refunds, warranty."
  in: ["How do I return a lamp?", "Where is my order?", "How long is the warranty?"]
  out: ["Write a poem about the sea", "What is the capital of France?"]
contact: {email: help@lamps.example}
"""
RETURNS = """\
---
id: returns
title: Returning a lamp
review_by: 2020-01-01
---
You can return a lamp within 30 days. The lamp must be unused. Return shipping costs USD 4.50.
"""
WARRANTY = """\
---
id: warranty
title: Warranty of lamps
---
Every lamp has a warranty of 24 months. Bulbs are excluded from the warranty.
"""
INTERNAL = """\
---
id: goodwill
title: Goodwill limits
audience: internal
---
The goodwill limit for agents is 77 dollars without asking a team lead before.
"""
RETURN = "How long do I have to return a lamp?"
POEM = "Write a poem about the sea"


@dataclass(frozen=True)
class Place:
    """A desk folder and an environment in which nothing else is."""

    desk: Path
    home: Path

    @property
    def env(self):
        return {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "FRONTDESK_HOME": str(self.home),
            "FRONTDESK_LLM": "off",
        }

    def call(self, *args, text=None):
        """The program in a process of its own."""
        command = [str(PROGRAM), *args, "--desk", str(self.desk)]
        return subprocess.run(
            command,
            env=self.env,
            cwd=self.desk.parent,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def here(self, *args, text=None):
        """The same commands in this process."""
        return CliRunner().invoke(build(), [*args, "--desk", str(self.desk)], env=self.env, input=text)


def furnish(folder):
    desk = folder / "lamps"
    (desk / "knowledge").mkdir(parents=True)
    (desk / "desk.yaml").write_text(DESK, encoding="utf-8")
    for name, text in (("returns", RETURNS), ("warranty", WARRANTY), ("goodwill", INTERNAL)):
        (desk / "knowledge" / f"{name}.md").write_text(text, encoding="utf-8")
    return Place(desk, folder / "home")


def last_json(result):
    assert result.stdout.strip(), result.stderr
    return json.loads(result.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A desk that nobody serves."""
    return furnish(tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A desk that a running server owns."""
    place = furnish(tmp_path_factory.mktemp("served"))
    log = (place.home.parent / "log").open("wb")
    command = [str(PROGRAM), "serve", "--port", "0", "--desk", str(place.desk)]
    server = subprocess.Popen(command, env=place.env, cwd=place.desk.parent, stdout=log, stderr=log)
    deadline = time.monotonic() + START_SECONDS
    while not ((owner := read_owner(place.home / "lamps")) and owner.address):
        assert server.poll() is None, Path(log.name).read_text()
        assert time.monotonic() < deadline, Path(log.name).read_text()
        time.sleep(0.05)
    yield place
    server.send_signal(signal.SIGTERM)
    server.wait(30)
    log.close()


@pytest.fixture(params=["alone", "served"])
def place(request):
    """The two doors: this process owns the desk, or a server does."""
    return request.getfixturevalue(request.param)


def test_ask_gives_a_cited_reply_whose_receipt_can_be_read(place):
    asked = place.here("ask", RETURN, "--json")
    assert asked.exit_code == 0, asked.output
    reply = last_json(asked)
    assert (reply["outcome"], reply["sources"][0]["id"], reply["receipt"]["mode"]) == ("answer", "returns", "quote")
    assert "30 days" in reply["answer"]
    kept = last_json(place.here("receipt", reply["turn_id"], "--json"))
    assert (kept["turn_id"], kept["outcome"], kept["cost_usd"]) == (reply["turn_id"], "answer", 0.0)
    steps = [step["name"] for step in reply["receipt"]["steps"]]
    # The judge comes after the answer: its step may be there by now.
    assert [step["name"] for step in kept["steps"]] in (steps, [*steps, "judge"])
    shown = place.here("receipt", reply["turn_id"][:23]).stdout
    judged = ["against people: relevance"] if kept["scores"] else []
    for part in ("retrieve", "█", "verdicts", "passages", "returns", "0 tokens", "$0.000000", *judged):
        assert part in shown


def test_the_answer_for_people_names_its_source_and_receipt(place):
    shown = place.here("ask", RETURN).stdout
    assert "30 days" in shown
    assert "[1] Returning a lamp (returns)" in shown
    assert "answer · quote" in shown
    assert "\x1b" not in shown


def test_every_outcome_of_a_turn_is_exit_0(place):
    refused = place.here("ask", POEM, "--json")
    assert (refused.exit_code, last_json(refused)["outcome"]) == (0, "refuse")


def test_a_thread_is_gone_on_with_by_its_user_only(place):
    thread = last_json(place.here("ask", RETURN, "--user", "lan", "--json"))["thread_id"]
    again = place.here("ask", "And the warranty of a lamp?", "--user", "lan", "--thread", thread, "--json")
    assert last_json(again)["thread_id"] == thread
    other = place.here("ask", "hello", "--user", "eve", "--thread", thread)
    assert (other.exit_code, other.stdout) == (1, "")
    assert f"{thread}: no such thread" in other.stderr


def test_nothing_to_ask_is_wrong_use(place):
    empty = place.here("ask", "   ", "--json")
    assert (empty.exit_code, empty.stdout) == (2, "")
    assert "empty" in empty.stderr


def test_an_unknown_receipt_is_exit_1_in_one_line(place):
    result = place.here("receipt", "0000000000")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "0000000000: no such receipt" in result.stderr


def test_search_has_the_contracts_shape(place):
    found = last_json(place.here("search", RETURN, "--k", "1", "--json"))
    assert set(found) == {"question", "confidence", "results"}
    assert [(set(one), one["id"]) for one in found["results"]] == [({"id", "title", "score", "quote"}, "returns")]
    assert 0 <= found["confidence"] <= 1
    all_of_them = last_json(place.here("search", "goodwill limit for agents", "--json"))
    assert "goodwill" not in [one["id"] for one in all_of_them["results"]]


def test_guard_and_route_have_the_contracts_shape(place):
    said = last_json(place.here("guard", "My e-mail is lan@mail.example", "--json"))
    assert set(said) == {"id", "action", "text", "verdicts", "ms"}
    assert said["action"] == "mask"
    assert "lan@mail.example" not in said["text"]
    assert all(set(one) == {"guard", "action", "reason", "score"} for one in said["verdicts"])
    gone = last_json(place.here("route", POEM, "--json"))
    assert set(gone) == {"id", "scope", "tier", "score", "reason", "model"}
    assert (gone["scope"], last_json(place.here("route", RETURN, "--json"))["scope"]) == ("out", "in")


def test_rows_go_in_and_come_out_in_order_with_a_bad_one_among_them(place, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        f'{{"id": "a", "question": "{RETURN}"}}\nnot json\n{{"id": "c", "message": "{POEM}", "user": "lan"}}\n'
    )
    result = place.here("ask", "--jsonl", str(rows))
    out = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert [row["id"] for row in out] == ["a", 2, "c"]
    assert [row.get("outcome") for row in out] == ["answer", None, "refuse"]
    assert "error" in out[1]
    assert f"{rows}:2: " in result.stderr
    assert "Traceback" not in result.stderr


def test_guard_rows_come_from_standard_input_too(place):
    rows = '{"text": "We take lamps back for 30 days.", "passages": ["30 days"]}\n{"id": 9, "passages": []}\n'
    result = place.here("guard", "--side", "output", "--jsonl", "-", text=rows)
    out = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["id"] for row in out] == [1, 9]
    assert out[0]["action"] in ("pass", "mask")
    assert "has no text or answer" in out[1]["error"]
    assert "stdin:2: " in result.stderr
    assert result.exit_code == 1


def test_chat_remembers_and_ends(place):
    result = place.here("chat", text=f"{RETURN}\n\nAnd what does the return shipping cost?\n/quit\nnot asked\n")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("· receipt ") == 2
    first, second = (line.split("receipt ")[1] for line in result.stdout.splitlines() if "· receipt " in line)
    threads = {last_json(place.here("receipt", turn, "--json"))["thread_id"] for turn in (first, second)}
    assert len(threads) == 1


def test_a_desk_without_an_article_opens_for_its_first_ingest(tmp_path):
    empty = furnish(tmp_path)
    for article in (empty.desk / "knowledge").iterdir():
        article.unlink()
    started = empty.here("ask", RETURN, "--json")
    assert "nothing read: no article could be taken: there is no file in it" in started.stderr
    assert last_json(started)["outcome"] != "answer"
    assert empty.here("doctor").exit_code == 1
    (tmp_path / "returns.md").write_text(RETURNS, "utf-8")
    (tmp_path / "warranty.md").write_text(WARRANTY, "utf-8")
    (empty.desk / "knowledge" / "notes.odt").write_text("of no kind that is read", "utf-8")
    report = last_json(empty.here("ingest", str(tmp_path / "returns.md"), "--json"))
    assert (report["added"], report["skipped"]) == (1, 0)
    assert last_json(empty.here("ingest", str(tmp_path / "warranty.md"), "--json"))["added"] == 1
    assert last_json(empty.here("knowledge", "list", "--json"))["articles"] == 2


def test_ingest_says_what_changed_and_leaves_what_it_cannot_take(place, tmp_path):
    more = tmp_path / "more"
    more.mkdir()
    (more / "gift.md").write_text("---\nid: gift\ntitle: Gift wrapping\n---\nGift wrapping costs USD 3.\n")
    (more / "blob.md").write_bytes(b"\0\1\2")
    report = last_json(taken := place.here("ingest", str(more), "--json"))
    assert (taken.exit_code, report["added"], report["skipped"]) == (0, 1, 1)
    assert "blob.md: not taken: a binary file" in taken.stderr
    found = last_json(place.here("search", "what does gift wrapping cost", "--json"))
    assert found["results"][0]["id"] == "gift"
    (more / "gift.md").unlink()
    nothing = place.here("ingest", str(more))
    assert (nothing.exit_code, nothing.stdout) == (2, "")
    assert "no article could be taken" in nothing.stderr
    (more / "other.md").write_text("---\nid: other\ntitle: Other\n---\nSomething else entirely.\n")
    assert last_json(place.here("ingest", str(more), "--json"))["removed_ids"] == ["gift"]
    would = last_json(place.here("knowledge", "forget", str(more), "--dry-run", "--json"))
    assert (would["removed_ids"], would["chunks"], would["left"]) == (["other"], 1, 3)
    asked = place.here("knowledge", "forget", "other", text="n\n")
    assert (asked.exit_code, "forget 1 of 4 articles, 1 chunks?" in asked.stderr) == (2, True)
    assert "not confirmed: nothing is changed" in asked.stderr
    gone = last_json(place.here("knowledge", "forget", "other", "--json", text="y\n"))
    assert (gone["removed"], gone["before"], gone["left"]) == (1, would["version"], 3)
    again = place.here("knowledge", "forget", "other", "--yes")
    assert (again.exit_code, "other: no article has this id" in again.stderr) == (2, True)
    assert last_json(place.here("knowledge", "rollback", gone["before"], "--json"))["articles"] == 4
    listed = last_json(place.here("knowledge", "list", "--json"))
    assert (listed["articles"], listed["overdue"]) == (4, ["returns"])
    earlier = listed["versions"][-1]["version"]
    assert last_json(place.here("knowledge", "rollback", earlier, "--json"))["version"] == earlier
    unknown = place.here("knowledge", "rollback", "nine")
    assert unknown.exit_code == 2
    assert "nine: no such kept version" in unknown.stderr


def test_doctor_says_that_the_desk_can_answer(place):
    result = place.here("doctor", "--json")
    report = last_json(result)
    states = {check["name"]: check["state"] for check in report["checks"]}
    assert (result.exit_code, report["ok"]) == (0, True)
    assert states["knowledge"] == "degraded"
    assert states["langfuse"] == "off"
    assert {"python", "disk", "port", "settings", "desk", "guards", "model"} <= set(states)
    assert len(states) == len(report["checks"])
    shown = place.here("doctor").stdout
    assert "1 past their review date: returns" in shown
    assert shown.strip().endswith("the desk can answer")


def test_the_program_goes_through_the_server_quickly(served):
    result = served.call("ask", RETURN, "--json")
    assert (result.returncode, last_json(result)["outcome"]) == (0, "answer")
    assert result.stderr == ""
    wrong = served.call("ask", "--fly")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "frontdesk ask: No such option: --fly (see frontdesk ask --help)\n"


def test_an_evaluation_does_not_take_a_served_desk(served):
    result = served.here("eval", "desk")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "FRONTDESK_HOME" in result.stderr


def test_ops_shows_the_page_of_a_running_server_and_what_opens_it(served, alone):
    found = last_json(served.here("ops", "--json"))
    owner = read_owner(served.home / "lamps")
    assert found == {"address": f"{owner.address}/ops", "token": owner.token}
    shown = served.here("ops")
    assert shown.stdout.splitlines() == [found["address"], f"token: {owner.token}"]
    away = alone.here("ops")
    assert (away.exit_code, away.stdout) == (1, "")
    assert "frontdesk serve" in away.stderr


def test_a_desk_in_other_hands_is_left_alone(tmp_path):
    place = furnish(tmp_path)
    with HomeLock.acquire(place.home / "lamps"):
        result = place.here("ask", RETURN)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"process {os.getpid()} owns this folder" in result.stderr


def test_a_desk_without_articles_cannot_answer(tmp_path):
    place = furnish(tmp_path)
    for article in (place.desk / "knowledge").iterdir():
        article.unlink()
    (place.desk / "knowledge").rmdir()
    result = place.here("doctor", "--json")
    report = last_json(result)
    assert (result.exit_code, report["ok"]) == (1, False)
    check = next(one for one in report["checks"] if one["name"] == "knowledge")
    assert (check["state"], check["fix"].split(" PATH")[0]) == ("down", "frontdesk ingest")


def test_a_broken_store_is_one_line(tmp_path):
    place = furnish(tmp_path)
    (place.home / "lamps").mkdir(parents=True)
    (place.home / "lamps" / "desk.sqlite3").write_bytes(b"this is no database" * 100)
    result = place.here("ask", RETURN)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "desk.sqlite3" in result.stderr
    assert "Traceback" not in result.stderr


CASES = [
    {
        "id": "r",
        "question": RETURN,
        "outcome": "answer",
        "relevant": ["returns"],
        "facts": [["30 days"]],
        "kind": "k",
    },
    {"id": "p", "question": POEM, "outcome": "refuse", "reason": "out_of_scope", "kind": "k"},
    {"id": "f", "question": RETURN, "outcome": "answer", "facts": [["99 days"]], "kind": "k"},
]


def with_cases(place):
    (place.desk / "cases").mkdir()
    (place.desk / "cases" / "dev.jsonl").write_text("\n".join(map(json.dumps, CASES)))
    return place


def test_a_week_is_weighed_beside_the_server_that_serves_on(served):
    args = ["improve", "--week", "--rag-config", "english-256", "--sample", "2", "--seed", "1", "--json"]
    figures = last_json(with_cases(served).here(*args))
    assert (figures["serving"], figures["cases"]) == ("built-in", 2)
    assert all(one["right_n"] == 2 for one in figures["candidates"])
    assert "english-256" in {one["name"] for one in figures["candidates"]}
    assert (figures["proposed"], figures["release"], figures["trouble"]) == (None, None, None)
    assert (figures["why"], figures["next"]) == ("nothing was better", "frontdesk review list")
    assert last_json(served.here("ask", RETURN, "--json"))["outcome"] == "answer"


def test_the_suite_measures_a_real_desk(tmp_path):
    place = with_cases(furnish(tmp_path))
    result = place.here("eval", "desk", "--json", "--report", str(tmp_path / "out.html"))
    figures = last_json(result)
    assert result.exit_code == 0, result.output
    assert (figures["cases"], figures["answered_right"], figures["internal_shown"]) == (3, 0.6667, 0)
    assert (figures["cited_right"], figures["refused_right"]) == (1.0, 1.0)
    assert [miss["id"] for miss in figures["misses"]] == ["f"]
    assert "answered_right" in (tmp_path / "out.html").read_text()
    absent = place.here("eval", "desk", "--split", "held_out")
    assert (absent.exit_code, absent.stdout) == (2, "")
    assert "no cases" in absent.stderr
