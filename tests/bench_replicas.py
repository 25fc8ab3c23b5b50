"""`frontdesk bench --workers 2` on Postgres, Redis and a Chroma server that are started from their wheels.

Run by `make bench-replicas`; options are passed on (--quick, --json).
"""

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from cluster import KEY, PROGRAM, running_chroma
from places import running_postgres, running_redis

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"


def main() -> int:
    """The exit code of the measurement."""
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        settings = {
            "FRONTDESK_DATABASE_URL": opened.enter_context(running_postgres(())).empty(),
            "FRONTDESK_REDIS_URL": opened.enter_context(running_redis()),
            "FRONTDESK_CHROMA_URL": opened.enter_context(running_chroma(folder)),
            "FRONTDESK_VAULT_KEY": KEY,
        }
        command = [PROGRAM, "bench", "--workers", "2", "--into", PAGE, *sys.argv[1:]]
        return subprocess.run(command, env=os.environ | settings, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
