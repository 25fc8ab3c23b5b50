"""The Langfuse double, which also takes data sets and their items."""

import json
from contextlib import AbstractContextManager
from typing import Any

from langfuse_double import Double, _Handler, running

PROJECT = "project-1"


class Datasets(Double):
    """Keeps data sets by name and items by id as well."""

    def __init__(self) -> None:
        super().__init__()
        self.RequestHandlerClass = _WithDatasets
        self.datasets: dict[str, dict[str, Any]] = {}
        self.items: dict[str, dict[str, Any]] = {}


class _WithDatasets(_Handler):
    server: Datasets

    def do_GET(self) -> None:  # noqa: N802  # the standard library's name
        if self.path.endswith("/projects") and not self._unknown():
            self._answer(200, {"data": [{"id": PROJECT, "name": "frontdesk"}]})
        else:
            super().do_GET()

    def do_POST(self) -> None:  # noqa: N802  # as above
        if self.server.status != 200 or self._unknown():
            super().do_POST()
        elif self.path == "/api/public/v2/datasets":
            given = self._given()
            self._answer(200, self.server.datasets.setdefault(given["name"], {"id": f"ds-{given['name']}", **given}))
        elif self.path == "/api/public/dataset-items":
            given = self._given()
            known = given["datasetName"] in self.server.datasets
            if known:
                self.server.items[given["id"]] = given
            self._answer(200 if known else 404, given)
        else:
            super().do_POST()

    def _given(self) -> dict[str, Any]:
        given: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return given


def langfuse_datasets() -> AbstractContextManager[Datasets]:
    """A running one."""
    return running(Datasets())
