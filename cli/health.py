"""`doctor`: whether this installation can answer, and the command that mends what is missing."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import typer

from cli.checks import Check, check_disk, check_port, check_python
from cli.options import AsJson, Desk, desk_settings
from cli.terminal import Json, show, show_json
from domain.errors import FrontdeskError, SettingsError, WeightsError

if TYPE_CHECKING:
    from pathlib import Path

    from domain.settings import Settings
    from graph.service import Dependency

EXAMPLES = """\b
Examples:
  frontdesk doctor
  frontdesk doctor --desk clinic --json
\b
Exit code 1: the desk cannot answer."""

SAID_BETTER = ("model", "knowledge")
"""Parts of an opened desk that checks of our own say more about."""
SHOWN_IDS = 5
SECONDS = 3.0
INGEST = "frontdesk ingest PATH --desk {desk}"
LOOK_AT_DISK = "look after the disk; compare with `frontdesk knowledge list`, and ingest again what is missing"
FIXES = {
    "guards": "look into its log; what they cannot check is refused",
    "model": "frontdesk doctor, once it is stopped",
}
"""What mends a part that a running desk reports, by its name."""


def doctor(
    *,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Check what the desk needs, and say what mends it.

    Settings, disk, port, desk.yaml, models, store, guards, knowledge and Langfuse: a line each. The desk is
    opened for it, so at its very first start its articles are read.
    """
    checks = asyncio.run(_gather(desk, quiet=as_json))
    fine = not any(check.fatal for check in checks)
    if as_json:
        rows = [{"name": one.name, "state": one.state, "detail": one.detail, "fix": one.fix} for one in checks]
        show_json({"ok": fine, "checks": rows})
    else:
        show("the desk can answer" if fine else "the desk cannot answer")
    if not fine:
        raise typer.Exit(1)


async def _gather(desk: str | None, *, quiet: bool) -> list[Check]:
    checks = []
    async for check in _examine(desk):
        checks.append(check)
        if not quiet:
            show(str(check))
    return checks


async def _examine(desk: str | None) -> AsyncIterator[Check]:
    """Every check, the quick ones first; it ends where nothing more can be told."""
    yield check_python()
    try:
        settings = desk_settings(desk)
    except SettingsError as fault:
        yield _failed("settings", fault)
        return
    yield Check("settings", "ok", f"desk {settings.desk}, state in {settings.home}", needed=True)
    yield check_disk(settings.home)
    try:
        folder, detail = await asyncio.to_thread(_desk, settings)
    except FrontdeskError as fault:
        yield _failed("desk", fault)
        return
    yield Check("desk", "ok", detail, needed=True)
    async for check in _running(settings, folder):
        yield check
    yield await check_langfuse(settings)
    yield check_alerts(settings)


def _desk(settings: "Settings") -> "tuple[Path, str]":
    """The state folder and what desk.yaml says. Raises DeskError."""
    from cli.office import state_folder  # noqa: PLC0415  # --help need not wait for it
    from graph.profiles import find_desk, read_profile  # noqa: PLC0415

    folder = find_desk(settings.desk)
    profile = read_profile(folder)
    return state_folder(settings), f"{profile.name} ({', '.join(profile.languages)}) in {folder}"


async def _running(settings: "Settings", folder: "Path") -> AsyncIterator[Check]:
    """The desk itself: as the server that owns it says, else opened here and now."""
    from cli.office import remote_office  # noqa: PLC0415  # as above
    from store import read_owner  # noqa: PLC0415

    try:
        owner = await asyncio.to_thread(read_owner, folder)
        if owner and owner.address:
            yield Check("port", "ok", f"this desk is served at {owner.address}")
            async with remote_office(settings, owner.address, owner.token) as office:
                for part in (await office.run("health"))["dependencies"]:
                    if part["name"] != "knowledge":
                        yield _part(part)
                yield _knowledge(await office.run("knowledge"), settings)
            return
        yield _port(settings)
        yield await check_model(settings)
        for check in await _opened(settings):
            yield check
    except FrontdeskError as fault:
        yield _failed("service", fault)


