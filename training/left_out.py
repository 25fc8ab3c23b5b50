"""The heads measured on sources that they were not fitted on, through the guards as a turn runs them.

Words alone, and words beside the vectors of each embedder, on the same rows.

For each group of reported kinds the head is fitted again without their sources, and without every row that shares
30 % of its runs of six words with a reported text; its threshold comes from sources that are never reported on.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from domain.errors import UsageError
from domain.ports import Embedder
from domain.profile import DeskProfile
from evals.blocking import BENIGN, Row, Scored, curve, judge_rows, read_rows, summed_up
from guards import Guards
from models.diacritics import with_diacritics
from models.language import is_english
from training.corpus import Family, without_overlap
from training.heads import Features, fit_checked, write_heads
from training.vector_heads import add_vector_heads, fit_vector_head
from training.vectors import KeptQuestions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WORDS = "words"
"""Names the figures of a desk whose embedder has no heads."""
HARMFUL: dict[Family, str] = {"injection": "attack", "malicious": "harmful", "toxicity": "toxic"}


@dataclass(frozen=True, slots=True)
class Embedded:
    """An embedder, and by family the vectors of the rows that its head is fitted on, by their place."""

    embedder: KeptQuestions
    vectors: "Mapping[Family, Mapping[int, NDArray[np.float32]]]"


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
    suite: str, features: Features, embedded: Sequence[Embedded], path: Path, say: Callable[[str], None]
) -> tuple[dict[str, dict[str, Any]], int]:
    """The suite's figures, of words alone (`WORDS`) and by embedder, and how many rows overlapped and were dropped.

    An embedder is left out where it has no head of the suite's family. Raises UsageError without rows.
    """
    family, folds = FOLDS[suite]
    rows, broken = read_rows(path, (HARMFUL[family], BENIGN))
    if not rows:
        raise UsageError("no rows", where=str(path))
    named = {kind for fold in folds for kind in fold.kinds}
    scored: dict[str, list[Scored]] = {}
    unscored: Counter[str] = Counter()
    dropped = 0
    for fold in folds:
        ours = [row for row in rows if row.kind in fold.kinds or (not fold.kinds and row.kind not in named)]
        if ours:
            found, overlapping = await _fold(family, fold, features, embedded, ours, say=say)
            for name, (judged, missed) in found.items():
                scored.setdefault(name, []).extend(judged)
                unscored[name] += missed
            dropped = max(dropped, overlapping)
    about: dict[str, object] = {"data": path.name}
    return {
        name: summed_up(family, judged, len(broken) + unscored[name], about).as_json() | {"curve": curve(judged)}
        for name, judged in scored.items()
    }, dropped


async def _fold(
    family: Family,
    fold: Fold,
    features: Features,
    embedded: Sequence[Embedded],
    rows: Sequence[Row],
    *,
    say: Callable[[str], None],
) -> tuple[dict[str, tuple[list[Scored], int]], int]:
    fitted = [row for row in features.rows if family in row.labels and row.source not in fold.without]
    kept, dropped = without_overlap(fitted, [row.text for row in rows])
    say(f"{family} without {', '.join(fold.without) or 'these rows'}: {len(kept)} rows, {dropped} overlap")
    drop = {row.text for row in fitted} - {row.text for row in kept}
    head, above = fit_checked(features, family, fold.without, drop)
    found = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        # The other families' heads are not asked about here, but a guard without one would fail.
        write_heads(dict.fromkeys(HARMFUL, head), folder, {})
        found[WORDS] = await judge_rows(_guards(folder, None), rows, family, HARMFUL[family], lambda *_: None)
        for each in (one for one in embedded if family in one.vectors):
            over = fit_vector_head(features.rows, each.vectors[family], family, fold.without, drop, words=above)
            add_vector_heads({family: over}, each.embedder.name, folder, {})
            guards = _guards(folder, each.embedder)
            found[each.embedder.name] = await judge_rows(guards, rows, family, HARMFUL[family], lambda *_: None)
    return found, dropped


def _guards(folder: Path, embedder: Embedder | None) -> Guards:
    desk = DeskProfile.model_validate({"name": "Measured", "scope": {"describe": "A support desk."}})
    return Guards.load(desk, heads=folder, embedder=embedder, compared=is_english, restored=with_diacritics)
