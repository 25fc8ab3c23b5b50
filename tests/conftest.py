"""Every test: no key in the environment, nothing but loopback on the network, state in a folder of its own."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog
from places import KINDS, Place, PostgresServer, running_postgres

LOOPBACK = ("127.", "::1", "localhost")
KEYS = ("OPENAI_API_KEY", "LANGSMITH_API_KEY", "LANGCHAIN_API_KEY")
PREFIXES = ("FRONTDESK_", "LANGFUSE_", "LANGSMITH_", "LANGCHAIN_")


def pytest_configure(config: pytest.Config) -> None:
    """Block foreign sockets before anything is imported that might open one."""
    del config
    genuine = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if isinstance(address, tuple) and not str(host).startswith(LOOPBACK):
            message = f"a test tried to reach {address}"
            raise ConnectionRefusedError(message)
        genuine(self, address)

    socket.socket.connect = connect  # type: ignore[method-assign]  # the one patch, of the standard library


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the developer's shell holds, tests see the settings' defaults and write below tmp_path."""
    for name in list(os.environ):
        if name in KEYS or name.startswith(PREFIXES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FRONTDESK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FRONTDESK_LLM", "off")


@pytest.fixture(autouse=True)
def logging_as_new() -> Iterator[None]:
    """A test that configures logging writes to a stream that is gone when the next one logs."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


@pytest.fixture(autouse=True)
def no_loop_left_open() -> Iterator[None]:
    """A test that leaves an event loop set would lend it to the next."""
    yield
    asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real Postgres server, started by the first test that asks for it."""
    with running_postgres() as server:
        yield server


def _place(request: pytest.FixtureRequest, folder: Path) -> Place:
    if request.param != "postgres":
        return Place(folder)
    server: PostgresServer = request.getfixturevalue("postgres")
    return Place(folder, server.migrated(), server)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Where a store may be opened: a test that takes it runs on SQLite and on Postgres."""
    with closing(_place(request, tmp_path)) as made:
        yield made


@pytest.fixture(scope="module", params=KINDS)
def lasting_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place that all tests of a file share."""
    with closing(_place(request, tmp_path_factory.mktemp("place"))) as made:
        yield made


@pytest.fixture(scope="module", params=KINDS)
def new_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    """Gives a place of its own at each call: for the examples of one test."""
    return lambda: _place(request, tmp_path_factory.mktemp("place"))
