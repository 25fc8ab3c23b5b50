"""The inbox: what agents ask and do. Summaries and messages are masked; agents' words go through the Desk."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from domain.errors import NotFoundError, UsageError
from graph.service import Service
from store import Ticket
from store.tickets import TicketMessage

Json = dict[str, Any]

WITHDRAWN_SHOWN = timedelta(days=1)
"""How long agents are told of a ticket that its customer has withdrawn."""


async def handoffs(service: Service) -> Json:
    """Every open ticket, the oldest first: {handoffs:[{ticket,thread,department,reason,summary,opened_at,waiting_seconds,closed_at,closed_by}]}.

    `waiting_seconds`: since what the customer said last without an answer; 0 once an agent has spoken after it.
    `withdrawn`: the same of those that customers have withdrawn in the last day.
    """
    listed = await asyncio.to_thread(_listed, service)
    return {
        "handoffs": [one for one in listed if not one["closed_at"]],
        "withdrawn": [one for one in listed if one["closed_at"]],
    }


async def show(service: Service, *, ticket: str) -> Json:
    """One ticket, as in `handoffs`, with messages:[{author,text,at}]. Raises NotFoundError."""
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


async def withdraw(service: Service, *, thread: str, user: str, who: str) -> str | None:
    """Close the ticket of a user's own thread, as they want no person any more: its id; None where none is open.

    Whatever an agent says in it from then on is refused; the webhook is told. Raises NotFoundError for anyone else's thread.
    """
    ticket = await asyncio.to_thread(_withdrawn, service, thread, user, who)
    if ticket is None:
        return None
    service.desk.bell.ring(ticket)
    return ticket.id


def _withdrawn(service: Service, thread: str, user: str, who: str) -> Ticket | None:
    store = service.store
    if not store.threads.belongs(thread, store.vault.user_hash(user)):
        raise NotFoundError("no such thread", where=thread)
    ticket = store.tickets.of_thread(thread)
    if ticket is None:
        return None
    closed = store.tickets.close(ticket.id, "customer")
    if closed.closed_by != "customer":
        return None  # an agent was quicker
    _logged(service, who, "handoffs.withdraw", ticket.id)
    return closed


def _listed(service: Service) -> list[Json]:
    now, book = service.clock.now(), service.store.tickets
    listed = book.list_open(withdrawn_since=now - WITHDRAWN_SHOWN)
    return [_shown(ticket, book.messages(ticket.id), now) for ticket in listed]


def _whole(service: Service, ticket_id: str) -> Json:
    ticket = service.store.tickets.get(ticket_id)
    messages = service.store.tickets.messages(ticket.id)
    return _shown(ticket, messages, service.clock.now()) | {
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
        "closed_at": ticket.closed_at.isoformat() if ticket.closed_at else None,
        "closed_by": ticket.closed_by,
    }


def _unanswered(messages: list[TicketMessage]) -> datetime | None:
    """When what nobody has answered yet was begun."""
    spoken = [place for place, one in enumerate(messages, start=1) if one.author == "agent"]
    left = messages[spoken[-1] if spoken else 0 :]
    return left[0].at if left else None
