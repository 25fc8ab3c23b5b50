"""Models that an installation has made itself: rows in its own models.yaml, beside the shipped catalog."""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from domain.errors import SettingsError, WeightsError
from domain.ports import Progress
from models.catalog import Catalog, ModelRow, OwnWeightsRow, catalog_of, load_catalog, read_catalog_file
from models.weights import MEGABYTE, FetchPlan, Weights, shipped_weights

OWN = "models.yaml"
"""Its name in FRONTDESK_HOME."""
HEAD = "# Models of this installation, beside the catalog that ships: rows as in models/catalog.yaml. `frontdesk finetune` adds some.\n"


@dataclass(frozen=True, slots=True)
class OwnWeights:
    """A GGUF that lies on this machine. Nothing is ever fetched for it."""

    row: OwnWeightsRow

    @property
    def path(self) -> Path:
        """Where it lies."""
        return Path(self.row.path)

    def plan(self) -> FetchPlan:
        """Nothing is to be fetched."""
        return FetchPlan(self.path.parent, 0, 0, shutil.disk_usage(Path("/")).free // MEGABYTE)

    def check(self) -> Path | None:
        """Its path, once its checksum was compared; None where it is gone. Raises WeightsError for another file."""
        if not self.path.is_file():
            return None
        with self.path.open("rb") as source:
            digest = hashlib.file_digest(source, "sha256").hexdigest()
        if digest != self.row.sha256:
            what = f"sha256 is {digest[:12]}…, its row says {self.row.sha256[:12]}…: not used"
            raise WeightsError(what, where=str(self.path), fix=f"fine-tune again, or mend the row in {OWN}")
        return self.path

    async def fetch(self, progress: Progress | None = None) -> Path:
        """Its path. Raises WeightsError where it is gone or another."""
        del progress  # there is nothing to wait for
        path = self.check()
        if path is None:
            fix = f"put it back, or take its row out of {OWN}"
            raise WeightsError("is not there", where=str(self.path), fix=fix)
        return path


def own_catalog(home: Path) -> Catalog:
    """The shipped catalog and the installation's own rows behind it. Raises SettingsError for a row that is wrong."""
    own = home / OWN
    return load_catalog() if not own.is_file() else catalog_of(read_catalog_file(own), load_catalog(), str(own))


def weights_of(row: ModelRow, folder: Path | None = None) -> Weights | OwnWeights:
    """The weights of an embedded model; `folder` is where shipped ones are kept. Raises SettingsError without any."""
    if row.own_weights:
        return OwnWeights(row.own_weights)
    if row.weights is None:
        raise SettingsError("has no weights to embed", where=row.name, fix="serve it, and set FRONTDESK_LLM_BASE_URL")
    return shipped_weights(row.weights, folder)


def add_row(path: Path, row: Mapping[str, object]) -> None:
    """Put a row into the file, in place of one of the same name. Raises SettingsError if the file would be wrong."""
    given = read_catalog_file(path) if path.is_file() else {}
    models = [each for each in given.get("models") or [] if each.get("name") != row["name"]]
    kept = {**given, "models": [*models, dict(row)]}
    catalog_of(kept, load_catalog(), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".partial")
    part.write_text(HEAD + yaml.safe_dump(kept, sort_keys=False, width=120), encoding="utf-8")
    part.replace(path)
