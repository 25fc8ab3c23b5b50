"""Who does what to what in a question: what two questions with the same words may still differ in.

"Can I call you" and "can you call me", "from my savings" and "to my savings", "points for a booking" and "a booking
for points" have the same words. Nothing is parsed: which person comes first, and what stands before a word.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Roles = Mapping[str, str]
"""What a word stands in for, by word: where something comes from, goes to, is done with or for."""

_ME_THEN_YOU = re.compile(r"\b(?:i|we)\b.*\byou\b")
_YOU_THEN_ME = re.compile(r"\byou\b.*\b(?:me|us)\b")
_AT_ODDS = frozenset(
    frozenset(pair.split())
    for pair in (
        "place surface",
        "source goal",
        "source purpose",
        "means goal",
        "means purpose",
        "as source",
        "as goal",
        "as means",
    )
) | {frozenset({"as", role}) for role in ("place", "purpose")}


@dataclass(frozen=True, slots=True)
class Shape:
    """`first`: who acts on whom ("i", "you", or "" where not both stand). `roles`: of the words that have one.

    `whose`: of the words that are somebody's. `stands`: what must be the same where both say it, "of mine" or "of
    yours", "and" or "or". `subjects`: who does it, the customer or the business.
    """

    first: str
    roles: tuple[tuple[str, str], ...]
    whose: tuple[tuple[str, str], ...]
    stands: frozenset[str]
    subjects: frozenset[str]


def first_person(text: str) -> str:
    """Which of the customer and the business acts on the other, in English: "i", "you", or "" where only one is named."""
    if _YOU_THEN_ME.search(text):
        return "you"
    return "i" if _ME_THEN_YOU.search(text) else ""


def roles(words: Sequence[str], before: Mapping[str, str], articles: frozenset[str], empty: frozenset[str]) -> Roles:
    """The roles of the words behind a preposition of `before`; `articles` may stand between, other `empty` words end it."""
    found, role = dict[str, str](), ""
    for word in words:
        if word in before:
            role = before[word]
        elif word in empty:
            role = role if word in articles else ""
        elif role:
            found.setdefault(word, role)
    return found


def agree(one: Shape, two: Shape, both: frozenset[str]) -> bool:
    """Whether both may mean the same, by who acts and by what stands before the words in `both`."""
    if one.first and two.first and one.first != two.first:
        return False
    if _apart(one.stands, two.stands) or _apart(one.subjects, two.subjects):
        return False
    mine, theirs = dict(one.whose), dict(two.whose)
    if any(mine[word] != theirs[word] for word in both & mine.keys() & theirs.keys()):
        return False
    left, right = ({word: role for word, role in shape.roles if word in both} for shape in (one, two))
    if any(frozenset({left[word], right[word]}) in _AT_ODDS for word in left.keys() & right.keys()):
        return False
    # "Rooms for four" are not "four rooms".
    if any(word[0].isdigit() and left.get(word) != right.get(word) for word in _meant_for(left) | _meant_for(right)):
        return False
    # "Points for a booking", "a booking for points": each has a role where the other has none.
    return not (left.keys() - right.keys() and right.keys() - left.keys())


def _apart(one: frozenset[str], two: frozenset[str]) -> bool:
    return bool(one) and bool(two) and one.isdisjoint(two)


def _meant_for(found: Roles) -> set[str]:
    return {word for word, role in found.items() if role == "purpose"}
