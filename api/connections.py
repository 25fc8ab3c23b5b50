"""Connections with an end to their patience: uvicorn's protocol, which waits for a request's head for ever.

A client that sends a byte now and then (slow loris), a head without an end, or more connections than this process
may have files would otherwise hold the desk without asking it anything.
"""

import asyncio
import math
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 65_536
"""Request line and headers together, as far as they come in one piece; browsers send 1 to 8 kB."""
FILES = 65_536
"""As many files as this process asks to be allowed to open."""
IDLE_SECONDS = 75
"""A connection without a request is kept for so long. Proxies keep theirs for a minute: who hangs up first must be the proxy, or
a question that it sends at that moment is lost."""
SPARE_FILES = 256
"""Files that connections leave for databases, articles and other servers."""

TOO_LATE = b"408 Request Timeout"
TOO_LONG = b"431 Request Header Fields Too Large"


class Connection(HttpToolsProtocol):
    """One client's connection. `patience`: seconds in which a request's head must have come; `most`: connections."""

    def __init__(self, *, patience: float, most: float = math.inf, **given: Any) -> None:
        super().__init__(**given)
        self._patience = patience
        self._most = most
        self._in_head = True
        self._head_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Take a connection, unless there is no file left for it."""
        super().connection_made(transport)
        if len(self.connections) > self._most:
            transport.abort()
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head that grows beyond measure, or does not end, ends the connection."""
        self._head_bytes += len(data)
        if self._in_head and self._answered() and not self._timer:
            self._wait()
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES:
            self._refuse(TOO_LONG)

    def on_headers_complete(self) -> None:
        """The head is there: what comes now is a body, which the gate watches."""
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is there too: what comes now is another head."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Be patient with a client that has still to read, or has begun its next request; one at rest may stay for `IDLE_SECONDS`."""
        if not self.pipeline and (self._head_bytes or self.transport.get_write_buffer_size()):
            self._wait()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """End an idle connection; one whose client still reads its answer has time until its patience ends."""
        if not self.transport.get_write_buffer_size():
            super().timeout_keep_alive_handler()

    def _answered(self) -> bool:
        """Whether nothing is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(self._patience, self._refuse, TOO_LATE)

    def _stop_waiting(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: bytes) -> None:
        """End it at once; whoever waits for nothing else is told why."""
        if self.transport.is_closing() and not self.transport.get_write_buffer_size():
            return
        asked, unread = self._head_bytes > 0, self.transport.get_write_buffer_size()
        if self.cycle and self.cycle.response_complete and not (asked or unread):
            return  # it has read its answer meanwhile
        if asked and self._in_head and self._answered():
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()
        else:
            self.transport.abort()


def allow_files() -> int:
    """Let this process open as many files as it may; the connections that leaves room for."""
    import resource  # noqa: PLC0415  # there is none on Windows, where nothing is to be raised

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(wanted - SPARE_FILES, wanted // 2)
