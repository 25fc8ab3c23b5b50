"""A circuit breaker: an endpoint that keeps failing is left alone for a while."""

from domain.ports import Clock

FAILURES = 5
"""Failed attempts in a row that open the circuit: more than one request with all its retries."""
REST_SECONDS = 30.0


class Breaker:
    """Closed until `failures` in a row; then open for `rest` seconds; then one call may try (half-open)."""

    def __init__(self, clock: Clock, *, failures: int = FAILURES, rest: float = REST_SECONDS) -> None:
        self._clock, self._limit, self._rest = clock, failures, rest
        self._failures = 0
        self._opened: float | None = None
        self._trying = False

    def allows(self) -> bool:
        """Whether a call may be made now. Changes nothing."""
        if self._opened is None:
            return True
        return not self._trying and self._clock.monotonic() - self._opened >= self._rest

    def admit(self) -> bool:
        """As `allows`, and where the circuit is half-open this caller is the one that tries."""
        if not self.allows():
            return False
        self._trying = self._opened is not None
        return True

    def succeeded(self) -> None:
        """The endpoint answered."""
        self._failures, self._opened, self._trying = 0, None, False

    def failed(self) -> None:
        """The endpoint failed; a failed trial opens the circuit again."""
        self._failures += 1
        if self._trying or self._failures >= self._limit:
            self._opened = self._clock.monotonic()
        self._trying = False

    def abandoned(self) -> None:
        """The caller is done. Without an outcome (it was cancelled, say) nothing is learned about the endpoint."""
        self._trying = False
