"""What to do when memory runs out: the same work on half of the rows at a time."""

from collections.abc import Callable
from typing import TypeVar

from domain.errors import FrontdeskError

DoneT = TypeVar("DoneT")
TELLING = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
"""How torch says it where it has no class of its own for it: on the CPU it raises a RuntimeError."""


def with_smaller_batches(work: Callable[[int], DoneT], batch: int, say: Callable[[str], None]) -> tuple[DoneT, int]:
    """Do the work, and what batch it was done with; each time memory runs out, again with half as many rows.

    Raises FrontdeskError when even one row at a time does not fit.
    """
    while True:
        try:
            return work(batch), batch
        except (MemoryError, RuntimeError) as fault:
            if not is_out_of_memory(fault):
                raise
            if batch == 1:
                what = "out of memory with one row at a time"
                fix = "a lower --max-tokens, a smaller --base, or a machine with more memory"
                raise FrontdeskError(what, where="finetune", fix=fix) from fault
        batch //= 2
        say(f"out of memory: again with {batch} {'row' if batch == 1 else 'rows'} at a time")


def is_out_of_memory(fault: BaseException) -> bool:
    """Whether it says that memory ran out, on a GPU or on the CPU."""
    said = str(fault).lower()
    return (
        isinstance(fault, MemoryError)
        or type(fault).__name__ == "OutOfMemoryError"
        or any(words in said for words in TELLING)
    )
