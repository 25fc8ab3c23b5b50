"""How many spans were made and how many the server took. Imported with langfuse only: opentelemetry is heavy."""

import threading
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult


class Tally:
    """Things made and things confirmed, counted from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 0

    def made(self, number: int = 1) -> None:
        """So many more are to be delivered."""
        with self._lock:
            self._open += number

    def confirmed(self, number: int) -> None:
        """The server has taken so many."""
        with self._lock:
            self._open -= number

    @property
    def open(self) -> int:
        """What was made and not confirmed: on its way, refused, or dropped."""
        with self._lock:
            return self._open


class CountingProcessor(SpanProcessor):
    """Counts every span that ends, before a full queue can drop it."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def on_end(self, span: ReadableSpan) -> None:
        """Count one."""
        del span
        self._tally.made()


class CountingExporter(SpanExporter):
    """Passes spans on and counts what was taken."""

    def __init__(self, exporter: SpanExporter, tally: Tally) -> None:
        self._exporter = exporter
        self._tally = tally

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; called in the background only."""
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self._tally.confirmed(len(spans))
        return result

    def shutdown(self) -> None:
        """Stop, retries included."""
        self._exporter.shutdown()
