"""`serve`: the API and the chat page."""

from typing import Annotated

import typer

from cli.checks import check_disk, check_port, check_python
from cli.options import Desk, desk_settings
from cli.terminal import meter, note
from domain.errors import FrontdeskError

EXAMPLES = """\b
Examples:
  frontdesk serve
  frontdesk serve --desk clinic --port 8080
  FRONTDESK_LLM=off frontdesk serve
  frontdesk serve --workers 4   # with FRONTDESK_DATABASE_URL, FRONTDESK_CHROMA_URL, FRONTDESK_VAULT_KEY
\b
The chat page is at http://127.0.0.1:8000, the API at POST /v1/chat. It answers at once by quotation; the
local model is fetched and loaded beside it and takes over when it is ready."""


def serve(
    *,
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen at.  [default: 127.0.0.1]", show_default=False)
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65_535, help="Port; 0 takes a free one.  [default: 8000]", show_default=False
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            "--workers", min=1, help="Processes behind the port; more than 1 need Postgres and a Chroma server."
        ),
    ] = 1,
    desk: Desk = None,
) -> None:
    """Serve the API and the chat page. Python, disk and port are checked first."""
    settings = desk_settings(desk, host=host, port=port)
    if workers > 1:
        from graph.crew import must_share  # noqa: PLC0415  # --help need not wait for it

        must_share(settings, workers)
    for check in (check_python(), check_disk(settings.home), check_port(settings.host, settings.port)):
        note(str(check) if not check.fatal else f"{check.state:<9} {check.name}")
        if check.fatal:
            raise FrontdeskError(check.detail, where=check.name, fix=check.fix)
    if workers > 1:
        from api.workers import run_workers  # noqa: PLC0415  # as below

        run_workers(settings, workers, say=note)
        return
    from api.app import run_server  # noqa: PLC0415  # heavy: not before the checks have passed, and not for --help

    with meter("reading the knowledge") as reading:
        run_server(settings, say=note, progress=reading)
