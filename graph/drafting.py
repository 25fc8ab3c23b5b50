"""Gaps in the knowledge become drafts of articles, with what colleagues answered when they were asked.

A draft says `draft: true`, which no ingest takes: somebody has to read it first. Texts are masked.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from domain.errors import UsageError
from domain.receipt import Receipt
from domain.words import fold
from graph.figures import moment
from graph.gaps import find_gaps
from graph.service import Service

Json = dict[str, Any]

DRAFTS = "drafts"
"""The folder of a desk that drafts are written to: beside its knowledge, not in it."""
MOST = 100
ANSWERS, QUESTIONS = 5, 8
"""How many of each a draft shows, and no more."""
SLUG_LENGTH = 48
FENCE = "---"


@dataclass(frozen=True, slots=True)
class Draft:
    """An article to be: what was asked, the newest first, and what was answered, the oldest first."""

    turns: Sequence[Receipt]
    answers: Sequence[str]
    questions: Sequence[str]

    @property
    def name(self) -> str:
        """Its id and the name of its file."""
        words = re.sub(r"[^a-z0-9]+", "-", fold(self.questions[0])).strip("-")
        return f"draft-{words[:SLUG_LENGTH].strip('-') or self.turns[0].turn_id}"


async def draft(
    service: Service,
    since: str = "30d",
    most: int = 10,
    *,
    unanswered: bool = False,
    write: bool = True,
    who: str = "operator",
) -> Json:
    """Write a draft for each of the `most` asked gaps that a colleague or a reviewer has answered; the files are in docs/cli.md.

    `unanswered`: for those that nobody has answered too. A gap that has a draft gets no other. {folder, written,
    drafts:[{file, title, asked, answers}], there, left_out}: `there` have a draft, `left_out` have no answer. Raises UsageError.
    """
    if not 1 <= most <= MOST:
        raise UsageError(f"{most} drafts cannot be written", where="most", fix=f"ask for 1 to {MOST}")
    now = service.clock.now()
    groups = await find_gaps(service, moment(since, now), now)
    folder = service.desk_folder / DRAFTS
    drafted = await asyncio.to_thread(_drafted, folder)
    made: dict[str, Draft] = {}
    there = left_out = 0
    for turns in groups:
        if drafted & {turn.turn_id for turn in turns}:
            there += 1
            continue
        one = await _draft(service, turns)
        if not (one.answers or unanswered):
            left_out += 1
        elif len(made) < most:
            made.setdefault(one.name, one)
    if write and made:
        texts = {f"{name}.md": text(one, now) for name, one in made.items()}
        await asyncio.to_thread(_write, folder, texts)
        await asyncio.to_thread(service.store.audit.record, who, "gaps.draft", None, {"files": sorted(texts)})
    return {
        "folder": str(folder),
        "written": len(made) if write else 0,
        "drafts": [
            {"file": f"{name}.md", "title": one.questions[0], "asked": len(one.turns), "answers": len(one.answers)}
            for name, one in made.items()
        ],
        "there": there,
        "left_out": left_out,
    }


def text(one: Draft, now: datetime) -> str:
    """The file of a draft."""
    newest = one.turns[0]
    head = {
        "id": one.name,
        "title": one.questions[0],
        "audience": "public",
        "language": newest.language,
        "updated": now.date().isoformat(),
        "draft": True,
        "turns": [turn.turn_id for turn in one.turns],
    }
    front = yaml.safe_dump(head, allow_unicode=True, sort_keys=False)
    near = [turn.passages[0] for turn in one.turns if turn.passages]
    lines = [
        *(part for answer in one.answers for part in (answer, "")),
        "## For the reviewer",
        "",
        "Write the article above this line; delete this part, and `draft` and `turns` at the top; then move the file",
        "to the knowledge and ingest it. Placeholders such as `<PERSON_1>` stand for personal data: write around them.",
        "",
        f"Asked {len(one.turns)} times by {len({turn.user for turn in one.turns})} customers:",
        "",
        *(f"- {question}" for question in one.questions),
    ]
    if not one.answers:
        lines += ["", "Nobody has answered it yet."]
    if near:
        lines += ["", f"The nearest article was {near[0].article} ({near[0].title})."]
    body = "\n".join(lines)
    return f"{FENCE}\n{front}{FENCE}\n\n{body}\n"


async def _draft(service: Service, turns: Sequence[Receipt]) -> Draft:
    mask = service.guards.mask
    answers = await asyncio.to_thread(_answers, service, turns)
    asked = [" ".join((turn.standalone or turn.question).split()) for turn in turns]
    questions = list({question.casefold(): question for question in reversed(asked)}.values())[::-1]
    return Draft(
        turns,
        [await mask(answer) for answer in list(dict.fromkeys(answers))[:ANSWERS]],
        [await mask(question) for question in questions[:QUESTIONS]],
    )


def _answers(service: Service, turns: Sequence[Receipt]) -> list[str]:
    """What reviewers say is right, then what agents said in these threads after the question."""
    reviewed = service.store.reviews.several([turn.turn_id for turn in turns])
    right = [one.right.answer for one in reviewed.values() if one.state == "corrected" and one.right.answer]
    asked: dict[str, datetime] = defaultdict(service.clock.now)
    for turn in turns:
        asked[turn.thread_id] = min(asked[turn.thread_id], datetime.fromisoformat(turn.at))
    said = service.store.agents.said(list(asked))
    return right + [words for thread, at, words in said if at >= asked[thread]]


def _drafted(folder: Path) -> set[str]:
    """The turns that a draft in the folder was made from."""
    found: set[str] = set()
    for path in folder.glob("*.md"):
        try:
            head = yaml.safe_load(path.read_text(encoding="utf-8").split(f"{FENCE}\n")[1])
        except (OSError, UnicodeDecodeError, IndexError, yaml.YAMLError):
            continue  # somebody's own file: nothing of ours to look for
        turns = head.get("turns") if isinstance(head, dict) else None
        found |= {str(turn) for turn in turns} if isinstance(turns, list) else set()
    return found


def _write(folder: Path, texts: dict[str, str]) -> None:
    """A file each; one that is there stays as it is. After a failure none of the new ones is left."""
    written: list[Path] = []
    try:
        folder.mkdir(exist_ok=True)
        for name, words in texts.items():
            with (folder / name).open("x", encoding="utf-8") as file:
                written.append(folder / name)
                file.write(words)
    except OSError as fault:
        for path in written:
            path.unlink()
        why = "is there already" if isinstance(fault, FileExistsError) else f"cannot be written: {fault.strerror}"
        raise UsageError(why, where=str(fault.filename or folder), fix="see that folder, then try again") from fault
