"""How much a classifier catches at each share of harmless texts blocked, from the figures that `python -m training` leaves.

`curves`: the guard, rules and head together, of what was left out. `contenders`: what else could stand behind the rules.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evals.blocking import ALL, CURVE
from evals.guard_aims import LEFT_OUT, left_out_of, table

CONTENDERS = LEFT_OUT.with_name("contenders.json")
COLUMNS = tuple(f"{share:.0%}" for share in CURVE)


def curves(path: Path = LEFT_OUT) -> str:
    """A chapter: recall on left-out sources where so much of the suite's harmless rows is blocked; empty without figures."""
    rows = [
        [name, kind, *map(_shown, recall)]
        for suite, flat in left_out_of(path).items()
        for name, told in _told(suite, flat)
        for kind, recall in told.get("curve", {}).items()
        if kind == ALL or len(told["curve"]) > 2  # noqa: PLR2004  # of one kind its line would stand there twice
    ]
    head = "### Caught at each share of harmless rows blocked, sources left out"
    return "\n\n".join([head, table(("guard", "rows", *COLUMNS), rows)]) if rows else ""


def contenders(path: Path = CONTENDERS) -> str:
    """A chapter: every contender of `python -m training compare` on the same rows; empty without figures."""
    if not path.is_file():
        return ""
    told: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    rows = [
        [family, name, f"{found['auroc']:.3f}", *map(_shown, found["recall"]), *_kinds(found)]
        for family, by_name in told["families"].items()
        for name, found in by_name.items()
    ]
    base = f"; the encoder is {told['base']}, {told['epochs']} epochs" if "base" in told else ""
    head = "### What else could stand behind the rules, on the same rows"
    about = f"{told['fitted_rows']} rows fitted on, none of a reported source{base}. Recall where so much of the harmless rows is blocked, by each alone."
    return "\n\n".join([head, about, table(("family", "classifier", "AUROC", *COLUMNS, "by source at 3%"), rows)])


def _told(suite: str, flat: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """What is measured of a suite, by name: words alone, and beside the vectors of each embedder."""
    return [(suite, flat), *((f"{suite}, {name}", found) for name, found in flat.get("vectors", {}).items())]


def _kinds(found: Mapping[str, Any]) -> list[str]:
    """Recall by source at the second share."""
    return [", ".join(f"{kind} {_shown(told['recall'][1])}" for kind, told in found["by_kind"].items())]


def _shown(value: float) -> str:
    return f"{value:.3f}"
