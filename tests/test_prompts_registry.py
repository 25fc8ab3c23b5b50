"""Prompts registered beside the library: files of the desk, told apart by their hash, and back from an export."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from fakes import FrozenClock
from hypothesis import example, given, settings
from hypothesis import strategies as st
from places import open_store

from domain.errors import UsageError
from domain.turn import Message
from graph import prompting
from prompts import PromptLibrary
from prompts.registry import LIBRARY, export_prompts, parse_prompt, parse_prompts, prompt_file

FILE = """\
name: answer
version: 2
author: Lan
note: shorter
variables: [desk, tone, language, passages, history, question]
messages:
  - role: system
    text: Answer for {{desk}} in {{language}}, {{tone}}. Say "{{dont_know}}" otherwise.
  - role: user
    text: "{{passages}} {{history}} {{question}}"
"""
ANSWER = ("bad", "better", "zero_shot", "one_shot", "chain_of_thought", "safety_aware")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Any]:
    store = open_store(tmp_path / "state", FrozenClock())
    desk = tmp_path / "desk"
    desk.mkdir()
    yield SimpleNamespace(clock=FrozenClock(), store=store, desk_folder=desk, prompts=PromptLibrary.load())
    store.close()


def register(service: Any, text: str) -> Any:
    return asyncio.run(prompting.register(service, text=text, who="Lan"))


def files(service: Any) -> list[str]:
    return sorted(path.name for path in (service.desk_folder / "prompts").glob("*"))


def test_a_registered_version_is_a_file_of_the_desk_and_answers_only_where_it_is_named(service: Any) -> None:
    assert register(service, FILE) == {"registered": ["answer@2"], "unchanged": []}
    assert files(service) == ["answer-2.yaml"]
    again = PromptLibrary.load(desk=service.desk_folder / "prompts")
    for prompts in (service.prompts, again):
        assert prompts.get("answer").label == "answer@1"
        assert prompts.get("answer@2").author == "Lan"
        assert any("Answer for {{desk}}" in text for text in prompts.instructions())
    assert again.get("answer@2").created_at == FrozenClock().now().isoformat()
    entry = service.store.audit.recent(1)[0]
    assert (entry.who, entry.what) == ("Lan", "prompts.register")
    assert entry.after == {"prompt": "answer@2", "hash": again.get("answer@2").hash}
    shown = {row["label"]: row for row in asyncio.run(prompting.prompts(service))["prompts"]}
    assert (shown["answer@1"]["shipped"], shown["answer@2"]["shipped"]) == (True, False)


def test_registering_the_same_again_changes_nothing(service: Any) -> None:
    register(service, FILE)
    assert register(service, FILE) == {"registered": [], "unchanged": ["answer@2"]}
    assert len(service.store.audit.recent(10)) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (FILE.replace("version: 2", "version: 1"), "answer@1 is there.*make it version 2"),
        (FILE + "---\n" + FILE.replace("version: 2", "version: 3"), "answer@3 says what answer@2 says"),
        (FILE.replace("{{desk}}", "{{desk"), "braces"),
        (FILE.replace("{{desk}}", "{{desk.__class__}}"), "braces"),
        (FILE.replace("{{tone}}", "{{tone}} {% for x in y %}"), "braces"),
        (FILE.replace("{{tone}}", "{{tone}} {language}"), "braces"),
        (FILE.replace("{{tone}}", "{{mood}}"), "mood|tone"),
        (FILE.replace("author:", "\tauthor:"), r"prompts:\d+: is no YAML"),
        (FILE.replace("name: answer", "name: ../answer"), "name"),
        ("!!python/object/apply:os.system ['true']", "is no YAML"),
        ("", "holds no prompt"),
        ("[" * 1500, "is no YAML"),
    ],
)
def test_what_is_no_new_prompt_is_named_and_nothing_is_kept(service: Any, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        register(service, text)
    assert files(service) == []
    assert [each.label for each in service.prompts.all() if not service.prompts.ships(each)] == []
    assert service.store.audit.recent(1) == []


def test_of_two_who_register_a_version_at_once_one_is_told(service: Any) -> None:
    """The other process has its own library; they meet at the file."""
    other = SimpleNamespace(**vars(service) | {"prompts": PromptLibrary.load()})
    register(service, FILE)
    first = (service.desk_folder / "prompts" / "answer-2.yaml").read_text("utf-8")
    both = FILE.replace("name: answer", "name: another") + "---\n" + FILE.replace("shorter", "longer")
    with pytest.raises(UsageError, match="somebody else"):
        register(other, both.replace("Say", "Tell", 1).replace("otherwise", "else", 1))
    assert files(service) == ["answer-2.yaml"]
    assert (service.desk_folder / "prompts" / "answer-2.yaml").read_text("utf-8") == first


def test_an_export_says_what_it_is_and_comes_back(service: Any, tmp_path: Path) -> None:
    register(service, FILE)
    exported = asyncio.run(prompting.export(service))
    assert exported["count"] == len(service.prompts.all())
    one = yaml.safe_load(asyncio.run(prompting.export(service, name="answer@2"))["yaml"])
    assert set(one) == {"name", "version", "created_at", "hash", "template", "metadata"}
    assert parse_prompts(exported["yaml"], where="x") == service.prompts.all()
    empty = SimpleNamespace(**vars(service) | {"prompts": PromptLibrary({}), "desk_folder": tmp_path})
    register(empty, exported["yaml"])
    assert [each.hash for each in empty.prompts.all()] == [each.hash for each in service.prompts.all()]
    assert asyncio.run(prompting.export(service, name="answer"))["count"] == 2


def test_an_export_that_was_changed_is_not_taken_for_what_it_was(service: Any) -> None:
    text = asyncio.run(prompting.export(service, name="answer_bad"))["yaml"]
    with pytest.raises(UsageError, match="not the one that was exported"):
        register(service, text.replace("helpful", "cheerful"))


@settings(max_examples=60, deadline=None)
@example(text="0\x850", note="\u2028")
@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}")).map(str.strip).filter(bool),
    note=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_every_text_survives_its_file_and_its_export(text: str, note: str) -> None:
    plain = {"name": "x", "version": 1, "author": "a", "note": note, "variables": []}
    made = yaml.safe_dump(plain | {"messages": [{"role": "user", "text": text}]})  # all but ASCII escaped
    prompt = parse_prompt(made, where="x")
    assert prompt.messages == (Message("user", text),)
    assert parse_prompt(prompt_file(prompt), where="x") == prompt
    assert parse_prompts(export_prompts([prompt]), where="x") == [prompt]


def test_a_diff_shows_what_differs(service: Any) -> None:
    found = asyncio.run(prompting.diff(service, a="answer", b="answer_zero_shot"))
    assert (found["a"], found["b"], found["same"]) == ("answer@1", "answer_zero_shot@1", False)
    assert "-[assistant]" in found["diff"]
    assert asyncio.run(prompting.diff(service, a="answer", b="answer@1"))["same"]
    with pytest.raises(UsageError, match="no prompt 'nowhere'"):
        asyncio.run(prompting.show(service, name="nowhere"))


def test_the_variants_of_the_answer_prompt_take_its_variables_and_its_language() -> None:
    prompts = PromptLibrary.load(LIBRARY)
    answer = prompts.get("answer")
    for kind in ANSWER:
        variant = prompts.get(f"answer_{kind}")
        assert sorted(variant.variables) == sorted(answer.variables)
        for case in answer.cases:
            language = case.variables["language"]
            assert f"Answer in {language}." in variant.render(**case.variables)[-1].text
    assert len({each.hash for each in prompts.all()}) == len(prompts.all())
