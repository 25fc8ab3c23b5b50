"""Releases as operators handle them: pin, compare, promote through the gate, go back."""

import asyncio
from contextlib import suppress
from typing import Any

from domain.errors import ConflictError, UsageError
from domain.profile import GuardFamily, Threshold
from domain.release import BUILT_IN, ENVIRONMENTS, GATED, Environment, Release, environment_of
from domain.turn import Tier
from graph.service import Service
from models.catalog import load_catalog
from prompts.registry import ASKED_FOR
from store.releases import Deed, Gate, Pinned

Json = dict[str, Any]
LIVE = "live"
"""Stands for no knowledge version: whichever serves."""
SHORT = 12
"""Digits of a digest that make a name of our own."""


async def releases(service: Service) -> Json:
    """Every release, and what serves where.

    {here, environments:[{environment,release,since,who,experiment}], releases:[{name,at,who,note,digest,gate,pins}]}
    """
    book, trials = service.store.releases, service.store.experiments
    serving = [await asyncio.to_thread(book.serving, each) for each in ENVIRONMENTS]
    running = [await asyncio.to_thread(trials.running, each) for each in ENVIRONMENTS]
    rows = [
        {
            "environment": now.environment,
            "release": now.release,
            "since": now.at.isoformat() if now.at else None,
            "who": now.who,
            "experiment": trial.name if trial else None,
        }
        for now, trial in zip(serving, running, strict=True)
    ]
    kept = [_row(each) for each in await asyncio.to_thread(book.all)]
    shipped = _row(Pinned(service.releases.built_in, None, "", "what ships, as the settings have it", None))
    return {"here": service.releases.environment, "environments": rows, "releases": [*kept, shipped]}


async def show(service: Service, *, name: str = "") -> Json:
    """One release: a row of `releases` with `release`, the pins as they are kept. Raises NotFoundError.

    Without a name it is what serves here.
    """
    pinned = await _found_or_serving(service, name)
    return _row(pinned) | {"release": pinned.release.model_dump(mode="json")}


async def create(
    service: Service,
    *,
    name: str,
    base: str = "",
    prompts: dict[str, str] | None = None,
    thresholds: dict[GuardFamily, Threshold] | None = None,
    models: dict[Tier, str] | None = None,
    knowledge: str = "",
    note: str = "",
    who: str,
) -> Json:
    """Pin a release that this desk can serve: its row. What is not given is as in `base`, or as what serves here.

    `knowledge` is a kept version, or live; empty: the one that serves now. Nothing answers by it yet.
    Raises UsageError, KnowledgeError, ConflictError, NotFoundError.
    """
    start = (await _found_or_serving(service, base)).release
    version = "" if knowledge == LIVE else knowledge or service.knowledge.version
    release = _checked(
        name=name,
        prompts=start.prompts | _labels(service, prompts or {}),
        rag_config=_filled_by(service, version),
        thresholds=start.thresholds | (thresholds or {}),
        models=start.models | _models(service, models or {}),
        knowledge=version,
    )
    await service.releases.prepared(release)
    return _row(await asyncio.to_thread(service.store.releases.add, release, note, who))


async def diff(service: Service, *, a: str, b: str) -> Json:
    """What release `b` pins otherwise than `a`: {a, b, same, changes:[{pin,a,b}]}. Raises NotFoundError."""
    first, second = (await found(service, a)).release.lines(), (await found(service, b)).release.lines()
    names = [name for name in dict.fromkeys([*first, *second]) if first.get(name) != second.get(name)]
    changes = [{"pin": name, "a": first.get(name, "-"), "b": second.get(name, "-")} for name in names]
    return {"a": a, "b": b, "same": not changes, "changes": changes}


async def prove(
    service: Service, *, name: str, passed: bool, figures: dict[str, float | None] | None = None, who: str
) -> Json:
    """Keep what `release gate` has found of a release, with its figures: the release's row. Raises NotFoundError."""
    gate: Gate = {"passed": passed, "at": service.clock.now().isoformat(), "who": who, "figures": figures or {}}
    return _row(await asyncio.to_thread(service.store.releases.prove, name, gate, who))


