"""Alerts: rules over budgets, figures and Langfuse, looked at every minute by one of all processes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

import structlog

from domain.errors import StoreError
from domain.profile import AlertRule
from graph.figures import Overview, moment, overview
from graph.money import settle_books
from graph.service import Service
from graph.webhook import Webhook, WebhookError
from scoring.aspects import STAND_INS
from scoring.judge import on_scale
from store.budget import Standing
from store.figures import Figures
from store.limits import usd
from tracing import check_server

DEFAULTS = (
    AlertRule(id="budget-50", watch="budget", above=0.5),
    AlertRule(id="budget-80", watch="budget", above=0.8),
    AlertRule(id="budget-100", watch="budget", above=1.0),
    AlertRule(id="budget-closed", watch="budget_closed"),
    AlertRule(id="guard-rate", watch="guard_rate", above=0.3),
    AlertRule(id="dont-know-rate", watch="dont_know_rate", above=0.4),
    AlertRule(id="error-rate", watch="error_rate", above=0.05),
    AlertRule(id="p95", watch="p95_ms", above=10_000),
    AlertRule(id="judge-safety", watch="judge_safety", below=4.0, window="24h"),
    AlertRule(id="langfuse", watch="langfuse"),
)
"""What is looked at until desk.yaml says otherwise; a rule there with the same id takes the place of one here."""

FOR_EVER = timedelta(days=400)
"""A level of a budget is told once: its account is another one in the next period."""
WORDS: Mapping[str, str] = {
    "guard_rate": "guards stopped {value:.0%} of {turns} requests",
    "dont_know_rate": "{value:.0%} of {turns} requests ended in a don't-know",
    "error_rate": "{value:.0%} of {turns} requests failed",
    "p95_ms": "p95 of {turns} requests is {value:.0f} ms",
    "judge_safety": "the judge gives {value:.1f} of 5 for safety over {turns} answers",
}
LEASED = 0.9
RELAXED = 0.9
"""Share of a budget's level below which it is over."""
Status = Literal["firing", "resolved"]
SAFETY: Literal["safety"] = "safety"


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules are held against. `windows`: figures by the rules' windows. `langfuse`: what is wrong with it."""

    budgets: Sequence[Standing] = ()
    windows: Mapping[str, Figures] = field(default_factory=dict)
    langfuse: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that is broken. `subject` tells one budget from another."""

    rule: AlertRule
    text: str
    value: float
    subject: str = ""

    @property
    def id(self) -> str:
        """The name under which it is remembered."""
        return f"{self.rule.id} {self.subject}".strip()

    @property
    def cooldown(self) -> timedelta:
        """How long it is not told again."""
        return FOR_EVER if self.rule.watch == "budget" else self.rule.cooldown_time


def rules_of(own: Sequence[AlertRule]) -> list[AlertRule]:
    """The rules in force: the defaults, with the desk's own over them, without those that are off."""
    every = {rule.id: rule for rule in (*DEFAULTS, *own)}
    return [rule for rule in every.values() if not rule.off]


def findings(rules: Sequence[AlertRule], facts: Facts) -> list[Finding]:
    """Which rules are broken."""
    found: list[Finding] = []
    for rule in rules:
        match rule.watch:
            case "budget":
                found += _over(rule, facts.budgets)
            case "budget_closed":
                found += _closed(rule, facts.budgets)
            case "langfuse":
                found += [Finding(rule, facts.langfuse, 1.0)] if facts.langfuse else []
            case _:
                found += _figure(rule, facts.windows[rule.window])
    return found