async def _opened(settings: "Settings") -> list[Check]:
    """Open the desk without its language model, and ask its parts."""
    from cli.office import LocalOffice, local_service  # noqa: PLC0415  # as above
    from graph.health import health  # noqa: PLC0415

    async with local_service(settings) as service:
        parts = [_part(_plain(part)) for part in health(service)]
        known = _knowledge(await LocalOffice(service).run("knowledge"), settings)
        place = "Postgres (FRONTDESK_DATABASE_URL)" if service.store.shared else service.state_folder
        store = Check("store", "ok", f"receipts and conversations in {place}", needed=True)
    return [
        store,
        await asyncio.to_thread(check_redis, settings),
        *(part for part in parts if part.name not in SAID_BETTER),
        known,
    ]


def check_redis(settings: "Settings") -> Check:
    """Where short locks are kept; while it is away, the database keeps them."""
    url = settings.redis_url.get_secret_value()
    if not url:
        return Check("redis", "off", "FRONTDESK_REDIS_URL is not set: locks are kept with the store")
    from redis.exceptions import RedisError  # noqa: PLC0415  # as above

    from domain.tls import tls_trouble  # noqa: PLC0415
    from store.leases import connect_redis  # noqa: PLC0415

    try:
        with connect_redis(url) as client:
            client.ping()
    except RedisError as fault:
        trouble = tls_trouble(fault, "FRONTDESK_REDIS_URL: rediss://host:6379/0?ssl_ca_certs=/path/ca.pem")
        why, fix = trouble or (type(fault).__name__, "start it, or mend FRONTDESK_REDIS_URL")
        return Check("redis", "degraded", f"it does not answer ({why}): locks are kept with the store", fix)
    return Check("redis", "ok", "it answers")


def _plain(part: "Dependency") -> Json:
    return {"name": part.name, "state": part.state, "detail": part.detail, "needed": part.needed}


def _part(part: Json) -> Check:
    return Check(
        part["name"],
        part["state"],
        part["detail"] or part["state"],
        FIXES.get(part["name"], ""),
        needed=part.get("needed", False),
    )


def _port(settings: "Settings") -> Check:
    """A taken port stops `serve` only, not the desk."""
    check = check_port(settings.host, settings.port)
    return check if check.state == "ok" else Check("port", "degraded", check.detail, check.fix)


def _knowledge(known: Json, settings: "Settings") -> Check:
    if not known["articles"] and not known["damage"]:
        return Check("knowledge", "down", "no articles", INGEST.format(desk=settings.desk), needed=True)
    if known["damage"]:
        return Check(
            "knowledge", "degraded" if known["version"] else "down", known["damage"], LOOK_AT_DISK, needed=True
        )
    detail = f"{known['articles']} articles ({known['internal']} internal), version {known['version']}"
    overdue = known["overdue"]
    if not overdue:
        return Check("knowledge", "ok", detail, needed=True)
    named = ", ".join(overdue[:SHOWN_IDS]) + ("…" if len(overdue) > SHOWN_IDS else "")
    what = f"{detail}; {len(overdue)} past their review date: {named}"
    return Check("knowledge", "degraded", what, "review them, then " + INGEST.format(desk=settings.desk), needed=True)


async def check_model(settings: "Settings") -> Check:
    """Where answers would be written. Without a model they are quoted, so nothing here is fatal."""
    if settings.llm == "off":
        return Check("model", "off", "FRONTDESK_LLM=off: answers are quoted from the articles")
    if settings.llm_base_url:
        return await _check_server(settings)
    if settings.providers:
        return _check_providers(settings)
    return await asyncio.to_thread(_check_weights, settings)


def _check_providers(settings: "Settings") -> Check:
    """Models that cost money. A price nobody has compared with the provider's list is named."""
    from models.own_models import own_catalog  # noqa: PLC0415  # as above

    routes = own_catalog(settings.home).routes(
        openai_api_key=settings.openai_api_key.get_secret_value(),
        anthropic_api_key=settings.anthropic_api_key.get_secret_value(),
        gemini_api_key=settings.gemini_api_key.get_secret_value(),
        model=settings.llm_model,
    )
    limit = f"at most ${settings.budget_usd_per_day:.2f} a day (FRONTDESK_BUDGET_USD_PER_DAY)"
    unsure = [route.row.name for route in routes if not route.row.verified]
    said = f"; prices not verified: {', '.join(unsure)}" if unsure else ""
    return Check("model", "ok", f"{', '.join(settings.providers)}, {limit}{said}")


