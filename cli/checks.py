"""What must hold before a desk can work on this machine: each check is one line with the command that mends it."""

import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

State = Literal["ok", "degraded", "down", "off"]
PYTHON = (3, 11)
LEAST_MB = 200
"""Free disk that a desk's own state needs to live."""
MEGABYTE = 1_000_000
NEXT_PORTS = 20


@dataclass(frozen=True, slots=True)
class Check:
    """How one thing is. `fix` is the command or setting that mends it; `needed`: without it no answers."""

    name: str
    state: State
    detail: str
    fix: str = ""
    needed: bool = False

    @property
    def fatal(self) -> bool:
        """Whether the desk cannot answer because of this."""
        return self.needed and self.state == "down"

    def __str__(self) -> str:
        remedy = f"  -> {self.fix}" if self.fix and self.state != "ok" else ""
        return f"{self.state:<9} {self.name}: {self.detail}{remedy}"


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Check:
    """The interpreter: 3.11, which everything was locked and tested for."""
    shown = ".".join(str(part) for part in version)
    right = version[:2] == PYTHON
    return Check("python", "ok" if right else "down", shown, "make setup PYTHON=python3.11", needed=True)


def check_disk(folder: Path, least_mb: int = LEAST_MB) -> Check:
    """Free space where the desk keeps its state."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free // MEGABYTE
    detail = f"{free:,} MB free at {there}"
    return Check("disk", "ok" if free >= least_mb else "down", detail, "free some, or set FRONTDESK_HOME", needed=True)


def check_port(host: str, port: int) -> Check:
    """Whether the server could listen there."""
    fault = _bind(host, port)
    if fault is None:
        return Check("port", "ok", f"{host}:{port} is free" if port else "any free one", needed=True)
    free = next((one for one in range(port + 1, min(port + NEXT_PORTS, 65_536)) if _bind(host, one) is None), 0)
    return Check(
        "port", "down", f"{host}:{port}: {fault}", f"free it, or pass --port {free}".replace(":,", ":"), needed=True
    )


def _bind(host: str, port: int) -> str | None:
    """Why one cannot listen there; None if one can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as fault:
        return (fault.strerror or str(fault)).lower()
    return None
