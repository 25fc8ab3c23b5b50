"""What masking costs in right answers: a desk's cases with personal data masked, and with the same guards that leave it.

By quotation, so that nothing but masking differs. As few customers say who they are, the cases that may be seen are put
once more with an introduction in front of each, which holds a name, an address, a telephone number and an e-mail.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from evals.asking import opened
from evals.cases import FILES, read_cases
from evals.paired import difference_interval, pair
from evals.run import Figure, Result, Run
from evals.suites.desk import Taken, take
from evals.surroundings import surrounded
from graph.profiles import find_desk
from guards import Guards, InputCheck
from guards.checks import Ahead, at_once
from guards.normalise import clean

NAME = "masking"
WITHHELD = "guard_failed"
INTRODUCTIONS = {
    "en": (
        "My name is Samantha Rhiner, s.rhiner@example.com, call me at +49 170 5550142. {}",
        "This is Daniel Okafor, 12 Maple Street, Springfield, phone 555-013-7788. {}",
    ),
    "vi": (
        "Tôi tên là Nguyễn Văn An, số điện thoại 0901234567, email an.nguyen@example.com. {}",
        "Tên tôi là Trần Thị Hoa, địa chỉ số 12 đường Lê Lợi, quận 1, TP HCM. {}",
    ),
}


class Unmasked(Guards):
    """The guards of a desk that judge as ever and leave a question as it was written. To measure with, never to serve."""

    def __init__(self, inner: Guards) -> None:
        vars(self).update(vars(inner))

    async def check_input(self, text: str, known: Mapping[str, str], *, ahead: Ahead = at_once) -> InputCheck:
        """As the guards do; the placeholders are kept beside, so that an answer may say what the customer said."""
        check = await super().check_input(text, known, ahead=ahead)
        if any(verdict.reason == WITHHELD for verdict in check.verdicts):
            return check
        return replace(check, text=clean(text))


async def measure_masking(run: Run, desk: str) -> Result:
    """Right answers on all of a desk's cases, and on those that may be seen behind introductions, both ways."""
    cases, _ = read_cases([path for name in FILES["dev"] if (path := find_desk(desk) / "cases" / name).is_file()])
    with tempfile.TemporaryDirectory() as name:
        told = Path(name) / "introduced.jsonl"
        told.write_text(
            "\n".join(each.model_dump_json() for each in surrounded(cases, INTRODUCTIONS)), encoding="utf-8"
        )
        settings = run.settings.model_copy(update={"desk": desk, "home": Path(name), "ner": "on"})
        asked = [replace(run, settings=settings, split="all"), replace(run, settings=settings, data=told)]
        masked = await _taken(asked, None)
        bare = await _taken(asked, Unmasked)
    found = [
        figure
        for prefix, one, other in zip(("", "introduced_"), bare, masked, strict=True)
        for figure in held(prefix, one, other)
    ]
    return Result(NAME, {"desk": desk, "by": "quotation"}, found)


def held(prefix: str, bare: Taken, masked: Taken) -> list[Figure]:
    """Right answers without and with masking, and the second less the first, on the cases that both have scored."""
    before, after = (
        next(figure for figure in one.result.figures if figure.name == "answered_right") for one in (bare, masked)
    )
    both = pair(bare.right(), masked.right())
    changes = [-1] * len(both.lost) + [1] * len(both.won) + [0] * (both.both - len(both.lost) - len(both.won))
    return [
        replace(before, name=f"{prefix}right_unmasked"),
        replace(after, name=f"{prefix}right_masked"),
        Figure(f"{prefix}difference", both.difference, both.both, difference_interval(changes)),
        Figure(f"{prefix}lost", len(both.lost), both.both),
        Figure(f"{prefix}won", len(both.won), both.both),
    ]


async def _taken(runs: Sequence[Run], guarded: type[Unmasked] | None) -> list[Taken]:
    async with opened(runs[0], guarded=guarded) as service:
        return [await take(run, service) for run in runs]
