"""The memory of the house: receipts, budget, vault, tickets, feedback, audit, threads; and who owns the folder."""

from store.db import Purged, Store
from store.ledger import Totals
from store.lock import HomeLock, Owner, read_owner
from store.tickets import Ticket

__all__ = ["HomeLock", "Owner", "Purged", "Store", "Ticket", "Totals", "read_owner"]