async def promote(
    service: Service, *, name: str, environment: str = "", without_gate: str = "", replaces: str = "", who: str
) -> Json:
    """Let a release serve an environment: {environment, release, before, state: serving|waiting}.

    waiting: the desk asks for a second key, which says the same. `without_gate`: why it may pass by the gate.
    `replaces`: what its doer believes to serve there. Raises ConflictError where another was faster, where an
    experiment runs, or where the gate was not passed; UsageError, KnowledgeError, NotFoundError.
    """
    where = environment_of(environment or service.releases.environment)
    seen = await asyncio.to_thread(service.store.releases.serving, where)
    pinned = await found(service, name)
    if replaces and seen.release != replaces:
        what = f"{seen.release} serves there, not {replaces}"
        raise ConflictError(what, where=where, fix="look at `frontdesk release list` and decide again")
    if seen.release == name:
        raise UsageError("serves there already", where=f"{name} in {where}")
    about = gate_of(pinned, where, without_gate)
    await service.releases.prepared(pinned.release)
    return await _deploy(service, Deed("release.promote", where, name, seen, who, about), parent=seen.id)


async def rollback(service: Service, *, environment: str = "", who: str) -> Json:
    """Let what served before serve again, at once: as `promote`. Again: what served before that.

    An experiment that runs there ends. Raises UsageError where nothing was promoted.
    """
    where = environment_of(environment or service.releases.environment)
    book = service.store.releases
    seen = await asyncio.to_thread(book.serving, where)
    back = await asyncio.to_thread(book.before, seen)
    if back.release == seen.release:
        raise UsageError("nothing served before it", where=f"{seen.release} in {where}")
    await service.releases.prepared((await found(service, back.release)).release)
    made = Deed("release.rollback", where, back.release, seen, who, {})
    return await _deploy(service, made, parent=back.parent, urgent=True)


async def promote_prompt(
    service: Service,
    *,
    name: str,
    stands_for: str = "",
    environment: str = "",
    without_gate: str = "",
    replaces: str = "",
    who: str,
) -> Json:
    """Let a prompt serve: a release that differs from what serves there in this one line, as `promote`.

    `stands_for`: the name that the nodes ask for; by default the prompt's own, or the one its name begins with.
    A release that has not passed the gate stays, to be put through it. Raises as `promote`.
    """
    where = environment_of(environment or service.releases.environment)
    seen = await asyncio.to_thread(service.store.releases.serving, where)
    made = await changed_by(service, where, name, stands_for, who)
    fields = {"environment": where, "without_gate": without_gate, "replaces": replaces or seen.release}
    return await promote(service, name=made.name, **fields, who=who)


async def rollback_prompt(service: Service, *, name: str = "answer", environment: str = "", who: str) -> Json:
    """Let the prompt that last stood for `name` do so again, in a release of this one line: as `promote`.

    Raises UsageError where none did.
    """
    where = environment_of(environment or service.releases.environment)
    book = service.store.releases
    seen = before = await asyncio.to_thread(book.serving, where)
    now = (await found(service, seen.release)).release
    label = now.prompts.get(name)
    while before.id and label == now.prompts.get(name):
        before = await asyncio.to_thread(book.before, before)
        label = (await found(service, before.release)).release.prompts.get(name)
    if label is None or label == now.prompts.get(name):
        raise UsageError("no other prompt stood for it", where=f"{name} in {where}")
    made = await _with_prompt(service, now, name, label, who)
    await service.releases.prepared(made)
    back = Deed("prompts.rollback", where, made.name, seen, who, {"prompt": label})
    return await _deploy(service, back, parent=seen.id, urgent=True)


async def changed_by(service: Service, where: Environment, prompt: str, stands_for: str, who: str) -> Release:
    """What serves there with one prompt changed, kept as a release. Raises UsageError for one that cannot stand there."""
    seen = await asyncio.to_thread(service.store.releases.serving, where)
    role = stands_for or _stands_for(service.prompts.get(prompt).name)
    return await _with_prompt(service, (await found(service, seen.release)).release, role, prompt, who)


async def found(service: Service, name: str) -> Pinned:
    """A release by its name, the built-in one too. Raises NotFoundError."""
    if name == BUILT_IN:
        return Pinned(service.releases.built_in, None, "", "", None)
    return await asyncio.to_thread(service.store.releases.get, name)


async def _found_or_serving(service: Service, name: str) -> Pinned:
    """A release by its name; without one, what serves here."""
    if name:
        return await found(service, name)
    serving = await asyncio.to_thread(service.store.releases.serving, service.releases.environment)
    return await found(service, serving.release)


