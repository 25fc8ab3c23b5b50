"""`feedback` and `review`: what customers say about answers, what a person should look at, and what becomes a case."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.office import run_operation
from cli.options import AsJson, Desk, desk_settings, readable
from cli.terminal import Json, note, shortened, show, show_dim, show_json, show_table

if TYPE_CHECKING:
    from domain.settings import Settings

FEEDBACK_EXAMPLES = """\b
Examples:
  frontdesk feedback
  frontdesk feedback --rating down --since 30d --json
\b
`frontdesk review show ID` shows the turn behind a rating; accept, correct or reject it there."""
CASES_EXAMPLES = """\b
Examples:
  frontdesk review to-cases --dry-run
  frontdesk feedback to-cases --file thumbs.jsonl
  frontdesk eval desk
\b
Cases go behind what the file in the desk's folder cases/ holds; reviewed.jsonl is part of `eval desk --split dev`.
Nothing is ever added to a held-out file. Texts are masked; a question that a case asks already is named and left out."""
LIST_EXAMPLES = """\b
Examples:
  frontdesk review list
  frontdesk review list --since 30d --json"""
SHOW_EXAMPLES = """\b
Example:
  frontdesk review show 01a1fd57-944a"""
ACCEPT_EXAMPLES = """\b
Example:
  frontdesk review accept 01a1fd57-944a --note "rightly refused"
\b
Accepting says that what the desk did is right and shall stay so. Any turn may be accepted, also one that waits for
nobody, such as a thumb up."""
CORRECT_EXAMPLES = """\b
Examples:
  frontdesk review correct 01a1fd57-944a --fact "30 days|thirty days" --article return-policy
  frontdesk review correct 01a1fd57-944a --outcome dont_know --note "we do not sell these"
\b
Each --fact is one fact that a right answer says, its wordings parted by |."""
REJECT_EXAMPLES = """\b
Example:
  frontdesk review reject 01a1fd57-944a --note "a test of ours"
"""
RATE_EXAMPLES = """\b
Example:
  frontdesk review rate 01a1fd57-944a --accuracy 5 --relevance 4 --safety 5
\b
1 is the worst, 5 the best. The weekly report asks for 5 % of its sample, and shows how judge and people agree."""

SHOWN = 20
TURNS_A_GROUP = 3
QUESTION_LENGTH = 64

Rating = Literal["", "up", "down"]
End = Literal["answer", "dont_know", "refuse", "handoff"]
TurnId = Annotated[str, typer.Argument(metavar="ID", help="A turn's id, or 8 or more characters that it begins with.")]
Since = Annotated[str, typer.Option("--since", metavar="SPAN", help="24h, 7d, 2w, or a date such as 2026-11-01.")]
Note = Annotated[str, typer.Option("--note", help="Why, for colleagues.")]
File = Annotated[str, typer.Option("--file", metavar="NAME", help="A file of the desk's folder cases/.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be written, write nothing.")]


def feedback(
    *,
    since: Since = "7d",
    rating: Annotated[Rating, typer.Option("--rating", help="Only these.", show_default=False)] = "",
    count: Annotated[int, typer.Option("--last", min=1, max=500, help="How many.")] = 50,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """List what customers said about answers, the newest first, with what reviewers made of it."""
    given: dict[str, Any] = {"since": readable(since, "--since"), "rating": rating, "count": count}
    found = run_operation(desk_settings(desk), "feedback", **given)
    if as_json:
        show_json(found)
        return
    rows = [
        [
            one["at"][:16],
            one["rating"],
            shortened(one["question"], QUESTION_LENGTH),
            shortened(one["comment"], QUESTION_LENGTH),
            one["review"] or "",
            one["turn_id"],
        ]
        for one in found["feedback"]
    ]
    if rows:
        show_table(["at (UTC)", "thumb", "question", "comment", "review", "turn"], rows)
    show(f"since {found['since'][:16]} UTC: {found['up']} up, {found['down']} down")


def feedback_to_cases(
    *, file: File = "reviewed.jsonl", dry_run: DryRun = False, desk: Desk = None, as_json: AsJson = False
) -> None:
    """Write rated turns that a reviewer has accepted or corrected into the desk's cases."""
    _to_cases(file, desk, rated=True, dry_run=dry_run, as_json=as_json)


def to_cases(
    *, file: File = "reviewed.jsonl", dry_run: DryRun = False, desk: Desk = None, as_json: AsJson = False
) -> None:
    """Write every turn that a reviewer has accepted or corrected into the desk's cases."""
    _to_cases(file, desk, rated=False, dry_run=dry_run, as_json=as_json)


def list_waiting(*, since: Since = "7d", desk: Desk = None, as_json: AsJson = False) -> None:
    """List the turns that a person should look at, grouped by meaning, the largest group first."""
    found = asyncio.run(_waiting(desk_settings(desk), readable(since, "--since")))
    if as_json:
        show_json(found)
        return
    for group in found["groups"][:SHOWN]:
        show(f"{group['count']} × {shortened(group['example'], QUESTION_LENGTH)}  ({_counted(group['causes'])})")
        for turn in group["turns"][:TURNS_A_GROUP]:
            judged = "" if turn["judged"] is None else f", judged {turn['judged']:.2f}"
            show_dim(f"    {turn['turn_id']}  {turn['outcome']}{judged}: {', '.join(turn['causes'])}")
        if group["count"] > TURNS_A_GROUP:
            show_dim(f"    and {group['count'] - TURNS_A_GROUP} more (--json)")
    if len(found["groups"]) > SHOWN:
        show(f"and {len(found['groups']) - SHOWN} groups more (--json)")
    newest = "the newest " if found["more"] else ""
    waiting = (
        f"{newest}{found['waiting']} turns wait: {_counted(found['causes'])}" if found["waiting"] else "none waits"
    )
    show(f"since {found['since'][:16]} UTC: {waiting}")


