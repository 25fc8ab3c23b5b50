"""What the dashboard and the alert rules ask for is there, and gauges read the running parts."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from fakes import FrozenClock, WordEmbedder
from places import open_store
from test_tracing_log import read

from domain.settings import Settings
from graph.caching import open_cache
from graph.gauges import watch
from models.catalog import load_catalog
from models.chat import ModelClient
from store import Store
from store.limits import Slot
from tracing import Metrics

DEPLOY = Path(__file__).parent.parent / "deploy"
FILES = [DEPLOY / "grafana" / "frontdesk.json", DEPLOY / "prometheus" / "alerts.yaml"]
PROMETHEUS_OWN = {"le", "instance", "job"}


def watched(tmp_path: Path) -> tuple[Metrics, Store, ModelClient]:
    clock = FrozenClock(datetime(2026, 11, 21, 9, tzinfo=UTC))
    store = open_store(tmp_path, clock, daily_limit=1_000_000)
    routes = load_catalog().routes(openai_api_key="sk-test")
    chat = ModelClient(routes, budget=store.budget, clock=clock, jitter=lambda: 0.0, timeout=1.0)
    metrics = Metrics()
    watch(metrics, store, chat)
    open_cache(Settings(cache_hours=1), WordEmbedder(), store, metrics)
    return metrics, store, chat


def expressions(path: Path) -> list[str]:
    if path.suffix == ".yaml":
        groups = yaml.safe_load(path.read_text("utf-8"))["groups"]
        return [rule["expr"] for group in groups for rule in group["rules"]]
    panels = json.loads(path.read_text("utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_metric_and_label_that_is_asked_for_exists(path: Path, tmp_path: Path) -> None:
    metrics, store, _ = watched(tmp_path)
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", metrics.render().decode(), re.MULTILINE))
    registered = [*metrics._registry._collector_to_names, *metrics._levels._collector_to_names]
    labels = {label for one in registered for label in getattr(one, "_labelnames", ())}
    store.close()
    asked = expressions(path)
    assert len(asked) >= 10
    for expression in asked:
        for name in re.findall(r"frontdesk_\w+", expression):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            assert kinds.get(name) or kinds.get(base) == "histogram", f"{path.name}: {name}"
        used = re.findall(r"(\w+)\s*(?:=~|!=|!~|=)\s*\"", expression)
        used += [one.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for one in group.split(",")]
        assert {*used} <= labels | PROMETHEUS_OWN, expression


def test_a_budget_shows_what_is_left_and_no_users(tmp_path: Path) -> None:
    metrics, store, _ = watched(tmp_path)
    store.budget.change(Slot("user", "someone", "day", "hard"), 500_000, "test")
    store.budget.change(Slot("model", "m", "month", "soft"), 2_000_000, "test")
    samples = read(metrics)
    left = {name[1:]: value for name, value in samples.items() if name[0] == "frontdesk_budget_left_usd"}
    assert left == {("hard", "", "day", "total"): 1.0, ("soft", "m", "month", "model"): 2.0}
    store.close()


def test_a_model_that_keeps_failing_is_shown_as_down(tmp_path: Path) -> None:
    metrics, store, chat = watched(tmp_path)
    ups = {name[1]: value for name, value in read(metrics).items() if name[0] == "frontdesk_model_up"}
    assert ups
    assert set(ups.values()) == {1.0}
    endpoint = chat._all()[0].endpoint
    for _ in range(5):
        chat._breaker(endpoint).failed()
    assert {value for name, value in read(metrics).items() if name[0] == "frontdesk_model_up"} == {0.0}
    store.close()


def test_a_gauge_is_read_anew_each_time() -> None:
    metrics, levels = Metrics(), iter([1.0, 2.0])
    metrics.watch("frontdesk_test_level", "A level.", ("part",), lambda: {("tank",): next(levels)})
    assert read(metrics)["frontdesk_test_level", "tank"] == 1.0
    assert read(metrics)["frontdesk_test_level", "tank"] == 2.0
