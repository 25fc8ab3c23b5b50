"""A real `langgraph dev`, driven through langgraph-sdk as a developer would drive Studio."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from langfuse_double import Double, langfuse
from langgraph_sdk import get_sync_client

HOUSE = Path(__file__).resolve().parent.parent
NODES = ["guard_input", "route", "retrieve", "generate", "guard_output", "judge", "refuse", "handoff"]
STEPS = ["guard_input", "route", "retrieve", "generate", "guard_output", "judge"]
START_SECONDS = 90
SENT_SECONDS = 20
ASKED = {"question": "How long is the warranty on small appliances?"}
AT_A_TIME = "frontdesk"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def traces() -> Iterator[Double]:
    """The Langfuse that this Studio sends to."""
    with langfuse() as double:
        yield double


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, traces: Double) -> Iterator[Any]:
    """The server over the shipped shop, in a copy of nothing: it runs where langgraph.json lies."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("studio")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("FRONTDESK_", "LANG"))},
        "FRONTDESK_LLM": "off",
        "FRONTDESK_HOME": str(folder / "home"),
        "LANGFUSE_HOST": traces.url,
        "LANGFUSE_PUBLIC_KEY": "pk-test",
        "LANGFUSE_SECRET_KEY": "sk-test",
        # Asked for on purpose: the service must switch it off whatever the environment says.
        "LANGSMITH_TRACING": "true",
    }
    log = (folder / "log").open("wb")
    server = subprocess.Popen(
        [str(Path(sys.executable).parent / "langgraph"), "dev", "--no-browser", "--no-reload", "--port", str(port)],
        cwd=HOUSE,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, server, folder / "log")
        with get_sync_client(url=url) as client:
            yield client
    finally:
        server.terminate()
        server.wait(timeout=30)
        log.close()
        shutil.rmtree(HOUSE / ".langgraph_api", ignore_errors=True)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            pytest.fail(f"langgraph dev ended: {log.read_text('utf-8', 'replace')[-3000:]}")
        try:
            if httpx.get(f"{url}/ok", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.3)
    pytest.fail(f"langgraph dev was not ready: {log.read_text('utf-8', 'replace')[-3000:]}")


def test_the_drawn_graph_is_the_story(studio: Any) -> None:
    assistant = studio.assistants.search()[0]
    drawn = studio.assistants.get_graph(assistant["assistant_id"])
    names = {node["id"] for node in drawn["nodes"]}
    assert names >= set(NODES)
    edges = {(edge["source"], edge["target"]) for edge in drawn["edges"]}
    assert edges >= {("retrieve", "generate"), ("guard_output", "judge"), ("route", "handoff"), ("generate", "refuse")}


def test_input_and_knobs_have_schemas(studio: Any) -> None:
    schemas = studio.assistants.get_schemas(studio.assistants.search()[0]["assistant_id"])
    assert set(schemas["input_schema"]["properties"]) >= {"question", "user_id", "language"}
    assert schemas["input_schema"]["required"] == ["question"]
    assert set(schemas["context_schema"]["properties"]) >= {"prompt", "rag_config", "tier", "judge"}


def test_a_run_is_stepped_node_by_node_and_its_history_read(studio: Any) -> None:
    thread = studio.threads.create()["thread_id"]
    seen = []
    studio.runs.wait(thread, AT_A_TIME, input=ASKED, interrupt_before="*")
    while following := studio.threads.get_state(thread)["next"]:
        seen += following
        studio.runs.wait(thread, AT_A_TIME, input=None, interrupt_before="*")
    assert seen == STEPS
    state = studio.threads.get_state(thread)["values"]
    assert state["outcome"] == "answer"
    assert state["sources"]
    assert state["scores"]
    history = studio.threads.get_history(thread, limit=20)
    assert [step["next"] for step in history][:3] == [[], ["judge"], ["guard_output"]]


def test_a_turn_is_one_trace_of_the_environment_studio_also_when_it_is_stepped(studio: Any, traces: Double) -> None:
    thread = studio.threads.create()["thread_id"]
    studio.runs.wait(thread, AT_A_TIME, input=ASKED, interrupt_before=["generate"])
    studio.runs.wait(thread, AT_A_TIME, input=None)
    studio.runs.wait(thread, AT_A_TIME, input={"question": "And how long do I have to return a pan?"})
    until = time.monotonic() + SENT_SECONDS
    while len(own := spans_of(traces, thread)) < 2 * len(STEPS) and time.monotonic() < until:
        time.sleep(0.2)
    by_trace: dict[str, list[str]] = {}
    for span in sorted(own, key=lambda one: one["start"]):
        by_trace.setdefault(span["trace"], []).append(span["name"])
        assert span["attributes"]["langfuse.environment"] == "studio"
    assert list(by_trace.values()) == [STEPS, STEPS]


def spans_of(traces: Double, thread: str) -> list[dict[str, Any]]:
    return [span for span in traces.spans if span["attributes"].get("session.id") == thread]


def test_an_earlier_step_can_be_forked(studio: Any) -> None:
    thread = studio.threads.create()["thread_id"]
    studio.runs.wait(thread, AT_A_TIME, input=ASKED)
    before = next(step for step in studio.threads.get_history(thread, limit=20) if step["next"] == ["generate"])
    fork = studio.threads.update_state(thread, {"confidence": 0.0}, checkpoint=before["checkpoint"], as_node="retrieve")
    forked = studio.runs.wait(thread, AT_A_TIME, input=None, checkpoint=fork["checkpoint"])
    assert forked["outcome"] == "dont_know"


def test_an_edited_passage_is_still_a_passage(studio: Any) -> None:
    """Studio sends JSON: a nested value comes back as a dict, and the next step must read it all the same."""
    thread = studio.threads.create()["thread_id"]
    studio.runs.wait(thread, AT_A_TIME, input=ASKED, interrupt_before=["generate"])
    passage = studio.threads.get_state(thread)["values"]["passages"][0]
    edited = passage | {"text": "The warranty on small appliances is 41 months. Keep the receipt."}
    studio.threads.update_state(thread, {"passages": [edited], "confidence": 0.99}, as_node="retrieve")
    done = studio.runs.wait(thread, AT_A_TIME, input=None)
    assert "41 months" in done["answer"]


def test_a_knob_changes_the_run(studio: Any) -> None:
    thread = studio.threads.create()["thread_id"]
    done = studio.runs.wait(thread, AT_A_TIME, input=ASKED, context={"tier": "complex", "judge": False})
    assert done["tier"] == "complex"
    assert done["scores"] == []
