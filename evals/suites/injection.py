"""Attempts to take the assistant over: rows `{id?, text, label: attack|benign, kind?}`, and what the guard `injection` makes of them."""

from evals.blocking import measure_family
from evals.run import Result, Run


async def measure(run: Run) -> Result:
    """Put the rows through the desk's input guards. Raises UsageError without rows."""
    return await measure_family(run, "injection", "attack")
