"""A knowledge folder opened to be served, whatever a crash or a disk has done to it.

One that was not left clean is opened in a process of its own first, because Chroma aborts on a cut segment. Of a
damaged one the newest whole version serves; the articles of the version that should are kept beside Chroma, and from
them it is built anew while the desk is served. Until that is done the pointer on disk stays as it was, so that a
second crash loses nothing more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from domain.errors import StoreError
from domain.ports import Clock
from retrieval.articles import AUDIENCES, Article
from retrieval.saving import Versions
from retrieval.shared import ServerVersions
from retrieval.vectors import ServerPlace, VectorStore, probe
from retrieval.versions import Pointer, VersionFiles, VersionRecord

OURS = (*(f"{audience}-" for audience in AUDIENCES), "expired-")
"""How the names of collections begin that are made anew with each version."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What was opened. `pointer`: the versions that can be served; another than on disk where there is damage.

    `damage` is what was found, in a line, empty where all is well; `lost` the articles of a version that is to be
    built anew.
    """

    files: Versions
    store: VectorStore
    pointer: Pointer
    damage: str = ""
    lost: Sequence[Article] = field(default_factory=tuple)


def open_store(folder: Path, server: ServerPlace | None, clock: Clock) -> Opening:
    """Open Chroma in a folder, or on a server. Blocking. Raises StoreError: a server away, a folder closed to us."""
    if server is not None:
        # Nothing is cleaned here: another replica may be writing.
        store = VectorStore(server)
        shared = ServerVersions(store, clock)
        return Opening(shared, store, shared.pointer())
    files = VersionFiles(folder)
    try:
        pointer = files.pointer()
        _prove(files, pointer.versions, serving=pointer.serving, clean=files.take())
    except StoreError as fault:
        if isinstance(fault.__cause__, PermissionError):
            raise
        return _mended(files, fault.what)
    store = VectorStore(files.chroma)
    clean(files, store, pointer)
    return Opening(files, store, pointer)


def clean(files: Versions, store: VectorStore, pointer: Pointer) -> None:
    """Drop what a crash left unfinished and what is no longer kept."""
    kept = {name for record in pointer.versions for name in record.collections()}
    for name in store.names():
        if name.startswith(OURS) and name not in kept:
            store.drop(name)
    files.drop_unkept(pointer)


def _prove(files: VersionFiles, versions: Sequence[VersionRecord], *, serving: str, clean: bool = False) -> None:
    """That these versions, and the articles of the serving one, can be read. Raises StoreError."""
    expected = {name: count for record in versions for name, count in record.collections().items()}
    if not (files.chroma / "chroma.sqlite3").is_file():
        if expected:
            raise StoreError("the knowledge store is gone", where=str(files.chroma))
    elif not clean:
        probe(files.chroma, expected)
    if serving:
        files.read_articles(serving)


def _mended(files: VersionFiles, damage: str) -> Opening:
    """Open what is whole of a damaged folder; without any version that is, an empty one beside the damaged."""
    try:
        pointer = files.pointer()
    except StoreError:
        pointer = Pointer()
    whole = tuple(record for record in pointer.versions if _is_whole(files, record))
    if not whole:
        files.set_aside()
        return Opening(files, VectorStore(files.chroma), Pointer(), damage, _kept_articles(files, pointer.serving))
    store = VectorStore(files.chroma)
    rest = replace(pointer, versions=whole)
    if rest.record(pointer.serving) is not None:
        files.point(rest)
        clean(files, store, rest)
        return Opening(files, store, rest, f"{damage}; an earlier version is gone")
    rest = replace(rest, serving=whole[-1].version)
    lost = _kept_articles(files, pointer.serving)
    return Opening(files, store, rest, f"{damage}; {rest.serving} serves, the version before", lost)


def _is_whole(files: VersionFiles, record: VersionRecord) -> bool:
    try:
        _prove(files, [record], serving=record.version)
    except StoreError:
        return False
    return True


def _kept_articles(files: VersionFiles, serving: str) -> list[Article]:
    """The articles of this version, or else of the newest that has any."""
    for version in (serving, *files.article_versions()):
        try:
            return files.read_articles(version)
        except StoreError:
            continue
    return []
