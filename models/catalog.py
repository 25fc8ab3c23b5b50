"""The catalog of models: what can be asked where, and what it costs. The only reader of catalog.yaml."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from domain.errors import SettingsError
from domain.ports import ModelCard
from domain.turn import Tier

TIERS: tuple[Tier, ...] = ("simple", "medium", "complex")
MILLION = 1_000_000
Ability = Literal["temperature", "logprobs", "json_schema"]
Mode = Literal["local", "remote"]

ANSWER_TOKENS = 300
"""How long an answer may become where the catalog does not say it for the tier."""

LOCAL = "local"
"""Name of the endpoint of the embedded server."""
OPENAI = "openai"
"""Name of the endpoint that OPENAI_API_KEY opens."""
ANTHROPIC = "anthropic"
"""Name of the endpoint that FRONTDESK_ANTHROPIC_API_KEY opens."""
GOOGLE = "google"
"""Name of the endpoint that FRONTDESK_GEMINI_API_KEY opens."""
CUSTOM = "custom"
"""Name of the endpoint at FRONTDESK_LLM_BASE_URL."""
PRIVATE_NAMES = ("localhost", "host.docker.internal")
PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Prices(_Strict):
    """Micro-dollars per million tokens. `cached_input` is the price of input the server had cached."""

    input: int = Field(ge=0)
    cached_input: int = Field(ge=0)
    output: int = Field(ge=0)

    @property
    def free(self) -> bool:
        """Whether nothing can come of any number of tokens."""
        return not (self.input or self.cached_input or self.output)

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> int:
        """What a call costs in micro-dollars, rounded up. `cached_tokens` are part of `input_tokens`."""
        fresh = input_tokens - cached_tokens
        total = fresh * self.input + cached_tokens * self.cached_input + output_tokens * self.output
        return -(-total // MILLION)


FREE = Prices(input=0, cached_input=0, output=0)


class WeightsRow(_Strict):
    """The weights of an embedded model. `lock` names a file beside the catalog; sizes are bytes."""

    file: str = Field(pattern=r"^[\w.-]+\.gguf$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(gt=0)
    download_bytes: int = Field(gt=0)
    lock: str = Field(pattern=r"^[\w.-]+\.lock$")


class OwnWeightsRow(_Strict):
    """A GGUF of the installation's own, where it lies on this machine; it is compared with its checksum before use."""

    path: str = Field(pattern=r"\.gguf$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(gt=0)


class PriceChange(_Strict):
    """A price that is announced for a later day."""

    effective_from: date
    prices: Prices


class ModelRow(_Strict):
    """One model. `weak`: it needs the checks of the hybrid form. `note` is shown to operators.

    `context` ends where a dearer tariff begins, so that `prices` hold for every request that fits.
    `thinking_tokens` is room for what a reasoning model writes, and bills as output, before its answer.
    `requests_per_minute` is what the provider's first paid level takes: a full model is asked last.
    `seen` says where and when the prices were read; `verified` is False where they were not.
    """

    name: str = Field(min_length=1)
    endpoint: str = Field(min_length=1)
    tier: Tier
    prices: Prices
    effective_from: date
    later: PriceChange | None = None
    context: int = Field(gt=0)
    max_output: int = Field(gt=0)
    thinking_tokens: int = Field(0, ge=0)
    requests_per_minute: int | None = Field(None, gt=0)
    weak: bool = False
    abilities: frozenset[Ability] = frozenset()
    weights: WeightsRow | None = None
    own_weights: OwnWeightsRow | None = None
    note: str = ""
    seen: str = ""
    verified: bool = True

    def prices_on(self, day: date) -> Prices:
        """What it costs on that day."""
        return self.later.prices if self.later and day >= self.later.effective_from else self.prices


class EndpointRow(_Strict):
    """A server that speaks OpenAI's chat API. `mode` says whether text leaves for another's machine."""

    name: str = Field(min_length=1)
    base_url: str
    mode: Mode


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server to be asked now. `private`: on this machine or its network, where no proxy is used.

    `ca_file`: PEM file of authorities that are trusted beside the public ones.
    """

    name: str
    base_url: str
    mode: Mode
    api_key: str = ""
    private: bool = False
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """A model and where it is asked."""

    row: ModelRow
    endpoint: Endpoint
    answer_tokens: int = ANSWER_TOKENS

    @property
    def card(self) -> ModelCard:
        """The route as the other rooms see it."""
        return ModelCard(self.row.name, self.endpoint.mode, self.row.tier, self.row.weak, self.answer_tokens)


class Catalog(_Strict):
    """The whole file. Names are unique, every model's endpoint exists; `answer_tokens` by tier."""

    answer_tokens: dict[Tier, Annotated[int, Field(gt=0)]] = Field(default_factory=dict)
    endpoints: list[EndpointRow]
    models: list[ModelRow] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [row.name for row in self.models]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            message = f"models named twice: {', '.join(twice)}"
            raise ValueError(message)
        known = {row.name for row in self.endpoints}
        if strays := sorted({row.endpoint for row in self.models} - known):
            message = f"no endpoint named {', '.join(strays)}; there are {', '.join(sorted(known))}"
            raise ValueError(message)
        unseen = [row.name for row in self.models if row.verified and not row.seen and row.prices != FREE]
        if unseen:
            message = f"nobody says where the prices of {', '.join(unseen)} were seen: add seen, or verified: false"
            raise ValueError(message)
        return self

    def find(self, name: str) -> ModelRow | None:
        """The row of that model, if the catalog has it."""
        return next((row for row in self.models if row.name == name), None)

    def local(self, name: str = "") -> ModelRow:
        """The embedded model's row: the one named, where it can be embedded, else the first that ships.

        Raises SettingsError when there is none with weights.
        """
        rows = [row for row in self.models if row.endpoint == LOCAL and (row.weights or row.own_weights)]
        named = (row for row in rows if row.name == name)
        row = next(named, next((row for row in rows if row.weights), None))
        if row is None:
            raise SettingsError("no row with endpoint local and weights", where="models/catalog.yaml")
        return row

    def routes(
        self,
        *,
        openai_api_key: str = "",
        anthropic_api_key: str = "",
        gemini_api_key: str = "",
        base_url: str = "",
        model: str = "",
        api_key: str = "",
        ca_file: str = "",
    ) -> list[Route]:
        """What the settings open, in order of preference; empty when neither a key nor a URL is set.

        A `base_url` wins over the providers' keys: an operator who names a server wants text to go there
        only. `model` restricts the choice to one; empty means all rows of the providers whose key is set.
        Raises SettingsError for a `model` that none of those providers has.
        """
        if base_url:
            private = is_private(base_url)
            mode: Mode = "local" if private else "remote"
            endpoint = Endpoint(CUSTOM, base_url, mode, api_key, private, ca_file)
            rows = [self.custom(model, private=private)] if model else self._of(OPENAI)
            return [self._route(row, endpoint) for row in rows]
        keys = {OPENAI: openai_api_key, ANTHROPIC: anthropic_api_key, GOOGLE: gemini_api_key}
        opened = [
            self._route(row, Endpoint(each.name, each.base_url, each.mode, keys[each.name], ca_file=ca_file))
            for each in self.endpoints
            if keys.get(each.name)
            for row in self._of(each.name)
        ]
        if not model or not opened:
            return opened
        return self._picked(model, opened)

    def _picked(self, model: str, opened: list[Route]) -> list[Route]:
        """The one model, where it can be asked; one that only its provider knows is asked at OpenAI."""
        if picked := [route for route in opened if route.row.name == model]:
            return picked
        known = self.find(model)
        openai = next((route.endpoint for route in opened if route.endpoint.name == OPENAI), None)
        if known is not None or openai is None:
            names = ", ".join(route.row.name for route in opened)
            raise SettingsError(f"no key is set for {model}", where="FRONTDESK_LLM_MODEL", fix=f"choose among {names}")
        return [self._route(self.custom(model, private=False), openai)]

    def _route(self, row: ModelRow, endpoint: Endpoint) -> Route:
        return Route(row, endpoint, self.answer_tokens.get(row.tier, ANSWER_TOKENS))

    def custom(self, name: str, *, private: bool) -> ModelRow:
        """The row of a model that an operator named, at a price that is never too low.

        A model of the catalog keeps its row and price wherever it is served. An unknown one is free
        on a private address (it runs on the operator's own machines); elsewhere it is booked at the
        dearest price the catalog knows, and its `note` says so.
        """
        known = self.find(name)
        if known is not None:
            return known
        note = "" if private else f"price of {name} unknown: booked at the dearest known price"
        return ModelRow(
            name=name,
            endpoint=CUSTOM,
            tier="simple",
            prices=FREE if private else self._dearest(),
            effective_from=max(row.effective_from for row in self.models),
            context=min(row.context for row in self.models),
            max_output=min(row.max_output for row in self.models),
            abilities=frozenset({"temperature", "logprobs"}),
            note=note,
            verified=private,
        )

    def _of(self, endpoint: str) -> list[ModelRow]:
        return [row for row in self.models if row.endpoint == endpoint]

    def _dearest(self) -> Prices:
        return Prices(
            input=max(row.prices.input for row in self.models),
            cached_input=max(row.prices.input for row in self.models),
            output=max(row.prices.output for row in self.models),
        )


class _Own(_Strict):
    """The installation's own rows."""

    endpoints: list[EndpointRow] = Field(default_factory=list)
    models: list[ModelRow] = Field(default_factory=list)


def load_catalog(path: Path | None = None) -> Catalog:
    """Read the catalog (the shipped one by default). Raises SettingsError naming the file and the key."""
    path = path or Path(__file__).with_name("catalog.yaml")
    return catalog_of(read_catalog_file(path), None, str(path))


def read_catalog_file(path: Path) -> dict[str, Any]:
    """What a file of the catalog's form holds, unchecked. Raises SettingsError where it is no YAML of that form."""
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as fault:
        raise SettingsError("cannot be read", where=str(path), fix="reinstall frontdesk") from fault
    except yaml.YAMLError as fault:
        what = f"is not YAML: {fault}"
        raise SettingsError(what, where=str(path)) from fault
    if not isinstance(given, dict):
        raise SettingsError("holds no models", where=str(path), fix="rows as in models/catalog.yaml")
    return given


def catalog_of(given: dict[str, Any], shipped: Catalog | None, where: str) -> Catalog:
    """The catalog that a file says, its rows behind those of the shipped one. Raises SettingsError naming the key."""
    try:
        if shipped is None:
            return Catalog.model_validate(given)
        own = _Own.model_validate(given)
        both = {"endpoints": [*shipped.endpoints, *own.endpoints], "models": [*shipped.models, *own.models]}
        return Catalog.model_validate({"answer_tokens": shipped.answer_tokens} | both)
    except ValidationError as fault:
        first = fault.errors()[0]
        key = _key_of(first["loc"])
        raise SettingsError(first["msg"].removeprefix("Value error, "), where=f"{where}: {key}") from fault


def is_private(base_url: str) -> bool:
    """Whether the address is loopback, a private network's, or a name that only such networks resolve."""
    host = (urlsplit(base_url).hostname or "").rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # A name without a dot resolves only inside its own network (a container's name, say).
        return host in PRIVATE_NAMES or host.endswith(PRIVATE_SUFFIXES) or (bool(host) and "." not in host)
    return address.is_loopback or address.is_private or address.is_link_local


def _key_of(place: Sequence[int | str]) -> str:
    """`("models", 2, "prices")` as `models[2].prices`."""
    key = ""
    for part in place:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else part
    return key or "the file"
