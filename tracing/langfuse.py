"""Turns and steps as Langfuse traces. The only importer of langfuse, inside `LangfuseTracer`.

Langfuse never reaches into a turn: nothing here raises (one of the three places that may catch
broadly), nothing here waits (the SDK sends from its own threads), and only what is handed in is
sent. An exception that passes through a span leaves its kind there, never its text.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import httpx

from domain.ports import Span, SpanKind, TurnContext
from domain.receipt import MICRO
from domain.turn import Call, Score
from tracing.log import traced

if TYPE_CHECKING:
    from types import TracebackType

    from opentelemetry.trace import Span as OtelSpan

CLOSE_SECONDS = 5.0
REQUEST_SECONDS = 5.0
OLDEST_SERVER = (4, 59)
"""Servers before this one answer 400 to the scores of SDK 5 (measured: facts of the SDK's release)."""
NANOSECONDS_PER_MS = 1_000_000
SCORES_PATH = "/api/public/scores"


@dataclass(frozen=True, slots=True)
class ServerCheck:
    """What a Langfuse server said of itself. `fault` is empty when this SDK can use it."""

    version: str
    fault: str = ""


async def check_server(host: str, keys: tuple[str, str] = ("", ""), *, seconds: float = 3.0) -> ServerCheck:
    """Ask a server for its version, and say in plain words what would go wrong with it.

    `keys`: the public and the secret one, to see whether it takes them.
    """
    base = f"{host.rstrip('/')}/api/public"
    refused = False
    try:
        async with httpx.AsyncClient(timeout=seconds) as client:
            answer = await client.get(f"{base}/health")
            if all(keys) and answer.is_success:
                projects = await client.get(f"{base}/projects", auth=httpx.BasicAuth(*keys))
                refused = projects.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
        version = str(answer.raise_for_status().json()["version"])
    except (httpx.HTTPError, httpx.InvalidURL) as fault:
        return ServerCheck(
            "", f"no Langfuse server answers at {host} ({type(fault).__name__}); traces wait until one does"
        )
    except (ValueError, KeyError, TypeError):
        return ServerCheck("", f"{host} answers, but not as a Langfuse server does; traces wait until one does")
    if refused:
        return ServerCheck(version, f"{host} refuses the keys; traces wait until it takes them")
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST_SERVER:
        needed = ".".join(map(str, OLDEST_SERVER))
        return ServerCheck(version, f"Langfuse {version} will refuse our scores: it must be {needed} or newer")
    return ServerCheck(version)


class NoTracer:
    """Tracing when Langfuse is not configured: the receipts are the traces, log lines keep the trace id."""

    undelivered = 0

    @contextmanager
    def turn(self, about: TurnContext) -> Iterator[Span]:
        """Bind the trace id for log lines; record nothing."""
        with traced(about.trace_id):
            yield _NoSpan()

    @contextmanager
    def step(self, name: str, kind: SpanKind, given: Mapping[str, object]) -> Iterator[Span]:
        """Record nothing."""
        del name, kind, given
        yield _NoSpan()

    def score(self, trace_id: str, score: Score) -> None:
        """Record nothing."""

    def close(self) -> None:
        """Nothing is open."""


class _NoSpan:
    """A span that nobody reads."""

    def record(self, output: Mapping[str, object], *, calls: Sequence[Call] = (), error: str = "") -> None:
        """Record nothing."""


def open_tracer(
    *,
    host: str,
    public_key: str,
    secret_key: str,
    environment: str,
    release: str,
    close_seconds: float = CLOSE_SECONDS,
    request_seconds: float = REQUEST_SECONDS,
) -> "LangfuseTracer | NoTracer":
    """A tracer to this server; without both keys, or if the SDK cannot start, one that records nothing."""
    if not (public_key and secret_key):
        return NoTracer()
    return LangfuseTracer(
        host=host,
        public_key=public_key,
        secret_key=secret_key,
        environment=environment,
        release=release,
        close_seconds=close_seconds,
        request_seconds=request_seconds,
    )


class LangfuseTracer:
    """One trace a turn, one observation a step, one generation a model call. One a process and public key."""

    def __init__(
        self,
        *,
        host: str,
        public_key: str,
        secret_key: str,
        environment: str,
        release: str,
        close_seconds: float,
        request_seconds: float,
    ) -> None:
        # Heavy (0.4 s), and only where Langfuse is configured.
        from langfuse import Langfuse, LangfuseGeneration, __version__, propagate_attributes  # noqa: PLC0415
        from opentelemetry import trace  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http import Compression  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON  # noqa: PLC0415

        from tracing.delivery import CountingExporter, CountingProcessor, Tally  # noqa: PLC0415

        self._public_key = public_key
        self._close_seconds = close_seconds
        self._tally = Tally()
        self._faults = 0
        # A provider of its own: other libraries' spans stay out, and nothing global is set.
        self._provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
        self._provider.add_span_processor(CountingProcessor(self._tally))
        self._http = httpx.Client(timeout=request_seconds, event_hooks={"response": [self._scores_answered]})
        base = host.rstrip("/")
        self._exporter = CountingExporter(
            OTLPSpanExporter(
                endpoint=f"{base}/api/public/otel/v1/traces",
                headers=_headers(public_key, secret_key, __version__),
                timeout=request_seconds,
                compression=Compression.Gzip,
            ),
            self._tally,
        )
        self._client = Langfuse(
            public_key=public_key,
            secret_key=secret_key,
            base_url=base,
            environment=environment,
            release=release,
            timeout=max(1, round(request_seconds)),
            httpx_client=self._http,
            tracer_provider=self._provider,
            span_exporter=self._exporter,
            flush_interval=1.0,
        )
        # The scope by which the SDK's processor knows its own spans.
        self._otel = self._provider.get_tracer("langfuse-sdk", __version__, attributes={"public_key": public_key})
        self._current_span: Callable[[], OtelSpan] = trace.get_current_span
        self._propagate = propagate_attributes
        self._joined = ContextVar("joined", default="")
        self._generation = LangfuseGeneration

    @property
    def undelivered(self) -> int:
        """Spans and scores that the server has not confirmed: on their way, or lost."""
        return self._tally.open + self._faults

    def turn(self, about: TurnContext) -> AbstractContextManager[Span]:
        """The whole turn. Opened again for the same trace id (the judge, later) it joins the same trace."""
        return _Observation(self, lambda stack: self._open_turn(stack, about))

    def step(self, name: str, kind: SpanKind, given: Mapping[str, object]) -> AbstractContextManager[Span]:
        """One step, below the turn or step in which it is opened."""
        return _Observation(self, lambda stack: self._open_step(stack, name, kind, given))

    def score(self, trace_id: str, score: Score) -> None:
        """Attach a score to a trace, also long after its turn. An unscored dimension is not sent."""
        if score.value is None:
            return
        try:
            self._client.create_score(
                name=score.name,
                value=score.value,
                trace_id=trace_id,
                data_type="NUMERIC",
                comment=score.comment or None,
            )
            self._tally.made()
        except Exception:  # noqa: BLE001  # never into a turn
            self.note_fault()

    def close(self) -> None:
        """Send what is waiting, for at most the bound given at the start; the rest is lost and counted."""
        # The SDK keeps one instance a public key for ever; a closed one must not be given to the next caller,
        # nor one whose closing goes on behind this method's bound.
        from langfuse._client.resource_manager import LangfuseResourceManager  # noqa: PLC0415

        LangfuseResourceManager._instances.pop(self._public_key, None)  # noqa: SLF001  # no public way
        last = threading.Thread(target=self._shut_down, name="langfuse-close", daemon=True)
        last.start()
        last.join(self._close_seconds)
        if last.is_alive():
            self._exporter.shutdown()

    def note_fault(self) -> None:
        """Count something that the SDK could not even take."""
        self._faults += 1

    def generations(self, below: "OtelSpan", calls: Sequence[Call]) -> None:
        """One generation a call, laid one after the other from the start of the step that made them."""
        start = getattr(below, "start_time", None)
        for call in calls:
            generation = self._generation(
                otel_span=self._otel.start_span(call.purpose, start_time=start),
                langfuse_client=self._client,
                model=call.model,
                level="DEFAULT" if call.ok else "ERROR",
                status_message=call.error or None,
                usage_details={
                    "input": call.input_tokens - call.cached_tokens,
                    "cache_read_input_tokens": call.cached_tokens,
                    "output": call.output_tokens,
                },
                cost_details={"total": call.cost_microusd / MICRO},
            )
            end = None if start is None else start + int(call.ms * NANOSECONDS_PER_MS)
            generation.end(end_time=end)
            start = end

    def current_span(self) -> "OtelSpan":
        """The observation that was opened last in this context."""
        return self._current_span()

    def _open_turn(self, stack: ExitStack, about: TurnContext) -> Any:
        stack.enter_context(traced(about.trace_id))
        stack.enter_context(
            self._propagate(
                trace_name="turn",
                user_id=about.user,
                session_id=about.thread,
                tags=list(about.tags),
                environment=about.environment,
                metadata={"desk": about.desk, "release": about.release},
            )
        )
        if not about.whole:
            stack.callback(self._joined.reset, self._joined.set(about.trace_id))
            return None
        return stack.enter_context(
            self._client.start_as_current_observation(
                name="turn", as_type="agent", trace_context={"trace_id": about.trace_id}
            )
        )

    def _open_step(self, stack: ExitStack, name: str, kind: SpanKind, given: Mapping[str, object]) -> Any:
        trace = self._joined.get()
        place: Any = {"trace_context": {"trace_id": trace}} if trace else {}
        return stack.enter_context(
            self._client.start_as_current_observation(name=name, as_type=kind, input=dict(given) or None, **place)
        )

    def _scores_answered(self, response: httpx.Response) -> None:
        """Count the scores of one request that the server took (207: some of them)."""
        if response.request.url.path != SCORES_PATH or not response.is_success:
            return
        try:
            sent = len(json.loads(response.request.content))
            if response.status_code == httpx.codes.MULTI_STATUS:
                response.read()
                sent = int(response.json()["accepted"])
            self._tally.confirmed(sent)
        except (ValueError, KeyError, TypeError):
            self.note_fault()

    def _shut_down(self) -> None:
        try:
            self._client.shutdown()
            self._provider.shutdown()
            self._http.close()
        except Exception:  # noqa: BLE001  # never into a shutdown
            self.note_fault()


class _Observation:
    """An observation as the context manager and the span of a step; every fault of the SDK ends here."""

    def __init__(self, tracer: LangfuseTracer, opened: Callable[[ExitStack], Any]) -> None:
        self._tracer = tracer
        self._opened = opened
        self._stack = ExitStack()
        self._observation: Any = None
        self._otel: Any = None

    def __enter__(self) -> Self:
        try:
            self._observation = self._opened(self._stack)
            self._otel = self._tracer.current_span()
        except Exception:  # noqa: BLE001  # never into a turn
            self._tracer.note_fault()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: "TracebackType | None"
    ) -> Literal[False]:
        del fault, trace
        try:
            if kind is not None:
                self.record({}, error=kind.__name__)
            # Closed as if nothing had happened: opentelemetry would write the exception's text into the span.
            self._stack.close()
        except Exception:  # noqa: BLE001  # never into a turn
            self._tracer.note_fault()
        return False

    def record(self, output: Mapping[str, object], *, calls: Sequence[Call] = (), error: str = "") -> None:
        """Say what came of it; `error` is the kind of the error, never its text."""
        if self._observation is None:
            return
        try:
            if error:
                self._observation.update(level="ERROR", status_message=error)
            if output:
                self._observation.update(output=dict(output))
            self._tracer.generations(self._otel, calls)
        except Exception:  # noqa: BLE001  # never into a turn
            self._tracer.note_fault()


def _headers(public_key: str, secret_key: str, version: str) -> dict[str, str]:
    """What Langfuse's OTLP endpoint wants; version 4 of its ingestion shows spans at once."""
    basic = httpx.BasicAuth(public_key, secret_key)
    request = next(basic.auth_flow(httpx.Request("POST", "http://unused")))
    return {
        "Authorization": request.headers["Authorization"],
        "x-langfuse-sdk-name": "python",
        "x-langfuse-sdk-version": version,
        "x-langfuse-public-key": public_key,
        "x-langfuse-ingestion-version": "4",
    }
