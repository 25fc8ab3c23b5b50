"""`ops`: where the operators' page is, and what opens it."""

from typing import TYPE_CHECKING

from cli.options import AsJson, Desk, desk_settings
from cli.terminal import note, show, show_json
from domain.errors import NotFoundError

if TYPE_CHECKING:
    from store.lock import Owner

EXAMPLES = """\b
Examples:
  frontdesk ops
  frontdesk ops --json
\b
Open the address in a browser and give it the token, or an API key with the scope analyst or admin. The token is
made anew at each start of the server; whoever may read the state folder may have it."""


def ops(*, desk: Desk = None, as_json: AsJson = False) -> None:
    """Show the address of the running server's operators' page, and the owner's token that opens it."""
    owner = _serving(desk)
    page = f"{owner.address}/ops"
    if as_json:
        show_json({"address": page, "token": owner.token})
        return
    show(page)
    show(f"token: {owner.token}")
    note("the token opens everything that the owner of this desk may do: keep it to yourself")


def _serving(desk: str | None) -> "Owner":
    from graph.profiles import find_desk  # noqa: PLC0415  # --help need not wait for it
    from store.lock import read_owner  # noqa: PLC0415

    settings = desk_settings(desk)
    owner = read_owner(settings.home / find_desk(settings.desk).name)
    if owner is None or not owner.address:
        raise NotFoundError("no server is running here for this desk", where="ops", fix="start it: frontdesk serve")
    return owner
