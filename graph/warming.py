"""What goes on beside the first answers: warming up, fetching and loading the local model."""

import gc

from domain.errors import ModelError
from domain.ports import ChatRequest, Progress
from domain.progress import stage
from graph.service import Service
from prompts import PromptLibrary

PRIMED = ("answer", "answerable")
"""Prompts whose shared beginning the local model reads once, before a customer waits for it."""


async def warm(service: Service) -> None:
    """Load what the first question would otherwise wait for: the guards' analyser, the embedder, the references of the scope."""
    await service.guards.warm()
    await service.embedder.query(service.profile.name)
    await service.scope.warm()


YOUNG = 10_000
"""Objects that are made before the youngest are looked through: a turn makes thousands, and few outlive it."""


def settle_memory() -> None:
    """Let the collector pass over what a service has loaded and keeps: going through it took a tenth of every turn."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])


async def start_model(service: Service, progress: Progress | None = None) -> None:
    """Fetch and load the local model, and return when it is ready or has failed; nothing to do without one."""
    if service.local is not None:
        await service.local.start(progress and stage(progress, "MB of the local model"))
        await _prime(service)


async def wait_for_model(service: Service, progress: Progress | None = None) -> str:
    """As `start_model`; what to tell the user when it failed, else empty."""
    await start_model(service, progress)
    if service.local is None or service.local.state == "ready":
        return ""
    return f"answers are quoted: the local model is {service.local.state}"


async def _prime(service: Service) -> None:
    """Let the local model read what all its prompts begin with: 780 tokens, 15 s on two cores."""
    card = service.chat.choose("simple", 1.0)
    if card is None or not card.weak:
        return
    library = PromptLibrary.load()
    for name in PRIMED:
        prompt = library.get(name)
        known = {"desk": service.profile.name, "tone": service.profile.tone}
        blank = {variable: known.get(variable, "") for variable in prompt.variables}
        try:
            await service.chat.complete(ChatRequest("warm_up", card.name, prompt.render(**blank), 1))
        except ModelError:
            return  # Its turns will find out by themselves, and quote.
