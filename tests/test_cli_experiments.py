"""`eval list`, `show`, `compare`: kept runs in the terminal."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from cli.main import build
from evals.records import Records
from evals.run import Result, Row, share

AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """Two runs: the second has lost one case of four."""
    monkeypatch.setenv("FRONTDESK_HOME", str(tmp_path))
    records = Records(tmp_path)
    for hour, rights in ((9, [True, True, True, False]), (10, [True, True, False, False])):
        rows = [
            Row(f"c{place}", "k", {"answered_right": float(held)}, why="" if held else "late")
            for place, held in enumerate(rights)
        ]
        result = Result(
            "desk", {"desk": "Lamps"}, [share("answered_right", rights)], rows=rows, config={"prompt": f"answer@{hour}"}
        )
        records.save(result, began=AT.replace(hour=hour), seconds=1.0, seed=0)
    return tmp_path


def call(*args):
    return CliRunner().invoke(build(), ["eval", *args])


def last_json(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.splitlines()[-1])


def test_runs_are_listed_the_newest_first():
    runs = last_json(call("list", "--json"))["runs"]
    assert [one["run"] for one in runs] == ["desk-20261121-100000", "desk-20261121-090000"]
    assert (runs[0]["figures"]["answered_right"], runs[0]["rows"]) == (0.5, 4)
    assert last_json(call("list", "--suite", "idk", "--json"))["runs"] == []
    assert "desk-20261121-090000" in call("list").stdout


def test_a_run_is_shown_as_it_was(tmp_path):
    page = tmp_path / "out.html"
    shown = last_json(call("show", "last", "--json", "--report", str(page)))
    assert (shown["run"], shown["answered_right"], shown["config"]) == (
        "desk-20261121-100000",
        0.5,
        {"prompt": "answer@10"},
    )
    assert "Difference to desk-20261121-090000" in page.read_text()
    assert "answer@9" in call("show", "desk-20261121-09").stdout
    absent = call("show", "moon")
    assert (absent.exit_code, absent.stdout) == (1, "")


def test_two_runs_are_held_against_each_other():
    found = last_json(call("compare", "desk-20261121-09", "--json"))
    assert (found["a"], found["b"]) == ("desk-20261121-090000", "desk-20261121-100000")
    assert (found["diff_answered_right"], found["lost"], found["won"]) == (-0.25, ["c2"], [])
    assert found["differs"]["prompt"] == {"a": "answer@9", "b": "answer@10"}
    assert "1 lost, 0 won" in call("compare", "desk-20261121-09").stdout
