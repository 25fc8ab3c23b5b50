"""A reply that was given once, made again from what is kept."""

from domain.errors import NotFoundError
from domain.receipt import Reply
from graph.service import Service
from guards import unmask


def recall(service: Service, turn_id: str, user_id: str, *, answered: bool) -> Reply | None:
    """The reply of a turn of this user, with their own data in place; None where there is none. Blocking.

    `answered`: it is known to have been given; else a turn that ended in an error has none.
    """
    try:
        receipt = service.store.ledger.get(turn_id)
    except NotFoundError:
        return None
    if receipt.turn_id != turn_id or receipt.user != service.store.vault.user_hash(user_id):
        return None
    if receipt.error and not answered:
        return None
    secrets = service.store.vault.read(receipt.thread_id)
    return Reply.of(receipt, unmask(receipt.answer, secrets), receipt.sources)
