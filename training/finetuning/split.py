"""Rows parted in three: learnt from, stopped by, measured on; what says nearly the same stays on one side."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from domain.errors import UsageError
from training.finetuning.rows import Example
from training.finetuning.twins import Groups, join_twins, plain

LEAST_ROWS = 10
LEAST_GROUPS = 8
FEW_GROUPS = 50
"""Below so many different rows the figures say little, and the command says so."""
SHARE = 0.1
"""Of the rows, for each of validation and held-out."""
BULKY = 0.5
"""From this share of all rows in one group, responses no longer tie rows together: there would be nothing to hold out."""
NAMED = 5


@dataclass(frozen=True, slots=True)
class Split:
    """The three parts, in an order that depends on the seed alone, and what was found on the way.

    `repeated` rows were the same as an earlier one and dropped. `groups` counts what is different. `across` is how
    many rows a plain random split of this size would have measured on though a near twin was learnt: they are kept
    together here. `shared_responses` counts held-out rows whose response is learnt under another instruction.
    """

    train: list[Example]
    validation: list[Example]
    held_out: list[Example]
    repeated: int
    groups: int
    across: int
    shared_responses: int
    warnings: list[str]

    def counts(self) -> dict[str, int]:
        """For a report."""
        return {
            "train": len(self.train),
            "validation": len(self.validation),
            "held_out": len(self.held_out),
            "repeated": self.repeated,
            "different": self.groups,
            "duplicates_across": self.across,
            "shared_responses": self.shared_responses,
        }


def split_examples(rows: Sequence[Example], seed: int, held_out: Sequence[Example] = ()) -> Split:
    """Part the rows. `held_out`: rows of another file to measure on; what is learnt is then rid of their twins.

    Raises UsageError for too few rows, for too few that differ, and where all responses are the same.
    """
    distinct = list({(row.asked, row.response): row for row in rows}.values())
    repeated = len(rows) - len(distinct)
    _check(distinct, repeated)
    everything = [*distinct, *held_out]
    groups, tied = _groups(everything)
    own = groups[: len(distinct)]
    _check_groups(own, len(distinct))
    foreign = set(groups[len(distinct) :])
    kept = [place for place, group in enumerate(own) if group not in foreign]
    parts = _parted([own[place] for place in kept], seed, with_held_out=not held_out)
    chosen = {name: [distinct[kept[place]] for place in places] for name, places in parts.items()}
    measured = list(held_out) or chosen["held_out"]
    learnt = {plain(row.response) for row in chosen["train"]}
    across = len(distinct) - len(kept) if held_out else _across(own, len(measured), seed)
    shared = sum(plain(row.response) in learnt for row in measured)
    warnings = _warnings(len(set(own)), across, shared, len(measured), tied=tied, foreign=bool(held_out))
    if min(map(len, (chosen["train"], chosen["validation"], measured))) == 0:
        what = f"{len(distinct)} rows cannot be parted in three: too many say the same as others"
        raise UsageError(what, where="finetune", fix="add rows that differ")
    return Split(chosen["train"], chosen["validation"], measured, repeated, len(set(own)), across, shared, warnings)


def _check(distinct: Sequence[Example], repeated: int) -> None:
    if len(distinct) < LEAST_ROWS:
        also = f" ({repeated} more repeat them)" if repeated else ""
        what = f"{len(distinct)} different rows are too few{also}: at least {LEAST_ROWS} are needed, some hundreds help"
        raise UsageError(what, where="finetune", fix="add rows, or change the prompt instead")
    if len({plain(row.response) or row.response for row in distinct}) == 1:
        what = f"all {len(distinct)} rows have the same response: a model would learn to say it to everything"
        raise UsageError(what, where="finetune", fix="add rows with other responses, or write a rule in desk.yaml")


def _check_groups(groups: Sequence[int], rows: int) -> None:
    if len(set(groups)) < LEAST_GROUPS:
        what = f"{rows} rows, but only {len(set(groups))} that differ: at least {LEAST_GROUPS} are needed"
        raise UsageError(what, where="finetune", fix="add rows that ask and say something else")


def _groups(rows: Sequence[Example]) -> tuple[list[int], bool]:
    """The group of each row, and whether equal responses tie rows together, too."""
    by_both = Groups(len(rows))
    join_twins([row.instruction for row in rows], by_both)
    by_instruction = by_both.all()
    join_twins([row.response for row in rows], by_both)
    found = by_both.all()
    if max(Counter(found).values()) >= BULKY * len(rows):
        return by_instruction, False
    return found, True


def _parted(groups: Sequence[int], seed: int, *, with_held_out: bool) -> dict[str, list[int]]:
    """Places by part. Whole groups, drawn by the hash of the seed, fill the small parts; a group too big is learnt."""
    members: dict[int, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    drawn = sorted(members, key=lambda group: hashlib.sha256(f"{seed}:{group}".encode()).digest())
    wanted = max(1, round(SHARE * len(groups)))
    parts: dict[str, list[int]] = {"held_out": [], "validation": [], "train": []}
    small = ["held_out", "validation"] if with_held_out else ["validation"]
    for name in small:
        for group in list(drawn):
            fits = len(parts[name]) + len(members[group]) <= 1.5 * wanted
            if len(parts[name]) < wanted and (fits or (not parts[name] and len(members[group]) <= 3 * wanted)):
                parts[name] += members[group]
                drawn.remove(group)
    parts["train"] = [place for group in drawn for place in members[group]]
    return parts


def _across(groups: Sequence[int], held_out: int, seed: int) -> int:
    """Of a plain random split: how many held-out rows have a twin among the others."""
    drawn = sorted(range(len(groups)), key=lambda place: hashlib.sha256(f"{seed}-{place}".encode()).digest())
    learnt = {groups[place] for place in drawn[held_out:]}
    return sum(groups[place] in learnt for place in drawn[:held_out])


def _warnings(groups: int, across: int, shared: int, measured: int, *, tied: bool, foreign: bool) -> list[str]:
    found = []
    if across and foreign:
        found.append(f"{across} rows say nearly what the held-out file says: they are not learnt")
    elif across:
        found.append(
            f"near-duplicates: of {measured} held-out rows a plain random split would have had a twin of {across}"
            " among what is learnt; twins are kept on one side here"
        )
    if groups < FEW_GROUPS:
        found.append(
            f"only {groups} different rows: the figures rest on few, and learning by heart looks like learning"
        )
    if not tied:
        found.append("most rows share one response: held-out responses are learnt, too")
    if shared:
        found.append(f"{shared} of {measured} held-out rows have a response that is learnt under another instruction")
    return found