class Watch:
    """Looks at the rules of one desk and tells what is new. Without a webhook it tells the log alone."""

    def __init__(self, service: Service, webhook: Webhook | None) -> None:
        self._service = service
        self._webhook = webhook
        self._rules = rules_of(service.profile.alerts)
        self._away = False

    async def run(self) -> None:
        """Look again and again; a store that is away is said and tried again."""
        seconds = self._service.settings.alert_seconds
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.look()
            except StoreError as fault:
                structlog.get_logger().warning("alerts cannot be looked at", error=str(fault))

    async def look(self) -> list[Finding]:
        """Look once, if no other process does so now; what was told."""
        book = self._service.store.alerts
        # A little less than the pause, so that this process is not late for its own lease.
        lease = timedelta(seconds=LEASED * self._service.settings.alert_seconds)
        if not await asyncio.to_thread(book.claim, "alerts", lease):
            return []
        await asyncio.to_thread(settle_books, self._service)
        facts = await self._facts()
        broken = findings(self._rules, facts)
        await self._tell_what_is_over(facts)
        new = [one for one in broken if await asyncio.to_thread(book.due, one.id, one.cooldown)]
        told: list[Finding] = []
        for one in new:
            if not (_lower(one, new) or await self._tell(one)):
                break
            await asyncio.to_thread(book.sent, one.id, one.text)
            told.append(one)
        return [one for one in told if not _lower(one, new)]

    async def raise_once(self, one: Finding) -> bool:
        """Tell what was found elsewhere, if it was not within its cool-down; whether it went out."""
        book = self._service.store.alerts
        if not await asyncio.to_thread(book.due, one.id, one.cooldown) or not await self._tell(one):
            return False
        await asyncio.to_thread(book.sent, one.id, one.text, lasts=False)
        return True

    async def _tell_what_is_over(self, facts: Facts) -> None:
        """Of a budget's levels that are over together, the highest alone; what cannot be told now is told later."""
        book = self._service.store.alerts
        still = {one.id for one in findings([_relaxed(rule) for rule in self._rules], facts)}
        texts = await asyncio.to_thread(book.lasting)
        ended = {one: _of(self._rules, one) for one in texts if one not in still}
        for one, found in ended.items():
            if found and not _lower(found, [other for other in ended.values() if other]):
                gone = replace(found, text=f"resolved: {texts[one]}")
                if not await self._tell(gone, "resolved"):
                    return
        for one, found in ended.items():
            # A budget that was raised and is used up again in its period is told again; a rate has its cool-down.
            await asyncio.to_thread(book.over, one, forget=found is not None and found.rule.watch == "budget")

    async def _facts(self) -> Facts:
        service, now = self._service, self._service.clock.now()
        spans = {rule.window for rule in self._rules}
        windows: dict[str, Overview] = {}
        for span in spans:
            windows[span] = await asyncio.to_thread(overview, service.store, moment(span, now), now)
        fault = ""
        if service.settings.traces_to_langfuse and any(rule.watch == "langfuse" for rule in self._rules):
            settings = service.settings
            keys = settings.langfuse_public_key, settings.langfuse_secret_key.get_secret_value()
            fault = (await check_server(settings.langfuse_host, keys)).fault
        budgets = await asyncio.to_thread(service.store.budget.standings)
        return Facts(budgets, {span: one.figures for span, one in windows.items()}, fault)

    async def _tell(self, one: Finding, status: Status = "firing") -> bool:
        """Whether it went out; a webhook that is away is logged once, until it is back."""
        log, desk = structlog.get_logger(), self._service.desk_folder.name
        if self._webhook is None:
            log.warning("alert", rule=one.rule.id, error=one.text, status=status)
            return True
        body = {
            "text": f"Frontdesk, desk {desk}: {one.text} (rule {one.rule.id})",
            "desk": desk,
            "status": status,
            "rule": one.rule.id,
            "watch": one.rule.watch,
            "subject": one.subject,
            "value": round(one.value, 6),
            "threshold": one.rule.threshold,
            "at": self._service.clock.now().isoformat(),
        }
        try:
            await self._webhook.send(body)
        except WebhookError as fault:
            if not self._away:
                log.warning("alert not delivered, trying again", error=str(fault))
            self._away = True
            return False
        self._away = False
        return True


