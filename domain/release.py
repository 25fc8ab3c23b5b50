"""A release: everything that decides how a desk answers, pinned under one name, and never changed afterwards."""

import hashlib
import json
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from domain.errors import UsageError
from domain.profile import GuardFamily, Threshold
from domain.turn import Tier

Environment = Literal["dev", "staging", "production"]
ENVIRONMENTS: tuple[Environment, ...] = get_args(Environment)
GATED: tuple[Environment, ...] = ("staging", "production")
"""Environments that a release reaches through the gate only."""

BUILT_IN = "built-in"
"""The release that serves until another is promoted: what ships, and what the settings say."""

NAME = r"^[a-z0-9][a-z0-9._-]{0,59}$"


class Release(BaseModel):
    """What a turn is answered with.

    prompts: for each prompt that the nodes ask for, the version (`name@version`) that they get
    rag_config: label of the RAG configuration
    thresholds: of the guard families; a family that is not named keeps the desk's
    models: by tier, the model that is asked while it is up; a tier that is not named keeps the catalog's choice
    knowledge: the version that is searched; empty: whichever serves
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=NAME)
    prompts: dict[str, str]
    rag_config: str
    thresholds: dict[GuardFamily, Threshold] = Field(default_factory=dict)
    models: dict[Tier, str] = Field(default_factory=dict)
    knowledge: str = ""

    @property
    def digest(self) -> str:
        """Of all but the name: equal digests answer alike."""
        pinned = json.dumps(self.model_dump(exclude={"name"}), sort_keys=True)
        return hashlib.sha256(pinned.encode()).hexdigest()

    def lines(self) -> dict[str, str]:
        """Every pin by its name, as people read and compare them."""
        pins = {f"prompt {name}": label for name, label in sorted(self.prompts.items())}
        pins |= {"rag_config": self.rag_config}
        pins |= {f"threshold {family}": f"{value:g}" for family, value in sorted(self.thresholds.items())}
        pins |= {f"model {tier}": name for tier, name in sorted(self.models.items())}
        return pins | {"knowledge": self.knowledge or "whichever serves"}


def environment_of(name: str) -> Environment:
    """An environment by its name. Raises UsageError."""
    for known in ENVIRONMENTS:
        if name == known:
            return known
    raise UsageError(f"no environment {name!r}", where="environment", fix=f"there are {', '.join(ENVIRONMENTS)}")


def takes_b(unit: str, salt: str, share: float) -> bool:
    """Whether someone belongs to the `share` (0..1) of an experiment's users that sees its second release.

    The same everywhere and always for one salt; of two salts independent of each other.
    """
    place = int.from_bytes(hashlib.sha256(f"{salt}\0{unit}".encode("utf-8", "replace")).digest()[:8])
    return place < share * 2**64
