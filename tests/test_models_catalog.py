"""The catalog: prices in whole micro-dollars, rows that settings open, and messages for a wrong file."""

from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import SettingsError
from models import load_catalog
from models.catalog import MILLION, TIERS, Catalog, Prices, is_private

SHIPPED = Path(__file__).resolve().parent.parent / "models" / "catalog.yaml"


def test_the_shipped_catalog_covers_every_tier_at_a_price():
    catalog = load_catalog()
    paid = [row for row in catalog.models if row.endpoint == "openai"]
    assert {row.tier for row in paid} == set(TIERS)
    for row in paid:
        assert 0 < row.prices.cached_input < row.prices.input < row.prices.output
    dearest = {tier: max(row.prices.output for row in paid if row.tier == tier) for tier in TIERS}
    assert dearest["simple"] < dearest["medium"] < dearest["complex"]
    local = catalog.local()
    assert (local.weak, local.prices.cost(10**9, 10**9)) == (True, 0)
    assert (SHIPPED.parent / local.weights.lock).read_text(encoding="utf-8").count("--hash=sha256:") == 22


def test_no_lock_names_an_address():
    assert "://" not in (SHIPPED.parent / "weights.lock").read_text(encoding="utf-8")


def test_a_known_call_costs_what_the_price_list_says():
    row = load_catalog().find("gpt-4.1-mini")
    assert row.prices.cost(1_000_000, 0) == 400_000
    assert row.prices.cost(1_000_000, 1_000_000, cached_tokens=1_000_000) == 1_700_000
    assert row.prices.cost(1, 0) == 1, "a part of a micro-dollar is rounded up"


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**7))
def test_cost_is_the_exact_sum_rounded_up_once(fresh, cached, output, price):
    prices = Prices(input=price, cached_input=price // 4, output=price * 3)
    exact = fresh * price + cached * (price // 4) + output * price * 3
    cost = prices.cost(fresh + cached, output, cached)
    assert isinstance(cost, int)
    assert 0 <= cost * MILLION - exact < MILLION


def test_nothing_set_opens_nothing():
    assert load_catalog().routes() == []
    assert load_catalog().routes(model="gpt-4.1", api_key="k") == []


def test_an_openai_key_opens_the_openai_rows():
    routes = load_catalog().routes(openai_api_key="sk-1")
    assert {route.row.tier for route in routes} == set(TIERS)
    assert {(route.endpoint.mode, route.endpoint.api_key, route.endpoint.private) for route in routes} == {
        ("remote", "sk-1", False)
    }
    assert {route.card.mode for route in routes} == {"remote"}
    (one,) = load_catalog().routes(openai_api_key="sk-1", model="gpt-4.1")
    assert (one.card.name, one.card.tier) == ("gpt-4.1", "complex")


def test_every_key_opens_its_own_provider_and_sees_no_other_one():
    catalog = load_catalog()
    for name, keys in {
        "openai": {"openai_api_key": "k1"},
        "anthropic": {"anthropic_api_key": "k2"},
        "google": {"gemini_api_key": "k3"},
    }.items():
        routes = catalog.routes(**keys)
        assert {route.endpoint.name for route in routes} == {name}
        assert {route.row.tier for route in routes} == set(TIERS)
        assert {route.endpoint.api_key for route in routes} == set(keys.values())
        assert all(route.endpoint.base_url.startswith("https://") for route in routes)
    both = catalog.routes(openai_api_key="k1", gemini_api_key="k3")
    assert {route.endpoint.name: route.endpoint.api_key for route in both} == {"openai": "k1", "google": "k3"}
    (one,) = catalog.routes(openai_api_key="k1", gemini_api_key="k3", model="gemini-3.8-flash")
    assert one.endpoint.api_key == "k3"
    (unknown,) = catalog.routes(openai_api_key="k1", model="gpt-99")
    assert (unknown.row.name, unknown.endpoint.name, unknown.row.verified) == ("gpt-99", "openai", False)
    with pytest.raises(SettingsError, match=r"no key is set for gemini-3\.8-flash"):
        catalog.routes(openai_api_key="k1", model="gemini-3.8-flash")


def test_a_price_says_where_it_was_seen_or_that_it_was_not_verified():
    paid = [row for row in load_catalog().models if row.endpoint != "local"]
    assert all(row.seen for row in paid)
    assert [row.name for row in paid if not row.verified] == ["gemini-3.1-pro-preview"]
    catalog = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    del catalog["models"][0]["seen"]
    with pytest.raises(ValueError, match=r"nobody says where the prices of gpt-4\.1-nano were seen"):
        Catalog.model_validate(catalog)
    catalog["models"][0]["verified"] = False
    assert Catalog.model_validate(catalog).models[0].verified is False


def test_a_price_that_was_announced_holds_from_its_day():
    row = load_catalog().find("gemini-3.8-flash")
    assert row.prices_on(date(2026, 12, 31)) == row.prices
    assert row.prices_on(date(2027, 1, 1)).input == 2 * row.prices.input


def test_a_harder_tier_may_answer_at_greater_length():
    cards = {route.card.tier: route.card.max_tokens for route in load_catalog().routes(openai_api_key="k")}
    assert cards["simple"] < cards["medium"] < cards["complex"]


def test_a_base_url_wins_and_never_sees_the_openai_key():
    (route,) = load_catalog().routes(openai_api_key="sk-1", base_url="http://10.0.0.5:8000/v1", model="mine")
    assert (route.endpoint.base_url, route.endpoint.api_key) == ("http://10.0.0.5:8000/v1", "")
    assert (route.row.prices.cost(10**6, 10**6), route.row.note, route.card.mode) == (0, "", "local")


def test_an_unknown_model_elsewhere_is_booked_at_the_dearest_price_and_says_so():
    catalog = load_catalog()
    (route,) = catalog.routes(base_url="https://llm.example.com/v1", model="mine")
    assert "dearest" in route.row.note
    for row in catalog.models:
        assert route.row.prices.cost(1000, 1000) >= row.prices.cost(1000, 1000)
        assert route.row.prices.cost(1000, 1000, 1000) >= row.prices.cost(1000, 1000, 1000)


def test_a_known_model_keeps_its_price_wherever_it_is_served():
    (route,) = load_catalog().routes(base_url="http://localhost:4000", model="gpt-4.1")
    assert route.row == load_catalog().find("gpt-4.1")


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://127.0.0.1:11434/v1", True),
        ("http://localhost:8000", True),
        ("http://[::1]:8000/v1", True),
        ("http://192.168.1.9/v1", True),
        ("http://ollama:11434/v1", True),
        ("http://gpu.lan/v1", True),
        ("https://api.openai.com/v1", False),
        ("http://8.8.8.8/v1", False),
        ("https://localhost.example.com/v1", False),
        ("https://10.0.0.5.example.com/v1", False),
        ("http://user@evil.example/10.0.0.5", False),
    ],
)
def test_what_counts_as_a_private_address(url, private):
    assert is_private(url) is private


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        (("models", 0, "prices", "input"), "cheap", "models[0].prices.input"),
        (("models", 0, "prices", "output"), -1, "models[0].prices.output"),
        (("models", 1, "pricee"), {}, "models[1].pricee"),
        (("models", 2, "tier"), "hard", "models[2].tier"),
        (("models", 2, "endpoint"), "nowhere", "no endpoint named nowhere"),
        (("models", 1, "name"), "gpt-4.1", "gpt-4.1"),
        (("endpoints", 0, "mode"), "far", "endpoints[0].mode"),
    ],
)
def test_a_wrong_file_is_named_with_its_key(tmp_path, path, value, key):
    data = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    place = data
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    file = tmp_path / "models.yaml"
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(SettingsError) as fault:
        load_catalog(file)
    assert str(file) in str(fault.value)
    assert key in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_price_that_is_missing_is_refused(tmp_path):
    data = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    del data["models"][0]["prices"]["cached_input"]
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(SettingsError, match=r"models\[0\]\.prices\.cached_input: Field required"):
        load_catalog(tmp_path / "m.yaml")


@pytest.mark.parametrize("text", ["{", "", "- 1"])
def test_what_is_no_catalog_at_all(tmp_path, text):
    (tmp_path / "m.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"m\.yaml"):
        load_catalog(tmp_path / "m.yaml")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_catalog(tmp_path / "absent.yaml")
