"""`make serve` in a clone: wait until it answers a question over HTTP, look at the page, stop it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

PORT = 18473
PATIENCE = 600
BASE = f"http://127.0.0.1:{PORT}"


def main(folder: str) -> int:
    """Serve from `folder` on a port of our own; 0 if page and answer are there."""
    command = ["make", "serve", "LLM=off", f"PORT={PORT}"]
    server = subprocess.Popen(command, cwd=folder, start_new_session=True)  # noqa: S603  # our own Makefile
    try:
        _wait(server)
        page = _get("/").decode()
        reply = json.loads(_post("/v1/chat", {"message": "How long do I have to return something?"}))
        print(f"{reply['outcome']}: {reply['answer'][:120]!r} from {[source['id'] for source in reply['sources']]}")
        return 0 if "<html" in page and reply["outcome"] == "answer" and reply["sources"] else 1
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


def _wait(server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if server.poll() is not None:
            sys.exit(f"make serve ended with {server.returncode}")
        try:
            _get("/readyz")
        except OSError:
            time.sleep(0.5)
        else:
            return
    sys.exit("make serve did not become ready")


def _get(path: str) -> bytes:
    with urllib.request.urlopen(BASE + path, timeout=10) as answer:  # noqa: S310  # loopback
        return bytes(answer.read())


def _post(path: str, body: dict[str, object]) -> bytes:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(BASE + path, json.dumps(body).encode(), headers)  # noqa: S310  # loopback
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # loopback
        return bytes(answer.read())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
