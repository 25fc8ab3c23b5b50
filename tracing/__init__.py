"""What leaves the house for the people who watch it: traces to Langfuse, metrics to Prometheus, log lines."""

from tracing.langfuse import LangfuseTracer, NoTracer, ServerCheck, check_server, open_tracer
from tracing.log import configure_logging
from tracing.metrics import Metrics

__all__ = [
    "LangfuseTracer",
    "Metrics",
    "NoTracer",
    "ServerCheck",
    "check_server",
    "configure_logging",
    "open_tracer",
]
