"""The Langfuse double, which also keeps prompts: its own numbers, and labels that move as Langfuse moves them."""

import json
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from langfuse_double import Double, _Handler, running

PATH = "/api/public/v2/prompts"


class Prompts(Double):
    """Keeps every version of every prompt, the oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self.RequestHandlerClass = _WithPrompts
        self.prompts: dict[str, list[dict[str, Any]]] = {}

    def take(self, given: dict[str, Any]) -> dict[str, Any]:
        """A new version; its labels leave the older ones."""
        versions = self.prompts.setdefault(given["name"], [])
        labels = {*given.get("labels", []), "latest"}
        for one in versions:
            one["labels"] = [label for label in one["labels"] if label not in labels]
        versions.append(given | {"version": len(versions) + 1, "labels": sorted(labels)})
        return versions[-1]


class _WithPrompts(_Handler):
    server: Prompts

    def do_GET(self) -> None:  # noqa: N802  # the standard library's name
        url = urlsplit(self.path)
        if not url.path.startswith(f"{PATH}/"):
            super().do_GET()
            return
        if self.server.status != 200 or self._unknown():
            self._answer(401 if self._unknown() else self.server.status, {})
            return
        (label,) = parse_qs(url.query)["label"]
        found = self.server.prompts.get(unquote(url.path.removeprefix(f"{PATH}/")), [])
        chosen = [one for one in found if label in one["labels"]]
        self._answer(200 if chosen else 404, chosen[0] if chosen else {"message": "not found"})

    def do_POST(self) -> None:  # noqa: N802  # as above
        if self.path != PATH or self.server.status != 200 or self._unknown():
            super().do_POST()
            return
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(201, self.server.take(given))


def langfuse_prompts() -> AbstractContextManager[Prompts]:
    """A running one."""
    return running(Prompts())
