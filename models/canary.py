"""A mark in what models are told, by which the guards know the instructions again in an answer."""

from collections.abc import Callable
from dataclasses import replace

from domain.ports import ChatRequest


def marking(canary: str) -> Callable[[ChatRequest], ChatRequest]:
    """Puts the canary behind the first system message of a request. A request without one stays as it is.

    It is the same for every request of a process, so that what prompts begin with can stay in a model's cache.
    """

    def mark(request: ChatRequest) -> ChatRequest:
        place = next((place for place, line in enumerate(request.messages) if line.role == "system"), None)
        if place is None:
            return request
        line = request.messages[place]
        marked = replace(line, text=f"{line.text.rstrip()}\n\n[{canary}]")
        return replace(request, messages=[*request.messages[:place], marked, *request.messages[place + 1 :]])

    return mark
