"""The error family. Every one says what, where and how to mend it, in one line.

FrontdeskError
├── UsageError            wrong use of a command or a request (exit 2, 400)
│   ├── DeskError         a desk folder or its desk.yaml is wrong
│   ├── SettingsError     an environment variable is wrong
│   └── KnowledgeError    an article or a knowledge version is wrong
├── NotFoundError         no such thread, turn, ticket (404)
├── ConflictError         it is not, or no longer, as its changer must find it (409)
│   └── ThreadBusyError   the thread's previous turn is still running (409)
├── OverloadedError       too many turns in flight (503)
├── StoreError            a store is corrupt or cannot be opened
│   └── HomeInUseError    another process owns the folder
├── NotMeasuredError      nothing could be measured: no verdict (exit 2)
├── WeightsError          weights are absent or their hash is wrong
├── GuardFaultError       a guard could not run
└── ModelError            a model gave no usable answer; carries what it cost
    ├── ModelDownError    unreachable, too slow, or out of retries
    ├── ModelGarbageError answered, but not with what was asked
    └── BudgetError       the budget has no room for the call
"""

from collections.abc import Sequence
from datetime import datetime

from domain.turn import Call


class FrontdeskError(Exception):
    """An error with a place and a remedy. `str()` is the one line a person reads."""

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(what)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f" ({self.fix})" if self.fix else ""
        return " ".join(f"{place}{self.what}{remedy}".split())


class UsageError(FrontdeskError):
    """The caller asked for something that cannot be."""


class DeskError(UsageError):
    """A desk folder or its desk.yaml is wrong."""


class SettingsError(UsageError):
    """A setting is wrong."""


class KnowledgeError(UsageError):
    """An article, a knowledge file or a knowledge version is wrong."""


class NotFoundError(FrontdeskError):
    """The thing asked for does not exist, or not for this user."""


class ConflictError(FrontdeskError):
    """What was to be changed is not, or no longer, as its changer must find it."""


class ThreadBusyError(ConflictError):
    """One turn at a time per thread."""


class OverloadedError(FrontdeskError):
    """Too many turns in flight."""


class StoreError(FrontdeskError):
    """A store is corrupt, of another version, or cannot be opened."""


class HomeInUseError(StoreError):
    """Another process owns this FRONTDESK_HOME. `address` is its URL if it serves."""

    def __init__(self, what: str, *, where: str = "", fix: str = "", address: str = "") -> None:
        self.address = address
        super().__init__(what, where=where, fix=fix)


class NotMeasuredError(FrontdeskError):
    """What was to be measured was not there: a server was down, say. Neither a pass nor a failure."""


class WeightsError(FrontdeskError):
    """Weights are absent, incomplete, or not the ones that were pinned."""


class GuardFaultError(FrontdeskError):
    """A guard could not run; its `on_error` decides what happens."""


class ModelError(FrontdeskError):
    """No usable answer; `calls` are the attempts made, so that they are paid for."""

    def __init__(self, what: str, *, where: str = "", fix: str = "", calls: Sequence[Call] = ()) -> None:
        self.calls = list(calls)
        super().__init__(what, where=where, fix=fix)


class ModelDownError(ModelError):
    """Unreachable, too slow, or out of retries."""


class ModelGarbageError(ModelError):
    """The model answered, but not with what was asked for."""


class BudgetError(ModelError):
    """The budget has no room for the call. `resets_at` (aware UTC) is when it has again; None: not by itself."""

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        fix: str = "",
        calls: Sequence[Call] = (),
        resets_at: datetime | None = None,
    ) -> None:
        self.resets_at = resets_at
        super().__init__(what, where=where, fix=fix, calls=calls)
