"""The real `frontdesk serve` in a process and a folder of its own, for whoever measures it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from domain.errors import NotMeasuredError

FRONTDESK = Path(sys.executable).parent / "frontdesk"
READY_SECONDS = 900.0
"""A first start reads the articles."""
STOP_SECONDS = 30.0
MEGABYTE = 1e6
SHOWN = 300


@contextmanager
def serving(
    home: str, *options: str, desk: str = "shop", **settings: str
) -> Iterator[tuple[float, psutil.Process, str]]:
    """The real server on a free port: seconds until /readyz, its process, its address. Raises NotMeasuredError."""
    started = time.perf_counter()
    command = [str(FRONTDESK), "serve", "--desk", desk, "--port", "0", *options]
    with (Path(home) / "serve.log").open("ab") as log:
        server = subprocess.Popen(command, env=environment(home) | settings, stdout=log, stderr=log)  # noqa: S603  # our own
    with server:
        try:
            base = _address(Path(home) / Path(desk).name / "lock.json", server)
            yield time.perf_counter() - started, psutil.Process(server.pid), base
        finally:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(STOP_SECONDS)
            server.kill()


def environment(home: str) -> dict[str, str]:
    """What this process was given, without anybody's settings: the LLM off, state in `home`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FRONTDESK_", "LANGFUSE_"))}
    return {**kept, "FRONTDESK_HOME": home, "FRONTDESK_LLM": "off", "OPENAI_API_KEY": ""}


def crew(server: psutil.Process) -> list[psutil.Process]:
    """A server and the processes that it has started."""
    return [server, *server.children(recursive=True)]


def processor_seconds(server: psutil.Process) -> float:
    """What a server and its processes have computed so far."""
    used = [one.cpu_times() for one in crew(server)]
    return float(sum(one.user + one.system for one in used))


def resident(server: psutil.Process) -> float:
    """Megabytes that a server and its processes hold."""
    return float(sum(one.memory_info().rss for one in crew(server))) / MEGABYTE


def _address(lock: Path, server: "subprocess.Popen[bytes]") -> str:
    until = time.perf_counter() + READY_SECONDS
    while time.perf_counter() < until and server.poll() is None:
        try:
            owner = json.loads(lock.read_text(encoding="utf-8").strip("\0 \n"))
            base = owner["address"] if owner["pid"] == server.pid else ""
            if base and httpx.get(f"{base}/readyz", timeout=5, trust_env=False).is_success:
                return str(base)
        except (OSError, ValueError, httpx.HTTPError):
            pass
        time.sleep(0.05)
    said = (lock.parent.parent / "serve.log").read_text("utf-8", "replace").strip()[-SHOWN:]
    raise NotMeasuredError(f"frontdesk serve was not ready (exit {server.poll()}): {said}", where=str(lock.parent))
