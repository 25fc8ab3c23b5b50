"""Long work in stages: each counts something else, and has a rate and a time left of its own."""

from typing import Protocol, runtime_checkable

from domain.ports import Progress


@runtime_checkable
class Staged(Protocol):
    """A Progress that can say what is being counted."""

    def stage(self, what: str) -> Progress: ...


def stage(progress: Progress, what: str) -> Progress:
    """The same for one stage of the work, named where `progress` can show a name."""
    return progress.stage(what) if isinstance(progress, Staged) else progress
