"""DSPy's GEPA over one instruction: the only importer of dspy (extra "optimise").

DSPy is given no model: the student is asked, marked and paid for by who calls this, and so is the teacher who writes
the proposals. What GEPA does is choose: which rows to learn from, which instruction to go on from, which one is best.
"""

import io
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from domain.errors import UsageError

SEED = 20261121
SHOWN = 3
"""Answers that the teacher sees for each proposal."""


class StoppedError(BaseException):
    """The work cannot go on. No Exception: DSPy would take one for a wrong answer of the student and score it 0."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause
        super().__init__(str(cause))


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be optimised, rows by their ids.

    `ask(instruction, row)` gives a score of 0..1, `propose(instruction, rows)` a new instruction from the rows that
    were looked at; both block, and raise StoppedError where the work cannot go on. `budget`: how often the student may
    be asked. `folder` keeps the state: a killed run goes on from there.
    """

    start: str
    train: Sequence[str]
    validation: Sequence[str]
    ask: Callable[[str, str], float]
    propose: Callable[[str, Sequence[str]], str]
    budget: int
    folder: Path


def need_dspy() -> None:
    """Raise UsageError with the command that installs it, where DSPy is not there."""
    if find_spec("dspy") is None:
        raise UsageError(
            "DSPy is not installed",
            where="frontdesk optimise",
            fix='pip install "frontdesk[optimise]" in an environment of its own, or make optimise-env and'
            " .venv-optimise/bin/frontdesk optimise …",
        )


def best_instruction(job: Job) -> str:
    """The instruction that is best on the validation rows; the one it began with where none is better.

    Blocks. A StoppedError passes through; what was done so far stays in the folder.
    """
    with _quiet():
        return _optimised(job)


def _optimised(job: Job) -> str:
    import dspy  # noqa: PLC0415  # an extra, and seconds

    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)

    class Student(dspy.Predict):  # type: ignore[misc]  # dspy has no types
        """Asks our own student, and leaves the trace that GEPA learns from."""

        def forward(self, **fields: Any) -> Any:
            row, instruction = fields["row"], self.signature.instructions
            said = dspy.Prediction(score=job.ask(instruction, row))
            if dspy.settings.trace is not None:
                dspy.settings.trace.append((self, {"row": row}, said))
            return said

    class Program(dspy.Module):  # type: ignore[misc]  # as above
        def __init__(self) -> None:
            super().__init__()
            self.student = Student(dspy.Signature("row -> score: float", job.start))

        def forward(self, row: str) -> Any:
            return self.student(row=row)

    def metric(_gold: Any, said: Any, *_rest: Any) -> Any:
        return dspy.Prediction(score=said.score, feedback="")

    def propose(candidate: dict[str, str], reflective_dataset: Any, components_to_update: list[str]) -> dict[str, str]:
        rows = {
            name: [one["Inputs"]["row"] for one in reflective_dataset.get(name, [])] for name in components_to_update
        }
        return {name: job.propose(candidate[name], rows[name]) for name in components_to_update}

    gepa = dspy.GEPA(
        metric=metric,
        max_metric_calls=job.budget,
        instruction_proposer=propose,
        reflection_minibatch_size=SHOWN,
        use_merge=False,  # there is one text to write: nothing to merge
        num_threads=1,  # one row after the other, so that a second run finds every answer of the first
        log_dir=str(job.folder),
        seed=SEED,
    )
    sides = [[dspy.Example(row=row).with_inputs("row") for row in side] for side in (job.train, job.validation)]
    with dspy.context(lm=None):
        best = gepa.compile(Program(), trainset=sides[0], valset=sides[1])
    return str(best.student.signature.instructions)


class _MainThread(io.TextIOBase):
    """Passes on what the main thread writes, where the command tells its progress; the bars that DSPy draws are dropped."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        ours = threading.current_thread() is threading.main_thread()
        return int(self._stream.write(text)) if ours else len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return bool(self._stream.isatty())

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a stream without one is none of ours
        return str(self._stream.encoding)


@contextmanager
def _quiet() -> Iterator[None]:
    with redirect_stdout(_MainThread(sys.stdout)), redirect_stderr(_MainThread(sys.stderr)):
        yield
