"""Lines of the JSONL files that evaluations are given."""

import codecs
from pathlib import Path

from domain.errors import UsageError


def read_lines(path: Path) -> list[bytes]:
    """The lines, without the byte order mark that some editors begin a file with. Raises UsageError: it cannot be read."""
    try:
        return path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
    except OSError as fault:
        raise UsageError(f"cannot be read: {fault.strerror}", where=str(path), fix="give a JSONL file") from fault
