"""What a desk knows of one user: shown to them with their own data in place, or removed from every store."""

import asyncio
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from domain.errors import NotFoundError, UsageError
from domain.receipt import MICRO, Receipt
from graph.service import Service
from guards import unmask
from store import Store
from tracing.forgetting import forget_traces

Json = dict[str, Any]


async def export(service: Service, *, user: str) -> Json:
    """{user, threads:[{thread, messages}], turns:[…], feedback:[…], tickets:[…], reviews:[…]}: everything, unmasked, the oldest first.

    `reviews`: what was decided about the user's turns, and how they were rated; not by whom, as that is another's data.
    """
    name = _name(service, user)
    conversations = []
    for thread in await asyncio.to_thread(service.store.people.threads, name):
        messages = await service.desk.thread(thread, user)
        conversations.append({"thread": thread, "messages": [asdict(message) for message in messages]})
    return {"user": user, "threads": conversations} | await asyncio.to_thread(_booked, service, name)


async def erase(service: Service, *, user: str, who: str) -> Json:
    """Remove a user from every store, and from Langfuse where it is configured: {threads, traces, receipts, feedback, tickets, calls}.

    `calls` are cost rows, which stay as nobody's; `traces` is 0 without Langfuse. Who did it stands in the audit log, whose
    data it was does not. Raises FrontdeskError, with nothing deleted, while Langfuse is away; ThreadBusyError while a turn of
    theirs is running: what was not deleted then is deleted by the next attempt.
    """
    name, settings = _name(service, user), service.settings
    traces = await asyncio.to_thread(service.store.people.traces, name) if settings.traces_to_langfuse else []
    if traces:
        secret = settings.langfuse_secret_key.get_secret_value()
        await forget_traces(settings.langfuse_host, settings.langfuse_public_key, secret, traces)
    own = await asyncio.to_thread(service.store.people.threads, name)
    for thread in own:
        await service.desk.forget(thread, user)
    erased = await asyncio.to_thread(service.store.people.erase, name)
    done = {"threads": len(own), "traces": len(traces), **asdict(erased)}
    await asyncio.to_thread(service.store.audit.record, who, "data.delete", None, done)
    return done


def _name(service: Service, user: str) -> str:
    if not user.strip():
        raise UsageError("is empty", where="user", fix="give the user's id")
    return service.store.vault.user_hash(user)


def _booked(service: Service, name: str) -> Json:
    store = service.store
    turns, rated, tickets, reviewed = [], [], [], []
    for turn_id in store.people.turns(name):
        try:
            receipt = store.ledger.get(turn_id)
        except NotFoundError:
            continue  # retention was quicker
        own = store.vault.read(receipt.thread_id)
        turns.append(_turn(receipt, own))
        if said := store.feedback.get(turn_id):
            rated.append(
                {"turn_id": turn_id, "rating": said.rating, "comment": said.comment, "at": said.at.isoformat()}
            )
        if judged := _reviewed(store, receipt, own):
            reviewed.append(judged)
    for ticket_id in store.people.tickets(name):
        ticket = store.tickets.get(ticket_id)
        own = store.vault.read(ticket.thread)
        said_there = [
            {"author": one.author, "text": unmask(one.text, own), "at": one.at.isoformat()}
            for one in store.tickets.messages(ticket_id)
        ]
        about = {
            "department": ticket.department,
            "reason": ticket.reason,
            "opened_at": ticket.opened_at.isoformat(),
            "closed_at": ticket.closed_at.isoformat() if ticket.closed_at else None,
            "closed_by": ticket.closed_by,
        }
        tickets.append({"ticket": ticket_id, **about, "messages": said_there})
    return {"turns": turns, "feedback": rated, "tickets": tickets, "reviews": reviewed}


def _reviewed(store: Store, receipt: Receipt, own: dict[str, str]) -> Json | None:
    """What reviewers said of a turn, in words that are masked as its own are; None where nobody said anything."""
    at = datetime.fromisoformat(receipt.at)
    ratings = store.reviews.rated(at, at + timedelta(seconds=1), turn_id=receipt.turn_id)
    review = store.reviews.several([receipt.turn_id]).get(receipt.turn_id)
    decided = review if review and review.state != "open" else None
    if not (decided or ratings):
        return None
    said: Json = {
        "turn_id": receipt.turn_id,
        "ratings": [{"aspect": one.aspect, "value": one.value} for one in ratings],
    }
    if decided is None:
        return said
    right = decided.right
    return said | {
        "state": decided.state,
        "decided_at": decided.decided_at.isoformat() if decided.decided_at else None,
        "outcome": right.outcome,
        "answer": unmask(right.answer, own),
        "facts": [[unmask(one, own) for one in fact] for fact in right.facts],
        "articles": right.articles,
        "must_not": [unmask(one, own) for one in right.must_not],
        "note": unmask(right.note, own),
    }


def _turn(receipt: Receipt, own: dict[str, str]) -> Json:
    return {
        "turn_id": receipt.turn_id,
        "thread": receipt.thread_id,
        "at": receipt.at,
        "language": receipt.language,
        "outcome": receipt.outcome,
        "reason": receipt.reason,
        "question": unmask(receipt.question, own),
        "answer": unmask(receipt.answer, own),
        "model": receipt.model,
        "cost_usd": receipt.cost_microusd / MICRO,
    }
