"""The operators' objects: their fields are a contract for the terminal and for HTTP."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes import FrozenClock, ShelfSearch
from places import open_store

from domain.errors import ConflictError, KnowledgeError, NotFoundError, UsageError
from domain.ports import ModelCard
from domain.profile import DeskProfile
from domain.receipt import Receipt
from domain.settings import read_settings
from domain.turn import Call, Passage, Score, Step, Verdict
from graph import operators
from graph.operations import OPERATIONS, run
from retrieval.articles import Article, ArticleInfo, IngestReport, KnowledgeVersion, Skip


@dataclass
class Shelf:
    """A knowledge that takes in what it is told to."""

    public: ShelfSearch
    version: str = "v1"
    trouble: str = ""
    damage: str = ""
    report: IngestReport = field(default_factory=lambda: IngestReport("v2"))
    infos: list[ArticleInfo] = field(default_factory=list)
    taken: list[Path] = field(default_factory=list)

    def articles(self):
        return self.infos

    def versions(self):
        return [KnowledgeVersion("v1", "2026-11-01T00:00:00+00:00", "bge@1", 2, 7, serving=self.version == "v1")]

    async def ingest(self, path, progress=None, *, embedder=None):
        assert embedder is None  # its own
        if progress:
            progress(1, 1)
        self.taken.append(path)
        self.version = self.report.version
        return self.report

    async def named(self, article, path):
        rows = [
            Article(one.id, one.title, "", one.audience, "en", root="/kb", place=f"{one.id}.md") for one in self.infos
        ]
        return [row for row in rows if row.id == article or (path and row.root == path)], 3

    async def forget(self, ids, progress=None, *, replaces=""):
        if progress:
            progress(1, 1)
        if replaces not in ("", self.version):
            raise ConflictError("another serves", where="knowledge")
        self.infos = [one for one in self.infos if one.id not in ids]
        self.version = "v2"
        return IngestReport("v2", removed=list(ids), unchanged=[one.id for one in self.infos])

    async def rollback(self, version):
        if version != "v0":
            raise KnowledgeError("no such kept version", where=version)
        self.version = version


class StarGuards:
    """Masks digits, blocks "attack"; on the output side blocks a number that no passage holds."""

    def __init__(self):
        self.own = None
        self.passages = None

    async def check_input(self, text, known):
        masked = "".join("*" if letter.isdigit() else letter for letter in text)
        blocked = Verdict("injection", "block", "injection", 0.9) if "attack" in text else None
        return SimpleNamespace(text=masked, secrets=known, verdicts=[blocked] if blocked else [], blocked=blocked)

    async def check_output(self, draft, *, question, passages, facts, own, language):
        assert (facts, language) == ([], "en")
        self.own, self.passages = own, passages
        known = " ".join([question, *(passage.text for passage in passages), *own.values()])
        wrong = any(word.isdigit() and word not in known for word in draft.split())
        blocked = Verdict("numbers", "block", "ungrounded", 1.0) if wrong else None
        return SimpleNamespace(
            text=draft, verdicts=[blocked] if blocked else [Verdict("numbers", "pass")], blocked=blocked
        )


class KeywordScope:
    async def judge(self, question):
        scope = "out" if "poem" in question else "in"
        return SimpleNamespace(scope=scope, score=0.7, reason=f"like {scope}")


class LengthRouter:
    async def judge(self, question, *, language, history):
        assert (language, history) == ("en", 0)
        hard = len(question.split()) > 8
        return SimpleNamespace(tier="complex" if hard else "simple", score=0.8 if hard else 0.1, why=["long"] * hard)


@pytest.fixture
def service(tmp_path):
    store = open_store(tmp_path, FrozenClock())
    passages = [
        Passage("a#1", "a", "Returns", "30 days to return.", 0.9),
        Passage("a#2", "a", "Returns", "Keep the box.", 0.8),
        Passage("b#1", "b", "Refunds", "Refunds take a week.", 0.7),
        Passage("c#1", "c", "Gifts", "Gift cards last.", 0.2),
    ]
    yield SimpleNamespace(
        settings=read_settings(),
        clock=FrozenClock(),
        store=store,
        profile=DeskProfile.model_validate({"name": "D", "languages": ["en", "vi"], "scope": {"describe": "things"}}),
        knowledge=Shelf(ShelfSearch(passages, 0.81234567)),
        guards=StarGuards(),
        scope=KeywordScope(),
        router=LengthRouter(),
        chat=SimpleNamespace(choose=lambda tier, _: ModelCard("big", "remote", tier) if tier == "complex" else None),
    )
    store.close()


def test_search_gives_each_article_once_by_its_best_passage(service):
    found = asyncio.run(operators.search(service, "return?", 2))
    assert found == {
        "question": "return?",
        "confidence": 0.8123,
        "results": [
            {"id": "a", "title": "Returns", "score": 0.9, "quote": "30 days to return."},
            {"id": "b", "title": "Refunds", "score": 0.7, "quote": "Refunds take a week."},
        ],
    }


@pytest.mark.parametrize(("question", "k"), [("  ", 3), ("fine", 0)])
def test_a_search_for_nothing_is_wrong_use(service, question, k):
    with pytest.raises(UsageError):
        asyncio.run(operators.search(service, question, k))


@pytest.mark.parametrize(
    ("text", "action", "passed"),
    [("hello", "pass", "hello"), ("my number is 12", "mask", "my number is **"), ("attack 7", "block", "attack *")],
)
def test_guard_says_what_happens_to_a_text(service, text, action, passed):
    result = asyncio.run(operators.guard(service, "input", text))
    assert (result["action"], result["text"]) == (action, passed)
    assert [set(verdict) for verdict in result["verdicts"]] == [{"guard", "action", "reason", "score"}] * (
        action == "block"
    )
    assert result["ms"] >= 0


def test_guard_gives_the_output_side_what_the_row_knows(service):
    bare = asyncio.run(operators.guard(service, "output", "it takes 30 days"))
    given = asyncio.run(
        operators.guard(service, "output", "it takes 30 days", passages=["within 30 days"], own=["me@here.example"])
    )
    assert (bare["action"], given["action"]) == ("block", "pass")
    assert list(service.guards.own.values()) == ["me@here.example"]
    assert [passage.text for passage in service.guards.passages] == ["within 30 days"]


def test_guard_knows_two_sides(service):
    with pytest.raises(UsageError, match="input or output"):
        asyncio.run(operators.guard(service, "sideways", "x"))


@pytest.mark.parametrize(
    ("question", "scope", "tier", "model"),
    [
        ("hello", "small_talk", "simple", ""),
        ("where is my parcel now", "in", "simple", "quote"),
        ("write me a poem about spoons", "out", "simple", ""),
        ("compare the kettle and the fryer by their warranty and their price", "in", "complex", "big"),
    ],
)
def test_route_says_where_a_question_goes(service, question, scope, tier, model):
    result = asyncio.run(operators.route(service, question))
    assert (result["scope"], result["tier"], result["model"]) == (scope, tier, model)
    assert set(result) == {"scope", "tier", "score", "reason", "model"}
    assert result["reason"]


def _receipt(turn_id="01900000-0000-7000-8000-000000000001"):
    return Receipt(
        turn_id=turn_id,
        thread_id="t",
        trace_id="0" * 32,
        desk="d",
        user="u" * 12,
        at="2026-11-21T09:00:00+00:00",
        language="en",
        outcome="answer",
        reason=None,
        question="q",
        answer="a",
        release="built-in",
        rag_config="bge@1",
        knowledge="v1",
        latency_ms=12.5,
        steps=[Step("route", 3.0)],
        calls=[Call("answer", "big", ok=True, input_tokens=100, output_tokens=20, cost_microusd=1_500)],
        scores=[Score("faithful", None, "no passages")],
    )


def test_a_receipt_is_whole_and_counts_tokens_and_dollars(service):
    service.store.ledger.save(_receipt())
    kept = asyncio.run(operators.receipt(service, "01900000-0000-7"))
    assert (kept["tokens"], kept["cost_usd"]) == (120, 0.0015)
    assert kept["steps"] == [{"name": "route", "ms": 3.0, "offset_ms": None}]
    assert kept["scores"] == [{"name": "faithful", "value": None, "comment": "no passages"}]


def test_a_prefix_of_two_receipts_is_no_answer(service):
    service.store.ledger.save(_receipt())
    service.store.ledger.save(_receipt("01900000-0000-7000-8000-000000000002"))
    with pytest.raises(NotFoundError, match="several"):
        asyncio.run(operators.receipt(service, "01900000"))


def test_ingest_reports_counts_and_stands_in_the_audit_log(service, tmp_path):
    articles = tmp_path / "articles"
    articles.mkdir()
    service.knowledge.report = IngestReport(
        "v2", added=["a", "b"], removed=["old"], unchanged=["c"], skipped=[Skip("x.bin", "a binary file")]
    )
    heard = []
    report = asyncio.run(operators.ingest(service, articles, lambda *at: heard.append(at), who="lan"))
    seconds = report.pop("seconds")
    assert seconds >= 0
    assert report == {
        "path": str(articles),
        "version": "v2",
        "added": 2,
        "changed": 0,
        "removed": 1,
        "unchanged": 1,
        "skipped": 1,
        "removed_ids": ["old"],
        "skips": [{"where": "x.bin", "why": "a binary file"}],
        "converted": [],
    }
    assert heard == [(1, 1)]
    entry = service.store.audit.recent(1)[0]
    assert (entry.who, entry.what, entry.before) == ("lan", "knowledge.ingest", {"version": "v1"})
    assert entry.after["version"] == "v2"
    assert entry.after["added"] == 2


def test_ingest_of_nothing_changes_and_logs_nothing(service, tmp_path):
    with pytest.raises(KnowledgeError, match="no such file"):
        asyncio.run(operators.ingest(service, tmp_path / "absent"))
    assert service.knowledge.taken == []
    assert service.store.audit.recent(1) == []


def test_knowledge_names_what_is_past_its_review_date(service):
    info = ArticleInfo("a", "A", "public", "en", "2026-01-01", "2026-11-20")
    service.knowledge.infos = [
        info,
        replace(info, id="b", review_by="2026-11-21"),
        replace(info, id="c", review_by="", audience="internal"),
    ]
    service.clock = FrozenClock(datetime(2026, 11, 21, 9, tzinfo=UTC))
    known = asyncio.run(operators.knowledge(service))
    assert (known["articles"], known["internal"], known["overdue"]) == (3, 1, ["a"])
    assert known["versions"][0]["version"] == "v1"


def test_what_goes_is_shown_before_it_is_forgotten_and_logged(service):
    service.knowledge.infos = [ArticleInfo(name, name.upper(), "public", "en", "", "") for name in ("a", "b")]
    would = asyncio.run(operators.forget(service, article="a", dry_run=True))
    assert would == {
        "version": "v1", "before": "v1", "removed": 1, "removed_ids": ["a"], "chunks": 3, "left": 1,
        "articles": [{"id": "a", "title": "A", "audience": "public", "path": "/kb/a.md"}],
    }  # fmt: skip
    assert service.store.audit.recent(1) == []
    with pytest.raises(ConflictError):
        asyncio.run(operators.forget(service, article="a", replaces="v0"))
    assert service.store.audit.recent(1) == []
    done = asyncio.run(run(service, "knowledge.forget", {"article": "a", "replaces": "v1"}, who="lan"))
    assert done == would | {"version": "v2"}
    entry = service.store.audit.recent(1)[0]
    assert (entry.who, entry.what, entry.before) == ("lan", "knowledge.forget", {"version": "v1"})
    assert entry.after == {"version": "v2", "removed": 1, "removed_ids": ["a"]}
    with pytest.raises(UsageError, match="is empty"):
        asyncio.run(operators.forget(service))


def test_rollback_serves_the_old_version_and_is_logged(service):
    known = asyncio.run(operators.rollback(service, "v0"))
    assert known["version"] == "v0"
    entry = service.store.audit.recent(1)[0]
    assert (entry.what, entry.before, entry.after) == ("knowledge.rollback", {"version": "v1"}, {"version": "v0"})


def test_rollback_to_what_was_never_kept_is_not_logged(service):
    with pytest.raises(KnowledgeError):
        asyncio.run(operators.rollback(service, "nine"))
    assert service.store.audit.recent(1) == []


def test_every_operation_is_carried_out_by_its_name_and_says_who(service):
    asyncio.run(run(service, "knowledge.rollback", {"version": "v0"}, who="an analyst"))
    assert service.store.audit.recent(1)[0].who == "an analyst"
    with pytest.raises(NotFoundError, match="no such operation"):
        asyncio.run(run(service, "knowledge.burn", {}))


def test_what_only_the_door_may_say_is_no_field():
    assert set(OPERATIONS["ingest"].fields) == {"path", "on"}
    assert all(not {"who", "service", "progress"} & set(operation.fields) for operation in OPERATIONS.values())


def test_what_is_read_changes_nothing(service):
    for name in ("knowledge", "search", "receipt"):
        assert OPERATIONS[name].reads
    asyncio.run(run(service, "knowledge", {}))
    assert service.store.audit.recent(1) == []
