"""Traces in Langfuse's own words, as the protobuf of OpenTelemetry (OTLP) with the names of its SDK.

Made from what happened, with its recorded times, and not from the SDK's live spans: those cannot be sent again
after a restart, and cost several times as much (docs/decisions). Ids are hashes, so that a trace that is sent
twice is the same trace.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from domain.ports import SpanKind
from domain.receipt import MICRO
from domain.turn import Call

Level = Literal["DEFAULT", "WARNING", "ERROR"]

LONGEST_TEXT = 100_000
"""Characters of an input or output; far above what a turn holds, and below what Langfuse takes of an event."""
LONGEST_ID = 200
"""Characters of a user, session or tag: longer ones Langfuse throws away."""
LONGEST_ENVIRONMENT = 40
SCOPE = "langfuse-sdk"
"""The scope under which Langfuse's server reads the names below."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One box of a trace. Times are nanoseconds since 1970; `input` and `output` masked values or texts.

    `attributes`: further ones, under their full names.
    """

    name: str
    kind: SpanKind
    id: str
    parent: str
    start: int
    end: int
    input: object = None
    output: object = None
    level: Level = "DEFAULT"
    message: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict)
    call: Call | None = None
    root: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trace:
    """Observations of one trace, or some of them, and what is said of the whole."""

    id: str
    user: str
    session: str
    tags: Sequence[str]
    environment: str
    release: str
    metadata: Mapping[str, str]
    observations: Sequence[Observation]


def span_id(*parts: str) -> str:
    """16 hex digits that depend on the parts alone."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def encode(trace: Trace) -> bytes:
    """One trace as an ExportTraceServiceRequest. Requests put behind each other are one request of all."""
    common = [
        _text("langfuse.trace.name", "turn"),
        _text("user.id", fitting_id(trace.user)),
        _text("session.id", fitting_id(trace.session)),
        KeyValue(key="langfuse.trace.tags", value=_texts([fitting_id(tag) for tag in trace.tags])),
        _text("langfuse.environment", fitting_environment(trace.environment)),
        _text("langfuse.release", trace.release[:LONGEST_ID]),
        *(_text(f"langfuse.trace.metadata.{name}", value) for name, value in trace.metadata.items() if value),
    ]
    spans = [_span(trace.id, one, common) for one in trace.observations]
    resource = Resource(attributes=[_text("service.name", "frontdesk"), *common[4:6]])
    scoped = ScopeSpans(scope=InstrumentationScope(name=SCOPE), spans=spans)
    whole = ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=resource, scope_spans=[scoped])])
    return bytes(whole.SerializeToString())


def fitting_id(value: str) -> str:
    """An id as Langfuse takes it: one that is too long or not ASCII becomes a hash of itself."""
    if len(value) <= LONGEST_ID and value.isascii():
        return value
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()[:32]


def fitting_environment(name: str) -> str:
    """An environment as Langfuse takes it: lower case, and not beginning with its own name."""
    plain = re.sub(r"[^a-z0-9_-]", "-", name.lower())[:LONGEST_ENVIRONMENT]
    return f"x-{plain}"[:LONGEST_ENVIRONMENT] if plain.startswith("langfuse") or not plain else plain


def fitting_text(value: object) -> str:
    """A value as text: JSON unless it is text already, without halves of surrogate pairs, and cut where too long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:LONGEST_TEXT]}… [cut: {len(text):,} characters in all]"


def _span(trace: str, one: Observation, common: Iterable[KeyValue]) -> Span:
    span = Span(
        trace_id=bytes.fromhex(trace),
        span_id=bytes.fromhex(one.id),
        parent_span_id=bytes.fromhex(one.parent),
        name=one.name,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=one.start,
        end_time_unix_nano=max(one.start, one.end),
    )
    span.attributes.extend(common)
    span.attributes.extend(_own(one))
    return span


def _own(one: Observation) -> list[KeyValue]:
    attributes = [_text("langfuse.observation.type", one.kind), _text("langfuse.observation.level", one.level)]
    if one.message:
        attributes.append(_text("langfuse.observation.status_message", one.message))
    if one.input is not None:
        attributes.append(_text("langfuse.observation.input", fitting_text(one.input)))
    if one.output is not None:
        attributes.append(_text("langfuse.observation.output", fitting_text(one.output)))
    for name, value in one.metadata.items():
        attributes.append(_text(f"langfuse.observation.metadata.{name}", fitting_text(value)))
    attributes += [_text(name, value) for name, value in one.attributes.items()]
    if one.root:
        attributes.append(KeyValue(key="langfuse.internal.as_root", value=AnyValue(bool_value=True)))
    return attributes + (_generation(one) if one.call else [])


def _generation(one: Observation) -> list[KeyValue]:
    call = one.call
    assert call is not None  # its caller has looked
    usage = {
        "input": call.input_tokens - call.cached_tokens,
        "cache_read_input_tokens": call.cached_tokens,
        "output": call.output_tokens,
    }
    parameters: dict[str, Any] = {"max_tokens": call.max_tokens} if call.max_tokens else {}
    if call.temperature is not None:
        parameters["temperature"] = call.temperature
    attributes = [
        _text("langfuse.observation.model.name", call.model),
        _text("langfuse.observation.usage_details", json.dumps(usage)),
        _text("langfuse.observation.cost_details", json.dumps({"total": call.cost_microusd / MICRO})),
    ]
    if parameters:
        attributes.append(_text("langfuse.observation.model.parameters", json.dumps(parameters)))
    if call.first_ms:
        first = one.start + round(call.first_ms * 1_000_000)
        attributes.append(_text("langfuse.observation.completion_start_time", json.dumps(_iso(first))))
    name, _, version = call.prompt.partition("@")
    if name and version.isdecimal():
        attributes.append(_text("langfuse.observation.prompt.name", name))
        attributes.append(KeyValue(key="langfuse.observation.prompt.version", value=AnyValue(int_value=int(version))))
    return attributes


def _iso(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat().replace("+00:00", "Z")


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _texts(values: Sequence[str]) -> AnyValue:
    return AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=value) for value in values]))
