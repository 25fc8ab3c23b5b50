"""What one request has led to so far at one model: what was sent, heard and may be charged."""

from dataclasses import dataclass

from domain.errors import ModelDownError, ModelGarbageError
from domain.ports import ChatReply, ChatRequest
from domain.turn import Call
from models.catalog import Prices, Route
from models.tokens import estimate_request, estimate_tokens
from models.wire import HELD, Usage, WireReply, choice_probabilities

CHOICE_TOKENS = 4  # room for one choice in words, for a server that gives no probabilities


@dataclass(slots=True)
class Attempts:
    """What one request has led to so far at one model. `calls` are those of the whole request."""

    route: Route
    request: ChatRequest
    deadline: float
    logprobs: bool
    schema: str
    streamed: bool
    prices: Prices
    calls: list[Call]
    written: str = ""
    first: float = 0.0
    gone: bool = False
    endpoint_failed: bool = False
    reply: ChatReply | None = None

    @property
    def where(self) -> str:
        return f"{self.route.row.name} ({self.route.endpoint.name})"

    @property
    def max_tokens(self) -> int:
        """What is sent as the limit: the words asked for, and room for the thinking that is billed before them."""
        row = self.route.row
        if self.request.choices:
            return 1 if self.logprobs else CHOICE_TOKENS + row.thinking_tokens
        return min(self.request.max_tokens + row.thinking_tokens, row.max_output)

    def down(self, what: str, *, fix: str = "") -> ModelDownError:
        """The error that ends the matter."""
        return ModelDownError(what, where=self.where, fix=fix)

    def usage(self, said: WireReply) -> Usage:
        """The server's count where it gives a plausible one, else an upper bound of our own."""
        if said.usage is not None and said.usage.plausible(self.route.row.context):
            return said.usage
        return self.guess(said.text)

    def guess(self, text: str, unheard: int = 0) -> Usage:
        """An upper bound of what `text` took, and so many tokens behind it, where nobody has counted."""
        written = min(self.max_tokens, estimate_tokens(text) + unheard + self.route.row.thinking_tokens)
        return Usage(estimate_request(self.request.messages), written, 0)

    def lost(self) -> Usage:
        """An upper bound of what an attempt took that went out and was not heard to the end."""
        # A server stops writing where nobody reads its stream; an answer in one piece it may have written to the end.
        whole = Usage(estimate_request(self.request.messages), self.max_tokens, 0)
        return self.guess(self.written, HELD) if self.streamed else whole

    def went_out(self) -> None:
        """The whole request is at the server, which may charge for it."""
        self.gone = True

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
        if self.prices.free:
            return 0
        return self.prices.cost(estimate_request(self.request.messages), self.max_tokens)
