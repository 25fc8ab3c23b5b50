"""Who sends a request: the owner of this machine's files, the holder of a key, a signed user, or nobody known.

Without keys and tokens the API is this machine's own, and the loopback address is its lock. From the first key
(or the first setting for signed tokens) on, every request outside the chat page must say who sends it.
"""

import asyncio
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from fastapi import Request

from api import problems
from api.problems import ProblemError
from api.schemas import USER_CHARS
from domain.settings import Settings
from store.keys import ApiKey, Keys, KeyScope

OWNER = "owner"
"""Who stands in the audit log for the token that lies in the state folder."""

JWT_DOTS = 2
SIGNED_WITH_SECRET = ("HS256", "HS384", "HS512")
SIGNED_WITH_KEY = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
LEEWAY = 30.0
"""Seconds by which the clock of whoever signs may differ."""
HOUR = 3600.0

Kind = Literal["nobody", "owner", "key", "token"]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a request's Authorization header has proved. `user`: the subject of a signed token.

    `open`: nobody has to prove anything, because no key was ever made.
    """

    kind: Kind = "nobody"
    key: ApiKey | None = None
    user: str = ""
    open: bool = False

    @property
    def scope(self) -> KeyScope | None:
        """What it may do; None for nobody and for signed users."""
        return "admin" if self.kind == "owner" else self.key.scope if self.key else None

    @property
    def who(self) -> str:
        """As the audit log names it."""
        return f"key {self.key.id} ({self.key.name})" if self.key else OWNER

    def may(self, scope: KeyScope) -> bool:
        """Whether it holds this scope, or the one above all."""
        return self.scope in (scope, "admin")


def identity_of(request: Request) -> Identity:
    """What the gate has found out about a request's sender."""
    return cast("Identity", request.state.identity)


class Doorkeeper:
    """Reads Authorization headers."""

    def __init__(self, keys: Keys, tokens: "UserTokens | None", owner_token: str) -> None:
        self._keys = keys
        self._tokens = tokens
        self._owner_token = owner_token
        self._keyed = tokens is not None

    async def identify(self, authorization: str) -> Identity:
        """Whose header this is. Raises ProblemError for a key or token that is none of ours."""
        scheme, _, given = authorization.partition(" ")
        given = given.strip() if scheme.lower() == "bearer" else ""
        if self._owner_token and hmac.compare_digest(given.encode(), self._owner_token.encode()):
            return Identity("owner")
        if not await self.keyed():
            # OpenAI's clients send some key always; where none exists, none is wrong.
            return Identity(open=True)
        if not authorization:
            return Identity()
        if self._tokens and given.count(".") == JWT_DOTS:
            return Identity("token", user=self._tokens.subject(given))
        key = await asyncio.to_thread(self._keys.check, given)
        if key is None:
            raise ProblemError(problems.UNKNOWN_KEY)
        return Identity("key", key)

    async def keyed(self) -> bool:
        """Whether requests must say who sends them."""
        # Once so, for ever: a key stays listed when it is revoked.
        self._keyed = self._keyed or await asyncio.to_thread(self._keys.any)
        return self._keyed


class UserTokens:
    """Checks the tokens that a team's own web site signs for its customers (JWT, RFC 7519)."""

    def __init__(self, key: str, algorithms: Sequence[str], *, audience: str, issuer: str, longest: float) -> None:
        self._key = key
        self._algorithms = algorithms
        self._audience = audience
        self._issuer = issuer
        self._longest = longest

    @classmethod
    def of(cls, settings: Settings) -> "UserTokens | None":
        """As the settings say; None where none are taken. Raises SettingsError for a key that cannot be read."""
        # The kind of key decides the algorithms: a public key must never be taken for a shared secret.
        algorithms: Sequence[str]
        if secret := settings.jwt_secret.get_secret_value():
            key, algorithms = secret, SIGNED_WITH_SECRET
        elif settings.jwt_public_key:
            key, algorithms = settings.jwt_public_key, SIGNED_WITH_KEY
        else:
            return None
        return cls(
            key,
            algorithms,
            audience=settings.jwt_audience,
            issuer=settings.jwt_issuer,
            longest=settings.jwt_max_hours * HOUR,
        )

    def subject(self, token: str) -> str:
        """The user that a token was signed for. Raises ProblemError for one that is forged, stale or for others."""
        import jwt  # noqa: PLC0415  # 0.1 s that a desk without signed users need not pay

        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=list(self._algorithms),
                audience=self._audience or None,
                issuer=self._issuer or None,
                leeway=LEEWAY,
                options={"require": ["sub", "exp", "iat"], "verify_aud": bool(self._audience)},
            )
        except jwt.PyJWTError as fault:
            raise ProblemError(problems.UNKNOWN_TOKEN) from fault
        user, issued, ends = cast("str", claims["sub"]), claims["iat"], claims["exp"]
        # The library takes times in words too, and users of any length.
        if not (isinstance(issued, int | float) and isinstance(ends, int | float)) or ends - issued > self._longest:
            raise ProblemError(problems.UNKNOWN_TOKEN)
        if not 0 < len(user) <= USER_CHARS:
            raise ProblemError(problems.UNKNOWN_TOKEN)
        return user
