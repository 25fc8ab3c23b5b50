"""The one path to a language model: which one, for how long, how often, and what it may cost.

The only place that retries. Every attempt is reserved before it is made, settled after it, and booked
as a Call whether it worked or not.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from domain.errors import ModelDownError, ModelError, ModelGarbageError
from domain.ports import Budget, ChatReply, ChatRequest, Clock, ModelCard
from domain.turn import Call, Tier
from models.breaker import Breaker
from models.catalog import LOCAL, TIERS, Endpoint, ModelRow, Route
from models.tokens import estimate_request, estimate_tokens
from models.wire import Usage, WireError, WireReply, choice_probabilities

if TYPE_CHECKING:
    from models.openai_wire import Wire

ATTEMPTS = 3
BACKOFF_SECONDS = 0.25
"""Before the second attempt; doubles, and the same again at most is added at random."""
WEAK_RETRIEVAL = 0.5
"""Below this confidence the passages may not hold the answer: telling so takes a better reader."""
CHOICE_TOKENS = 4
"""Room for one choice in words, for a server that gives no probabilities."""


@dataclass(slots=True)
class _Attempts:
    """What one request has led to so far."""

    route: Route
    request: ChatRequest
    deadline: float
    logprobs: bool
    calls: list[Call] = field(default_factory=list)

    @property
    def where(self) -> str:
        return f"{self.route.row.name} ({self.route.endpoint.name})"

    @property
    def max_tokens(self) -> int:
        if self.request.choices:
            return 1 if self.logprobs else CHOICE_TOKENS
        return min(self.request.max_tokens, self.route.row.max_output)

    def down(self, what: str, *, fix: str = "") -> ModelDownError:
        """The error that ends the matter."""
        return ModelDownError(what, where=self.where, fix=fix)

    def usage(self, said: WireReply) -> Usage:
        """The server's count where it gives a plausible one, else an upper bound of our own."""
        if said.usage is not None and said.usage.plausible(self.route.row.context):
            return said.usage
        written = min(self.max_tokens, estimate_tokens(said.text))
        return Usage(estimate_request(self.request.messages), written, 0)

    def probabilities(self, said: WireReply) -> dict[str, float]:
        """P(choice) where choices were asked, else empty. Raises ModelGarbageError for a useless reply."""
        if self.request.choices:
            found = choice_probabilities(said, self.request.choices)
            if not found:
                raise ModelGarbageError("answered none of the choices", where=self.where)
            return found
        if not said.text.strip():
            raise ModelGarbageError("answered with no text", where=self.where)
        return {}

    @property
    def bound(self) -> int:
        """What the next attempt can cost at most, in micro-dollars."""
        return self.route.row.prices.cost(estimate_request(self.request.messages), self.max_tokens)


