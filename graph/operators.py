"""What operators ask of a running desk, as plain JSON objects: one place for the terminal and for HTTP.

The names of the fields are a contract (docs/cli.md); both doors print and send them as they come.
Nothing here is a customer's turn: those go through the Desk.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from domain.errors import KnowledgeError, UsageError
from domain.ports import Progress
from domain.receipt import MICRO
from domain.turn import Action, Language, Passage, Verdict
from graph.health import health
from graph.on_ray import Where, open_hands
from graph.service import Service
from guards import unmask
from models.language import detect_language
from models.smalltalk import is_vague, small_talk, wants_person
from models.spreading import SpreadEmbedder

Json = dict[str, Any]
Side = Literal["input", "output"]

MOST_RESULTS = 100
PASSAGES_AN_ARTICLE = 3
"""Passages looked at per article wanted: several of the best may be of one article."""
MS = 1000.0
QUOTE = "quote"
"""Stands for a model where the answer is quoted."""


async def search(service: Service, question: str, k: int = 5) -> Json:
    """The `k` best public articles, each by its best passage: {question, confidence, results:[{id,title,score,quote}]}."""
    _need(question, "question")
    if not 1 <= k <= MOST_RESULTS:
        raise UsageError(f"{k} results cannot be", where="k", fix=f"ask for 1 to {MOST_RESULTS}")
    found = await service.knowledge.public.search(question, k * PASSAGES_AN_ARTICLE)
    best: dict[str, Passage] = {}
    for passage in found.passages:
        best.setdefault(passage.article, passage)
    results = [
        {"id": passage.article, "title": passage.title, "score": round(passage.score, 4), "quote": passage.text}
        for passage in list(best.values())[:k]
    ]
    return {"question": question, "confidence": round(found.confidence, 4), "results": results}


async def guard(
    service: Service,
    side: str,
    text: str,
    *,
    question: str | None = None,
    passages: Sequence[str] | None = None,
    own: Sequence[str] | None = None,
) -> Json:
    """All guards of one side on one text: {action, text, verdicts:[{guard,action,reason,score}], ms}.

    `question`, `passages` and `own` (the customer's own data) belong to the output side. `text` in the result
    is what would go on; of a blocked text nothing would.
    """
    _need(text, "text")
    clock = asyncio.get_running_loop()
    started = clock.time()
    match side:
        case "input":
            check_in = await service.guards.check_input(text, {})
            verdicts, passed, blocked = check_in.verdicts, check_in.text, check_in.blocked
        case "output":
            mine = {f"<OWN_{number}>": each for number, each in enumerate(own or [], start=1)}
            check_out = await service.guards.check_output(
                text,
                question=question or "",
                passages=[_passage(number, each) for number, each in enumerate(passages or [], start=1)],
                facts=[],
                own=mine,
                language=_language(service, text),
            )
            verdicts, passed, blocked = check_out.verdicts, unmask(check_out.text, mine), check_out.blocked
        case _:
            raise UsageError(f"no side {side!r}", where="side", fix="input or output")
    return {
        "action": "block" if blocked else _action(verdicts, changed=passed != text),
        "text": passed,
        "verdicts": [asdict(verdict) for verdict in verdicts],
        "ms": round((clock.time() - started) * MS, 2),
    }


async def route(service: Service, question: str) -> Json:
    """Where a first question would go: {scope: in|out|small_talk, tier, score, reason, model}.

    `score` is how hard the question is, 0..1. `model` is asked if the knowledge is sure; "quote" for none.
    As in a turn, the question is masked first, and small talk is looked for before scope.
    """
    _need(question, "question")
    masked = (await service.guards.check_input(question, {})).text
    settled = _settled(masked)
    if settled:
        scope, reason = settled
        return {"scope": scope, "tier": "simple", "score": 0.0, "reason": reason, "model": ""}
    scope_verdict = await service.scope.judge(masked)
    verdict = await service.router.judge(masked, language=_language(service, masked), history=0)
    card = service.chat.choose(verdict.tier, 1.0) if scope_verdict.scope == "in" else None
    model = (card.name if card else QUOTE) if scope_verdict.scope == "in" else ""
    return {
        "scope": scope_verdict.scope,
        "tier": verdict.tier,
        "score": round(verdict.score, 4),
        "reason": "; ".join(part for part in (scope_verdict.reason, *verdict.why) if part),
        "model": model,
    }


async def receipt(service: Service, turn_id: str) -> Json:
    """The whole receipt of a turn, by its id or a prefix of 8 or more characters, with `tokens` and `cost_usd`.

    Raises NotFoundError.
    """
    kept = await asyncio.to_thread(service.store.ledger.get, turn_id)
    return asdict(kept) | {"tokens": kept.tokens, "cost_usd": kept.cost_microusd / MICRO}


async def report_health(service: Service) -> Json:
    """How every part is, in words for operators: {dependencies:[{name,state,detail,needed}]}."""
    return {"dependencies": [asdict(part) for part in health(service)]}


async def ingest(
    service: Service, path: str | Path, progress: Progress | None = None, *, on: Where = "", who: str = "operator"
) -> Json:
    """Take what lies at `path` on this machine into the desk's knowledge, and log who did; embedded where `on` says.

    {path, version, added, changed, removed, unchanged, skipped, removed_ids, skips:[{where,why}], converted:[{where,encoding}], seconds}.
    Raises UsageError, KnowledgeError, StoreError; then the knowledge is as it was.
    """
    place = await asyncio.to_thread(_place, path)
    clock = asyncio.get_running_loop()
    started, before = clock.time(), service.knowledge.version
    async with open_hands(on, service.settings.ray_address) as hands:
        spread = SpreadEmbedder(service.embedder, hands) if hands else None
        report = await service.knowledge.ingest(place, progress, embedder=spread)
    done: Json = {
        "path": str(place),
        "version": report.version,
        "added": len(report.added),
        "changed": len(report.changed),
        "removed": len(report.removed),
        "unchanged": len(report.unchanged),
        "skipped": len(report.skipped),
        "removed_ids": list(report.removed),
        "skips": [{"where": skip.where, "why": skip.why} for skip in report.skipped],
        "converted": [{"where": where, "encoding": encoding} for where, encoding in report.converted.items()],
    }
    after = {name: done[name] for name in ("path", "version", "added", "changed", "removed")}
    await asyncio.to_thread(service.store.audit.record, who, "knowledge.ingest", {"version": before}, after)
    return done | {"seconds": round(clock.time() - started, 2)}


async def knowledge(service: Service) -> Json:
    """What the desk knows: {version, articles, internal, overdue, damage, versions:[{version,at,config,articles,chunks,serving}]}.

    `overdue` are the ids of articles past their review_by; `damage`: what was found broken at the start, or empty.
    """
    articles = service.knowledge.articles()
    today = service.clock.now().date().isoformat()
    return {
        "version": service.knowledge.version,
        "articles": len(articles),
        "internal": sum(article.audience == "internal" for article in articles),
        "overdue": [article.id for article in articles if article.review_by and article.review_by < today],
        "damage": service.knowledge.damage,
        "versions": [asdict(version) for version in service.knowledge.versions()],
    }


async def forget(
    service: Service,
    progress: Progress | None = None,
    *,
    article: str = "",
    path: str = "",
    dry_run: bool = False,
    replaces: str = "",
    who: str = "operator",
) -> Json:
    """Take the article of this id, else all that came from this path, out of the knowledge, and log who did.

    {version, before, removed, removed_ids, chunks, left, articles:[{id,title,audience,path}]}. `dry_run`: say so, change nothing.
    `replaces`: the version in which they were seen. Raises KnowledgeError, ConflictError, StoreError; then the knowledge is as it was.
    """
    _need(article or path, "article")
    rows, chunks = await service.knowledge.named(article, str(_resolved(path)) if path else "")
    before, known = service.knowledge.version, len(service.knowledge.articles())
    ids = [row.id for row in rows]
    done: Json = {
        "version": before,
        "before": before,
        "removed": len(ids),
        "removed_ids": ids,
        "chunks": chunks,
        "left": known - len(ids),
        "articles": [
            {"id": row.id, "title": row.title, "audience": row.audience, "path": str(row.file)} for row in rows
        ],
    }
    if dry_run:
        return done
    report = await service.knowledge.forget(ids, progress, replaces=replaces)
    done |= {"version": report.version, "left": len(report.unchanged)}
    after = {name: done[name] for name in ("version", "removed", "removed_ids")}
    await asyncio.to_thread(service.store.audit.record, who, "knowledge.forget", {"version": before}, after)
    return done


async def rollback(service: Service, version: str, *, who: str = "operator") -> Json:
    """Serve a kept version of the knowledge again, and log who did; as `knowledge`. Raises KnowledgeError."""
    before = service.knowledge.version
    await service.knowledge.rollback(version)
    after = {"version": version}
    await asyncio.to_thread(service.store.audit.record, who, "knowledge.rollback", {"version": before}, after)
    return await knowledge(service)


def _resolved(path: str | Path) -> Path:
    try:
        return Path(path).expanduser().resolve()
    except (OSError, ValueError, RuntimeError) as fault:  # a NUL in it, a loop of links, or a home of nobody's
        raise _no_path(path) from fault


def _no_path(path: str | Path) -> KnowledgeError:
    return KnowledgeError("this is no path", where=repr(str(path)[:80]), fix="give that of your articles")


def _place(path: str | Path) -> Path:
    place = _resolved(path)
    try:
        found = place.exists()
    except OSError as fault:  # too long
        raise _no_path(path) from fault
    if not found:
        raise KnowledgeError("no such file or folder", where=str(place), fix="give the path of your articles")
    return place


def _need(text: str, name: str) -> None:
    if not text.strip():
        raise UsageError("is empty", where=name, fix="write something")


def _settled(masked: str) -> tuple[str, str] | None:
    """What `route` decides before scope is judged."""
    if wants_person(masked):
        return "in", "customer asked for a person"
    if kind := small_talk(masked):
        return "small_talk", kind
    return ("in", "vague") if is_vague(masked) else None


def _action(verdicts: Sequence[Verdict], *, changed: bool) -> Action:
    masked = changed or any(verdict.action == "mask" for verdict in verdicts)
    return "mask" if masked else "pass"


def _language(service: Service, text: str) -> Language:
    return detect_language(text, service.profile.languages)


def _passage(number: int, text: str) -> Passage:
    return Passage(id=f"given-{number}", article=f"given-{number}", title="", text=text, score=1.0)
