"""The heads measured on sources that they were not fitted on, through the guards as a turn runs them.

For each group of reported kinds the head is fitted again without their sources, and without every row that shares
30 % of its runs of six words with a reported text; its threshold comes from sources that are never reported on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from domain.errors import UsageError
from domain.profile import DeskProfile
from evals.blocking import BENIGN, Row, Scored, judge_rows, read_rows, summed_up
from guards import Guards
from training.corpus import Family, without_overlap
from training.heads import Features, fit_head, write_heads

HARMFUL: dict[Family, str] = {"injection": "attack", "malicious": "harmful", "toxicity": "toxic"}


@dataclass(frozen=True, slots=True)
class Fold:
    """Kinds of a suite's rows that are reported by a head fitted without their sources. No kinds: all the others."""

    kinds: tuple[str, ...]
    without: tuple[str, ...]


FOLDS: dict[str, tuple[Family, tuple[Fold, ...]]] = {
    "injection": (
        "injection",
        (
            Fold(("banking77",), ("banking77",)),
            Fold(("clinc150",), ("clinc150",)),
            Fold(("bitext",), ("bitext",)),
            Fold((), ("cyberseceval", "piguard", "giskard", "policies")),
        ),
    ),
    "malicious": (
        "malicious",
        (
            Fold(("advbench", "banking77"), ("advbench", "banking77")),
            Fold(("donotanswer", "clinc150"), ("donotanswer", "clinc150")),
            Fold((), ("bitext",)),
        ),
    ),
    "toxicity": ("toxicity", (Fold((), ("surge", "bitext")),)),
    "toxicity_vi": ("toxicity", (Fold((), ()),)),
}
"""In-the-wild jailbreaks, Tensor Trust, WildGuard, FAQ pages and e-mails are in no fit, so every fold leaves them out.

`toxicity_vi` leaves out the rows, not the source: there is no other Vietnamese one.
"""


async def measure_left_out(
    suite: str, features: Features, path: Path, say: Callable[[str], None]
) -> tuple[dict[str, Any], int]:
    """The suite's figures, and how many rows were dropped for their overlap. Raises UsageError without rows."""
    family, folds = FOLDS[suite]
    rows, broken = read_rows(path, (HARMFUL[family], BENIGN))
    if not rows:
        raise UsageError("no rows", where=str(path))
    named = {kind for fold in folds for kind in fold.kinds}
    scored: list[Scored] = []
    unscored, dropped = len(broken), 0
    for fold in folds:
        ours = [row for row in rows if row.kind in fold.kinds or (not fold.kinds and row.kind not in named)]
        if ours:
            found, missed, overlapping = await _fold(family, fold, features, ours, say)
            scored += found
            unscored += missed
            dropped = max(dropped, overlapping)
    return summed_up(family, scored, unscored, {"data": path.name}).as_json(), dropped


async def _fold(
    family: Family, fold: Fold, features: Features, rows: Sequence[Row], say: Callable[[str], None]
) -> tuple[list[Scored], int, int]:
    fitted = [row for row in features.rows if family in row.labels and row.source not in fold.without]
    kept, dropped = without_overlap(fitted, [row.text for row in rows])
    say(f"{family} without {', '.join(fold.without) or 'these rows'}: {len(kept)} rows, {dropped} overlap")
    drop = {row.text for row in fitted} - {row.text for row in kept}
    with TemporaryDirectory() as folder:
        # The other families' heads are not asked about here, but a guard without one would fail.
        head = fit_head(features, family, fold.without, drop)
        write_heads(dict.fromkeys(HARMFUL, head), Path(folder), {})
        guards = Guards.load(_desk(), heads=Path(folder))
        scored, unscored = await judge_rows(guards, rows, family, HARMFUL[family], lambda *_: None)
    return scored, unscored, dropped


def _desk() -> DeskProfile:
    return DeskProfile.model_validate({"name": "Measured", "scope": {"describe": "A support desk."}})
