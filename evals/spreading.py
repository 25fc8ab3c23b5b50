"""Cases and rows of an evaluation measured by many processes at once, each with the same desk."""

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from domain.errors import UsageError
from domain.ports import Hand, ModelCard
from domain.settings import Settings
from domain.turn import Pins
from evals.asking import Bench, Hire, Scored, bench_of, made_ready, score
from evals.blocking import Row, judge_row
from evals.blocking import Scored as Judged
from evals.cases import Case, Unscored
from evals.run import Run
from evals.runner import go_through, untold
from graph.parcel import Parcel, pack, packed, unpack, unpacked
from graph.profiles import find_desk
from graph.service import Service

SUITES = ("answers", "desk", "injection", "malicious", "retrieval", "toxicity")
"""Suites of which something is spread; the others measure in one process."""


def must_spread(suite: str) -> None:
    """Raises UsageError for a suite of which nothing is spread."""
    if suite not in SUITES:
        raise UsageError("is measured in one process", where=f"eval {suite}", fix=f"--on is for {', '.join(SUITES)}")


async def hire_for(run: Run, service: Service, pins: Pins, cards: Sequence[ModelCard]) -> Hire | None:
    """What makes hands that ask this desk; None where cases are asked in this process.

    Raises UsageError where answers are paid for: each hand has books of its own, and the budget would hold in none.
    """
    if run.hands is None:
        return None
    if paid := [card.name for card in cards if card.mode == "remote"]:
        fix = "leave --on out: calls wait more than they compute, --parallel 32 asks so many at a time"
        raise UsageError(f"{paid[0]} is paid for under one budget, which many cannot hold", where="--on", fix=fix)
    return Asking(await pack(service), pins, run.parallel, by_model=bool(cards))


@dataclass(frozen=True, slots=True)
class Asking:
    """Makes a hand that puts cases through a desk of its own, the same as the one that was packed."""

    parcel: Parcel
    pins: Pins
    parallel: int
    by_model: bool

    def __call__(self) -> Hand[Case, Scored | Unscored]:
        return AskingHand(self)


class AskingHand:
    """A desk, open from the first case to the last."""

    def __init__(self, asking: Asking) -> None:
        """Raises what opening a desk raises."""
        self._asking = asking
        self._loop, self._opened = asyncio.Runner(), AsyncExitStack()
        self._bench = self._loop.run(self._open())

    def do(self, items: Sequence[Case]) -> list[Scored | Unscored]:
        """Ask the cases, so many at a time as one process would."""
        return self._loop.run(self._ask(items))

    def close(self) -> None:
        """Close the desk; its folder goes."""
        self._loop.run(self._opened.aclose())
        self._loop.close()

    async def _open(self) -> Bench:
        service = await self._opened.enter_async_context(unpacked(self._asking.parcel))
        await made_ready(service, untold)
        return bench_of(service, by_model=self._asking.by_model)

    async def _ask(self, cases: Sequence[Case]) -> list[Scored | Unscored]:
        asking = self._asking
        return await go_through(
            cases, lambda case: score(self._bench, case, asking.pins), parallel=asking.parallel, progress=untold
        )


def judging_for(settings: Settings, family: str, harmful: str) -> "Judging":
    """What makes hands that judge by the guards of the settings' desk. Raises DeskError."""
    folder = find_desk(settings.desk)
    return Judging(folder.name, packed(folder), settings, family, harmful)


@dataclass(frozen=True, slots=True)
class Judging:
    """Makes a hand that puts texts through the guards of a desk, whose folder goes along as a tar archive."""

    name: str
    folder: bytes
    settings: Settings
    family: str
    harmful: str

    def __call__(self) -> Hand[Row, Judged | None]:
        return JudgingHand(self)


class JudgingHand:
    """The guards of a desk, warm."""

    def __init__(self, judging: Judging) -> None:
        """Raises DeskError."""
        from graph.rooms import open_guards  # noqa: PLC0415  # seconds: not for a test of figures

        self._judging = judging
        self._place = tempfile.TemporaryDirectory(prefix="frontdesk-")
        folder = Path(self._place.name) / judging.name
        unpack(judging.folder, folder)
        self._guards = open_guards(judging.settings.model_copy(update={"desk": str(folder)}))
        asyncio.run(self._guards.warm())

    def do(self, items: Sequence[Row]) -> list[Judged | None]:
        """Judge the texts one at a time, so that times are those of one customer."""
        return asyncio.run(self._judge(items))

    def close(self) -> None:
        """The desk's folder goes."""
        self._place.cleanup()

    async def _judge(self, rows: Sequence[Row]) -> list[Judged | None]:
        judging = self._judging
        return [await judge_row(self._guards, row, judging.family, judging.harmful) for row in rows]
