"""How a running service is: where answers come from, what is up, what is degraded."""

from domain.errors import StoreError
from graph.service import Dependency, Service


def mode(service: Service) -> str:
    """How the next sure answer would be made: quote, local or remote."""
    card = service.chat.choose("simple", 1.0)
    return card.mode if card else "quote"


def banner(service: Service) -> str:
    """Where answers come from, in a sentence or two for whoever starts the service."""
    settings = service.settings
    if service.local is not None:
        return (
            f"Answers are quoted from the articles at once; a local model takes over when it is ready"
            f" ({service.local.weights.plan()})."
        )
    card = service.chat.choose("medium", 1.0)
    if card is None:
        return "Answers are quoted from the articles; no language model is used."
    if card.mode == "local":
        return f"Answers are written by {card.name} at {settings.llm_base_url}."
    return (
        f"Answers are written by {card.name}, which costs money: at most"
        f" ${settings.budget_usd_per_day:.2f} a day (FRONTDESK_BUDGET_USD_PER_DAY), then they are quoted."
    )


def health(service: Service) -> list[Dependency]:
    """Every dependency of the service; the desk cannot answer when a needed one is down."""
    faults = {name: state for name, state in service.guards.health().items() if state != "ok"}
    return [
        _knowledge(service),
        Dependency(
            "guards",
            "degraded" if faults else "ok",
            "; ".join(f"{name}: {fault}" for name, fault in faults.items()) or f"heads weigh {service.guards.weighs}",
        ),
        _model(service),
        _release(service),
        *_traces(service),
    ]


def memory(service: Service) -> Dependency:
    """Whether the desk's database answers. Blocking; a server that is away takes as long as it may take to connect."""
    try:
        service.store.check()
    except StoreError as fault:
        return Dependency("store", "down", str(fault), needed=True)
    return Dependency("store", "ok", "Postgres" if service.store.shared else "SQLite", needed=True)


def _knowledge(service: Service) -> Dependency:
    version, trouble, damage = service.knowledge.version, service.knowledge.trouble, service.knowledge.damage
    if trouble:
        return Dependency("knowledge", "down", trouble, needed=True)
    if not version:
        return Dependency("knowledge", "down", damage or "no articles: run frontdesk ingest PATH", needed=True)
    if damage:
        return Dependency("knowledge", "degraded", damage, needed=True)
    return Dependency("knowledge", "ok", f"version {version}", needed=True)


def _model(service: Service) -> Dependency:
    if service.local is not None:
        state = service.local.state
        return Dependency("model", "ok" if state == "ready" else "degraded", f"local model: {state}")
    if service.settings.llm == "off":
        return Dependency("model", "off", "answers are quoted")
    card = service.chat.choose("medium", 1.0)
    return Dependency("model", "ok", card.name) if card else Dependency("model", "degraded", "not answering")


def _release(service: Service) -> Dependency:
    trouble = service.releases.trouble
    serves = f"{service.releases.serving} in {service.releases.environment}"
    return Dependency("release", "degraded" if trouble else "ok", f"{serves} ({trouble})" if trouble else serves)


def _traces(service: Service) -> list[Dependency]:
    """What waits for Langfuse; nothing where there is none."""
    if service.exporter is None:
        return []
    waiting, dropped, trouble = service.exporter.standing
    given_up = f", {dropped} given up since the desk began" if dropped else ""
    why = f" ({trouble})" if trouble else ""
    return [Dependency("traces", "degraded" if trouble else "ok", f"{waiting} wait for Langfuse{why}{given_up}")]
