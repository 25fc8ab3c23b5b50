"""The inbox: what agents ask and do. Summaries and messages are masked; agents' words go through the Desk."""

import asyncio
from datetime import datetime
from typing import Any

from domain.errors import UsageError
from graph.service import Service
from store import Ticket
from store.tickets import TicketMessage

Json = dict[str, Any]


async def handoffs(service: Service) -> Json:
    """Every open ticket, the oldest first: {handoffs:[{ticket,thread,department,reason,summary,opened_at,waiting_seconds}]}.

    `waiting_seconds`: since what the customer said last without an answer; 0 once an agent has spoken after it.
    """
    return {"handoffs": await asyncio.to_thread(_open, service)}


async def show(service: Service, *, ticket: str) -> Json:
    """One ticket, as in `handoffs`, with closed_at and messages:[{author,text,at}]. Raises NotFoundError."""
    return await asyncio.to_thread(_whole, service, ticket)


async def reply(service: Service, *, ticket: str, text: str, who: str) -> Json:
    """Answer in the customer's own thread, masked; as `show`. Raises NotFoundError, UsageError."""
    limit = service.settings.max_message_chars
    if not text.strip():
        raise UsageError("is empty", where="text", fix="write an answer")
    if len(text) > limit:
        raise UsageError(f"has {len(text):,} characters, the most is {limit:,}", where="text")
    await service.desk.reply(ticket, text)
    return await asyncio.to_thread(_logged, service, who, "handoffs.reply", ticket)


async def close(service: Service, *, ticket: str, who: str) -> Json:
    """Close a ticket: the thread is the assistant's again. As `show`. Raises NotFoundError."""
    await asyncio.to_thread(service.store.tickets.close, ticket)
    return await asyncio.to_thread(_logged, service, who, "handoffs.close", ticket)


def _open(service: Service) -> list[Json]:
    now, book = service.clock.now(), service.store.tickets
    return [_shown(ticket, book.messages(ticket.id), now) for ticket in book.list_open()]


def _whole(service: Service, ticket_id: str) -> Json:
    ticket = service.store.tickets.get(ticket_id)
    messages = service.store.tickets.messages(ticket.id)
    return _shown(ticket, messages, service.clock.now()) | {
        "closed_at": ticket.closed_at.isoformat() if ticket.closed_at else None,
        "messages": [{"author": one.author, "text": one.text, "at": one.at.isoformat()} for one in messages],
    }


def _logged(service: Service, who: str, what: str, ticket_id: str) -> Json:
    done = _whole(service, ticket_id)
    service.store.audit.record(who, what, None, {"ticket": done["ticket"], "closed_at": done["closed_at"]})
    return done


def _shown(ticket: Ticket, messages: list[TicketMessage], now: datetime) -> Json:
    since = _unanswered(messages)
    waiting = (now - since).total_seconds() if since and ticket.closed_at is None else 0.0
    return {
        "ticket": ticket.id,
        "thread": ticket.thread,
        "department": ticket.department,
        "reason": ticket.reason,
        "summary": ticket.summary,
        "opened_at": ticket.opened_at.isoformat(),
        "waiting_seconds": round(waiting),
    }


def _unanswered(messages: list[TicketMessage]) -> datetime | None:
    """When what nobody has answered yet was begun."""
    spoken = [place for place, one in enumerate(messages, start=1) if one.author == "agent"]
    left = messages[spoken[-1] if spoken else 0 :]
    return left[0].at if left else None
