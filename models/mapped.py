"""A model for each tier by name, as a release pins it; what is not named or not up is chosen as ever."""

from collections.abc import Callable, Mapping

from domain.ports import ChatModel, ChatReply, ChatRequest, ChatStream, ModelCard
from domain.turn import Tier
from models.chat import WEAK_RETRIEVAL


class MappedChat:
    """Implements domain.ports.ChatModel."""

    def __init__(
        self, chat: ChatModel, models: Mapping[Tier, str], up: Callable[[], Mapping[str, ModelCard | None]]
    ) -> None:
        """`up` gives every model by name, None for one that may not be asked now."""
        self._chat, self._models, self._up = chat, models, up

    def choose(self, tier: Tier, confidence: float) -> ModelCard | None:
        """The model that is pinned for the tier, else the choice of the client."""
        wanted: Tier = "medium" if tier == "simple" and confidence < WEAK_RETRIEVAL else tier
        return self._up().get(self._models.get(wanted, "")) or self._chat.choose(tier, confidence)

    async def complete(self, request: ChatRequest) -> ChatReply:
        """As the client does. Raises a ModelError."""
        return await self._chat.complete(request)

    def stream(self, request: ChatRequest) -> ChatStream:
        """As the client does."""
        return self._chat.stream(request)
