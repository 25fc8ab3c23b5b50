"""Tells the operator's own systems that a customer waits for a person, or does no longer: one signed message each time."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from domain.ports import Clock
from domain.settings import Settings
from graph.webhook import Webhook, WebhookError
from store import Ticket

PAUSES = (1.0, 10.0, 60.0)
"""Seconds before it is tried again; then the inbox alone knows of the ticket."""
CLOSING_SECONDS = 5.0

Sleep = Callable[[float], Awaitable[None]]


class Bell:
    """Rings without anybody waiting for it. Without a webhook it does nothing."""

    def __init__(self, desk: str, webhook: Webhook | None = None, *, sleep: Sleep = asyncio.sleep) -> None:
        self._desk = desk
        self._webhook = webhook
        self._sleep = sleep
        self._ringing: set[asyncio.Task[None]] = set()

    def ring(self, ticket: Ticket) -> None:
        """Tell of a new ticket, or of one that its customer has withdrawn: its summary is masked, the user is not named."""
        if self._webhook is None:
            return
        task = asyncio.create_task(self._tell(self._webhook, ticket), name=f"bell {ticket.id}")
        self._ringing.add(task)
        task.add_done_callback(self._ringing.discard)

    async def close(self) -> None:
        """Give what is under way a moment, then stop."""
        if self._ringing:
            await asyncio.wait(self._ringing, timeout=CLOSING_SECONDS)
        for task in self._ringing:
            task.cancel()

    async def _tell(self, webhook: Webhook, ticket: Ticket) -> None:
        closed = ticket.closed_at
        waits = "was withdrawn by its customer" if closed else f"waits for {ticket.department or 'a person'}"
        body = {
            "text": f"Frontdesk, desk {self._desk}: ticket {ticket.id} {waits}",
            "event": "handoff.withdrawn" if closed else "handoff.opened",
            "desk": self._desk,
            "ticket": ticket.id,
            "department": ticket.department,
            "reason": ticket.reason,
            "summary": ticket.summary,
            "opened_at": ticket.opened_at.isoformat(),
        } | ({"closed_at": closed.isoformat()} if closed else {})
        for pause in (*PAUSES, None):
            try:
                await webhook.send(body)
            except WebhookError as fault:
                if pause is None:
                    structlog.get_logger().warning("ticket not told", ticket=ticket.id, error=str(fault))
                    return
                await self._sleep(pause)
            else:
                return


def open_bell(settings: Settings, desk: str, clock: Clock) -> Bell:
    """The bell of a desk, as its settings say."""
    url = settings.handoff_webhook.get_secret_value()
    secret = settings.handoff_webhook_secret.get_secret_value()
    return Bell(desk, Webhook(url, clock, secret, settings.handoff_private, "HANDOFF") if url else None)