def gate_of(pinned: Pinned, where: Environment, without_gate: str) -> dict[str, object]:
    """What the audit log says of the gate. Raises ConflictError where a release may not pass."""
    if where not in GATED or pinned.release.name == BUILT_IN:
        return {}
    if without_gate.strip():
        return {"without_gate": without_gate.strip()}
    if pinned.gate is None or not pinned.gate["passed"]:
        name = pinned.release.name
        what = "the gate was not passed" if pinned.gate else "was not put through the gate"
        fix = f"frontdesk release gate {name}, or say why not: --without-gate REASON"
        raise ConflictError(what, where=f"release {name}", fix=fix)
    return {"gate": pinned.gate["at"]}


def agreed(service: Service, where: Environment) -> bool:
    """Whether one key may decide alone there."""
    return where not in service.profile.releases.approval


async def _deploy(service: Service, what: Deed, *, parent: int, urgent: bool = False) -> Json:
    where = environment_of(what.environment)
    alone = urgent or agreed(service, where)
    made = await asyncio.to_thread(service.store.releases.deploy, what, parent=parent, agreed=alone)
    await service.releases.look()
    state = "serving" if made else "waiting"
    return {"environment": where, "release": what.release, "before": what.replaces.release, "state": state}


async def _with_prompt(service: Service, release: Release, role: str, name: str, who: str) -> Release:
    """The release with one line changed: the one that pins just this, else a new one, named by its content."""
    labels = release.prompts | _labels(service, {role: name})
    plain = release.model_copy(update={"prompts": labels})
    known = [service.releases.built_in, *(each.release for each in await asyncio.to_thread(service.store.releases.all))]
    if same := next((each for each in known if each.digest == plain.digest), None):
        return same
    made = plain.model_copy(
        update={"name": f"{labels[role].replace('@', '-').replace('_', '-')}-{plain.digest[:SHORT]}"}
    )
    with suppress(ConflictError):  # it is there already: its name says what it pins
        await asyncio.to_thread(service.store.releases.add, made, f"{release.name} with {labels[role]}", who)
    return made


def _labels(service: Service, wanted: dict[str, str]) -> dict[str, str]:
    """The labels of prompts that may stand for these names. Raises UsageError."""
    labels: dict[str, str] = {}
    for name, prompt in wanted.items():
        if name not in ASKED_FOR:
            raise UsageError(
                f"nothing asks for a prompt {name!r}", where="prompts", fix=f"one of {', '.join(ASKED_FOR)}"
            )
        chosen, shipped = service.prompts.get(prompt), service.prompts.get(name)
        if set(chosen.variables) != set(shipped.variables):
            takes = ", ".join(shipped.variables)
            raise UsageError(f"cannot stand for {name}", where=f"prompt {chosen.label}", fix=f"it must take {takes}")
        labels[name] = chosen.label
    return labels


def _stands_for(name: str) -> str:
    """`answer_better` stands for `answer`. Raises UsageError where that cannot be told."""
    fitting = [each for each in ASKED_FOR if name == each or name.startswith(f"{each}_")]
    if not fitting:
        fix = f"say which it stands for: one of {', '.join(ASKED_FOR)}"
        raise UsageError("the nodes ask for no such prompt", where=name, fix=fix)
    return fitting[0]


def _models(service: Service, wanted: dict[Tier, str]) -> dict[Tier, str]:
    """The names of models there are. Raises UsageError."""
    known = {row.name for row in load_catalog().models} | set(service.chat.up())
    for tier, name in wanted.items():
        if name not in known:
            raise UsageError(f"no model {name!r}", where=f"model {tier}", fix=f"there are {', '.join(sorted(known))}")
    return wanted


def _filled_by(service: Service, version: str) -> str:
    """The RAG configuration that goes with a version of the knowledge. Raises UsageError."""
    if not version:
        return service.releases.built_in.rag_config
    filled = {row.version: row.config for row in service.knowledge.versions()}
    if version not in filled:
        raise UsageError("no such kept version", where=version, fix=f"{LIVE}, or one of {', '.join(filled)}")
    return filled[version]


def _checked(**pins: Any) -> Release:
    try:
        return Release(**pins)
    except ValueError as fault:
        fix = "a name has 1 to 60 of a-z 0-9 . _ - and begins with a letter or digit; a threshold lies in 0..1"
        raise UsageError("cannot be a release", where=str(pins["name"]), fix=fix) from fault


def _row(pinned: Pinned) -> Json:
    release = pinned.release
    return {
        "name": release.name,
        "at": pinned.at.isoformat() if pinned.at else None,
        "who": pinned.who,
        "note": pinned.note,
        "digest": release.digest,
        "gate": pinned.gate,
        "pins": release.lines(),
    }
