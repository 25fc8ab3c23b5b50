"""Every setting, command, guard, suite, route and prompt is documented, and every local link leads somewhere."""

import asyncio
import re
from pathlib import Path

import pytest
import yaml
from house import open_house
from typer.main import get_command

from cli.main import app
from domain.settings import Settings
from graph.operations import OPERATIONS

HOUSE = Path(__file__).resolve().parent.parent
DOCS = HOUSE / "docs"
PAGES = [HOUSE / "README.md", HOUSE / "CHANGELOG.md", *DOCS.rglob("*.md")]


def text(page: str) -> str:
    return (DOCS / page).read_text("utf-8")


def test_every_setting_is_documented_with_its_default() -> None:
    page = text("settings.md")
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        variable = alias.choices[0] if alias is not None else f"FRONTDESK_{name.upper()}"  # type: ignore[union-attr]
        default = field.default
        shown = default.get_secret_value() if hasattr(default, "get_secret_value") else default
        row = f"| `{variable}` | `{'unset' if shown is None else shown if shown != '' else 'empty'}` | {field.description}"
        assert row in page, row


def test_every_command_is_documented() -> None:
    page = text("cli.md")
    command = get_command(app)
    for name in command.commands:  # type: ignore[attr-defined]
        assert f"frontdesk {name}" in page, name


def test_every_route_is_documented() -> None:
    page = text("http.md")
    routes = re.findall(r'\.(?:get|post|delete|put|patch|api_route)\(\s*"(/[^"]*)"', "\n".join(
        path.read_text("utf-8") for path in (HOUSE / "api").glob("*.py")))  # fmt: skip
    assert len(routes) >= 8
    for route in routes:
        assert route in page, route


def test_every_guard_is_documented() -> None:
    from guards.base import discover  # noqa: PLC0415

    page = text("guards.md")
    for guard in discover():
        assert f"`{guard.spec.name}`" in page, guard.spec.name


def test_every_suite_is_documented() -> None:
    page = text("evaluation.md")
    suites = [path.stem for path in (HOUSE / "evals" / "suites").glob("*.py") if path.stem != "__init__"]
    assert suites
    for suite in suites:
        assert f"`{suite}`" in page, suite


def test_every_prompt_file_has_its_cases() -> None:
    for path in (HOUSE / "prompts" / "library").glob("*.yaml"):
        prompt = yaml.safe_load(path.read_text("utf-8"))
        assert prompt["cases"], path.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_local_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} -> {target}"


def test_nothing_names_a_place_that_only_this_workshop_has() -> None:
    for page in PAGES:
        assert "/work/" not in page.read_text("utf-8"), page


def test_the_picture_of_the_flow_is_the_graph(tmp_path: Path) -> None:
    async def drawn() -> set[tuple[str, str]]:
        async with open_house(tmp_path) as house:
            edges = house.desk._graph.get_graph().edges
            return {(edge.source.strip("_"), edge.target.strip("_")) for edge in edges}

    picture = re.findall(r"^  (\w+) --> (\w+)$", (HOUSE / "README.md").read_text("utf-8"), re.MULTILINE)
    named = {("start" if a == "START" else a, "end" if b == "END" else b) for a, b in picture}
    assert named == asyncio.run(drawn())


def test_every_operation_is_in_the_http_page():
    page = text("http.md")
    for name, operation in OPERATIONS.items():
        row = next((line for line in page.splitlines() if line.startswith(f"| `{name}` |")), "")
        assert row, f"docs/http.md has no row for the operation {name}"
        assert all(field in row for field in operation.fields), f"docs/http.md leaves a field of {name} out"
        assert row.rstrip().endswith("| yes |") == operation.reads


@pytest.mark.parametrize("page", ["reliability.md", "security.md"])
def test_every_test_that_a_table_names_is_there(page: str) -> None:
    named = re.findall(r"`(tests/\w+\.py)::(\w+)`", text(page))
    assert len(named) > 20
    missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in (HOUSE / file).read_text("utf-8")]
    assert missing == []
