"""What goes over the wire to a model, as chat.py sees it: replies, failures, and choices read from them."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from domain.ports import ChatReply
from domain.turn import Call

HELD = 32
"""Events of a stream, a token each, that are joined at most before they pass: so much may be written and not be heard of."""
LEAST_MASS = 0.1
"""Less probability than this on all choices together: the model was saying something else."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counted them; `cached` are part of `input`."""

    input: int
    output: int
    cached: int

    def plausible(self, context: int) -> bool:
        """Whether a server with that context can have counted this."""
        return 0 <= self.cached <= self.input <= context and 0 <= self.output <= context


@dataclass(frozen=True, slots=True)
class WireReply:
    """What a server said. `usage` is None when it gave none; `top` is P(token) of the first token."""

    text: str
    usage: Usage | None
    top: dict[str, float]


@dataclass(slots=True)
class StreamedReply:
    """Implements domain.ports.ChatStream."""

    calls: list[Call]
    words: AsyncGenerator[str]
    reply: ChatReply | None = None

    def __aiter__(self) -> AsyncIterator[str]:
        return self.words

    async def aclose(self) -> None:
        """Leave: what was under way is settled and booked before this returns."""
        await self.words.aclose()


class WireError(Exception):
    """A request without a usable response.

    `rejected`: the server is well but does not take this request. `garbage`: it is no chat server.
    `retry`: the same request may succeed later, not before `wait` seconds. `busy`: this model has too much
    to do, the server as such is well. `refused`: the server said so itself, and charges nothing for it.
    `fix`: what mends it, where that is known.
    """

    def __init__(  # each is a separate thing to be known of a failure
        self,
        what: str,
        *,
        rejected: bool = False,
        garbage: bool = False,
        retry: bool = False,
        busy: bool = False,
        wait: float = 0.0,
        refused: bool = False,
        fix: str = "",
    ) -> None:
        self.what, self.rejected, self.garbage = what, rejected, garbage
        self.retry, self.busy, self.wait, self.refused = retry, busy, wait, refused
        self.fix = fix
        super().__init__(what)


def choice_probabilities(reply: WireReply, choices: Sequence[str]) -> dict[str, float]:
    """P(choice), summing to 1; empty when the reply is none of the choices.

    Read from the first token's alternatives, in any spelling ("Yes", " yes", or the beginning of a
    choice that is several tokens long); from the text when the server gives no probabilities.
    """
    heard = reply.top or {reply.text.strip(): 1.0}
    mass = dict.fromkeys(choices, 0.0)
    for token, probability in heard.items():
        meant = _meant(token, choices)
        if meant is not None:
            mass[meant] += probability
    total = sum(mass.values())
    if total < LEAST_MASS:
        return {}
    return _shares(mass, total)


def _shares(mass: Mapping[str, float], total: float) -> dict[str, float]:
    return {choice: part / total for choice, part in mass.items()}


def _meant(token: str, choices: Sequence[str]) -> str | None:
    """The one choice that the token is, begins, or (a sentence) begins with; None when unclear."""
    said = token.strip().strip("\"'.,:;!*").casefold()
    if not said:
        return None
    exact = [choice for choice in choices if choice.casefold() == said]
    first = said.split(maxsplit=1)[0].strip("\"'.,:;!*")
    near = [choice for choice in choices if choice.casefold() == first or choice.casefold().startswith(said)]
    found = exact or near
    return found[0] if len(found) == 1 else None
