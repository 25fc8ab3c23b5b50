"""The only reader of the environment. Works with nothing set: everything embedded, on loopback, no key.

`graph/bootstrap.py` and the doors' entry points build one `Settings` and pass plain values down.
"""

import re
import ssl
from pathlib import Path
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.errors import SettingsError
from domain.profile import GuardFamily, Threshold

PLACEHOLDERS = frozenset({"changeme", "change-me", "secret", "password", "todo", "xxx", "placeholder"})

SHORTEST_SECRET = 32

ORIGIN = re.compile(r"https?://([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?(:[0-9]{1,5})?")
REDIS_SCHEMES = ("redis://", "rediss://", "redis+unix://")
RATE = r"^([1-9][0-9]{0,6}/([1-9][0-9]{0,4} ?)?(second|minute|hour|day))?$"
"""A number of turns in a sliding window, such as 30/minute or 10/5second."""


def _password(url: SecretStr) -> SecretStr:
    """The password inside an address, as it is written between the colon and the @."""
    try:
        return SecretStr(unquote(urlsplit(url.get_secret_value()).password or ""))
    except ValueError:  # no address at all: its own validator or the first connection says so
        return SecretStr("")


class Settings(BaseSettings):
    """Every knob of the service; docs/settings.md lists them from these fields."""

    model_config = SettingsConfigDict(
        env_prefix="FRONTDESK_",
        env_file=".env",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    environment: Literal["dev", "staging", "production"] = Field(
        "dev", description="Where this runs; outside dev, placeholder secrets are refused."
    )
    home: Path = Field(Path(".frontdesk"), description="Folder of all state of this installation.")
    database_url: SecretStr = Field(
        SecretStr(""), description="postgresql:// address of the desk's database, shared by replicas; empty: SQLite."
    )
    desk: str = Field("shop", description="Desk to serve: a name in ./desks or the installation, or a folder.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")

    host: str = Field("127.0.0.1", description="Address to bind; anything but loopback needs API keys.")
    port: int = Field(8000, ge=0, le=65535, description="Port to bind; 0 takes a free one.")
    hosts: str = Field(
        "", description="Host names this desk is reached by, with commas; empty: any, once there are API keys."
    )
    origins: str = Field(
        "", description="Web origins, with commas, whose pages may ask this desk; empty: its own only."
    )
    widget_origins: str = Field(
        "", description="Web origins, with commas, whose pages may show the chat as a widget; empty: none."
    )
    jwt_secret: SecretStr = Field(
        SecretStr(""), description="Shared secret of signed user tokens (HS256), 32+ characters."
    )
    jwt_public_key: str = Field("", description="PEM public key of signed user tokens (RS256, ES256, EdDSA).")
    jwt_audience: str = Field("", description="Audience that a user token must name; empty: not looked at.")
    jwt_issuer: str = Field("", description="Issuer that a user token must name; empty: not looked at.")
    jwt_max_hours: float = Field(24.0, gt=0, description="Longest life of a user token, from its iat to its exp.")
    max_body_bytes: int = Field(65_536, ge=1_024, description="Largest request body.")
    max_message_chars: int = Field(4_000, ge=10, description="Longest question.")
    max_turns: int = Field(32, ge=1, description="Turns in flight; more get 503 with Retry-After.")
    request_timeout: float = Field(
        15.0, gt=0, description="Seconds in which a request's head, and then its body, must have come."
    )
    turn_timeout: float = Field(60.0, gt=0, description="Seconds a whole turn may take.")
    shutdown_timeout: float = Field(10.0, gt=0, description="Seconds running turns get to finish at shutdown.")

    llm: Literal["auto", "off"] = Field("auto", description="off: never start or call a language model.")
    llm_base_url: str = Field("", description="Any OpenAI-compatible server (vLLM, Ollama, ...).")
    llm_model: str = Field("", description="Model name to ask there; empty: the catalog's choice.")
    llm_api_key: SecretStr = Field(SecretStr(""), description="Key for llm_base_url, where it needs one.")
    openai_api_key: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("OPENAI_API_KEY", "openai_api_key"),
        description="OpenAI key; set, answers come from OpenAI under the daily budget.",
    )
    anthropic_api_key: SecretStr = Field(
        SecretStr(""), description="Anthropic key; its models join the catalog's choice, under the daily budget."
    )
    gemini_api_key: SecretStr = Field(
        SecretStr(""), description="Google Gemini key; its models join the catalog's choice, under the daily budget."
    )
    llm_timeout: float = Field(20.0, gt=0, description="Seconds one model call may take before the quoted answer.")
    llm_threads: int = Field(
        0, ge=0, description="Threads of the local model; 0: one per core; 1 on cores that others use."
    )
    weights_dir: Path | None = Field(None, description="Folder of downloaded weights; unset: the user's cache folder.")
    budget_usd_per_day: float = Field(1.0, ge=0, description="Hard limit on paid model calls per UTC day.")

    ner: Literal["on", "off"] = Field(
        "on", description="off: people's names are masked by rules alone, without the small English model (60 MB)."
    )
    rate_limit_user: str = Field("30/minute", pattern=RATE, description="Turns a user may ask for; empty: any number.")
    rate_limit_key: str = Field(
        "600/minute", pattern=RATE, description="Turns an API key may ask for; empty: any number."
    )
    rate_limit_address: str = Field(
        "60/minute",
        pattern=RATE,
        description="Turns the unknown visitors of an address may ask for; empty: any number.",
    )
    redis_url: SecretStr = Field(
        SecretStr(""),
        description="Redis for the counts and short locks of all replicas; empty: each process, and the database.",
    )
    alert_webhook: SecretStr = Field(
        SecretStr(""),
        description="Address that alerts are posted to (Slack's incoming webhooks do); empty: the log alone.",
    )
    alert_webhook_secret: SecretStr = Field(SecretStr(""), description="Signs what is posted there; empty: unsigned.")
    alert_private: bool = Field(False, description="Whether the webhook may be on this machine or a private network.")
    alert_seconds: float = Field(60.0, gt=0, description="Seconds between two looks at the alert rules.")

    handoff_webhook: SecretStr = Field(
        SecretStr(""), description="Address that each new ticket is posted to, its summary masked; empty: none."
    )
    handoff_webhook_secret: SecretStr = Field(SecretStr(""), description="Signs what is posted there; empty: unsigned.")
    handoff_private: bool = Field(False, description="Whether that one may be on this machine or a private network.")

    chroma_url: str = Field("", description="Chroma server that replicas share; empty: a folder of this one.")
    ca_file: str = Field(
        "", description="PEM file of the private authorities behind a Chroma server's or a model's TLS; empty: none."
    )
    ray_address: str = Field(
        "", description="Ray cluster of `--on ray`: auto, host:port or ray://host:10001; empty: one on this machine."
    )
    guard_thresholds: dict[GuardFamily, Threshold] = Field(
        {}, description="Thresholds of injection, malicious, toxicity as JSON; they win over the desk's."
    )
    second_look: Literal["auto", "off"] = Field(
        "auto", description="off: no configured model rules on questions that the guards' classifiers are unsure of."
    )
    cache_hours: float = Field(
        24.0, ge=0, description="Hours for which a model's answer may be given again to the same question; 0: never."
    )
    rag_config: str = Field("", description="RAG configuration in retrieval/configs; empty: by the desk's languages.")
    judge_sample: float | None = Field(
        None, ge=0, le=1, description="Share of turns judged; unset: 1 with the local judge, 0.1 with a paid model."
    )
    judge_backlog: int = Field(64, ge=1, description="Turns waiting for the judge; more are shed and counted.")
    history_tokens: int = Field(800, ge=0, description="Token budget of the conversation shown to a model.")
    retention_days: int = Field(90, ge=1, description="Threads, vault, receipts older than this are removed.")
    vault_key: SecretStr = Field(SecretStr(""), description="Key of the personal-data vault; empty: a generated file.")

    langfuse_host: str = Field(
        "http://127.0.0.1:3000",
        validation_alias=AliasChoices("LANGFUSE_HOST", "LANGFUSE_BASE_URL", "langfuse_host"),
        description="Langfuse server; used once both keys are set.",
    )
    langfuse_public_key: str = Field(
        "", validation_alias=AliasChoices("LANGFUSE_PUBLIC_KEY", "langfuse_public_key"), description="Langfuse project."
    )
    langfuse_secret_key: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("LANGFUSE_SECRET_KEY", "langfuse_secret_key"),
        description="Langfuse project secret.",
    )
    langfuse_environment: str = Field(
        "",
        validation_alias=AliasChoices("LANGFUSE_TRACING_ENVIRONMENT", "langfuse_environment"),
        description="Environment that traces name; empty: FRONTDESK_ENVIRONMENT, in evals eval, in Studio studio.",
    )
    trace_backlog: int = Field(
        100_000,
        ge=1,
        description="Turns and late scores kept while Langfuse is away; beyond it the oldest are given up.",
    )

    @field_validator("database_url")
    @classmethod
    def _database_address(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            message = "must be an address like postgresql://user:password@host:5432/database"
            raise ValueError(message)
        return value

    @field_validator("llm_base_url", "chroma_url")
    @classmethod
    def _url(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            message = "must start with http:// or https://"
            raise ValueError(message)
        return value.rstrip("/")

    @field_validator("ca_file")
    @classmethod
    def _certificates(cls, value: str) -> str:
        try:
            if value:
                ssl.create_default_context(cafile=value)
        except (OSError, ssl.SSLError) as fault:
            message = f"{value} is no readable file of PEM certificates"
            raise ValueError(message) from fault
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_address(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not value.get_secret_value().startswith(REDIS_SCHEMES):
            message = "must be an address like redis://host:6379/0"
            raise ValueError(message)
        return value

    @field_validator("alert_webhook", "handoff_webhook")
    @classmethod
    def _web_address(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        parts = urlsplit(url)
        if url and not (parts.scheme in ("http", "https") and parts.hostname):
            message = "must be an address like https://hooks.example/path"
            raise ValueError(message)
        return value

    @field_validator("widget_origins")
    @classmethod
    def _origins_by_name(cls, value: str) -> str:
        named = [origin.strip().lower().rstrip("/") for origin in value.split(",") if origin.strip()]
        for origin in named:
            if not ORIGIN.fullmatch(origin):
                message = f"{origin!r} is no origin: name each site like https://shop.example, without path or *"
                raise ValueError(message)
        return ",".join(named)

    @field_validator("jwt_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < SHORTEST_SECRET:
            message = f"must have {SHORTEST_SECRET} characters or more"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _key_of_replicas(self) -> Self:
        if self.database_url.get_secret_value() and not self.vault_key.get_secret_value():
            message = "FRONTDESK_VAULT_KEY is missing: a database that replicas share needs one key for them all"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _no_placeholders(self) -> Self:
        secrets = {
            "FRONTDESK_VAULT_KEY": self.vault_key,
            "FRONTDESK_JWT_SECRET": self.jwt_secret,
            "FRONTDESK_LLM_API_KEY": self.llm_api_key,
            "LANGFUSE_SECRET_KEY": self.langfuse_secret_key,
            "OPENAI_API_KEY": self.openai_api_key,
            "FRONTDESK_ALERT_WEBHOOK_SECRET": self.alert_webhook_secret,
            "FRONTDESK_HANDOFF_WEBHOOK_SECRET": self.handoff_webhook_secret,
            "FRONTDESK_ANTHROPIC_API_KEY": self.anthropic_api_key,
            "FRONTDESK_GEMINI_API_KEY": self.gemini_api_key,
            "FRONTDESK_DATABASE_URL": _password(self.database_url),
            "FRONTDESK_REDIS_URL": _password(self.redis_url),
        }
        if self.environment != "dev":
            for name, secret in secrets.items():
                if secret.get_secret_value().lower() in PLACEHOLDERS:
                    message = f"{name} still holds a placeholder"
                    raise ValueError(message)
        return self

    @property
    def providers(self) -> list[str]:
        """The providers of paid models whose key is set."""
        keys = {"OpenAI": self.openai_api_key, "Anthropic": self.anthropic_api_key, "Google": self.gemini_api_key}
        return [name for name, key in keys.items() if key.get_secret_value()]

    @property
    def traces_to_langfuse(self) -> bool:
        """Whether both Langfuse keys are set."""
        return bool(self.langfuse_public_key and self.langfuse_secret_key.get_secret_value())


def read_settings(**overrides: object) -> Settings:
    """Read environment and .env once; `overrides` win (a command's options). Raises SettingsError."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic validates what the options hold
    except ValidationError as fault:
        first = fault.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        name = where if where.isupper() or where == "settings" else f"FRONTDESK_{where.upper()}"
        message = first["msg"].removeprefix("Value error, ")
        raise SettingsError(message, where=name, fix="set it in the environment or in .env") from fault
