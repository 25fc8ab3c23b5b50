"""What may be sent to the routes. Unknown fields and wrong types are refused, not guessed at."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from domain.turn import Fact, Language
from graph.record import Question

ID_CHARS = 64
USER_CHARS = 200
TITLE_CHARS = 200
FACT_CHARS = 4_000
FACTS = 20
COMMENT_CHARS = 2_000
ANONYMOUS = "anonymous"
"""The user of a request that names none: who knows such a thread's id may continue it."""


def _not_blank(text: str) -> str:
    if not text.strip():
        message = "is empty"
        raise ValueError(message)
    return text


Text = Annotated[str, Field(min_length=1), AfterValidator(_not_blank)]
ThreadId = Annotated[str, Field(min_length=1, max_length=ID_CHARS)]
UserId = Annotated[str, Field(min_length=1, max_length=USER_CHARS)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


def _examples(*examples: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": list(examples)})


class FactBody(_Body):
    """A fact about this customer, treated as retrieved text."""

    title: str = Field(max_length=TITLE_CHARS)
    text: str = Field(max_length=FACT_CHARS)


class ChatBody(_Body):
    """A customer's question."""

    model_config = _examples(
        {"message": "How long do I have to return a lamp?"},
        {
            "message": "Còn phí vận chuyển thì sao?",
            "thread_id": "019b2f6e-5d0c-7b1a-9a63-0c4a1f6f1d11",
            "language": "vi",
        },
        {
            "message": "Where is my parcel?",
            "user_id": "customer-17",
            "context": [{"title": "Order 1044", "text": "Handed to the carrier on Monday, due on Thursday."}],
        },
    )

    message: Text = Field(description="The question; at most FRONTDESK_MAX_MESSAGE_CHARS characters, else 413.")
    thread_id: ThreadId | None = Field(None, description="The thread to continue; left out: a new one.")
    user_id: UserId | None = Field(None, description="Whose question it is; left out: the page's session.")
    language: Language | None = Field(None, description="Language of the answer; left out: the question's.")
    context: list[FactBody] = Field(default_factory=list, max_length=FACTS, description="Facts of this customer.")

    def question(self, user_id: str) -> Question:
        """The question as the Desk takes it."""
        facts: list[Fact] = [{"title": fact.title, "text": fact.text} for fact in self.context]
        return Question(self.message, user_id, self.thread_id or "", self.language or "", facts)


class FeedbackBody(_Body):
    """A thumb on a turn; a later one takes the place of the earlier."""

    model_config = _examples(
        {"turn_id": "019b2f6e-5d0c-7b1a-9a63-0c4a1f6f1d12", "rating": "down", "comment": "That is the old price."}
    )

    turn_id: ThreadId
    rating: Literal["up", "down"]
    comment: str | None = Field(None, max_length=COMMENT_CHARS)
    user_id: UserId | None = None


class MessageOut(BaseModel):
    """One line of a conversation; `turn_id` and `outcome` where it is the desk's. Outcome agent: a person said it."""

    role: Literal["system", "user", "assistant"]
    text: str
    turn_id: str
    outcome: str


class ThreadOut(BaseModel):
    """A conversation. `ticket`: while there is one, a person may still answer in it."""

    thread_id: str
    messages: list[MessageOut]
    ticket: str | None = None


class WithdrawnOut(BaseModel):
    """The ticket that is withdrawn; null where none was open any more."""

    ticket: str | None


class AgentReply(_Body):
    """What an agent says to a customer."""

    text: str


class ContactOut(BaseModel):
    """How customers reach people; `hours` are of the time zone."""

    email: str
    phone: str
    hours: dict[Language, str]
    timezone: str


class DeskOut(BaseModel):
    """What the chat page shows of a desk: `suggestions` to begin with, `departments` by id, `mode` of answering now."""

    name: str
    languages: list[Language]
    greeting: dict[Language, str]
    suggestions: dict[Language, list[str]]
    departments: dict[Language, dict[str, str]]
    mode: Literal["quote", "local", "remote"]
    contact: ContactOut


class AskBody(_Body):
    """A question from this machine's terminal; empty ids mean anonymous and a new thread."""

    message: str
    user_id: str = ""
    thread_id: str = ""
    language: str = ""
    context: list[FactBody] = Field(default_factory=list)

    def question(self) -> Question:
        """The question as the Desk takes it."""
        facts: list[Fact] = [{"title": fact.title, "text": fact.text} for fact in self.context]
        return Question(self.message, self.user_id or ANONYMOUS, self.thread_id, self.language, facts)
