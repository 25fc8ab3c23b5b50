"""A desk that opens the same in another process or on another machine, to be measured there.

What it knows, its folder and what serves go along; what it remembers of customers does not, nor do its cases.
"""

import asyncio
import io
import tarfile
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from domain.errors import UsageError
from domain.release import BUILT_IN, Release
from domain.settings import Settings
from graph.bootstrap import close_service, open_service
from graph.service import Service
from graph.system import SystemClock
from models.own_models import OWN
from retrieval.saving import restore_knowledge

STAYS = "cases"
"""Of a desk's folder: what it is measured by travels case by case."""
ALONE = {
    "database_url": SecretStr(""),
    "redis_url": SecretStr(""),
    "chroma_url": "",
    "vault_key": SecretStr(""),
    "alert_webhook": SecretStr(""),
    "handoff_webhook": SecretStr(""),
}
"""Settings of the desk there: books, a vault and a knowledge of its own, and nobody is told of what happens to it."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A desk on its way. `folder`, `knowledge` are tar archives; `models` is the installation's own catalog.

    It holds the keys of the settings, and internal articles: send it where the desk itself might run.
    """

    name: str
    folder: bytes
    knowledge: bytes
    models: bytes
    release: Release
    settings: Settings


async def pack(service: Service) -> Parcel:
    """The desk as it serves now. Raises UsageError while an experiment runs: it is not said which of two is meant."""
    environment, own = service.settings.environment, service.settings.home / OWN
    if await asyncio.to_thread(service.store.experiments.running, environment):
        fix = "stop it first: frontdesk release ab stop"
        raise UsageError(
            "an experiment runs, which a desk on other machines has no part in", where=environment, fix=fix
        )
    serves = (await asyncio.to_thread(service.store.releases.serving, environment)).release
    release = service.releases.built_in
    if serves != BUILT_IN:
        release = (await asyncio.to_thread(service.store.releases.get, serves)).release
    with tempfile.TemporaryDirectory(prefix="frontdesk-") as saved:
        await service.knowledge.save(Path(saved))
        knowledge = await asyncio.to_thread(packed, Path(saved))
    return Parcel(
        service.desk_folder.name,
        await asyncio.to_thread(packed, service.desk_folder),
        knowledge,
        own.read_bytes() if own.is_file() else b"",
        release,
        service.settings.model_copy(update=ALONE),
    )


@asynccontextmanager
async def unpacked(parcel: Parcel) -> AsyncIterator[Service]:
    """The same desk in a folder that is gone afterwards. Raises what opening a desk raises."""
    with tempfile.TemporaryDirectory(prefix="frontdesk-") as place:
        home, folder = Path(place) / "home", Path(place) / "desk" / parcel.name
        state = home / parcel.name
        await asyncio.to_thread(_lay_out, parcel, folder, state)
        service = await open_service(parcel.settings.model_copy(update={"home": home, "desk": str(folder)}))
        try:
            if parcel.release.name != BUILT_IN:
                await service.releases.only(parcel.release)
            yield service
        finally:
            await close_service(service)


def _lay_out(parcel: Parcel, folder: Path, state: Path) -> None:
    state.mkdir(parents=True)
    unpack(parcel.folder, folder)
    if parcel.models:
        (state.parent / OWN).write_bytes(parcel.models)
    with tempfile.TemporaryDirectory(prefix="frontdesk-") as saved:
        unpack(parcel.knowledge, Path(saved))
        restore_knowledge(Path(saved), state / "knowledge", SystemClock())


def packed(folder: Path) -> bytes:
    """A folder as a tar archive, without cases. Blocks."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path in sorted(folder.iterdir()):
            if path.name != STAYS:
                archive.add(path, path.name)
    return stream.getvalue()


def unpack(data: bytes, folder: Path) -> None:
    """What was packed, in a folder of that name. Blocks."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(folder, filter="data")
