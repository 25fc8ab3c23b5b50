"""The one path to a language model: which one, for how long, how often, and what it may cost.

The only place that retries. Every attempt is reserved before it is made, settled after it, and booked
as a Call whether it worked or not.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from domain.errors import BudgetError, ModelDownError, ModelError, ModelGarbageError
from domain.ports import Budget, ChatReply, ChatRequest, Clock, ModelCard
from domain.turn import Call, Tier
from models.attempts import Attempts
from models.breaker import Breaker
from models.catalog import LOCAL, TIERS, Endpoint, ModelRow, Route
from models.pace import Pace
from models.wire import StreamedReply, Usage, WireError, WireReply

if TYPE_CHECKING:
    from models.openai_wire import Wire

ATTEMPTS = 3
BACKOFF_SECONDS = 0.25
"""Before the second attempt; doubles, and the same again at most is added at random."""
WEAK_RETRIEVAL = 0.5
"""Below this confidence the passages may not hold the answer: telling so takes a better reader."""


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
        mark: Callable[[ChatRequest], ChatRequest] = lambda request: request,
    ) -> None:
        """`routes` in order of preference. `timeout` is seconds for a request with all its retries.

        `jitter` gives 0..1 at random. `local` is the row that `attach_local` brings up. `mark` is put to every request.
        """
        self._routes, self._local_row, self._local = tuple(routes), local, tuple[Route, ...]()
        self._budget, self._clock, self._jitter, self._sleep = budget, clock, jitter, sleep
        self._timeout, self._mark = timeout, mark
        self._breakers: dict[Endpoint, Breaker] = {}
        self._paces: dict[tuple[Endpoint, str], Pace] = {}
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
        Configured models come before the embedded one, and within a tier those whose minute is not used up.
        """
        wanted = TIERS.index("medium" if tier == "simple" and confidence < WEAK_RETRIEVAL else tier)

        def distance(route: Route) -> tuple[bool, bool, int, bool]:
            level = TIERS.index(route.row.tier)
            full = self._pace(route).full
            return route.endpoint.name == LOCAL, level > wanted, abs(level - wanted), full

        up = [route for route in self._all() if self._breaker(route.endpoint).allows()]
        return min(up, key=distance).card if up else None

    def up(self) -> dict[str, ModelCard | None]:
        """Every model by name; None for one that may not be asked now: its circuit is open."""
        return {one.row.name: one.card if self._breaker(one.endpoint).allows() else None for one in self._all()}

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Ask, again where that is worth it, within the deadline; then the next of the chain.

        Raises a ModelError with the calls made; ChatReply.model says who answered.
        """
        said = self.stream(request, streamed=False)
        async with aclosing(said.words) as words:
            async for _ in words:
                pass
        assert said.reply is not None  # the words ended without an error
        return said.reply

    def stream(self, request: ChatRequest, *, streamed: bool = True) -> StreamedReply:
        """The same as it is written, by the sentence at most (models/joined.py). After the first word nothing is tried again. `streamed` False: all at once.

        Iterating raises a ModelError with the calls made, as `complete` does. Whoever may leave before the
        end closes it (`contextlib.aclosing`): what was written so far is then paid for and in `calls`.
        """
        calls: list[Call] = []
        request = self._mark(request)
        reply = StreamedReply(calls, self._words(request, calls, lambda said: setattr(reply, "reply", said), streamed))
        return reply

    async def aclose(self) -> None:
        """Close all connections."""
        wires = list(self._wires.values())
        self._wires.clear()
        for wire in wires:
            await wire.aclose()

    async def _words(
        self,
        request: ChatRequest,
        calls: list[Call],
        finish: Callable[[ChatReply], None],
        streamed: bool,  # noqa: FBT001
    ) -> AsyncGenerator[str]:
        """Ask one model after the other until one has begun to speak."""
        deadline = self._clock.monotonic() + min(self._timeout, request.seconds or self._timeout)
        failed: set[Endpoint] = set()
        fault: ModelError | None = None
        for route in self._chain(request.model):
            late = self._clock.monotonic() >= deadline
            if fault is not None and (late or route.endpoint in failed or not self._breaker(route.endpoint).allows()):
                continue
            can = route.row.abilities
            logprobs, schema = bool(request.choices) and "logprobs" in can, request.schema * ("json_schema" in can)
            prices = route.row.prices_on(self._clock.now().date())
            attempts = Attempts(route, request, deadline, logprobs, schema, streamed, prices, calls)
            try:
                async with aclosing(self._persist(await self._wire(route), attempts)) as words:
                    async for word in words:
                        yield word
            except ModelError as error:
                fault, fault.calls = error, calls
                if attempts.endpoint_failed:
                    failed.add(route.endpoint)
                if attempts.written or isinstance(error, BudgetError):
                    raise
            else:
                assert attempts.reply is not None  # the attempt ended without an error
                finish(attempts.reply)
                return
        assert fault is not None  # the chain holds one route at least
        raise fault

    async def _persist(self, wire: "Wire", attempts: Attempts) -> AsyncGenerator[str]:
        for number in range(ATTEMPTS):
            breaker = self._breaker(attempts.route.endpoint)
            if not breaker.admit():
                raise attempts.down("left alone after repeated failures")
            try:
                async with aclosing(self._attempt(wire, attempts, breaker)) as words:
                    async for word in words:
                        yield word
            except WireError as fault:
                pause = self._pause(fault, number, attempts)
            else:
                return
            finally:
                breaker.abandoned()
            await self._sleep(pause)
        raise attempts.down("out of retries")

    async def _attempt(self, wire: "Wire", attempts: Attempts, breaker: Breaker) -> AsyncGenerator[str]:
        """One request: held, made, judged, booked. Raises WireError, or a ModelError that ends the matter."""
        hold = await self._hold(attempts)
        began, at = self._clock.monotonic(), self._clock.now().timestamp()
        attempts.first, attempts.gone = 0.0, False
        usage, error = None, "cancelled"
        self._pace(attempts.route).take()
        said = _ask(wire, attempts)
        try:
            async with aclosing(said):
                while isinstance(piece := await self._piece(said, attempts), str):
                    attempts.first = attempts.first or (self._clock.monotonic() - began) * 1000
                    attempts.written += piece
                    yield piece
            usage, error = attempts.usage(piece), ""
            breaker.succeeded()
            probabilities = attempts.probabilities(piece)
        except WireError as fault:
            error = fault.what
            usage = Usage(0, 0, 0) if fault.refused else None
            breaker.succeeded() if fault.rejected else breaker.failed()
            raise
        except TimeoutError as fault:
            error = "timed out"
            breaker.failed()
            attempts.endpoint_failed = True
            raise attempts.down(f"no answer within {self._timeout:g} s", fix="raise FRONTDESK_LLM_TIMEOUT") from fault
        except ModelGarbageError as fault:
            error = fault.what
            raise
        finally:
            if usage is None:
                usage = attempts.lost() if attempts.gone else Usage(0, 0, 0)
            await self._book(attempts, hold, usage, error, (began, at))
        attempts.reply = ChatReply(piece.text, attempts.calls, probabilities, attempts.route.card)

    async def _piece(self, said: AsyncIterator[str | WireReply], attempts: Attempts) -> str | WireReply:
        """The next word, or the whole at the end. The deadline holds for each: no timer runs while others work."""
        async with asyncio.timeout(max(0.0, attempts.deadline - self._clock.monotonic())):
            return await anext(said)

    async def _hold(self, attempts: Attempts) -> str:
        """Reserve the next attempt's upper bound. Raises BudgetError."""
        name, bound = attempts.route.row.name, attempts.bound
        if not bound:
            return self._budget.reserve(name, 0, attempts.request.payer)
        reserving = asyncio.ensure_future(asyncio.to_thread(self._budget.reserve, name, bound, attempts.request.payer))
        try:
            return await asyncio.shield(reserving)
        except asyncio.CancelledError:
            # The thread cannot be stopped: wait for its hold, so that it is given back.
            await asyncio.wait([reserving])
            if reserving.exception() is None:
                await asyncio.to_thread(self._budget.settle, reserving.result(), 0)
            raise

    async def _book(self, attempts: Attempts, hold: str, usage: Usage, error: str, began: tuple[float, float]) -> None:
        """Settle the hold and append the Call. Not to be interrupted: the money is spent already.

        `began` on the monotonic clock and in seconds since 1970.
        """
        row = attempts.route.row
        cost = attempts.prices.cost(usage.input, usage.output, usage.cached)
        attempts.calls.append(
            Call(
                purpose=attempts.request.purpose,
                model=row.name,
                ok=not error,
                input_tokens=usage.input,
                cached_tokens=usage.cached,
                output_tokens=usage.output,
                cost_microusd=cost,
                ms=(self._clock.monotonic() - began[0]) * 1000,
                error=error,
                began=began[1],
                first_ms=attempts.first,
                max_tokens=attempts.max_tokens,
                temperature=attempts.request.temperature if "temperature" in row.abilities else None,
                prompt=attempts.request.prompt,
            )
        )
        if attempts.prices.free:
            self._budget.settle(hold, cost)
        else:
            await asyncio.shield(asyncio.to_thread(self._budget.settle, hold, cost))

    def _pause(self, fault: WireError, number: int, attempts: Attempts) -> float:
        """Seconds until the next attempt. Raises a ModelError when there shall be none."""
        attempts.endpoint_failed = fault.retry and not fault.busy
        if attempts.written:
            raise attempts.down(f"{fault.what} in the middle of its answer") from fault
        if fault.rejected and (attempts.logprobs or attempts.schema):
            # Some servers refuse a request for probabilities or for a schema: ask in words, at once.
            attempts.logprobs, attempts.schema = False, ""
            return 0.0
        if fault.garbage:
            raise ModelGarbageError(fault.what, where=attempts.where) from fault
        if not fault.retry:
            fix = fault.fix or ("" if fault.rejected else "check the key and the model's name")
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

    def _chain(self, model: str) -> Iterator[Route]:
        """The model that was asked for, then the others of its tier, then the tiers below it.

        A weak model needs prompts and checks of its own, so it never stands in for another.
        """
        first = self._route(model)
        yield first
        level = TIERS.index(first.row.tier)
        for tier in reversed(TIERS[: level + 1]):
            for route in self._all():
                if route.row.tier == tier and route.row.weak == first.row.weak and route is not first:
                    yield route

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

    def _pace(self, route: Route) -> Pace:
        key = (route.endpoint, route.row.name)
        return self._paces.setdefault(key, Pace(self._clock, route.row.requests_per_minute))


async def _ask(wire: "Wire", attempts: Attempts) -> AsyncGenerator[str | WireReply]:
    """Words, then the whole; of an answer that is not streamed only the whole. Raises WireError."""
    said, limit, gone = attempts.request.messages, attempts.max_tokens, attempts.went_out
    if not attempts.streamed:
        odds, schema, warmth = attempts.logprobs, attempts.schema, attempts.request.temperature
        yield await wire.ask(said, max_tokens=limit, gone=gone, logprobs=odds, schema=schema, temperature=warmth)
        return
    async with aclosing(wire.stream(said, max_tokens=limit, gone=gone)) as pieces:
        async for piece in pieces:
            yield piece


def _import_wire() -> type["Wire"]:
    from models.openai_wire import Wire  # noqa: PLC0415 - called in a thread: it takes most of a second

    return Wire
