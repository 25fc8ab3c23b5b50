"""A receipt as a trace: what ran when, what it saw and said, and the scores that belong to it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from domain.receipt import Receipt
from domain.turn import Call, Passage, Step
from graph.build import KINDS
from store.feedback import Feedback
from store.outbox import Part
from tracing.spans import Level, Observation, Trace, fitting_text, span_id

NS_PER_MS = 1_000_000
LONGEST_COMMENT = 10_000
JUDGE = "judge"
CALLERS = {"rewrite": "route", "answerable": "generate", "answer": "generate", "judge": JUDGE}
"""Which node makes calls of a purpose, for receipts older than the node's name in the call."""


def trace_of(receipt: Receipt, parts: Collection[Part], environment: str) -> Trace | None:
    """The spans of these parts of a turn; None where they have none."""
    timeline = _Timeline(receipt)
    observations: list[Observation] = []
    if "turn" in parts:
        observations += [timeline.root(), *timeline.steps()]
    if "judge" in parts:
        observations += timeline.judge()
    if not observations:
        return None
    return Trace(
        id=receipt.trace_id,
        user=receipt.user,
        session=receipt.thread_id,
        tags=(receipt.desk, receipt.language, receipt.outcome),
        environment=environment,
        release=receipt.release,
        metadata={
            "desk": receipt.desk,
            "language": receipt.language,
            "turn_id": receipt.turn_id,
            "key": receipt.key,
            "knowledge": receipt.knowledge,
            "rag_config": receipt.rag_config,
            "experiment": receipt.experiment,
        },
        observations=observations,
    )


def scores_of(
    receipt: Receipt, parts: Collection[Part], environment: str, rated: Feedback | None = None
) -> list[dict[str, Any]]:
    """The scores of these parts as Langfuse's API takes them; one sent again takes the place of itself."""
    ended = datetime.fromtimestamp((_start(receipt) + round(receipt.latency_ms * NS_PER_MS)) / 1e9, UTC)
    common = {"traceId": receipt.trace_id, "environment": environment, "timestamp": _iso(ended)}
    found: list[dict[str, Any]] = []
    if "turn" in parts:
        found += _turn_scores(receipt)
    if "judge" in parts:
        found += [
            _score(receipt, one.name, one.value, "NUMERIC", one.comment)
            for one in receipt.scores
            if one.value is not None
        ]
    if "feedback" in parts and rated:
        value = 1.0 if rated.rating == "up" else 0.0
        found.append(_score(receipt, "feedback", value, "NUMERIC", rated.comment) | {"timestamp": _iso(rated.at)})
    return [common | one for one in found]


def _turn_scores(receipt: Receipt) -> Iterator[dict[str, Any]]:
    yield _score(receipt, "outcome", receipt.outcome, "CATEGORICAL", receipt.reason or "")
    if receipt.passages:
        yield _score(receipt, "retrieval_confidence", receipt.confidence, "NUMERIC")
    # A guard may say several things of a turn; the flag is one.
    flags = {one.guard.partition(":")[0]: one for one in receipt.verdicts if one.action != "pass"}
    for guard, one in flags.items():
        yield _score(receipt, f"guard_{guard}", 1, "BOOLEAN", " ".join(filter(None, (one.action, one.reason))))


def _score(receipt: Receipt, name: str, value: float | str, kind: str, comment: str = "") -> dict[str, Any]:
    score: dict[str, Any] = {"id": span_id(receipt.turn_id, "score", name) * 2, "name": name, "value": value}
    score["dataType"] = kind
    return score | ({"comment": fitting_text(comment)[:LONGEST_COMMENT]} if comment else {})


@dataclass(frozen=True, slots=True)
class _Box:
    """When a node ran, in nanoseconds; `error` where it failed."""

    name: str
    start: int
    end: int
    error: str = ""


