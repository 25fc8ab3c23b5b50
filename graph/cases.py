"""Reviewed turns become cases of the desk: what was accepted or corrected, masked, with where it came from."""

import asyncio
import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.errors import UsageError
from domain.receipt import Receipt
from graph.service import Service
from models.answer_cache import LEAST_LIKENESS, LEAST_LIKENESS_ELSEWHERE
from models.same_question import exact_form, same_question
from store.reviews import Review

Json = dict[str, Any]

CASES = "cases"
"""The folder of a desk that holds its cases."""
REVIEWED = "reviewed.jsonl"
NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}\.jsonl")
HELD_OUT = "held_out"
"""What a file is called whose cases nobody may tune on: nothing is ever added to one, and none of it is shown."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A case that is there."""

    id: str
    question: str
    file: str

    @property
    def shown(self) -> str:
        return self.file if HELD_OUT in self.file else f"{self.file}: {self.id}"


async def cases(
    service: Service, file: str = REVIEWED, *, rated: bool = False, write: bool = True, who: str = "operator"
) -> Json:
    """Write what reviewers accepted or corrected into `file` of the desk's folder cases/, behind what it holds.

    `rated`: only turns that a customer has rated. Without `write` nothing is written. {file, written, already,
    cases:[…], duplicates:[{turn_id, question, of}], skipped:[{turn_id, why}]}; `already` are in the file from before.
    Raises UsageError for another place, a held-out file, and a folder that cannot be written.
    """
    if not NAMED.fullmatch(file) or HELD_OUT in file:
        raise UsageError("is no file that cases may be added to", where=file, fix=f"a name like {REVIEWED}")
    folder = service.desk_folder / CASES
    known = await asyncio.to_thread(_known, folder)
    there = {one.id for one in known if one.file == file}
    made: list[Json] = []
    duplicates: list[Json] = []
    skipped: list[Json] = []
    already = 0
    for kept, receipt, rating in await asyncio.to_thread(_reviewed, service, rated):
        if receipt is None:
            skipped.append({"turn_id": kept.turn_id, "why": "its receipt cannot be read"})
        elif _id(receipt) in there:
            already += 1
        else:
            row = await _case(service, kept, receipt, rating)
            if twin := await _twin(service, row, known):
                duplicates.append({"turn_id": kept.turn_id, "question": row["question"], "of": twin.shown})
            else:
                made.append(row)
                known.append(_Known(row["id"], row["question"], file))
    if write and made:
        await asyncio.to_thread(_append, folder / file, made)
        after = {"file": file, "cases": len(made)}
        await asyncio.to_thread(service.store.audit.record, who, "review.cases", None, after)
    return {
        "file": str(folder / file),
        "written": len(made) if write else 0,
        "already": already,
        "cases": made,
        "duplicates": duplicates,
        "skipped": skipped,
    }


def _reviewed(service: Service, rated: bool) -> list[tuple[Review, Receipt | None, str]]:  # noqa: FBT001  # of this file alone
    """Decisions that become cases, the oldest first, each with its turn and its thumb."""
    found = service.store.reviews.decided(["accepted", "corrected"])
    receipts = {one.turn_id: service.store.ledger.several([one.turn_id]).get(one.turn_id) for one in found}
    said = {one.turn_id: service.store.feedback.get(one.turn_id) for one in found}
    thumbs = {turn: one.rating if one else "" for turn, one in said.items()}
    return [(one, receipts[one.turn_id], thumbs[one.turn_id]) for one in found if thumbs[one.turn_id] or not rated]


async def _case(service: Service, kept: Review, receipt: Receipt, rating: str) -> Json:
    """The case of a turn, in the format of the desk's cases, with its provenance under `from`."""
    right, mask = kept.right, service.guards.mask
    corrected = kept.state == "corrected"
    outcome = right.outcome if corrected and right.outcome else receipt.outcome
    sources = list(dict.fromkeys(source.id for source in receipt.sources))
    row: Json = {
        "id": _id(receipt),
        "kind": "reviewed",
        # Masked once more: what the masking of that day let through may be known today.
        "question": await mask(receipt.standalone or receipt.question),
        "language": receipt.language,
        "outcome": outcome,
        "relevant": list(right.articles) if corrected else sources,
        "facts": [[await mask(each) for each in fact] for fact in right.facts],
        "must_not": [await mask(one) for one in right.must_not],
    }
    if not corrected and receipt.reason:
        row["reason"] = receipt.reason
    if right.answer:
        row["reference"] = await mask(right.answer)
    row["from"] = {
        "turn": receipt.turn_id,
        "at": receipt.at[:10],
        "review": kept.state,
        "rating": rating or None,
        "release": receipt.release,
        "prompt": receipt.prompt,
        "rag_config": receipt.rag_config,
        "knowledge": receipt.knowledge,
    }
    return row


def _id(receipt: Receipt) -> str:
    return f"turn-{receipt.turn_id}"


async def _twin(service: Service, row: Json, known: Sequence[_Known]) -> _Known | None:
    """A case that asks the same, in the same words or in others; None where there is none."""
    question, language = row["question"], row["language"]
    form = exact_form(question)
    least = LEAST_LIKENESS.get(service.embedder.name, LEAST_LIKENESS_ELSEWHERE)
    for one in known:
        if exact_form(one.question) == form:
            return one
        if same_question(one.question, question, language):
            first, second = [await service.embedder.query(text) for text in (one.question, question)]
            if sum(a * b for a, b in zip(first, second, strict=True)) >= least:
                return one
    return None


def _known(folder: Path) -> list[_Known]:
    """Every case of the desk. A line that is none is the suite's to complain about."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as fault:
            raise UsageError("cannot be read", where=str(path), fix="mend or remove it") from fault
        for line in lines:
            try:
                row = json.loads(line) if line.strip() else None
            except ValueError:
                continue
            if isinstance(row, dict) and isinstance(row.get("question"), str):
                found.append(_Known(str(row.get("id", "")), row["question"], path.name))
    return found


def _append(path: Path, rows: Sequence[Json]) -> None:
    """All of them or none: the file is made anew beside the old one and takes its place."""
    aside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(exist_ok=True)
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        with aside.open("w", encoding="utf-8") as file:
            file.write(old if old.endswith("\n") or not old else f"{old}\n")
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as fault:
        with suppress(OSError):
            aside.unlink()
        fix = "run it where the desk's folder may be written"
        raise UsageError(f"cannot be written: {fault.strerror}", where=str(path), fix=fix) from fault