async def _check_server(settings: "Settings") -> Check:
    import httpx  # noqa: PLC0415  # as above

    from domain.tls import tls_trouble  # noqa: PLC0415  # as above

    url = f"{settings.llm_base_url}/models"
    trusted = httpx.create_ssl_context()
    if settings.ca_file:
        trusted.load_verify_locations(settings.ca_file)
    key = settings.llm_api_key.get_secret_value()
    try:
        async with httpx.AsyncClient(timeout=SECONDS, verify=trusted) as client:
            answer = await client.get(url, headers={"Authorization": f"Bearer {key}"} if key else {})
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as fault:
        trouble = tls_trouble(fault, "FRONTDESK_CA_FILE")
        mend = "start it, or mend FRONTDESK_LLM_BASE_URL and FRONTDESK_LLM_API_KEY"
        why, fix = trouble or (type(fault).__name__, mend)
        return Check("model", "degraded", f"{settings.llm_base_url} does not answer ({why}): answers are quoted", fix)
    return Check("model", "ok", f"{settings.llm_model or 'a model'} at {settings.llm_base_url}")


def _check_weights(settings: "Settings") -> Check:
    """The local model's engine and weights. Reads the whole file if that was never done."""
    from importlib.util import find_spec  # noqa: PLC0415  # as above

    from models.own_models import own_catalog, weights_of  # noqa: PLC0415

    if find_spec("xllamacpp") is None:
        what = "xllamacpp is not installed: answers are quoted"
        return Check("model", "degraded", what, 'pip install "frontdesk[local]"')
    row = own_catalog(settings.home).local(settings.llm_model)
    weights = weights_of(row, settings.weights_dir)
    try:
        path = weights.check()
    except WeightsError as fault:
        return Check("model", "degraded", str(fault), "frontdesk serve fetches it anew")
    if path is None:
        return Check(
            "model", "degraded", f"{row.name} is not fetched yet: {weights.plan()}", "frontdesk serve fetches it"
        )
    return Check("model", "ok", f"{row.name} in {path.parent}")


async def check_langfuse(settings: "Settings") -> Check:
    """The server that traces go to, if any."""
    if not settings.traces_to_langfuse:
        return Check("langfuse", "off", "no keys set: receipts stay here (LANGFUSE_PUBLIC_KEY, LANGFUSE_SECRET_KEY)")
    from tracing import check_server  # noqa: PLC0415  # as above

    keys = settings.langfuse_public_key, settings.langfuse_secret_key.get_secret_value()
    said = await check_server(settings.langfuse_host, keys)
    if said.fault:
        fix = (
            "update it, or mend LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"
            if said.version
            else "start it, or mend LANGFUSE_HOST"
        )
        return Check("langfuse", "degraded", said.fault, fix)
    return Check("langfuse", "ok", f"{settings.langfuse_host}, version {said.version}")


def check_alerts(settings: "Settings") -> Check:
    """Where alerts go. The rules were read with desk.yaml; the webhook is not called for a check."""
    from urllib.parse import urlsplit  # noqa: PLC0415  # as above

    url = settings.alert_webhook.get_secret_value()
    if not url:
        return Check("alerts", "off", "no webhook: they stand in the log only (FRONTDESK_ALERT_WEBHOOK)")
    signed = "signed" if settings.alert_webhook_secret.get_secret_value() else "unsigned"
    return Check("alerts", "ok", f"posted to {urlsplit(url).hostname}, {signed}")


def _failed(name: str, fault: FrontdeskError) -> Check:
    place = f"{fault.where}: " if fault.where else ""
    return Check(name, "down", f"{place}{fault.what}", fault.fix, needed=True)