class ModelClient:
    """Implements domain.ports.ChatModel. Belongs to one event loop; close it with `aclose`."""

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        budget: Budget,
        clock: Clock,
        jitter: Callable[[], float],
        timeout: float,
        local: ModelRow | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`routes` in order of preference. `timeout` is seconds for a request with all its retries.

        `jitter` gives 0..1 at random. `local` is the row that `attach_local` brings up.
        """
        self._routes, self._local_row, self._local = tuple(routes), local, tuple[Route, ...]()
        self._budget, self._clock, self._jitter, self._sleep = budget, clock, jitter, sleep
        self._timeout = timeout
        self._breakers: dict[Endpoint, Breaker] = {}
        self._wires: dict[tuple[Endpoint, str], Wire] = {}

    def attach_local(self, base_url: str, api_key: str) -> None:
        """The embedded model is up at `base_url` from now on; an empty one means that it has gone."""
        if self._local_row is None or not base_url:
            self._local = ()
            return
        endpoint = Endpoint(LOCAL, base_url, "local", api_key, private=True)
        self._local = (Route(self._local_row, endpoint),)

    def choose(self, tier: Tier, confidence: float) -> ModelCard | None:
        """The tier's model, else the nearest lower one, else the nearest higher; None when none is up.

        A simple question goes to the cheapest tier only while retrieval is sure of its passages.
        Configured models come before the embedded one.
        """
        wanted = TIERS.index("medium" if tier == "simple" and confidence < WEAK_RETRIEVAL else tier)

        def distance(route: Route) -> tuple[bool, bool, int]:
            level = TIERS.index(route.row.tier)
            return route.endpoint.name == LOCAL, level > wanted, abs(level - wanted)

        up = [route for route in self._all() if self._breaker(route.endpoint).allows()]
        return min(up, key=distance).card if up else None

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Ask, again where that is worth it, within the deadline. Raises a ModelError with the calls made."""
        route = self._route(request.model)
        deadline = self._clock.monotonic() + self._timeout
        wire = await self._wire(route)
        logprobs = bool(request.choices) and "logprobs" in route.row.abilities
        attempts = _Attempts(route, request, deadline, logprobs)
        try:
            return await self._persist(wire, attempts)
        except ModelError as fault:
            fault.calls = attempts.calls
            raise

    async def aclose(self) -> None:
        """Close all connections."""
        wires = list(self._wires.values())
        self._wires.clear()
        for wire in wires:
            await wire.aclose()

    async def _persist(self, wire: "Wire", attempts: _Attempts) -> ChatReply:
        for number in range(ATTEMPTS):
            breaker = self._breaker(attempts.route.endpoint)
            if not breaker.admit():
                raise attempts.down("left alone after repeated failures")
            try:
                return await self._attempt(wire, attempts, breaker)
            except WireError as fault:
                pause = self._pause(fault, number, attempts)
            finally:
                breaker.abandoned()
            await self._sleep(pause)
        raise attempts.down("out of retries")

    async def _attempt(self, wire: "Wire", attempts: _Attempts, breaker: Breaker) -> ChatReply:
        """One request: held, made, judged, booked. Raises WireError, or a ModelError that ends the matter."""
        hold = await self._hold(attempts)
        began = self._clock.monotonic()
        usage, error = Usage(0, 0, 0), "cancelled"
        try:
            seconds = max(0.0, attempts.deadline - began)
            async with asyncio.timeout(seconds):
                said = await wire.ask(
                    attempts.request.messages, max_tokens=attempts.max_tokens, logprobs=attempts.logprobs
                )
            usage, error = attempts.usage(said), ""
            breaker.succeeded()
            probabilities = attempts.probabilities(said)
        except WireError as fault:
            error = fault.what
            breaker.succeeded() if fault.rejected else breaker.failed()
            raise
        except TimeoutError as fault:
            error = "timed out"
            breaker.failed()
            raise attempts.down(f"no answer within {self._timeout:g} s", fix="raise FRONTDESK_LLM_TIMEOUT") from fault
        except ModelGarbageError as fault:
            error = fault.what
            raise
        finally:
            await self._book(attempts, hold, usage, error, began)
        return ChatReply(said.text, attempts.calls, probabilities)

    async def _hold(self, attempts: _Attempts) -> str:
        """Reserve the next attempt's upper bound. Raises BudgetError."""
        name, bound = attempts.route.row.name, attempts.bound
        reserving = asyncio.ensure_future(asyncio.to_thread(self._budget.reserve, name, bound, attempts.request.payer))
        try:
            return await asyncio.shield(reserving)
        except asyncio.CancelledError:
            # The thread cannot be stopped: wait for its hold, so that it is given back.
            await asyncio.wait([reserving])
            if reserving.exception() is None:
                await asyncio.to_thread(self._budget.settle, reserving.result(), 0)
            raise

    async def _book(self, attempts: _Attempts, hold: str, usage: Usage, error: str, began: float) -> None:
        """Settle the hold and append the Call. Not to be interrupted: the money is spent already."""
        row = attempts.route.row
        cost = row.prices.cost(usage.input, usage.output, usage.cached)
        attempts.calls.append(
            Call(
                purpose=attempts.request.purpose,
                model=row.name,
                ok=not error,
                input_tokens=usage.input,
                cached_tokens=usage.cached,
                output_tokens=usage.output,
                cost_microusd=cost,
                ms=(self._clock.monotonic() - began) * 1000,
                error=error,
            )
        )
        await asyncio.shield(asyncio.to_thread(self._budget.settle, hold, cost))

    def _pause(self, fault: WireError, number: int, attempts: _Attempts) -> float:
        """Seconds until the next attempt. Raises a ModelError when there shall be none."""
        if fault.rejected and attempts.logprobs:
            # Some servers refuse a request for probabilities: ask in words, at once.
            attempts.logprobs = False
            return 0.0
        if fault.garbage:
            raise ModelGarbageError(fault.what, where=attempts.where) from fault
        if not fault.retry:
            fix = "check the key and the model's name" if not fault.rejected else ""
            raise attempts.down(fault.what, fix=fix) from fault
        pause = max(fault.wait, BACKOFF_SECONDS * (1 << number) * (1 + self._jitter()))
        if self._clock.monotonic() + pause >= attempts.deadline:
            raise attempts.down(f"{fault.what}, no time for another attempt") from fault
        if number + 1 == ATTEMPTS:
            raise attempts.down(f"{fault.what}, {ATTEMPTS} attempts") from fault
        return pause

    async def _wire(self, route: Route) -> "Wire":
        """The connections to a route, opened at its first use."""
        key = (route.endpoint, route.row.name)
        if key not in self._wires:
            make = await asyncio.to_thread(_import_wire)
            self._wires.setdefault(key, make(route))
        return self._wires[key]

    def _route(self, model: str) -> Route:
        for route in self._all():
            if route.row.name == model:
                return route
        what = f"no model named {model!r} is up"
        raise ModelDownError(what, where="models", fix="see frontdesk doctor")

    def _all(self) -> tuple[Route, ...]:
        return self._routes + self._local

    def _breaker(self, endpoint: Endpoint) -> Breaker:
        return self._breakers.setdefault(endpoint, Breaker(self._clock))


def _import_wire() -> type["Wire"]:
    """In a thread: the import takes most of a second."""
    from models.openai_wire import Wire  # noqa: PLC0415 - see above

    return Wire
