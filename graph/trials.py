"""Two releases side by side on real customers: who sees which, and what can be said of them so far."""

import asyncio
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from domain.errors import NotFoundError, UsageError
from domain.receipt import MICRO
from domain.release import NAME, environment_of
from graph.record import ANONYMOUS
from graph.releasing import agreed, changed_by, found, gate_of
from graph.sequential import MEASURES, compared, verdict
from graph.service import Service
from store.experiments import Experiment, Exposure
from store.releases import Deed

Json = dict[str, Any]


async def start(
    service: Service,
    *,
    release: str,
    name: str = "",
    share: float = 0.5,
    environment: str = "",
    without_gate: str = "",
    who: str,
) -> Json:
    """Show `release` to a `share` of the users where another serves: the experiment with `state` running or waiting.

    A canary is one with a share of .05. Raises as `releasing.promote` does, and ConflictError where one runs already.
    """
    where = environment_of(environment or service.releases.environment)
    if not 0 < share < 1:
        raise UsageError(f"a share of {share} cannot be", where="share", fix="above 0 and below 1: 0.05 for a canary")
    seen = await asyncio.to_thread(service.store.releases.serving, where)
    pinned = await found(service, release)
    if seen.release == release:
        raise UsageError("serves there already", where=f"{release} in {where}", fix="compare it with another")
    name = _named(name or f"{release[:40]}-{seen.id}")
    about = gate_of(pinned, where, without_gate) | {"experiment": name, "share": share}
    await service.releases.prepared(pinned.release)
    salt = f"{name} {service.clock.now().isoformat()}"
    deed = Deed("ab.start", where, release, seen, who, about)
    started = await asyncio.to_thread(
        service.store.experiments.start, name, deed, share, salt, agreed=agreed(service, where)
    )
    await service.releases.look()
    if started is None:
        return {"name": name, "environment": where, "a": seen.release, "b": release, "share": share, "state": "waiting"}
    return _row(started) | {"state": "running"}


async def start_prompt(
    service: Service,
    *,
    prompt: str,
    stands_for: str = "",
    name: str = "",
    share: float = 0.5,
    environment: str = "",
    without_gate: str = "",
    who: str,
) -> Json:
    """Show a prompt to a `share` of the users, in a release that differs from what serves there in this one line."""
    where = environment_of(environment or service.releases.environment)
    made = await changed_by(service, where, prompt, stands_for, who)
    fields: Json = {"name": name, "share": share, "environment": where, "without_gate": without_gate}
    return await start(service, release=made.name, **fields, who=who)


async def status(service: Service, *, name: str = "") -> Json:
    """How an experiment stands; without a name the one that runs here, else the newest. May be looked at every day.

    {name, environment, a, b, share, started_at, stopped_at, turns:{a,b}, users:{a,b}, winner, why,
    measures:[{measure, a, b, users, interval, better}]}: values by users, intervals of b less a.
    """
    one = await _wanted(service, name)
    exposures = await asyncio.to_thread(service.store.experiments.exposures, one.name)
    anonymous = await asyncio.to_thread(service.store.vault.user_hash, ANONYMOUS)
    arms = {
        arm: [each for each in exposures if each.release == release] for arm, release in (("a", one.a), ("b", one.b))
    }
    values = {arm: _by_user(turns, anonymous) for arm, turns in arms.items()}
    measures = [compared(each, values["a"][each.name], values["b"][each.name]) for each in MEASURES]
    said = verdict(measures)
    return _row(one) | {
        "turns": {arm: len(turns) for arm, turns in arms.items()},
        "users": {arm: len({_unit(each, anonymous) for each in turns}) for arm, turns in arms.items()},
        "winner": said.winner and (one.a if said.winner == "a" else one.b),
        "why": said.why,
        "measures": [asdict(each) for each in measures],
    }


async def stop(service: Service, *, name: str = "", who: str) -> Json:
    """End an experiment: everybody gets what serves, until the better one is promoted. Its row. Raises NotFoundError."""
    one = await _wanted(service, name)
    stopped = await asyncio.to_thread(service.store.experiments.stop, one.name, who)
    await service.releases.look()
    return _row(stopped)


async def _wanted(service: Service, name: str) -> Experiment:
    book = service.store.experiments
    if name:
        return await asyncio.to_thread(book.get, name)
    running = await asyncio.to_thread(book.running, service.releases.environment)
    newest = [running] if running else (await asyncio.to_thread(book.all))[:1]
    if not newest:
        raise NotFoundError("there was no experiment yet", fix="start one: frontdesk release ab start RELEASE")
    return newest[0]


def _named(name: str) -> str:
    if not re.match(NAME, name):
        raise UsageError("cannot be an experiment's name", where=name, fix="1 to 60 of a-z 0-9 . _ -")
    return name


def _by_user(turns: Sequence[Exposure], anonymous: str) -> Mapping[str, list[float]]:
    """By measure, one value a user: the mean of their turns."""
    users: dict[str, dict[str, list[float]]] = {each.name: defaultdict(list) for each in MEASURES}
    for turn in turns:
        unit = _unit(turn, anonymous)
        if turn.quality is not None:
            users["quality"][unit].append(turn.quality)
        if turn.liked is not None:
            users["liked"][unit].append(turn.liked)
        users["cost_usd"][unit].append(turn.cost_microusd / MICRO)
        users["log_latency"][unit].append(math.log(max(turn.latency_ms, 0.01)))
    return {name: [math.fsum(each) / len(each) for each in values.values()] for name, values in users.items()}


def _unit(turn: Exposure, anonymous: str) -> str:
    """Who is exposed: a user, or the thread of one who does not say who they are."""
    return turn.thread if turn.user == anonymous else turn.user


def _row(one: Experiment) -> Json:
    stopped = one.stopped_at.isoformat() if one.stopped_at else None
    row = asdict(one) | {"started_at": one.started_at.isoformat(), "stopped_at": stopped}
    del row["salt"]
    return row
