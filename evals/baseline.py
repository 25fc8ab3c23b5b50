"""The baseline of the gate: which dev cases each desk answers right, as committed in baseline.yaml.

FRONTDESK_HOME=FOLDER python -m evals.baseline [--desk shop]     # measures by quotation and writes it anew
FRONTDESK_HOME=FOLDER python -m evals.baseline --with-model      # with the model of the settings, most of three runs
"""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel

from domain.errors import NotMeasuredError, UsageError
from domain.settings import read_settings
from evals.paired import RUNS, majority
from evals.run import Run

Mode = Literal["quote", "model"]
FILE = Path(__file__).with_name("baseline.yaml")


class Baseline(BaseModel):
    """One desk's. `mode` quote: measured without a language model, and the gate is too."""

    mode: Mode
    cases: list[str]
    wrong: list[str]

    def right_by_case(self) -> dict[str, bool]:
        """By case, whether it was answered right."""
        wrong = set(self.wrong)
        return {case: case not in wrong for case in self.cases}


def read_baseline(desk: str, path: Path = FILE) -> Baseline:
    """The baseline of a desk. Raises UsageError if it has none."""
    desks = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if desk not in (desks or {}):
        fix = f"measure one: python -m evals.baseline --desk {desk}"
        raise UsageError("has no baseline", where=f"desk {desk} in {path.name}", fix=fix)
    return Baseline.model_validate(desks[desk])


def write_baseline(desk: str, right: dict[str, bool], path: Path = FILE, *, mode: Mode = "quote") -> None:
    """Set a desk's baseline; those of the others stay."""
    desks = (yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None) or {}
    wrong = [case for case, held in right.items() if not held]
    desks[desk] = Baseline(mode=mode, cases=list(right), wrong=wrong).model_dump()
    text = "# Which dev cases a desk answers right; written by `python -m evals.baseline`, held by `frontdesk eval gate`.\n"
    path.write_text(text + yaml.safe_dump(desks, sort_keys=True, width=120, default_flow_style=None), encoding="utf-8")


async def _main(desk: str | None, *, with_model: bool) -> None:
    from evals.asking import opened  # noqa: PLC0415  # seconds: not for whoever reads the file
    from evals.suites.desk import cards_of, take  # noqa: PLC0415
    from graph.profiles import find_desk  # noqa: PLC0415

    settings = read_settings(desk=desk, llm=None if with_model else "off")
    run = Run(settings, say=_say, progress=lambda *_: None)
    runs = []
    async with opened(run) as service:
        if with_model and not cards_of(service, None):
            raise NotMeasuredError("no model is up", where="evals.baseline", fix="leave --with-model out, or start it")
        for _ in range(RUNS if with_model else 1):
            taken = await take(run, service)
            if taken.unscored:
                raise NotMeasuredError(f"{len(taken.unscored)} cases could not be scored", where=taken.unscored[0].id)
            runs.append(taken.right())
    write_baseline(find_desk(settings.desk).name, majority(runs), mode="model" if with_model else "quote")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m evals.baseline")
    parser.add_argument("--desk")
    parser.add_argument("--with-model", action="store_true")
    given = parser.parse_args()
    asyncio.run(_main(given.desk, with_model=given.with_model))