def show_one(*, turn_id: TurnId, desk: Desk = None, as_json: AsJson = False) -> None:
    """Show a turn as a reviewer needs it: what was said, from which sources, what its customer and the judge say."""
    _shown(_run(desk, "review.show", turn_id), as_json=as_json)


def accept(*, turn_id: TurnId, note: Note = "", desk: Desk = None, as_json: AsJson = False) -> None:
    """Say that what the desk did is right: it becomes a case."""
    _shown(_run(desk, "review.accept", turn_id, note=note), as_json=as_json)


def correct(
    *,
    turn_id: TurnId,
    outcome: Annotated[End, typer.Option("--outcome", help="What the turn should have ended in.")] = "answer",
    answer: Annotated[str, typer.Option("--answer", help="The right answer.")] = "",
    fact: Annotated[list[str] | None, typer.Option("--fact", help="A fact a right answer says; a|b: either.")] = None,
    article: Annotated[list[str] | None, typer.Option("--article", help="Id of an article that holds it.")] = None,
    must_not: Annotated[list[str] | None, typer.Option("--must-not", help="What no answer may say.")] = None,
    note: Note = "",
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Say what would have been right: it becomes a case."""
    fields: dict[str, Any] = {
        "outcome": outcome,
        "answer": answer,
        "facts": fact or [],
        "articles": article or [],
        "must_not": must_not or [],
        "note": note,
    }
    _shown(_run(desk, "review.correct", turn_id, **fields), as_json=as_json)


def reject(*, turn_id: TurnId, note: Note = "", desk: Desk = None, as_json: AsJson = False) -> None:
    """Say that nothing is to be learnt from a turn: it leaves the queue."""
    _shown(_run(desk, "review.reject", turn_id, note=note), as_json=as_json)


def rate(
    *,
    turn_id: TurnId,
    accuracy: Annotated[int | None, typer.Option("--accuracy", min=1, max=5, help="Is it true?")] = None,
    relevance: Annotated[int | None, typer.Option("--relevance", min=1, max=5, help="Is it what was asked?")] = None,
    safety: Annotated[int | None, typer.Option("--safety", min=1, max=5, help="Can it do no harm?")] = None,
    desk: Desk = None,
    as_json: AsJson = False,
) -> None:
    """Rate an answer as a person, 1 worst to 5 best."""
    said = {"accuracy": accuracy, "relevance": relevance, "safety": safety}
    _shown(_run(desk, "review.rate", turn_id, **said), as_json=as_json)


async def _waiting(settings: "Settings", since: str) -> Json:
    from cli.office import open_office  # noqa: PLC0415  # --help need not wait for it

    async with open_office(settings) as office:
        note("reading receipts and grouping questions by meaning")
        return await office.run("review", since=since)


def _run(desk: str | None, operation: str, turn_id: str, **fields: Any) -> Json:
    texts = {name: readable(value, f"--{name}") if isinstance(value, str) else value for name, value in fields.items()}
    return run_operation(desk_settings(desk), operation, turn_id=readable(turn_id, "ID"), **texts)


def _to_cases(file: str, desk: str | None, *, rated: bool, dry_run: bool, as_json: bool) -> None:
    fields: dict[str, Any] = {"file": readable(file, "--file"), "rated": rated, "write": not dry_run}
    done = run_operation(desk_settings(desk), "review.cases", **fields)
    if as_json:
        show_json(done)
        return
    for row in done["cases"]:
        show(f"{row['id']}  {row['outcome']}  {shortened(row['question'], QUESTION_LENGTH)}")
    for one in done["duplicates"]:
        note(f"{one['turn_id']}: asks what a case asks already ({one['of']})")
    for one in done["skipped"]:
        note(f"{one['turn_id']}: left out: {one['why']}")
    what = f"{len(done['cases'])} would be written" if dry_run else f"{done['written']} written"
    show(f"{done['file']}: {what}, {done['already']} there from before, {len(done['duplicates'])} asked already")


def _shown(turn: Json, *, as_json: bool) -> None:
    if as_json:
        show_json(turn)
        return
    show(f"{turn['turn_id']} · {turn['at'][:16]} UTC · {turn['outcome']} {turn['reason'] or ''}".rstrip())
    show_dim("customer")
    show(turn["question"])
    show_dim("desk")
    show(turn["answer"])
    for source in turn["sources"]:
        show_dim(f"    {source['id']}: {shortened(source['title'], QUESTION_LENGTH)}")
    if turn["rating"]:
        show(f"thumb {turn['rating']}{': ' if turn['comment'] else ''}{turn['comment']}")
    scored = [f"{name} {'unscored' if value is None else f'{value:.2f}'}" for name, value in turn["scores"].items()]
    if scored:
        show_dim(f"judge: {', '.join(scored)}")
    if review := turn["review"]:
        by = f" by {review['who']}, {review['decided_at'][:16]} UTC" if review["who"] else ""
        show(f"review: {review['state']}{by}{': ' if review['note'] else ''}{review['note']}")


def _counted(causes: dict[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in causes.items())
