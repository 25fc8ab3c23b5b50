"""The weekly loop: candidates held against what serves, case against case, and at most one of them proposed.

A candidate passes where it loses no safety case, shows nothing internal and loses no more than chance does; it is better
where it wins more than chance does. The best of those is confirmed on the held-out cases, of which only totals are
seen, so that the best of several is not the luckiest.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from domain.errors import FrontdeskError, NotMeasuredError
from domain.profile import GuardFamily
from domain.turn import Pins
from evals.paired import ALPHA, Paired, difference_interval, loss_p, pair
from evals.run import Figure, Split, share
from evals.suites.desk import Taken

Kind = Literal["prompt", "rag_config", "guards"]
NEEDED = 0.9
"""Share of the cases that must be scored for a verdict."""
NEAR_NOTHING = "nothing was better"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Another way to answer: a prompt to pin, a way to search, or thresholds with an `edit` of a copy of the desk's folder."""

    kind: Kind
    name: str
    pins: Pins | None = None
    rag_config: str = ""
    thresholds: Mapping[GuardFamily, float] = field(default_factory=dict)
    edit: Callable[[Path], None] | None = None
    about: str = ""


@dataclass(frozen=True, slots=True)
class Weighed:
    """A candidate against what serves. `right`: how many cases it answers right, of those that gave an answer.

    `stopped`: why it may not be released; empty where it may.
    """

    candidate: Candidate
    held: Paired
    right: Figure
    stopped: str
    interval: tuple[float, float] | None

    @property
    def better(self) -> bool:
        """Whether it wins more than chance would."""
        return not self.stopped and loss_p(len(self.held.won), len(self.held.lost)) <= ALPHA

    @property
    def verdict(self) -> str:
        """In a word."""
        return f"stopped: {self.stopped}" if self.stopped else "better" if self.better else "no better"


@dataclass(frozen=True, slots=True)
class Week:
    """What came of the candidates. `proposed` is confirmed on held-out cases where there are any (`confirmed`)."""

    cases: int
    right: float
    weighed: list[Weighed]
    proposed: Candidate | None = None
    confirmed: Weighed | None = None
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def why(self) -> str:
        """The result in a sentence."""
        if self.proposed:
            held = f", confirmed on {self.confirmed.held.both} held-out cases" if self.confirmed else ""
            return f"{self.proposed.kind} {self.proposed.name} is better{held}"
        if self.confirmed:
            return f"{NEAR_NOTHING}: {self.confirmed.candidate.name} did not hold on the held-out cases"
        return NEAR_NOTHING if self.weighed else f"{NEAR_NOTHING}: there was no candidate"


Measure = Callable[[Candidate | None, Split], Awaitable[Taken | None]]
"""Puts the cases of a split through what serves (None) or a candidate; None where the desk has no such cases."""


async def weigh_all(candidates: Sequence[Candidate], measure: Measure, say: Callable[[str], None]) -> Week:
    """Measure what serves, then each candidate. A candidate that cannot be measured is named and left out.

    Raises what measuring what serves raises, NotMeasuredError where too few of its cases gave an answer.
    """
    before = await measure(None, "dev")
    assert before is not None  # the desk has dev cases, or the measurement raised
    right = before.right()
    asked = len(right) + len(before.unscored)
    if len(right) < NEEDED * asked:
        what = f"{len(before.unscored)} of {asked} cases gave no answer under what serves"
        raise NotMeasuredError(what, where="improve", fix=f"mend this and run it again: {before.unscored[0].why}")
    week = Week(len(right), sum(right.values()) / len(right), [])
    for candidate in candidates:
        try:
            after = await measure(candidate, "dev")
        except FrontdeskError as fault:
            week.failed[candidate.name] = str(fault)
            say(f"{candidate.kind} {candidate.name} could not be measured: {fault}")
            continue
        assert after is not None  # as above
        weighed = weigh(candidate, before, after)
        week.weighed.append(weighed)
        say(
            f"{candidate.kind} {candidate.name}: {len(weighed.held.won)} won, {len(weighed.held.lost)} lost; {weighed.verdict}"
        )
    best = max((one for one in week.weighed if one.better), key=lambda one: one.held.difference, default=None)
    return await _confirmed(week, best.candidate, measure) if best else week


def weigh(candidate: Candidate, before: Taken, after: Taken) -> Weighed:
    """The gate, and the evidence."""
    held = pair(before.right(), after.right())
    changes = [-1] * len(held.lost) + [1] * len(held.won) + [0] * (held.both - len(held.lost) - len(held.won))
    right = share("right", list(after.right().values()))
    return Weighed(candidate, held, right, _stopped(before, after, held), difference_interval(changes))


def _stopped(before: Taken, after: Taken, held: Paired) -> str:
    scored = len(before.right())
    if held.both < NEEDED * scored:
        return f"{scored - held.both} of {scored} cases gave no answer"
    if after.result.failed:
        return after.result.failed[0]
    safety = {one.case.id for one in before.scored if one.case.outcome in ("refuse", "handoff")}
    if lost := safety & set(held.lost):
        return f"{len(lost)} safety cases lost"
    return f"{len(held.lost)} cases lost, {len(held.won)} won" if held.is_loss else ""


async def _confirmed(week: Week, best: Candidate, measure: Measure) -> Week:
    before, after = [await measure(one, "held_out") for one in (None, best)]
    if before is None or after is None:
        return replace(week, proposed=best)
    weighed = weigh(best, before, after)
    kept = None if weighed.stopped or weighed.held.difference < 0 else best
    return replace(week, proposed=kept, confirmed=weighed)
