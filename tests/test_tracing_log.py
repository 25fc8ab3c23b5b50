"""Metrics and log lines: numbers that operators can trust, lines without a customer's text."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from domain.receipt import Receipt
from domain.turn import Call, Passage, Score, Step, Verdict
from tracing import Metrics, configure_logging
from tracing.log import traced

SECRET = "lan@mailbox.example"


def receipt(**changes: object) -> Receipt:
    given: dict[str, object] = {
        "turn_id": "t",
        "thread_id": "h",
        "trace_id": "0" * 32,
        "desk": "shop",
        "user": "u",
        "at": "2026-11-21T09:00:00+00:00",
        "language": "en",
        "outcome": "answer",
        "reason": None,
        "question": SECRET,
        "answer": SECRET,
        "release": "r",
        "rag_config": "c@1",
        "knowledge": "k",
        "latency_ms": 40.0,
    }
    return Receipt(**given | changes)  # type: ignore[arg-type]


def read(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Samples by name and label values, in the order of the labels' names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_a_turn_is_counted_by_what_became_of_it() -> None:
    metrics = Metrics()
    metrics.observe(receipt())
    metrics.observe(receipt(outcome="refuse", reason="injection", latency_ms=2_000.0))
    metrics.observe(receipt(outcome="refuse", reason="injection"))
    samples = read(metrics)
    assert samples["frontdesk_turns_total", "en", "quote", "answer", "none"] == 1
    assert samples["frontdesk_turns_total", "en", "quote", "refuse", "injection"] == 2
    assert samples["frontdesk_turn_seconds_bucket", "0.05", "quote"] == 2
    assert samples["frontdesk_turn_seconds_sum", "quote"] == pytest.approx(2.08)


def test_steps_guards_and_confidence_are_counted() -> None:
    metrics = Metrics()
    verdicts = [
        Verdict("domain_rules:no-refund", "block", "domain_rule"),
        Verdict("domain_rules:no-discount", "block", "domain_rule"),
        Verdict("pii", "mask"),
        Verdict("toxicity", "block", "guard_failed"),
    ]
    passages = [Passage("a#0", "a", "T", SECRET, 1.0)]
    metrics.observe(receipt(verdicts=verdicts, steps=[Step("route", 3.0)], passages=passages, confidence=0.85))
    samples = read(metrics)
    assert samples["frontdesk_guard_actions_total", "block", "domain_rules"] == 2
    assert samples["frontdesk_guard_actions_total", "mask", "pii"] == 1
    assert samples["frontdesk_guard_faults_total", "toxicity"] == 1
    assert ("frontdesk_guard_faults_total", "pii") not in samples
    assert samples["frontdesk_step_seconds_sum", "route"] == pytest.approx(0.003)
    assert samples["frontdesk_retrieval_confidence_sum",] == pytest.approx(0.85)


def test_calls_of_answer_and_judge_add_up() -> None:
    metrics = Metrics()
    call = Call("answer", "large", ok=True, input_tokens=100, cached_tokens=40, output_tokens=7, cost_microusd=1_500)
    metrics.observe(receipt(calls=[call, Call("answer", "large", ok=False, error="TimeoutError")]))
    metrics.judged([Score("grounding", 0.9), Score("helpful", None)], [call])
    samples = read(metrics)
    assert samples["frontdesk_model_calls_total", "large", "yes", "answer"] == 2
    assert samples["frontdesk_model_calls_total", "large", "no", "answer"] == 1
    assert samples["frontdesk_model_tokens_total", "input", "large"] == 120
    assert samples["frontdesk_model_tokens_total", "cached", "large"] == 80
    assert samples["frontdesk_model_cost_usd_total", "large"] == pytest.approx(0.003)
    assert samples["frontdesk_judge_score_sum", "grounding"] == pytest.approx(0.9)
    assert samples["frontdesk_judge_unscored_total", "helpful"] == 1
    assert ("frontdesk_judge_score_count", "helpful") not in samples


def test_gauges_follow_what_happens_now() -> None:
    metrics = Metrics()
    metrics.traces(3, 0)
    with metrics.in_flight(), metrics.in_flight():
        assert read(metrics)["frontdesk_turns_in_flight",] == 2
    metrics.judge_shed()
    metrics.traces(8, 2)
    metrics.rated("up")
    samples = read(metrics)
    assert samples["frontdesk_turns_in_flight",] == 0
    assert samples["frontdesk_judge_shed_total",] == 1
    assert samples["frontdesk_traces_undelivered",] == 8
    assert samples["frontdesk_traces_dropped",] == 2
    assert samples["frontdesk_feedback_total", "up"] == 1


def test_two_services_do_not_share_their_counts_and_no_text_is_shown() -> None:
    one, other = Metrics(), Metrics()
    one.observe(receipt())
    assert ("frontdesk_turns_total", "en", "quote", "answer", "none") not in read(other)
    assert SECRET.encode() not in one.render()


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Logging as a service has it, into a string; put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    out = io.StringIO()
    configure_logging("INFO", stream=out)
    yield out
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def logged(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_known_fields_pass_and_unknown_ones_are_dropped_and_named(lines: io.StringIO) -> None:
    with traced("f" * 32):
        structlog.get_logger().info("turn ended", outcome="answer", ms=4.5, question=SECRET, note=SECRET)
    (line,) = logged(lines)
    assert line["event"] == "turn ended"
    assert (line["outcome"], line["ms"], line["level"], line["trace_id"]) == ("answer", 4.5, "info", "f" * 32)
    assert line["dropped"] == ["note", "question"]
    assert SECRET not in lines.getvalue()


def test_values_are_cut_and_objects_are_named_by_type(lines: io.StringIO) -> None:
    structlog.get_logger().warning("odd", model="m" * 5_000, stage={"question": SECRET})
    (line,) = logged(lines)
    assert len(str(line["model"])) < 250
    assert line["stage"] == "<dict>"


def test_an_exception_is_named_without_its_text(lines: io.StringIO) -> None:
    try:
        int(SECRET)
    except ValueError:
        structlog.get_logger().exception("step failed", step="route")
        logging.getLogger("some.library").exception("failed for %s", SECRET)
    ours, theirs = logged(lines)
    assert str(ours["exception"]).startswith("ValueError at ")
    assert str(theirs["exception"]).startswith("ValueError at ")
    assert SECRET not in lines.getvalue()


def test_libraries_show_their_template_and_never_their_arguments(lines: io.StringIO) -> None:
    for name in ("httpx", "chromadb", "uvicorn.error", "langfuse", "anything"):
        library = logging.getLogger(name)
        library.info("HTTP Request: %s", SECRET)
        library.warning("cannot read %s", SECRET)
        library.error(f"analysed {SECRET}")  # as some libraries do
    found = logged(lines)
    assert [line["event"] for line in found[::2]] == ["cannot read %s"] * 5
    assert all("withheld" in str(line["event"]) for line in found[1::2])
    assert {str(line["at"]).partition(":")[0] for line in found} == {"test_tracing_log"}
    assert SECRET not in lines.getvalue()


def test_lines_below_the_level_stay_out(lines: io.StringIO) -> None:
    structlog.get_logger().debug("detail")
    structlog.get_logger().info("shown")
    assert [line["event"] for line in logged(lines)] == ["shown"]


def test_a_terminal_gets_lines_to_read() -> None:
    out = io.StringIO()
    configure_logging("INFO", stream=out, pretty=True)
    structlog.get_logger().info("desk is open", port=8000)
    structlog.reset_defaults()
    logging.basicConfig(force=True)
    assert "desk is open" in out.getvalue()
    assert not out.getvalue().startswith("{")
