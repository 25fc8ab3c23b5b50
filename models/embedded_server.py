"""The child process of the embedded model: llama.cpp's HTTP server on loopback. A script, run by path.

Reads one JSON object from stdin (`EmbeddedServerArguments`), writes one JSON line to stdout when the
model is loaded (`{"base_url": …}`, or `{"error": …}`), and serves until stdin closes: the pipe's end
is how it learns that its parent has gone, even if the parent was killed.
"""

import json
import os
import sys
from typing import TypedDict

NICENESS = 5
"""Answers by quotation come from the parent and must not wait for this process."""


class EmbeddedServerArguments(TypedDict):
    """What the parent sends. `api_key` keeps other programs of this machine out."""

    weights: str
    alias: str
    threads: int
    context: int
    slots: int
    api_key: str


def main() -> int:
    """Load, announce, serve until stdin closes. The exit status is 0 unless loading failed."""
    arguments: EmbeddedServerArguments = json.loads(sys.stdin.readline())
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    try:
        server, base_url = _serve(arguments)
    except (ImportError, RuntimeError, OSError) as fault:
        _say({"error": f"{type(fault).__name__}: {fault}"})
        return 1
    _say({"base_url": base_url})
    sys.stdin.read()
    # The server's own shutdown waits for requests in flight: nobody is left to read their answers.
    del server
    os._exit(0)


def _serve(arguments: EmbeddedServerArguments) -> tuple[object, str]:
    import xllamacpp  # noqa: PLC0415 - an extra: its absence is an answer, not a crash

    params = xllamacpp.CommonParams()
    params.model.path = arguments["weights"]
    params.model_alias = {arguments["alias"]}
    params.api_keys = [arguments["api_key"]]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.ui = False
    params.endpoint_slots = False  # it would show prompts
    params.offline = True
    params.n_ctx = arguments["context"]
    params.n_parallel = arguments["slots"]
    params.kv_unified = True  # every slot may use the whole context
    params.cache_ram_mib = 0  # prefixes are kept in the slots; the default keeps up to 8 GB of them
    params.use_jinja = True
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = arguments["threads"]
        cpu.poll = 0  # waiting threads sleep: spinning ones take the cores that the others wait for
    params.verbosity = 1
    server = xllamacpp.Server(params)
    return server, f"{server.listening_address}/v1"


def _say(line: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
