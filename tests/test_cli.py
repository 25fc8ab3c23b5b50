"""The terminal's door without a desk behind it: help, wrong use, rows, plain output, checks."""

import asyncio
import json
import socket
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cli.checks import Check, check_disk, check_port, check_python
from cli.main import _one_line, build
from cli.rows import Row, answer_rows, facts
from cli.terminal import Meter, clean, show, show_json, show_table
from domain.errors import NotFoundError, UsageError

COMMANDS = [
    ["ask"],
    ["chat"],
    ["serve"],
    ["bench"],
    ["ops"],
    ["ingest"],
    ["search"],
    ["guard"],
    ["guard", "calibrate"],
    ["scope", "fit"],
    ["route"],
    ["eval"],
    ["finetune"],
    ["receipt"],
    ["doctor"],
    ["knowledge", "list"],
    ["knowledge", "forget"],
    ["knowledge", "rollback"],
]


def call(*args, **options):
    return CliRunner().invoke(build(), list(args), **options)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_teaches_with_an_example(command):
    result = call(*command, "--help")
    assert result.exit_code == 0
    assert f"frontdesk {' '.join(command)}" in result.stdout.split("Example")[1]


def test_help_lists_every_command():
    shown = call("--help").stdout
    assert all(f"  {command[0]} " in shown for command in COMMANDS)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["ask", "--fly"], "No such option: --fly"),
        (["fly"], "No such command 'fly'"),
        (["ask"], "give a question or --jsonl"),
        (["ask", "q", "--jsonl", "f"], "one of them"),
        (["search", "q", "--k", "0"], "--k"),
        (["guard", "t", "--side", "up"], "--side"),
        (["eval", "nonsense"], "there are: "),
        (["ask", "q", "--desk", "nowhere"], "no desk.yaml for desk 'nowhere'"),
        (["serve", "--workers", "3"], "3 workers cannot share"),
        (["receipt"], "ID"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(args, said):
    result = call(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_wrong_setting_is_named(monkeypatch):
    monkeypatch.setenv("FRONTDESK_PORT", "eighty")
    result = call("ask", "q")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("frontdesk: FRONTDESK_PORT: ")


def test_a_wrong_key_in_desk_yaml_is_named_with_line_and_the_nearest_right_one(tmp_path):
    desk = tmp_path / "bakery"
    desk.mkdir()
    (desk / "desk.yaml").write_text("name: B\nlangauges: [en]\nscope:\n  describe: bread\n", encoding="utf-8")
    result = call("ask", "q", "--desk", str(desk))
    assert result.exit_code == 2
    assert f"{desk / 'desk.yaml'}:2: unknown key 'langauges' (did you mean 'languages'?)" in result.stderr


@pytest.mark.parametrize(
    "args", [["--debug", "ask", "q", "--desk", "nowhere"], ["ask", "q", "--desk", "nowhere", "--debug"]]
)
def test_debug_shows_the_traceback_and_keeps_the_code(args):
    result = call(*args)
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert "find_desk" in result.stderr


def test_an_unforeseen_error_is_one_line(capsys):
    try:
        int("of\nall things")
    except ValueError as fault:
        _one_line(type(fault), fault, fault.__traceback__)
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "ValueError: invalid literal" in said
    assert Path(__file__).name in said


def test_a_taken_port_stops_serve_with_a_free_one_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = call("serve", "--port", str(port))
    assert result.exit_code == 1
    last = result.stderr.strip().splitlines()[-1]
    assert f"127.0.0.1:{port}: address already in use" in last
    assert "pass --port" in last
    assert str(port) not in last.split("--port ")[1]


# rows


async def echo(row: Row) -> dict:
    text = row.text("question", "message", "text")
    if text == "lost":
        raise NotFoundError("no such thread", where="t9")
    return {"answer": text.upper(), "facts": facts(row)}


def put_rows(tmp_path, *lines):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return path


def test_rows_come_out_in_order_and_bad_ones_are_named_without_stopping(tmp_path, capsys):
    path = put_rows(
        tmp_path,
        '\ufeff{"id": "one", "question": "a", "message": "not this"}',
        "",
        '{"message": "b"}',
        "{broken",
        '["a", "list"]',
        b'{"question": "\xff"}',
        '{"id": "seven", "question": 5}',
        '{"id": "eight"}',
        '{"id": "nine", "question": "\\ud83d"}',
        '{"id": "ten", "question": "lost"}',
        '{"id": "eleven", "text": "c", "context": [{"title": "Order", "text": "LL-1"}]}',
    )
    bad = asyncio.run(answer_rows(str(path), echo))
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["id"] for row in rows] == ["one", 3, 4, 5, 6, "seven", "eight", "nine", "ten", "eleven"]
    assert [row.get("answer") for row in rows] == ["A", "B", *[None] * 7, "C"]
    assert rows[-1]["facts"] == [{"title": "Order", "text": "LL-1"}]
    assert all(row["error"] for row in rows[2:9])
    assert bad == 7
    assert [line.split(": ")[0] for line in err.splitlines()] == [f"{path}:{number}" for number in range(4, 11)]


def test_a_file_that_is_not_there_is_wrong_use(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        asyncio.run(answer_rows(str(tmp_path / "absent"), echo))


@pytest.mark.parametrize("context", [{"title": "t"}, [1], [{"title": "t"}], "text"])
def test_a_context_of_another_shape_is_named(context):
    with pytest.raises(UsageError, match="context"):
        facts(Row("f:1", 1, {"context": context}))


def test_lists_of_texts_may_be_objects_with_a_text():
    row = Row("f:1", 1, {"passages": ["a", {"text": "b", "title": "B"}], "own": [3]})
    assert row.texts("passages") == ["a", "b"]
    assert row.texts("absent") is None
    with pytest.raises(UsageError, match="own"):
        row.texts("own")


# the terminal


@given(st.text())
def test_nothing_that_is_shown_can_move_the_cursor(text):
    shown = clean(text)
    assert not any(ord(letter) < 32 and letter not in "\n\t" for letter in shown)
    assert "\x1b" not in shown
    assert "\x9b" not in shown


def test_show_takes_escape_sequences_out_and_keeps_vietnamese(capsys):
    show("Đổi \x1b[31mtrả\x1b[0m\r\n")
    assert capsys.readouterr().out == "Đổi [31mtrả[0m\n\n"


def test_json_is_one_line_of_readable_letters(capsys):
    show_json({"answer": "Đổi\ntrả \ud83d"[:7]})
    assert capsys.readouterr().out == '{"answer": "Đổi\\ntrả"}\n'


def test_a_plain_table_is_aligned_and_numbers_stand_right(capsys):
    show_table(["step", "ms"], [["route", 3.5], ["retrieve", 12.25]], title="steps")
    assert capsys.readouterr().out == "steps\nstep         ms\nroute       3.5\nretrieve  12.25\n"


def test_an_empty_table_is_its_head(capsys):
    show_table(["a", "b"], [])
    assert capsys.readouterr().out == "a  b\n"


def test_a_meter_away_from_a_terminal_speaks_each_tenth(capsys):
    gauge = Meter("reading")
    for done in range(101):
        gauge(done, 100)
    gauge.close()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert (lines[0], lines[-1]) == ("reading: 0/100", "reading: 100/100")


def test_a_meter_tells_pace_and_time_left_of_each_stretch(capsys):
    now = [0.0]
    gauge = Meter("reading", lambda: now[0])
    stretches = [
        (0, 2, 0),
        (1, 2, 4),
        (2, 2, 8),
        (0, 600, 10),
        (300, 600, 160),
        (599, 600, 300),
        (0, 600, 900),
        (6, 600, 903),
        (12, 600, 911),  # long enough without a line
    ]
    for done, total, at in stretches:
        now[0] = float(at)
        gauge(done, total)
    assert capsys.readouterr().err.splitlines() == [
        "reading: 0/2",
        "reading: 1/2, 0.2/s, 4 s left",
        "reading: 2/2",
        "reading: 0/600",
        "reading: 300/600, 2.0/s, 2 min 30 s left",
        "reading: 599/600, 2.1/s, 1 s left",
        "reading: 0/600",
        "reading: 12/600, 1.1/s, 8 min 59 s left",
    ]


def test_a_meter_tells_stages_apart_that_count_as_many(capsys):
    now = [0.0]
    gauge = Meter("work", lambda: now[0])
    files, passages = gauge.stage("reading files"), gauge.stage("embedding passages")
    for told, done, at in ((files, 0, 0), (files, 2, 5), (passages, 2, 10), (passages, 3, 14), (gauge, 3, 20)):
        now[0] = float(at)
        told(done, 4)
    assert capsys.readouterr().err.splitlines() == [
        "reading files: 0/4",
        "reading files: 2/4, 0.4/s, 5 s left",
        "embedding passages: 2/4",
        "embedding passages: 3/4, 0.8/s, 2 s left",
        "work: 3/4",
    ]


# checks


def test_the_right_python_passes_and_a_wrong_one_names_its_remedy():
    assert check_python().state == ("ok" if sys.version_info[:2] == (3, 11) else "down")
    wrong = check_python((3, 9, 1))
    assert wrong.fatal
    assert "3.9.1" in str(wrong)
    assert "PYTHON=" in str(wrong)


def test_disk_is_measured_where_the_folder_will_be(tmp_path):
    there = tmp_path / "not" / "yet"
    assert check_disk(there).state == "ok"
    assert str(tmp_path) in check_disk(there).detail
    assert check_disk(there, least_mb=10**9).fatal


def test_a_port_is_taken_or_free():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert check_port("127.0.0.1", port).fatal
    assert check_port("127.0.0.1", port).state == "ok"
    assert check_port("127.0.0.1", 0).state == "ok"


def test_a_check_shows_its_remedy_only_when_something_is_wrong():
    assert str(Check("disk", "ok", "fine", "free some")) == "ok        disk: fine"
    assert str(Check("disk", "down", "full", "free some")).endswith("disk: full  -> free some")
