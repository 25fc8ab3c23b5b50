"""The answer cache's gate: how often it knows a question again, and how often it takes another one for it.

Rows `{a, b, same: 0|1, language?}`: a is stored, b is asked. Without --data: the generated near misses of
evals/near_misses.py, all of which must miss. A miss of the words is a miss; only what the words allow is embedded.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from domain.errors import UsageError
from domain.turn import Language
from evals.near_misses import near_misses
from evals.run import Miss, Result, Run, share
from graph.profiles import find_desk, read_profile
from models import detect_language, load_embedder
from models.answer_cache import LEAST_LIKENESS, LEAST_LIKENESS_ELSEWHERE
from models.same_question import exact_form, same_question
from retrieval import default_rag_config, load_rag_config

NAME = "cache"
LANGUAGES: tuple[Language, ...] = ("en", "vi")


class Row(BaseModel):
    """Two questions, and whether the answer to one is the answer to the other."""

    id: str = ""
    a: str = Field(min_length=1)
    b: str = Field(min_length=1)
    same: bool
    language: Language | None = None
    kind: str = "all"


async def measure(run: Run) -> Result:
    """Ask each b where a was answered. Raises UsageError without rows."""
    rows, unscored = _read(run.data, run) if run.data else (_generated(), 0)
    if not rows:
        raise UsageError("no rows", where=str(run.data), fix="one {a, b, same} a line")
    hits = await _hits(rows, run)
    hit_same = [hit for hit, row in zip(hits, rows, strict=True) if row.same]
    hit_other = [hit for hit, row in zip(hits, rows, strict=True) if not row.same]
    kinds: dict[str, list[bool]] = defaultdict(list)
    for hit, row in zip(hits, rows, strict=True):
        if row.kind != "all":
            kinds[row.kind].append(hit)
    return Result(
        NAME,
        {"rows": len(rows), "unscored": unscored, "data": run.data.name if run.data else "near misses"},
        [share("true_hit_rate", hit_same), share("false_hit_rate", hit_other)],
        {kind: [share("hit_rate", held)] for kind, held in kinds.items()},
        [
            Miss(row.id or str(number), row.kind, f"{row.a} | {row.b}")
            for number, (hit, row) in enumerate(zip(hits, rows, strict=True), start=1)
            if hit and not row.same
        ],
    )


def _generated() -> list[Row]:
    return [
        Row(a=one.stored, b=one.asked, same=False, language=one.language, kind=f"{one.kind} {one.language}")
        for one in near_misses()
    ]


def _read(path: Path, run: Run) -> tuple[list[Row], int]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as fault:
        raise UsageError("cannot be read", where=str(path), fix="pass --data FILE") from fault
    rows, broken = list[Row](), 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append(Row.model_validate(json.loads(line)))
        except (ValueError, ValidationError) as fault:
            run.say(f"{path.name}:{number}: unscored: {type(fault).__name__}")
            broken += 1
    return rows, broken


async def _hits(rows: Sequence[Row], run: Run) -> list[bool]:
    languages = read_profile(find_desk(run.settings.desk)).languages
    embedder = load_embedder(load_rag_config(run.settings.rag_config or default_rag_config(languages)).embedder.name)
    least = LEAST_LIKENESS.get(embedder.name, LEAST_LIKENESS_ELSEWHERE)
    hits = []
    for done, row in enumerate(rows, start=1):
        hit = exact_form(row.a) == exact_form(row.b)
        if not hit and same_question(row.a, row.b, row.language or detect_language(row.a, LANGUAGES)):
            one, two = await embedder.query(row.a), await embedder.query(row.b)
            hit = sum(left * right for left, right in zip(one, two, strict=True)) >= least
        hits.append(hit)
        run.progress(done, len(rows))
    return hits
