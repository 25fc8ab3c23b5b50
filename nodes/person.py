"""A person for the customer: which department, whether one is offered, and in which words."""

import re

from domain.profile import Department, DeskProfile, TakesOver
from domain.turn import Reason, Turn, language_of
from nodes.deps import Deps
from nodes.history import answered


def lines_of(turn: Turn) -> list[str]:
    """What the customer has asked in this thread, masked, this question last."""
    asked = [message.text for message in answered(turn.get("history", [])) if message.role == "user"]
    return [*asked, turn.get("masked", "")]


def department_of(turn: Turn, profile: DeskProfile) -> Department | None:
    """The one with the most of its words in what was asked; the first where none is."""
    words = _words(" ".join(lines_of(turn)))
    hits = [sum(_words(handle) in words for handle in department.handles) for department in profile.departments]
    return profile.departments[hits.index(max(hits))] if profile.departments else None


def words_for(key: str, turn: Turn, deps: Deps) -> str:
    """A reply that names the department, in the customer's language."""
    language, department = language_of(turn), department_of(turn, deps.profile)
    name = department.name.in_language(language) if department else deps.profile.name
    return deps.replies.text(key, language, department=name)


def takes_over(turn: Turn, reason: Reason, profile: DeskProfile) -> TakesOver:
    """Whether a person takes over from a turn that ends so."""
    choices = profile.handoff
    match reason:
        case "domain_rule":
            rule = next((rule for rule in profile.rules if rule.id in broken_rules(turn)), None)
            return (rule.handoff if rule else None) or choices.domain_rule
        case "malicious":
            return choices.unsafe if speaks_of_self_harm(turn) else "never"
        case "budget":
            return choices.budget
        case "model_down":
            return choices.model_down
        case "repeated_dont_know":
            return choices.repeated_dont_know
        case _:
            return "never"


def speaks_of_self_harm(turn: Turn) -> bool:
    """Whether somebody speaks of harming themselves: they are answered with care, not with a list of topics."""
    return any(one.action == "block" and one.guard == "malicious:selfharm" for one in turn.get("verdicts", []))


def broken_rules(turn: Turn) -> set[str]:
    """The rules of the desk that blocked; a verdict names one as `domain_rules:<id>`."""
    return {verdict.guard.partition(":")[2] for verdict in turn.get("verdicts", []) if verdict.action == "block"}


def _words(text: str) -> str:
    """Lower-case words between single spaces, so that containment is containment of whole words."""
    words = re.findall(r"[^\W_]+", text.casefold())
    return f" {' '.join(words)} "
