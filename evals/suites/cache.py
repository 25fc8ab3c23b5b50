"""The answer cache's gate: how often it knows a question again, and how often it takes another one for it.

Rows `{a, b, same: 0|1, language?}`: a is stored, b is asked. Rows `{text, intent, language?}`, as a labelled log of
customers has them, are made into pairs (each text with another of its intent, and with one of every other), and
replayed as a stream: each is asked where those before it that missed were kept. Without --data: the generated near
misses of evals/near_misses.py, all of which must miss. Only what the words allow is embedded.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from domain.errors import UsageError
from domain.progress import stage
from domain.turn import Language
from evals.kept_vectors import keeping
from evals.near_misses import near_misses
from evals.run import Figure, Miss, Result, Run, share
from graph.profiles import find_desk, read_profile
from models import detect_language, load_embedder
from models.answer_cache import LEAST_LIKENESS, LEAST_LIKENESS_ELSEWHERE
from models.same_question import exact_form, same_question
from retrieval import default_rag_config, load_rag_config

NAME = "cache"
LANGUAGES: tuple[Language, ...] = ("en", "vi")
STREAM = 1_000
"""Questions that are replayed: what is kept is looked through for each."""


class Row(BaseModel):
    """Two questions, and whether the answer to one is the answer to the other."""

    id: str = ""
    a: str = Field(min_length=1)
    b: str = Field(min_length=1)
    same: bool
    language: Language | None = None
    kind: str = "all"


class Said(BaseModel):
    """What a customer said, and what they wanted by somebody's label."""

    text: str = Field(min_length=1)
    intent: str = Field(min_length=1)
    language: Language | None = None


async def measure(run: Run) -> Result:
    """Ask each b where a was answered. Raises UsageError without rows."""
    rows, said, unscored = _read(run.data, run) if run.data else (_generated(), [], 0)
    rows += _pairs(said)
    if not rows:
        raise UsageError("no rows", where=str(run.data), fix="one {a, b, same} or {text, intent} a line")
    gate = _Gate(run)
    hits = []
    for done, row in enumerate(rows, start=1):
        hits.append(await gate.opens(row.a, row.b, row.language))
        stage(run.progress, "pairs")(done, len(rows))
    hit_same = [hit for hit, row in zip(hits, rows, strict=True) if row.same]
    hit_other = [hit for hit, row in zip(hits, rows, strict=True) if not row.same]
    kinds: dict[str, list[bool]] = defaultdict(list)
    for hit, row in zip(hits, rows, strict=True):
        if row.kind != "all":
            kinds[row.kind].append(hit)
    return Result(
        NAME,
        {"rows": len(rows), "unscored": unscored, "data": run.data.name if run.data else "near misses"},
        [share("true_hit_rate", hit_same), share("false_hit_rate", hit_other), *await _stream(said, gate, run)],
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


def _read(path: Path, run: Run) -> tuple[list[Row], list[Said], int]:
    """Pairs, labelled texts, and how many lines are neither."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as fault:
        raise UsageError("cannot be read", where=str(path), fix="pass --data FILE") from fault
    rows, said, broken = list[Row](), list[Said](), 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            given = json.loads(line)
            if isinstance(given, dict) and "intent" in given:
                said.append(Said.model_validate(given))
            else:
                rows.append(Row.model_validate(given))
        except (ValueError, ValidationError) as fault:
            run.say(f"{path.name}:{number}: unscored: {type(fault).__name__}")
            broken += 1
    return rows, said, broken


def _shuffled(said: Sequence[Said]) -> list[Said]:
    """In an order that says nothing, the same each time."""
    return sorted(said, key=lambda one: hashlib.sha256(one.text.encode()).hexdigest())


def _pairs(said: Sequence[Said]) -> list[Row]:
    """Each text beside the next of its intent (`same`), and beside one of each other intent."""
    by_intent: dict[str, list[Said]] = defaultdict(list)
    for one in _shuffled(said):
        by_intent[one.intent].append(one)
    rows = list[Row]()
    for intent, texts in by_intent.items():
        for place, one in enumerate(texts):
            for other, theirs in by_intent.items():
                two = theirs[(place + 1) % len(theirs)]
                if two is not one:
                    same = other == intent
                    kind = intent if same else "all"
                    rows.append(Row(a=one.text, b=two.text, same=same, language=one.language, kind=kind))
    return rows


class _Gate:
    """The cache's two conditions: the words, then the likeness of the vectors."""

    def __init__(self, run: Run) -> None:
        languages = read_profile(find_desk(run.settings.desk)).languages
        config = load_rag_config(run.settings.rag_config or default_rag_config(languages))
        self._embedder = keeping(load_embedder(config.embedder.name), run.vectors)
        self._least = LEAST_LIKENESS.get(self._embedder.name, LEAST_LIKENESS_ELSEWHERE)

    async def opens(self, stored: str, asked: str, language: Language | None) -> bool:
        """Whether `asked` is given the answer to `stored`."""
        if exact_form(stored) == exact_form(asked):
            return True
        if not same_question(stored, asked, language or detect_language(stored, LANGUAGES)):
            return False
        one, two = await self._embedder.query(stored), await self._embedder.query(asked)
        return sum(left * right for left, right in zip(one, two, strict=True)) >= self._least


async def _stream(said: Sequence[Said], gate: _Gate, run: Run) -> list[Figure]:
    """How often a question finds an answer among those that were kept for the ones before it."""
    kept, hits, wrong = list[Said](), list[bool](), list[bool]()
    asked = _shuffled(said)[:STREAM]
    for done, one in enumerate(asked, start=1):
        found = None
        for known in kept:
            if await gate.opens(known.text, one.text, one.language):
                found = known
                break
        hits.append(found is not None)
        wrong.append(found is not None and found.intent != one.intent)
        kept += [] if found else [one]
        stage(run.progress, "questions in a stream")(done, len(asked))
    return [share("stream_hit_rate", hits), share("stream_wrong_hit_rate", wrong)] if asked else []