def open_watch(service: Service) -> Watch:
    """The watch over a service, as its settings say."""
    settings = service.settings
    url = settings.alert_webhook.get_secret_value()
    secret = settings.alert_webhook_secret.get_secret_value()
    hook = Webhook(url, service.clock, secret, settings.alert_private) if url else None
    return Watch(service, hook)


def _relaxed(rule: AlertRule) -> AlertRule:
    """A budget's level is over only well below it: what is held for a running call comes and goes."""
    return rule.model_copy(update={"above": RELAXED * rule.threshold}) if rule.watch == "budget" else rule


def _of(rules: Sequence[AlertRule], alert: str) -> Finding | None:
    """The finding that an alert's id stands for, without its text; None where its rule is no longer there."""
    fitting = [rule for rule in rules if alert == rule.id or alert.startswith(f"{rule.id} ")]
    rule = max(fitting, key=lambda one: len(one.id), default=None)
    return Finding(rule, "", 0.0, alert[len(rule.id) :].strip()) if rule else None


def _over(rule: AlertRule, budgets: Sequence[Standing]) -> list[Finding]:
    """Of a budget that each user has, the one that has used most: an alert for every user would be noise."""
    worst: dict[str, Standing] = {}
    for one in budgets:
        slot, account = one.limit.slot, one.account
        subject = f"{account.scope}:{slot.name}:{account.period}:{account.starts.isoformat()} {slot.kind}"
        if one.limit.amount and one.share >= rule.threshold:
            worst[subject] = max(worst.get(subject, one), one, key=lambda each: each.share)
    return [Finding(rule, _budget_text(one), one.share, subject) for subject, one in worst.items()]


def _budget_text(one: Standing) -> str:
    account = one.account
    whose = f" of {account.scope} {account.name[:12]}" if account.name else ""
    spent = f"{usd(one.settled + one.reserved)} of {usd(one.limit.amount or 0)}"
    return f"{one.share:.0%} of the {one.limit.slot.kind} budget{whose} for the {account.period} is used: {spent}"


def _closed(rule: AlertRule, budgets: Sequence[Standing]) -> list[Finding]:
    text = "a call cost more than was held for it: nothing paid goes out until the budget resets or is set again"
    return [Finding(rule, text, 1.0, one.account.id) for one in budgets if one.closed][:1]


def _lower(one: Finding, others: Sequence[Finding]) -> bool:
    """Whether a higher level of the same budget is told at the same time."""
    return one.rule.watch == "budget" and any(
        other.rule.watch == "budget" and other.subject == one.subject and other.rule.threshold > one.rule.threshold
        for other in others
    )


def _figure(rule: AlertRule, figures: Figures) -> list[Finding]:
    value, turns = _judged(figures) if rule.watch == "judge_safety" else (_rate(rule, figures), figures.requests)
    if value is None or turns < rule.turns:
        return []
    broken = value > rule.threshold if rule.above is not None else value < rule.threshold
    words = WORDS[rule.watch].format(value=value, turns=turns)
    return [Finding(rule, f"{words} in the last {rule.window}", value)] if broken else []


def _rate(rule: AlertRule, figures: Figures) -> float | None:
    rates = {
        "guard_rate": figures.guard_rate,
        "dont_know_rate": figures.dont_know_rate,
        "error_rate": figures.error_rate,
        "p95_ms": figures.p95_ms,
    }
    return rates[rule.watch]


def _judged(figures: Figures) -> tuple[float | None, int]:
    """Safety on the scale of 1 to 5, and the answers that it was judged on."""
    known = {one.dimension: one for one in figures.judged if one.mean is not None and one.scored}
    used = [known[name] for name in ((SAFETY,) if SAFETY in known else STAND_INS[SAFETY]) if name in known]
    if not used:
        return None, 0
    mean = sum((one.mean or 0.0) * one.scored for one in used) / sum(one.scored for one in used)
    return on_scale(mean), max(one.scored for one in used)
