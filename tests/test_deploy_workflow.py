"""The workflow for users' own repositories, without a runner: every command that it names exists and takes its options."""

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from typer.main import get_command

from cli.main import app
from domain.settings import Settings

WORKFLOW = Path(__file__).resolve().parent.parent / "deploy" / "github-workflow.yaml"
EXPRESSION = re.compile(r"\$\{\{\s*([^}]+?)\s*\}\}")


def jobs() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"]


def commands() -> list[list[str]]:
    lines = [line for job in jobs().values() for step in job["steps"] for line in step.get("run", "").splitlines()]
    return [shlex.split(EXPRESSION.sub("x", line))[1:] for line in lines if line.startswith("frontdesk ")]


def found(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that these words name, and what is left of them."""
    command: Any = get_command(app)
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_each_command_exists_and_takes_what_it_is_given(words: list[str]) -> None:
    command, given = found(words)
    parsed = command.make_context(words[0], [word.replace("$NAME", "r-1") for word in given], resilient_parsing=False)
    assert parsed.params


def test_the_way_is_check_release_gate_canary() -> None:
    names = [" ".join(words[:2]) for words in commands()]
    way = ["doctor --desk", "prompts test", "eval desk", "release create", "release gate", "release ab"]
    assert [name for name in names if name in way] == way
    assert jobs()["release"]["needs"] == "check"
    assert jobs()["release"]["if"] == "github.event_name == 'push'"
    canary = next(words for words in commands() if words[:2] == ["release", "ab"])
    assert float(canary[canary.index("--share") + 1]) == 0.05


def test_secrets_and_settings_are_known_and_stay_out_of_commands() -> None:
    known = {f"FRONTDESK_{name.upper()}" for name in Settings.model_fields}
    for job in jobs().values():
        environment = job.get("env", {})
        assert {name for name in environment if name.startswith("FRONTDESK_")} <= known
        for step in job["steps"]:
            assert "secrets." not in step.get("run", "")
    text = WORKFLOW.read_text("utf-8")
    assert set(re.findall(r"vars\.([A-Z_]+)", text)) == {"DESK", "FRONTDESK_SOURCE", "FRONTDESK_VERSION"}
    assert all(re.search(rf"#.*{name}", text) for name in ("DESK", "FRONTDESK_SOURCE", "FRONTDESK_VERSION"))