class _Timeline:
    """The boxes of one turn."""

    def __init__(self, receipt: Receipt) -> None:
        self._receipt = receipt
        self._start = _start(receipt)
        self._end = self._start + round(receipt.latency_ms * NS_PER_MS)
        self._root = span_id(receipt.turn_id, "turn")
        calls: dict[str, list[Call]] = {}
        for call in receipt.calls:
            calls.setdefault(call.step or CALLERS.get(call.purpose, ""), []).append(call)
        self._calls = calls

    def root(self) -> Observation:
        """The whole turn, below the caller's span where there is one."""
        receipt = self._receipt
        about = {"mode": receipt.mode, "tier": receipt.tier, "why": receipt.why, "model": receipt.model}
        return Observation(
            name="turn",
            kind="agent",
            id=self._root,
            parent=receipt.parent_span,
            start=self._start,
            end=self._end,
            input=receipt.question,
            output=receipt.answer,
            level="ERROR" if receipt.error else "DEFAULT" if receipt.outcome == "answer" else "WARNING",
            message=receipt.error or receipt.reason or "",
            metadata={name: value for name, value in about.items() if value} | {"outcome": receipt.outcome},
            root=True,
        )

    def steps(self) -> list[Observation]:
        """One observation a node, and below it one a call; calls of no known node hang at the root."""
        boxes = self._boxes()
        made = [one for box in boxes for one in self._observed(box)]
        shown = {box.name for box in boxes} | {JUDGE}
        astray = [call for step, calls in self._calls.items() if step not in shown for call in calls]
        return made + self._generations(astray, "turn", self._root, self._start)

    def judge(self) -> list[Observation]:
        """The judge, which came after the answer."""
        found = [step for step in self._receipt.steps if step.name == JUDGE]
        if not found:
            return []
        return list(self._observed(self._box(found[0], self._end)))

    def _boxes(self) -> list[_Box]:
        boxes, last = list[_Box](), self._start
        failed, _, error = self._receipt.error.partition(": ")
        steps = [step for step in self._receipt.steps if step.name != JUDGE]
        lost = failed in KINDS and failed not in {step.name for step in steps}
        for step in steps:
            box = self._box(step, last)
            # What failed has written nothing; it ran between the last step and the one that took over.
            if lost and step is steps[-1]:
                boxes.append(_Box(failed, last, max(last, box.start), error))
                lost = False
            boxes.append(box)
            last = box.end
        return [*boxes, _Box(failed, last, max(last, self._end), error)] if lost else boxes

    def _box(self, step: Step, last: int) -> _Box:
        start = last if step.offset_ms is None else self._start + round(step.offset_ms * NS_PER_MS)
        return _Box(step.name, start, start + round(step.ms * NS_PER_MS))

    def _observed(self, box: _Box) -> Iterator[Observation]:
        receipt, own = self._receipt, span_id(self._receipt.turn_id, box.name)
        given, said = _shown(receipt, box.name)
        level: Level = "ERROR" if box.error else "DEFAULT"
        kind = KINDS.get(box.name, "span")
        yield Observation(
            box.name, kind, own, self._root, box.start, box.end, given or None, said or None, level, box.error
        )
        yield from self._generations(self._calls.get(box.name, []), box.name, own, box.start)

    def _generations(self, calls: Sequence[Call], step: str, parent: str, start: int) -> list[Observation]:
        """One a call, retries and fallbacks too; where nobody noted when it began, one after the other."""
        made: list[Observation] = []
        for number, call in enumerate(calls):
            begun = round(call.began * 1e6) * 1_000 if call.began else start
            start = begun + round(call.ms * NS_PER_MS)
            own = span_id(self._receipt.turn_id, step, str(number))
            level: Level = "DEFAULT" if call.ok else "ERROR"
            made.append(
                Observation(
                    call.purpose, "generation", own, parent, begun, start, level=level, message=call.error, call=call
                )
            )
        return made


def _shown(receipt: Receipt, step: str) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """What a step saw and said, as far as a receipt keeps it: masked texts alone."""
    # What a guard did outweighs what it let pass elsewhere.
    verdicts = {one.guard: one.action for one in sorted(receipt.verdicts, key=lambda one: one.action != "pass")}
    searched = receipt.standalone or receipt.question
    given: Mapping[str, object]
    said: Mapping[str, object]
    match step:
        case "guard_input":
            given, said = {}, {"masked": receipt.question, "language": receipt.language, "verdicts": verdicts}
        case "route":
            given, said = (
                {"masked": receipt.question},
                {"standalone": searched, "tier": receipt.tier, "why": receipt.why},
            )
        case "retrieve":
            found = [_passage(one) for one in receipt.passages]
            given, said = (
                {"standalone": searched},
                {"searched": receipt.searched, "confidence": receipt.confidence, "passages": found},
            )
        case "generate":
            draft = receipt.draft or (receipt.answer if receipt.outcome == "answer" else "")
            given, said = {"standalone": searched, "tier": receipt.tier}, {"draft": draft, "mode": receipt.mode}
        case "guard_output":
            draft = receipt.draft or receipt.answer
            given, said = {"draft": draft}, {"answer": receipt.answer, "verdicts": verdicts}
        case "judge":
            scores = {one.name: one.value for one in receipt.scores}
            given, said = {"standalone": searched, "answer": receipt.answer}, scores
        case "handoff":
            ticket = asdict(receipt.handoff) if receipt.handoff else {}
            given, said = {"masked": receipt.question, "reason": receipt.reason}, ticket | {"answer": receipt.answer}
        case _:
            given, said = {"outcome": receipt.outcome, "reason": receipt.reason}, {"answer": receipt.answer}
    return given, said


def _passage(one: Passage) -> dict[str, object]:
    return {"id": one.id, "article": one.article, "title": one.title, "score": one.score, "text": one.text}


def _start(receipt: Receipt) -> int:
    return round(datetime.fromisoformat(receipt.at).timestamp() * 1_000_000) * 1_000


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
