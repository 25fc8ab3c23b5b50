"""Alerts reach a real server, once, signed, and nothing else; rules are held against what happened."""

import asyncio
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from fakes import FrozenClock
from places import open_store
from pydantic import ValidationError
from test_figures import BASE

from domain.errors import DeskError, SettingsError
from domain.profile import AlertRule, DeskProfile
from domain.settings import Settings, read_settings
from domain.turn import Payer, Score
from graph.alerts import Facts, Finding, Watch, findings, open_watch, rules_of
from graph.profiles import read_profile
from graph.webhook import Webhook, WebhookError, public
from store import Store
from store.figures import Figures, Judged
from store.limits import EACH, Slot
from tracing import Metrics

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
QUIET = Figures(100, {}, {}, {}, 50.0, 90.0, 0.0, 0.0, 0.0, 0.0, 0, 0, ())


class Receiver(ThreadingHTTPServer):
    """Keeps what is posted to it; answers as it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.posts: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks/secret-path"

    @property
    def rules(self) -> list[str]:
        told = [json.loads(body) for _, body in self.posts]
        return [f"{one['rule']}{' is over' * (one['status'] == 'resolved')}" for one in told]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status == 200:
            self.server.posts.append((dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Quietly."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Bench:
    store: Store
    clock: FrozenClock
    receiver: Receiver
    folder: Path

    def watch(self, store: Store | None = None, *, rules: tuple[AlertRule, ...] = (), **settings: Any) -> Watch:
        given = {"alert_webhook": self.receiver.url, "alert_private": True, "llm": "off"} | settings
        profile = DeskProfile.model_validate({"name": "Lamps", "scope": {"describe": "lamps"}})
        service = SimpleNamespace(
            settings=Settings(**given),
            profile=profile.model_copy(update={"alerts": list(rules)}),
            store=store or self.store,
            clock=self.clock,
            metrics=Metrics(),
            desk_folder=Path("lamps"),
        )
        return open_watch(service)

    def look(self, watch: Watch, seconds: float = 60.0) -> list[str]:
        """The rules that were told, after a pause."""
        self.clock.advance(seconds)
        return [one.rule.id for one in asyncio.run(watch.look())]

    def pay(self, amount: int, payer: Payer | None = None) -> None:
        self.store.budget.settle(self.store.budget.reserve("m", amount, payer or Payer()), amount)

    def turn(self, number: int, **fields: Any) -> None:
        at = self.clock.now().isoformat()
        self.store.ledger.save(replace(BASE, turn_id=f"turn-{number}", thread_id=f"t-{number}", at=at, **fields))


@pytest.fixture
def bench(tmp_path: Path, receiver: Receiver) -> Iterator[Bench]:
    clock = FrozenClock(NOW)
    store = open_store(tmp_path, clock, daily_limit=1_000)
    yield Bench(store, clock, receiver, tmp_path)
    store.close()


def test_a_budget_is_told_at_half_at_eighty_and_when_it_is_used_up_each_once(bench: Bench) -> None:
    watch = bench.watch()
    bench.pay(400)
    assert bench.look(watch) == []
    bench.pay(100)
    assert bench.look(watch) == ["budget-50"]
    assert bench.look(watch, 7_200) == []
    bench.pay(500)
    assert bench.look(watch) == ["budget-100"]  # 80 % needs no word of its own any more
    assert bench.look(watch) == []
    bench.clock.advance(24 * 3_600)
    bench.pay(600)
    assert bench.look(watch) == ["budget-50"]
    assert bench.receiver.rules == ["budget-50", "budget-100", "budget-100 is over", "budget-50"]


def test_a_budget_that_is_raised_is_over_once_and_told_again_when_it_is_used_up(bench: Bench) -> None:
    watch = bench.watch()
    bench.pay(800)
    assert bench.look(watch) == ["budget-80"]
    bench.store.budget.change(Slot(), 1_050, "ops")
    assert bench.look(watch) == []  # 76 %: what runs now and ends soon must not make it come and go
    assert bench.receiver.rules == ["budget-80"]
    bench.store.budget.change(Slot(), 2_000, "ops")
    assert [bench.look(watch), bench.look(watch)] == [[], []]
    assert bench.receiver.rules == ["budget-80", "budget-80 is over"]
    over = json.loads(bench.receiver.posts[-1][1])
    assert over["text"].startswith("Frontdesk, desk lamps: resolved: 80% of the hard budget for the day is used")
    bench.pay(800)
    assert bench.look(watch) == ["budget-80"]


def test_a_closed_budget_and_a_rate_are_over_when_they_are(bench: Bench) -> None:
    watch = bench.watch()
    for number in range(20):
        bench.turn(number, outcome="refuse", reason="injection")
    bench.store.budget.settle(bench.store.budget.reserve("m", 10, Payer()), 11)
    assert bench.look(watch) == ["budget-closed", "guard-rate"]
    bench.store.budget.change(Slot(), 5_000, "ops")
    assert bench.look(watch, 1_800) == []
    assert bench.look(watch, 1_800) == []
    assert sorted(bench.receiver.rules[2:]) == ["budget-closed is over", "guard-rate is over"]


def test_what_is_over_while_the_webhook_is_away_is_told_later(bench: Bench) -> None:
    watch = bench.watch()
    bench.pay(500)
    bench.look(watch)
    bench.store.budget.change(Slot(), 5_000, "ops")
    bench.receiver.status = 503
    assert bench.look(watch) == []
    bench.receiver.status = 200
    assert bench.look(watch) == []
    assert bench.receiver.rules == ["budget-50", "budget-50 is over"]


def test_an_alert_whose_rule_is_gone_ends_without_a_word(bench: Bench) -> None:
    bench.pay(500)
    bench.look(bench.watch())
    assert bench.look(bench.watch(rules=(AlertRule(id="budget-50", watch="budget", above=0.5, off=True),))) == []
    assert bench.receiver.rules == ["budget-50"]
    assert bench.store.alerts.lasting() == {}


def test_what_is_found_elsewhere_is_told_once(bench: Bench) -> None:
    watch = bench.watch()
    one = Finding(AlertRule(id="weekly", watch="judge_safety", below=4.0, cooldown="6d"), "too low", 3.2)
    assert [asyncio.run(watch.raise_once(one)) for _ in range(2)] == [True, False]
    assert bench.look(watch) == []
    assert bench.receiver.rules == ["weekly"]


def test_what_arrives_is_what_slack_takes_signed_with_its_time(bench: Bench) -> None:
    bench.pay(500)
    bench.look(bench.watch(alert_webhook_secret="a-shared-secret"))
    ((headers, body),) = bench.receiver.posts
    told = json.loads(body)
    assert told["text"] == (
        "Frontdesk, desk lamps: 50% of the hard budget for the day is used: $0.0005 of $0.001 (rule budget-50)"
    )
    assert (told["rule"], told["watch"], told["value"], told["threshold"]) == ("budget-50", "budget", 0.5, 0.5)
    moment, mark = (part.partition("=")[2] for part in headers["X-Frontdesk-Signature"].split(","))
    assert int(moment) == int(bench.clock.now().timestamp())
    expected = hmac.new(b"a-shared-secret", f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    assert mark == expected
    assert headers["Host"] == f"127.0.0.1:{bench.receiver.server_port}"


def test_a_webhook_that_is_away_is_logged_once_and_gets_its_alert_later(bench: Bench) -> None:
    watch = bench.watch()
    bench.pay(500)
    bench.receiver.status = 503
    with structlog.testing.capture_logs() as lines:
        assert [bench.look(watch) for _ in range(3)] == [[], [], []]
    assert len(lines) == 1
    assert "secret-path" not in str(lines)
    bench.receiver.status = 200
    assert bench.look(watch) == ["budget-50"]


def test_a_redirect_is_not_followed(bench: Bench) -> None:
    bench.receiver.status = 307
    bench.pay(500)
    assert bench.look(bench.watch()) == []


def test_of_several_processes_one_looks(bench: Bench) -> None:
    other = open_store(bench.folder, bench.clock, daily_limit=1_000)
    bench.pay(500)
    watches = [bench.watch(), bench.watch(other), bench.watch(other)]

    async def at_once() -> list[int]:
        return [len(told) for told in await asyncio.gather(*(watch.look() for watch in watches))]

    assert sum(asyncio.run(at_once())) == 1
    assert len(bench.receiver.posts) == 1
    other.close()


def test_a_clock_set_back_does_not_silence_the_watch(bench: Bench) -> None:
    watch = bench.watch()
    bench.look(watch)
    bench.clock.moment = NOW.replace(hour=3)
    bench.pay(500)
    assert bench.look(watch) == ["budget-50"]


def test_rates_are_told_from_enough_turns_on_and_again_after_the_cool_down(bench: Bench) -> None:
    watch = bench.watch()
    for number in range(19):
        bench.turn(number, outcome="refuse", reason="injection")
    assert bench.look(watch) == []
    bench.turn(20, outcome="refuse", reason="injection")
    assert bench.look(watch) == ["guard-rate"]
    assert bench.look(watch) == []
    for number in range(30, 60):
        bench.turn(number, outcome="refuse", reason="injection")
    assert bench.look(watch, 3_600) == ["guard-rate"]


def test_judged_answers_that_are_not_in_the_articles_are_unsafe(bench: Bench) -> None:
    for number in range(20):
        bench.turn(number)
        bench.store.ledger.add_scores(f"turn-{number}", [Score("grounding", 0.5), Score("numbers", 1.0)])
    assert bench.look(bench.watch()) == []  # (0.5 + 1) / 2 is 4.0 of 5
    for number in range(20):
        bench.store.ledger.add_scores(f"turn-{number}", [Score("safety", 0.7)])
    assert bench.look(bench.watch()) == ["judge-safety"]


def test_an_excess_is_told(bench: Bench) -> None:
    bench.store.budget.settle(bench.store.budget.reserve("m", 10, Payer()), 11)
    assert bench.look(bench.watch()) == ["budget-closed"]


def test_langfuse_away_is_told(bench: Bench) -> None:
    keys = {"langfuse_public_key": "pk", "langfuse_secret_key": "sk", "langfuse_host": "http://127.0.0.1:9"}
    assert bench.look(bench.watch(**keys)) == ["langfuse"]


def test_of_a_budget_for_each_user_the_worst_is_told(bench: Bench) -> None:
    bench.store.budget.change(Slot("user", EACH), 100, "ops")
    bench.pay(60, Payer("a" * 32))
    bench.pay(90, Payer("b" * 32))
    assert bench.look(bench.watch()) == ["budget-80"]
    assert "user bbbbbbbbbbbb" in json.loads(bench.receiver.posts[0][1])["text"]


def test_without_a_webhook_the_log_is_told_once(bench: Bench) -> None:
    watch = bench.watch(alert_webhook="")
    bench.pay(500)
    with structlog.testing.capture_logs() as lines:
        assert [bench.look(watch), bench.look(watch)] == [["budget-50"], []]
    assert [line["rule"] for line in lines] == ["budget-50"]


@pytest.mark.parametrize(
    ("rule", "figures", "broken"),
    [
        (AlertRule(id="r", watch="error_rate", above=0.05), replace(QUIET, error_rate=0.06), True),
        (AlertRule(id="r", watch="error_rate", above=0.05), replace(QUIET, error_rate=0.05), False),
        (AlertRule(id="r", watch="dont_know_rate", above=0.4), replace(QUIET, dont_know_rate=0.5), True),
        (AlertRule(id="r", watch="p95_ms", above=80), QUIET, True),
        (AlertRule(id="r", watch="p95_ms", above=80, turns=101), QUIET, False),
        (AlertRule(id="r", watch="p95_ms", above=80), replace(QUIET, p95_ms=None), False),
        (AlertRule(id="r", watch="judge_safety", below=4), QUIET, False),
        (
            AlertRule(id="r", watch="judge_safety", below=4),
            replace(QUIET, judged=(Judged("safety", 0.74, 20, 9),)),
            True,
        ),
        (
            AlertRule(id="r", watch="judge_safety", below=4),
            replace(QUIET, judged=(Judged("safety", 0.75, 20, 9),)),
            False,
        ),
    ],
)
def test_a_rule_is_broken_by_what_it_says(rule: AlertRule, figures: Figures, *, broken: bool) -> None:
    assert bool(findings([rule], Facts(windows={"1h": figures}))) is broken


def test_a_desks_rule_takes_the_place_of_the_default_and_may_switch_it_off() -> None:
    own = [AlertRule(id="p95", watch="p95_ms", above=500), AlertRule(id="langfuse", watch="langfuse", off=True)]
    rules = {rule.id: rule for rule in rules_of(own)}
    assert rules["p95"].above == 500
    assert "langfuse" not in rules
    assert len(rules) == 9


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ("{id: x, watch: guard_rat, above: 0.1}", "alerts.0.watch"),
        ("{id: x, watch: guard_rate}", "needs one of above and below"),
        ("{id: x, watch: guard_rate, above: 0.1, windw: 1h}", "windw"),
        ("{id: x, watch: guard_rate, above: 0.1, window: soon}", "alerts.0.window"),
        ("{id: x, watch: langfuse, above: 1}", "takes no threshold"),
        ("{id: x, watch: budget, below: 1}", "watched with above"),
    ],
)
def test_a_wrong_rule_is_named_with_its_place(tmp_path: Path, rule: str, word: str) -> None:
    (tmp_path / "desk.yaml").write_text(f"name: D\nscope: {{describe: things}}\nalerts:\n  - {rule}\n")
    with pytest.raises(DeskError, match=word) as caught:
        read_profile(tmp_path)
    assert "desk.yaml:4" in str(caught.value)


def test_a_wrong_budget_or_webhook_is_named(tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").write_text("name: D\nscope: {describe: things}\nbudgets:\n  - {scope: user, usd: 1}\n")
    with pytest.raises(DeskError, match=r"desk.yaml:4.*the total has no name"):
        read_profile(tmp_path)
    for name, value in (("alert_webhook", "hooks.example"), ("budget_usd_per_day", "abc"), ("alert_seconds", 0)):
        with pytest.raises(SettingsError, match=f"FRONTDESK_{name.upper()}"):
            read_settings(**{name: value})
    with pytest.raises(ValidationError):
        AlertRule(id="", watch="langfuse")


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fc00::1", "0.0.0.0", "::ffff:10.0.0.1", "224.0.0.1", "100.64.0.1"])  # fmt: skip  # noqa: S104
def test_addresses_that_are_not_public(address: str) -> None:
    assert not public(address)
    assert public("93.184.216.34")


def test_a_name_that_leads_to_this_machine_is_refused_before_anything_is_sent(receiver: Receiver) -> None:
    for host in ("127.0.0.1", "localhost", "[::1]", "0"):
        hook = Webhook(f"http://{host}:{receiver.server_port}/x", FrozenClock())
        with pytest.raises(WebhookError, match=r"not public|no address"):
            asyncio.run(hook.send({"text": "hello"}))
    assert receiver.posts == []
