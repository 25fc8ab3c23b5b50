"""The Dockerfile's own install commands, run without a container: the service that comes out starts and answers.

Minutes, and gigabytes: run by `make image-test` alone.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_deploy import HOUSE, instructions

NOBODY = 65_534
PATIENCE = 120


def install_commands(venv: Path) -> list[str]:
    """The build stage's steps up to the weights, with the image's folder replaced by ours."""
    runs = [rest for word, rest in instructions() if word == "RUN"]
    wanted = [run for run in runs if "-m venv" in run or "pip install" in run]
    python = next(path for path in ("/usr/bin/python3.11", shutil.which("python3.11")) if path and Path(path).exists())
    return [re.sub(r"^python ", f"{python} ", run).replace("/opt/venv", str(venv)) for run in wanted]


def copy_of_the_context(place: Path) -> Path:
    """What .dockerignore lets into the build, from git's own list of files."""
    rules = (HOUSE / ".dockerignore").read_text("utf-8").splitlines()
    let_in = [rule[1:] for rule in rules if rule.startswith("!")]
    listed = subprocess.run(["git", "ls-files", "--", *let_in], cwd=HOUSE, check=True, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HOUSE / name, place / name)
    return place


@contextmanager
def served(venv: Path, app: Path, home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """`frontdesk serve` in an environment of its own; as nobody where this is root."""
    environment = {
        "PATH": f"{venv / 'bin'}:/usr/bin:/bin",
        "HOME": str(home),
        "FRONTDESK_HOME": str(home),
        "FRONTDESK_LLM": "off",
        "FRONTDESK_PORT": str(port),
    }
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    with (home.parent / "serve.log").open("wb") as log:
        server = subprocess.Popen(["frontdesk", "serve"], cwd=app, env=environment, stdout=log, stderr=log, **user)
        try:
            yield server
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=30)


def status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return int(answer.status)
    except OSError:
        return 0


@pytest.mark.timeout(1_200)
def test_what_the_dockerfile_installs_serves_as_another_user() -> None:
    # Not tmp_path: pytest's own folders are closed to other users.
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        place = Path(folder)
        place.chmod(0o755)
        context, app, home = place / "src", place / "app", place / "data"
        copy_of_the_context(context)
        shutil.copytree(context / "desks", app / "desks")
        home.mkdir()
        if os.geteuid() == 0:
            os.chown(home, NOBODY, NOBODY)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FRONTDESK_")}
        for command in install_commands(place / "venv"):
            done = subprocess.run(
                ["sh", "-c", command], check=False, cwd=context, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{command}: {done.stderr[-1500:]}"
        shutil.rmtree(context)  # the final stage has no sources
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with served(place / "venv", app, home, port) as server:
            until = time.monotonic() + PATIENCE
            while status(port, "/readyz") != 200 and time.monotonic() < until and server.poll() is None:
                time.sleep(0.5)
            said = (place / "serve.log").read_text("utf-8", "replace")[-1500:]
            assert status(port, "/readyz") == 200, said
            assert status(port, "/healthz") == 200
            assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        assert server.returncode in (0, -signal.SIGTERM)
        assert list(home.iterdir())
