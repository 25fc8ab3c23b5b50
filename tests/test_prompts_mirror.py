"""Prompts to Langfuse and back, against a server that keeps them as Langfuse does."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import FrozenClock
from langfuse_double import BASIC
from langfuse_prompts_double import Prompts, langfuse_prompts
from places import open_store

from domain.errors import FrontdeskError, UsageError
from domain.settings import read_settings
from graph.mirroring import pull, push
from prompts import PromptLibrary


@pytest.fixture
def double() -> Iterator[Prompts]:
    with langfuse_prompts() as running:
        running.authorization = BASIC
        yield running


@pytest.fixture
def service(tmp_path: Path, double: Prompts) -> Iterator[Any]:
    clock = FrozenClock()
    store = open_store(tmp_path / "state", clock)
    settings = read_settings(langfuse_host=double.url, langfuse_public_key="pk-test", langfuse_secret_key="sk-test")
    yield SimpleNamespace(
        settings=settings, prompts=PromptLibrary.load(), desk_folder=tmp_path, store=store, clock=clock
    )
    store.close()


def pushed(service: Any, name: str = "") -> Any:
    return asyncio.run(push(service, name=name, who="Lan"))


def pulled(service: Any, name: str, **label: str) -> Any:
    return asyncio.run(pull(service, name=name, who="Lan", **label))


def test_every_version_is_there_once_with_its_label_and_what_it_is(service: Any, double: Prompts) -> None:
    labels = [each.label for each in service.prompts.all()]
    assert pushed(service) == {"pushed": labels, "unchanged": []}
    assert pushed(service) == {"pushed": [], "unchanged": labels}
    (there,) = double.prompts["answer"]
    answer = service.prompts.get("answer")
    assert (there["type"], there["labels"]) == ("chat", [f"frontdesk-{answer.version}", "latest"])
    assert [line["content"] for line in there["prompt"]] == [line.text for line in answer.messages]
    assert there["config"]["frontdesk"]["hash"] == answer.hash
    entries = service.store.audit.recent(10)
    assert [(entry.who, entry.what) for entry in entries] == [("Lan", "prompts.push")]
    assert entries[0].after == {"prompts": labels}


def test_one_name_or_one_version_is_pushed_alone(service: Any, double: Prompts) -> None:
    assert pushed(service, "answer_bad")["pushed"] == ["answer_bad@1"]
    assert pushed(service, "judge@1")["pushed"] == ["judge@1"]
    assert set(double.prompts) == {"answer_bad", "judge"}
    with pytest.raises(UsageError, match="no prompt 'nothing'"):
        pushed(service, "nothing")


def test_what_was_changed_there_comes_back_as_the_next_version(service: Any, double: Prompts) -> None:
    pushed(service, "answer")
    base = service.prompts.get("answer")
    assert pulled(service, "answer") == {"registered": [], "unchanged": [base.label]}
    lines = [dict(line) for line in double.prompts["answer"][0]["prompt"]]
    lines[0]["content"] += "\nBe kind."
    double.take({"name": "answer", "type": "chat", "prompt": lines, "labels": ["kinder"], "commitMessage": "Be kinder"})
    label = f"answer@{base.version + 1}"
    assert pulled(service, "answer", label="kinder") == {"registered": [label], "unchanged": []}
    new = service.prompts.get(label)
    assert new.messages[0].text.endswith("Be kind.")
    assert (new.note, new.variables, new.cases) == ("Be kinder", base.variables, base.cases)
    # Registering changes no answer.
    assert service.prompts.get("answer") == base
    assert (service.desk_folder / "prompts" / f"answer-{new.version}.yaml").is_file()


def test_a_label_that_was_moved_there_is_not_taken_for_ours(service: Any, double: Prompts) -> None:
    double.take(
        {"name": "judge", "type": "chat", "prompt": [{"role": "user", "content": "Hm?"}], "labels": ["frontdesk-1"]}
    )
    with pytest.raises(UsageError, match="frontdesk-1 says something else in Langfuse"):
        pushed(service, "judge")
    assert len(double.prompts["judge"]) == 1


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ({"type": "text", "prompt": "Answer {{question}}"}, "is one text, not a chat"),
        ({"type": "chat", "prompt": [{"type": "placeholder", "name": "history"}]}, "without role and text"),
        ({"type": "chat", "prompt": [{"role": "user", "content": "{{question}} {{secret}}"}]}, "never used"),
    ],
)
def test_what_is_no_prompt_of_ours_is_named_and_nothing_is_kept(
    service: Any, double: Prompts, there: dict[str, Any], says: str
) -> None:
    before = service.prompts.all()
    double.take({"name": "answer", **there})
    with pytest.raises(UsageError, match=says):
        pulled(service, "answer")
    assert service.prompts.all() == before
    assert not (service.desk_folder / "prompts").exists() or not list((service.desk_folder / "prompts").iterdir())


def test_a_server_or_keys_that_are_not_there_are_said_in_a_line(service: Any, double: Prompts) -> None:
    with pytest.raises(UsageError, match="Langfuse has no answer with the label latest"):
        pulled(service, "answer")
    double.status = 503
    with pytest.raises(FrontdeskError, match="answers 503"):
        pushed(service, "answer")
    double.authorization = "Basic other"
    with pytest.raises(FrontdeskError, match="refuses the keys"):
        pushed(service, "answer")
    service.settings = read_settings(
        langfuse_host="http://127.0.0.1:9", langfuse_public_key="p", langfuse_secret_key="s"
    )
    with pytest.raises(FrontdeskError, match="gives no answer"):
        pushed(service, "answer")
    service.settings = read_settings()
    with pytest.raises(UsageError, match="not configured"):
        pushed(service, "answer")
