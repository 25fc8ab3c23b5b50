"""A small Langfuse: decodes what it is sent, keeps what it takes, and fails as it is told to."""

import base64
import gzip
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

BASIC = "Basic " + base64.b64encode(b"pk-test:sk-test").decode()


class Double(ThreadingHTTPServer):
    """Keeps spans and scores. `status` other than 200 is what every POST is answered; `hang` holds it for ever."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.spans: list[dict[str, Any]] = []
        self.scores: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.refused = 0
        self.refused_names: dict[str, int] = {}
        self.bad_text = ""
        self.status = 200
        self.version = "4.61.0"
        self.authorization = ""
        self.hang = threading.Event()
        self.hang.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def named(self, name: str) -> dict[str, Any]:
        (found,) = [span for span in self.spans if span["name"] == name]
        return found

    def twice(self) -> list[str]:
        """Ids of spans that came more than once."""
        return [one for one, count in Counter(span["id"] for span in self.spans).items() if count > 1]


D = TypeVar("D", bound=Double)


class _Handler(BaseHTTPRequestHandler):
    server: Double

    def do_GET(self) -> None:
        if self.path.endswith("/projects") and self._unknown():
            self._answer(401, {})
        else:
            self._answer(200, {"status": "OK", "version": self.server.version})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        self.server.requests.append(self.path)
        if not self.server.hang.is_set():
            # Whoever is held so long has gone when it ends.
            self.server.hang.wait()
            self.close_connection = True
        elif self._unknown():
            self._answer(401, {})
        elif self.server.status != 200:
            self._answer(self.server.status, {})
        elif self.path == "/api/public/otel/v1/traces":
            self._take_spans(body)
        elif self.path == "/api/public/scores":
            self._take_scores(json.loads(body))
        else:
            self._answer(404, {})

    def _unknown(self) -> bool:
        return bool(self.server.authorization) and self.headers["Authorization"] != self.server.authorization

    def _take_spans(self, body: bytes) -> None:
        if self.server.bad_text and self.server.bad_text.encode() in body:
            self._answer(400, {"message": "cannot be read"})
            return
        self.server.spans += decoded(body)
        self._answer(200, {})

    def _take_scores(self, scores: list[dict[str, Any]]) -> None:
        first, refused = scores[: self.server.refused], self.server.refused_names
        errors = [{"id": one["id"], "status": 400, "message": "refused"} for one in first]
        errors += [
            {"id": one["id"], "status": refused[one["name"]], "message": "refused"}
            for one in scores[len(first) :]
            if one["name"] in refused
        ]
        bad = {one["id"] for one in errors}
        kept = [one for one in scores if one["id"] not in bad]
        self.server.scores += kept
        summary = {"accepted": len(kept), "rejected": len(errors), "errors": errors}
        self._answer(207 if errors else 202, summary if errors else {})

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Quietly."""


@contextmanager
def running(double: D) -> Iterator[D]:
    """Serves in a thread of its own; nobody is held any longer when it ends."""
    thread = threading.Thread(target=double.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield double
    finally:
        double.hang.set()
        double.shutdown()
        double.server_close()
        thread.join()


def langfuse(port: int = 0) -> AbstractContextManager[Double]:
    """A running one; on a given port it is one that was started again."""
    return running(Double(port))


def decoded(body: bytes) -> list[dict[str, Any]]:
    """The spans of an ExportTraceServiceRequest."""
    return [
        {
            "name": span.name,
            "trace": span.trace_id.hex(),
            "id": span.span_id.hex(),
            "parent": span.parent_span_id.hex(),
            "start": span.start_time_unix_nano,
            "end": span.end_time_unix_nano,
            "events": len(span.events),
            "attributes": {item.key: _value(item.value) for item in span.attributes},
        }
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(item) for item in value.array_value.values] if kind == "array_value" else getattr(value, kind)
