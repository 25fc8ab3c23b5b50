"""The kept versions of a knowledge folder and which one serves: one small file, replaced whole.

chroma/                  collections public-VERSION and internal-VERSION
articles/VERSION.jsonl   the articles of a version, whole
current.json             the pointer: what is not in it does not exist
clean.json               sizes of Chroma's files at the last clean shutdown
chroma-damaged/          the last of Chroma's folders in which no version was whole
"""

import json
import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from domain.errors import StoreError
from retrieval.articles import AUDIENCES, Article, Audience

KEPT = 3
ASIDE = "chroma-damaged"
FIX = "move this folder away and run `frontdesk ingest PATH --desk D`"


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """One finished version. `config` and `embedder` (sha256) are what its vectors are bound to."""

    version: str
    at: str
    config: str
    embedder: str
    articles: int
    chunks: dict[Audience, int]

    def collections(self) -> dict[str, int]:
        """Names of its collections and how many chunks each holds."""
        return {collection_name(audience, self.version): self.chunks[audience] for audience in AUDIENCES}


@dataclass(frozen=True, slots=True)
class Pointer:
    """The serving version ("" when none) and the kept ones, oldest first."""

    serving: str = ""
    versions: tuple[VersionRecord, ...] = ()

    def record(self, version: str) -> VersionRecord | None:
        """The kept version of this name."""
        return next((record for record in self.versions if record.version == version), None)

    def with_new(self, record: VersionRecord, held: Collection[str] = frozenset()) -> "Pointer":
        """Serve `record`; the oldest beyond the last three go, but none that is `held`, and the new one never."""
        everything = (*self.versions, record)
        kept = [row for row in everything[:-KEPT] if row.version in held]
        return Pointer(record.version, (*kept, *everything[-KEPT:]))


def collection_name(audience: Audience, version: str) -> str:
    """The collection of one audience in one version."""
    return f"{audience}-{version}"


class VersionFiles:
    """The files beside Chroma's in one knowledge folder. Every call blocks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.chroma = folder / "chroma"
        self._articles = folder / "articles"
        self._pointer = folder / "current.json"
        self._clean = folder / "clean.json"
        try:
            self._articles.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            what = f"cannot be made: {fault.strerror}"
            raise StoreError(what, where=str(folder), fix="choose a folder that can be written") from fault

    def pointer(self) -> Pointer:
        """Read the pointer; an empty one in a new folder. Raises StoreError."""
        try:
            data = json.loads(self._pointer.read_text("utf-8"))
            return Pointer(data["serving"], tuple(VersionRecord(**row) for row in data["versions"]))
        except FileNotFoundError:
            return Pointer()
        except (OSError, ValueError, KeyError, TypeError) as fault:
            raise StoreError("the version pointer cannot be read", where=str(self._pointer), fix=FIX) from fault

    def point(self, pointer: Pointer) -> None:
        """Switch: after this call, and never half, the pointer says so. Raises StoreError."""
        rows = {"serving": pointer.serving, "versions": [asdict(record) for record in pointer.versions]}
        self._replace(self._pointer, json.dumps(rows, indent=1))

    def write_articles(self, version: str, articles: Iterable[Article]) -> None:
        """Keep the articles of a version, whole. Raises StoreError."""
        rows = (json.dumps(asdict(article), ensure_ascii=False) for article in articles)
        self._replace(self._articles / f"{version}.jsonl", "".join(f"{row}\n" for row in rows))

    def read_articles(self, version: str) -> list[Article]:
        """The articles of a kept version. Raises StoreError."""
        path = self._articles / f"{version}.jsonl"
        try:
            with path.open(encoding="utf-8") as stream:
                return [Article(**json.loads(line)) for line in stream]
        except (OSError, ValueError, TypeError) as fault:
            raise StoreError("the articles of the serving version cannot be read", where=str(path), fix=FIX) from fault

    def article_versions(self) -> list[str]:
        """The versions of which there are articles, newest first."""
        return sorted((path.stem for path in self._articles.glob("*.jsonl")), reverse=True)

    def set_aside(self) -> None:
        """Put Chroma's files out of the way, into ASIDE beside them; those of an earlier time go. Raises StoreError."""
        aside = self.folder / ASIDE
        try:
            if self.chroma.exists():
                shutil.rmtree(aside, ignore_errors=True)
                self.chroma.rename(aside)
        except OSError as fault:
            what = f"the damaged store cannot be put aside: {fault.strerror}"
            raise StoreError(what, where=str(self.chroma), fix=FIX) from fault

    def drop_unkept(self, pointer: Pointer) -> None:
        """Delete article files of versions that the pointer does not name."""
        for path in self._articles.iterdir():
            if path.suffix != ".jsonl" or pointer.record(path.stem) is None:
                path.unlink()

    def take(self) -> bool:
        """Start using the folder; False when Chroma's files are not as the last clean shutdown left them."""
        try:
            left: Mapping[str, object] = json.loads(self._clean.read_text("utf-8"))
        except (OSError, ValueError):
            left = {}
        clean = left == self._sizes()
        self._clean.unlink(missing_ok=True)
        return clean

    def release(self) -> None:
        """Mark a clean shutdown; call it when Chroma is closed. Raises StoreError."""
        self._replace(self._clean, json.dumps(self._sizes()))

    def _sizes(self) -> dict[str, list[int]]:
        files = sorted(path for path in self.chroma.rglob("*") if path.is_file())
        return {str(path.relative_to(self.chroma)): [path.stat().st_size, path.stat().st_mtime_ns] for path in files}

    def _replace(self, path: Path, text: str) -> None:
        aside = path.with_suffix(".tmp")
        try:
            with aside.open("w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            aside.replace(path)
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as fault:
            what = f"cannot be written: {fault.strerror}"
            raise StoreError(what, where=str(path), fix="free disk space or mend the folder's rights") from fault
