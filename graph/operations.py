"""Every operation of an operator, by name: one table for the terminal and for HTTP.

To add one: write it in graph/operators.py or a module beside it (`async def work(service, *, …) -> Json`),
name it here, give it a command in cli/. Its route under /admin, its scope and its fields follow from this table.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any, Literal

from domain.errors import NotFoundError
from domain.ports import Progress
from graph import (
    backup,
    cases,
    drafting,
    feedback,
    figures,
    gaps,
    handoffs,
    keyring,
    mirroring,
    money,
    operators,
    panels,
    people,
    prompting,
    rehearsing,
    releasing,
    reviewing,
    trials,
    weekly,
)
from graph.service import Service

Json = dict[str, Any]
OperatorScope = Literal["analyst", "agent", "admin"]
"""Who may ask: an analyst reads, an agent answers tickets, an admin does everything."""

GIVEN = frozenset({"service", "who", "progress"})
"""Parameters that come from the door, never from a request."""


@dataclass(frozen=True, slots=True)
class Operation:
    """`work(service, **fields)`. `reads`: it changes nothing, so that it may be fetched."""

    work: Callable[..., Awaitable[Json]]
    scope: OperatorScope = "admin"
    reads: bool = False

    @property
    def fields(self) -> Mapping[str, Parameter]:
        """What a request may say, by name."""
        return {name: field for name, field in signature(self.work).parameters.items() if name not in GIVEN}


OPERATIONS: Mapping[str, Operation] = {
    "search": Operation(operators.search, "analyst", reads=True),
    "guard": Operation(operators.guard, "analyst"),
    "route": Operation(operators.route, "analyst"),
    "receipt": Operation(operators.receipt, "analyst", reads=True),
    "health": Operation(operators.report_health, "analyst", reads=True),
    "ingest": Operation(operators.ingest),
    "knowledge": Operation(operators.knowledge, "analyst", reads=True),
    "knowledge.forget": Operation(operators.forget),
    "knowledge.rollback": Operation(operators.rollback),
    "gaps": Operation(gaps.gaps, "analyst", reads=True),
    "gaps.draft": Operation(drafting.draft),
    "ops": Operation(panels.ops, "analyst", reads=True),
    "turns": Operation(panels.turns, "analyst", reads=True),
    "stats": Operation(figures.stats, "analyst", reads=True),
    "costs": Operation(money.costs, "analyst", reads=True),
    "budget": Operation(money.budget, "analyst", reads=True),
    "budget.set": Operation(money.set_budget),
    "handoffs": Operation(handoffs.handoffs, "agent", reads=True),
    "handoffs.show": Operation(handoffs.show, "agent", reads=True),
    "handoffs.reply": Operation(handoffs.reply, "agent"),
    "handoffs.close": Operation(handoffs.close, "agent"),
    "prompts": Operation(prompting.prompts, "analyst", reads=True),
    "prompts.show": Operation(prompting.show, "analyst", reads=True),
    "prompts.diff": Operation(prompting.diff, "analyst", reads=True),
    "prompts.export": Operation(prompting.export, "analyst", reads=True),
    "prompts.register": Operation(prompting.register),
    "prompts.push": Operation(mirroring.push),
    "prompts.pull": Operation(mirroring.pull),
    "feedback": Operation(feedback.feedback, "analyst", reads=True),
    "review": Operation(reviewing.review, "analyst", reads=True),
    "review.blocks": Operation(reviewing.blocks, "analyst", reads=True),
    "review.show": Operation(reviewing.show, "analyst", reads=True),
    "review.accept": Operation(reviewing.accept, "analyst"),
    "review.correct": Operation(reviewing.correct, "analyst"),
    "review.reject": Operation(reviewing.reject, "analyst"),
    "review.rate": Operation(reviewing.rate, "analyst"),
    "review.cases": Operation(cases.cases),
    "monitor.report": Operation(weekly.report, "analyst"),
    "prompts.promote": Operation(releasing.promote_prompt),
    "prompts.rollback": Operation(releasing.rollback_prompt),
    "prompts.test": Operation(rehearsing.rehearse, "analyst"),
    "prompts.ab": Operation(trials.start_prompt),
    "release.ab": Operation(trials.status, "analyst", reads=True),
    "release.ab.start": Operation(trials.start),
    "release.ab.stop": Operation(trials.stop),
    "release": Operation(releasing.releases, "analyst", reads=True),
    "release.show": Operation(releasing.show, "analyst", reads=True),
    "release.diff": Operation(releasing.diff, "analyst", reads=True),
    "release.create": Operation(releasing.create),
    "release.gate": Operation(releasing.prove),
    "release.promote": Operation(releasing.promote),
    "release.rollback": Operation(releasing.rollback),
    "keys.create": Operation(keyring.create),
    "keys.list": Operation(keyring.list_keys, reads=True),
    "keys.revoke": Operation(keyring.revoke),
    "data.export": Operation(people.export, reads=True),
    "data.delete": Operation(people.erase),
    "backup": Operation(backup.backup),
    "audit": Operation(keyring.audit, reads=True),
}


async def run(
    service: Service,
    name: str,
    fields: Mapping[str, object],
    *,
    who: str = "operator",
    progress: Progress | None = None,
) -> Json:
    """Carry an operation out. `who` stands in the audit log. Raises NotFoundError and what the work raises."""
    operation = OPERATIONS.get(name)
    if operation is None:
        raise NotFoundError("no such operation", where=name)
    given = {"who": who, "progress": progress}
    known = signature(operation.work).parameters
    return await operation.work(service, **fields, **{each: given[each] for each in given if each in known})
