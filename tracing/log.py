"""Log lines that cannot carry a customer's text: named fields pass, everything else is dropped and named.

Our own rooms use `structlog.get_logger()`: a constant event and fields from `FIELDS`. Libraries log
through the standard library: their message templates are shown without their arguments, and a
message that was formatted already is withheld, since nobody knows what is in it.
"""

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any, Literal, TextIO

import structlog

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
Event = MutableMapping[str, Any]

FIELDS = frozenset(
    """action at attempt backlog bytes code component confidence config count degraded dependency desk dropped duration
    environment error event exception fault guard host http_status kind knowledge language level logger method mode
    model ms name node outcome path pid port purpose queue reason release retries rule seconds size stage state status step
    stream thread_id tier timestamp tokens total trace_id turn_id url_host version workers""".split()  # noqa: SIM905
)
"""The fields that may be logged. None is for a text that somebody typed."""

LONGEST = 200
"""Characters of a value; ids, names and our own event lines are shorter."""
WITHHELD = "message withheld: it was formatted before it was logged"
NOISY = (
    "bm25s",
    "chromadb",
    "httpcore",
    "httpx",
    "langchain",
    "langfuse",
    "langgraph",
    "openai",
    "opentelemetry",
    "presidio-analyzer",
    "spacy",
    "uvicorn",
    "uvicorn.access",
    "uvicorn.error",
)
"""Libraries that set handlers or levels of their own; they are led to ours, at WARNING."""


def configure_logging(level: Level, *, stream: TextIO | None = None, pretty: bool | None = None) -> None:
    """Send every log line of the process to `stream` (stderr): JSON lines, or coloured ones on a terminal.

    Start uvicorn with `log_config=None`, else it puts its own handlers back.
    """
    out = stream or sys.stderr
    on_terminal = out.isatty() if pretty is None else pretty
    render = structlog.dev.ConsoleRenderer() if on_terminal else structlog.processors.JSONRenderer(ensure_ascii=False)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, name_exception, keep_known, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                place_library_record,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                name_exception,
                keep_known,
                render,
            ],
            use_get_message=False,
            pass_foreign_args=True,
        )
    )
    logging.basicConfig(level=max(logging.WARNING, logging.getLevelName(level)), handlers=[handler], force=True)
    for name in NOISY:
        library = logging.getLogger(name)
        library.handlers, library.propagate = [], True
        library.setLevel(logging.NOTSET)


@contextmanager
def traced(trace_id: str) -> Iterator[None]:
    """Put a trace id on every log line of this context."""
    tokens = structlog.contextvars.bind_contextvars(trace_id=trace_id)
    try:
        yield
    finally:
        # An abandoned stream is closed from another context, whose lines never had the id.
        with suppress(ValueError):
            structlog.contextvars.reset_contextvars(**tokens)


def keep_known(_logger: object, _method: str, event: Event) -> Event:
    """Drop unknown fields, name them in `dropped`, and cut long values."""
    dropped = sorted(name for name in event if name not in FIELDS)
    kept = {name: _short(value) for name, value in event.items() if name in FIELDS}
    return kept | {"dropped": dropped} if dropped else kept


def name_exception(_logger: object, _method: str, event: Event) -> Event:
    """Replace an exception by its kind and the place that raised it: its text may hold anything."""
    given = event.pop("exc_info", None)
    fault = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(fault, BaseException):
        trace = fault.__traceback__
        while trace and trace.tb_next:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}" if trace else "?"
        event["exception"] = f"{type(fault).__name__} at {place}"
    return event


def place_library_record(_logger: object, _method: str, event: Event) -> Event:
    """A library's line: its template if it has arguments, which are dropped, and where it was logged."""
    record: logging.LogRecord = event["_record"]
    if not event.pop("positional_args", None):
        event["event"] = WITHHELD
    event["logger"] = record.name
    event["at"] = f"{record.module}:{record.lineno}"
    return event


def _short(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else f"<{type(value).__name__}>"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
