"""Sends a JSON object to an address that the operator has set, and to no other machine than that name leads to."""

import asyncio
import hmac
import ipaddress
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from domain.errors import FrontdeskError
from domain.ports import Clock

SECONDS = 5.0
TRANSLATED = ("64:ff9b::/96", "::/96")
"""Where the last 32 bits of an IPv6 address are an IPv4 address (RFC 6052, RFC 4291)."""


class WebhookError(FrontdeskError):
    """It could not be delivered. Says the host at most: the path of a webhook is a secret."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One address. `private`: addresses of this machine and its networks are allowed. `secret` empty: unsigned.

    `name` is what its settings begin with.
    """

    url: str
    clock: Clock
    secret: str = ""
    private: bool = False
    name: str = "ALERT"

    @property
    def _where(self) -> str:
        return f"the {self.name.lower()} webhook"

    async def send(self, body: Mapping[str, object]) -> None:
        """Deliver it, signed. No proxy, no redirect. Raises WebhookError.

        The header X-Frontdesk-Signature is `t=<seconds>,v1=<hex>`: HMAC-SHA256 of `<seconds>.<body>`.
        """
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        address = await self._address(host, parts.port or (443 if parts.scheme == "https" else 80))
        content = json.dumps(body, ensure_ascii=False).encode()
        shown = f"[{address}]" if ":" in address else address
        # The address that was looked at is the one that is connected to: a name may lead elsewhere a moment later.
        pinned = parts._replace(netloc=f"{shown}:{parts.port}" if parts.port else shown).geturl()
        headers = {"Host": parts.netloc.rpartition("@")[2], "Content-Type": "application/json", **self._signed(content)}
        try:
            async with httpx.AsyncClient(timeout=SECONDS, trust_env=False, follow_redirects=False) as client:
                answer = await client.post(pinned, content=content, headers=headers, extensions={"sni_hostname": host})
        except httpx.HTTPError as fault:
            raise WebhookError(f"{host} cannot be reached ({type(fault).__name__})", where=self._where) from fault
        if not answer.is_success:
            raise WebhookError(f"{host} answers {answer.status_code}", where=self._where)

    async def _address(self, host: str, port: int) -> str:
        """An address of the host that may be connected to. Raises WebhookError."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as fault:
            raise WebhookError(f"no address of {host} is known", where=self._where, fix="check the name") from fault
        addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
        if not self.private and (bad := next((one for one in addresses if not public(one)), None)):
            raise WebhookError(
                f"{host} leads to {bad}, an address that is not public",
                where=self._where,
                fix=f"FRONTDESK_{self.name}_PRIVATE=true allows it",
            )
        return addresses[0]

    def _signed(self, content: bytes) -> dict[str, str]:
        if not self.secret:
            return {}
        moment = str(int(self.clock.now().timestamp()))
        mark = hmac.digest(self.secret.encode(), f"{moment}.".encode() + content, "sha256").hex()
        return {"X-Frontdesk-Signature": f"t={moment},v1={mark}"}


def public(address: str) -> bool:
    """Whether an IP address is one of the open Internet, also behind an IPv4 address in IPv6's clothes."""
    found = ipaddress.ip_address(address)
    return found.is_global and not found.is_multicast and all(inner.is_global for inner in _within(found))


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 address may lead to: mapped, by 6to4, by a translator, or the old compatible form."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    inside = any(address in ipaddress.IPv6Network(network) for network in TRANSLATED)
    translated = [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)] if inside else []
    return [inner for inner in (address.ipv4_mapped, address.sixtofour, *translated) if inner]
