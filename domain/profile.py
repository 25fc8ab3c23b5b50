"""One business as data: the shape of `desk.yaml`. Reading the file is graph/profiles.py's work."""

from datetime import timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from domain.turn import Language

Side = Literal["input", "output", "both"]
RuleKind = Literal["forbid", "require", "redirect"]


TakesOver = Literal["open", "offer", "never"]
"""open: a ticket at once · offer: the customer is asked, and may decline · never: the assistant alone."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Localised(_Strict):
    """A text in the desk's languages; a missing one falls back to the other."""

    en: str = ""
    vi: str = ""

    def in_language(self, language: Language) -> str:
        """The text in `language`, else in the other one, else empty."""
        return getattr(self, language) or self.en or self.vi


class ScopeProfile(_Strict):
    """What the business is about: a sentence, and examples of what is and is not its concern.

    `turn_away`: the share of its own customers' questions that may be turned away as foreign.
    """

    describe: str = Field(min_length=1)
    in_: list[str] = Field(default_factory=list, alias="in")
    out: list[str] = Field(default_factory=list)
    turn_away: float = Field(0.015, gt=0, le=0.3)


class Texts(_Strict):
    """The desk's own wording; empty = Frontdesk's."""

    refuse: Localised = Localised()
    dont_know: Localised = Localised()
    handoff: Localised = Localised()
    greeting: Localised = Localised()


class Rule(_Strict):
    """A rule of the business. `patterns` are case-insensitive regular expressions.

    forbid: a match is refused with `text`. redirect: likewise, leading elsewhere. `handoff`: whether a person takes
    over then; left out: as `handoff.domain_rule` of the desk says.
    require (output): an answer that matches no pattern gets `text` appended.
    """

    id: str
    side: Side
    kind: RuleKind
    patterns: list[str] = Field(min_length=1)
    text: Localised
    handoff: TakesOver | None = None


class Contact(_Strict):
    """How customers reach people. What stands here is no personal data. `hours` is one text, or one a language."""

    email: str = ""
    phone: str = ""
    hours: Localised = Localised()
    timezone: str = "UTC"

    @field_validator("hours", mode="before")
    @classmethod
    def _in_each_language(cls, value: object) -> object:
        return {"en": value, "vi": value} if isinstance(value, str) else value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
            message = f"there is no time zone {value!r}: write it like Europe/Berlin"
            raise ValueError(message) from fault
        return value


GuardFamily = Literal["injection", "malicious", "toxicity"]
Threshold = Annotated[float, Field(gt=0, le=1)]


class GuardChoices(_Strict):
    """What the desk says instead of the guards' shipped values.

    `thresholds`: the score of a family's local classifier from which on it blocks, 0.5 unless said otherwise; more
    lets more pass. `frontdesk guard calibrate` writes them.
    """

    thresholds: dict[GuardFamily, Threshold] = Field(default_factory=dict)


class Department(_Strict):
    """Who takes over a conversation: words of the customer that lead to it are in `handles`."""

    id: str
    name: Localised
    handles: list[str] = Field(default_factory=list)


class HandoffChoices(_Strict):
    """Where the assistant cannot go on: whether a person takes over. A customer who asks for one always gets one.

    `unsafe`: somebody speaks of harming themselves.
    """

    repeated_dont_know: TakesOver = "open"
    domain_rule: TakesOver = "offer"
    unsafe: TakesOver = "never"
    budget: TakesOver = "offer"
    model_down: TakesOver = "offer"


class BudgetRow(_Strict):
    """A budget that holds until an operator sets another. `name`: a model, a user's hash, a key, or `each`."""

    scope: Literal["total", "model", "user", "key"] = "total"
    name: str = ""
    period: Literal["day", "month", "ever"] = "day"
    kind: Literal["hard", "soft"] = "hard"
    usd: float = Field(ge=0, le=1_000_000)

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        if (self.scope == "total") != (not self.name):
            message = "the total has no name; a model, a user and a key have one (each: every one)"
            raise ValueError(message)
        if self.scope == "user" and self.period == "ever":
            message = "a user's budget is for a day or a month"
            raise ValueError(message)
        return self


Watched = Literal[
    "budget",
    "budget_closed",
    "guard_rate",
    "dont_know_rate",
    "error_rate",
    "p95_ms",
    "judge_safety",
    "langfuse",
]
SPANS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
Span = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}[mhd]$")]
"""A length of time such as 15m, 1h or 7d."""


class AlertRule(_Strict):
    """When operators are told. `above` or `below` is what breaks it (a budget's share: reaching it).

    Figures are those of the last `window`, and count from `turns` requests on. Told again after `cooldown`.
    """

    id: str = Field(min_length=1, max_length=60)
    watch: Watched
    above: float | None = None
    below: float | None = None
    window: Span = "1h"
    turns: int = Field(20, ge=1)
    cooldown: Span = "1h"
    off: bool = False

    @model_validator(mode="after")
    def _one_threshold(self) -> Self:
        given = (self.above is not None) + (self.below is not None)
        if self.watch in ("budget_closed", "langfuse"):
            if given:
                message = f"{self.watch} takes no threshold"
                raise ValueError(message)
        elif given != 1:
            message = "needs one of above and below"
            raise ValueError(message)
        if self.watch == "budget" and self.above is None:
            message = "a budget's share is watched with above (0.8 is 80 %)"
            raise ValueError(message)
        return self

    @property
    def threshold(self) -> float:
        """What breaks it; 0 where there is none."""
        return self.above if self.above is not None else self.below or 0.0

    @property
    def cooldown_time(self) -> timedelta:
        """The cool-down as a time."""
        return int(self.cooldown[:-1]) * SPANS[self.cooldown[-1]]


class ReleaseRules(_Strict):
    """How releases reach an environment. `approval`: environments in which a second key must agree."""

    approval: list[Literal["dev", "staging", "production"]] = Field(default_factory=list)


class DeskProfile(_Strict):
    """A whole desk.yaml; `name` and `scope.describe` suffice.

    `suggestions`: questions that the chat page offers to whoever has not asked yet, in the languages that they have.
    """

    name: str = Field(min_length=1)
    languages: list[Language] = Field(["en"], min_length=1)
    scope: ScopeProfile
    tone: str = "friendly, brief, concrete"
    texts: Texts = Texts()
    suggestions: list[Localised] = Field(default_factory=list, max_length=6)
    rules: list[Rule] = Field(default_factory=list)
    contact: Contact = Contact()
    domains: list[str] = Field(default_factory=list)
    departments: list[Department] = Field(default_factory=list)
    handoff: HandoffChoices = HandoffChoices()
    budgets: list[BudgetRow] = Field(default_factory=list)
    alerts: list[AlertRule] = Field(default_factory=list)
    guards: GuardChoices = GuardChoices()
    releases: ReleaseRules = ReleaseRules()
