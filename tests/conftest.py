"""Every test: no key in the environment, nothing but loopback on the network, state in a folder of its own."""

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

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
