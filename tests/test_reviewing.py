"""From what happened to cases: what waits for a reviewer, what is decided, and what is written without personal data."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import ScriptedChat, ShelfSearch, WordEmbedder
from house import RETURNS, House, open_house

from domain.errors import NotFoundError, UsageError
from domain.receipt import Reply
from domain.turn import Score
from evals.cases import FILES, read_cases
from graph.operations import OPERATIONS, run
from graph.record import Question
from retrieval.articles import ArticleInfo
from store.people import Erased

MAIL, PHONE = "ann.lee@mail.example", "+1 555 010 4477"
ASKED = "How many days do I have to return a lamp?"


@dataclass
class Bench:
    """A desk, and what operations read of it."""

    house: House
    service: Any
    folder: Path

    async def ask(self, text: str, user: str = "ann") -> Reply:
        return await self.house.desk.ask(Question(text, user))

    async def run(self, name: str, who: str = "key k1 (Linh)", **fields: object) -> Any:
        return await run(self.service, name, fields, who=who)

    @property
    def cases(self) -> Path:
        return self.folder / "desk" / "cases" / "reviewed.jsonl"


@asynccontextmanager
async def opened(folder: Path, **parts: Any) -> AsyncIterator[Bench]:
    async with open_house(folder / "state", **parts) as house:
        (folder / "desk").mkdir()
        articles = [ArticleInfo("returns", "Returning a lamp", "public", "en", "", "")]
        articles.append(ArticleInfo("goodwill", "Goodwill", "internal", "en", "", ""))
        service = SimpleNamespace(
            desk=house.desk,
            store=house.store,
            clock=house.clock,
            guards=house.desk._guards,
            embedder=WordEmbedder(),
            knowledge=SimpleNamespace(articles=lambda: articles),
            desk_folder=folder / "desk",
        )
        yield Bench(house, service, folder)


def test_what_went_wrong_waits_and_what_went_well_does_not(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path, judge_rate=0.0) as bench:
            store = bench.house.store
            fine, down, low, cut = [await bench.ask(f"{ASKED} {number}") for number in range(4)]
            handed = await bench.ask("I want to talk to a person")
            await bench.house.desk.rate(fine.turn_id, "ann", "up")
            await bench.house.desk.rate(down.turn_id, "ann", "down", f"wrong, write to {MAIL}")
            store.ledger.add_scores(low.turn_id, [Score("relevance", 0.3), Score("grounding", 0.6)])
            store.ledger.add_scores(fine.turn_id, [Score("relevance", 0.9), Score("grounding", 0.9)])
            store.ledger.add_scores(cut.turn_id, [Score("relevance", 1.0), Score("grounding", 0.5)])
            store.ledger.add_scores(handed.turn_id, [Score("relevance", None), Score("conciseness", 0.1)])

            found = await bench.run("review")
            waits = {turn["turn_id"]: turn["causes"] for group in found["groups"] for turn in group["turns"]}
            assert waits == {
                down.turn_id: ["thumbs_down"],
                low.turn_id: ["low_score"],
                cut.turn_id: ["low_score"],
                handed.turn_id: ["handoff"],
            }
            assert found["waiting"] == 4
            assert found["causes"] == {"handoff": 1, "low_score": 2, "thumbs_down": 1}
            assert [group["count"] for group in found["groups"]] == [3, 1]
            await bench.run("review.reject", turn_id=down.turn_id)
            assert (await bench.run("review"))["waiting"] == 3
            bench.house.clock.advance(8 * 86_400)
            assert (await bench.run("review"))["waiting"] == 0
            assert (await bench.run("review", since="30d"))["waiting"] == 3

    asyncio.run(story())


def test_a_dont_know_and_a_guard_that_could_not_run_wait(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path, shelf=ShelfSearch([RETURNS], 0.0)) as bench:
            reply = await bench.ask("Where is the warranty card of my lamp?")
            assert reply.outcome == "dont_know"
            receipt = bench.house.store.ledger.get(reply.turn_id)
            failed = replace(receipt, turn_id="01900000-f", outcome="refuse", reason="guard_failed")
            bench.house.store.ledger.save(failed)
            bench.house.store.reviews.ask([failed.turn_id], "below_line")
            found = await bench.run("review")
            assert found["causes"] == {"guard_fault": 1, "below_line": 1, "dont_know": 1}
            bench.house.store.ledger.save(replace(failed, turn_id="01900000-g", question="", standalone=""))
            with pytest.raises(UsageError, match="no text of this question"):
                await bench.run("review.accept", turn_id="01900000-g")
            assert (await bench.run("review.reject", turn_id="01900000-g"))["review"]["state"] == "rejected"

    asyncio.run(story())


def test_decisions_become_cases_with_provenance_and_without_personal_data(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path, judge_rate=0.0) as bench:
            good = await bench.ask(f"{ASKED} I am {MAIL}")
            bad = await bench.ask(f"Who pays for the return of a lamp? Call {PHONE}")
            spam = await bench.ask("Is a lamp a lamp? Return a lamp?")
            await bench.house.desk.rate(good.turn_id, "ann", "up")
            await bench.run("review.accept", turn_id=good.turn_id, note=f"I told {MAIL}")
            done = await bench.run(
                "review.correct",
                turn_id=bad.turn_id,
                answer=f"You pay 4.50 dollars; mail {MAIL}.",
                facts=["4.50|4,50", f"call {PHONE}"],
                articles=["returns"],
                must_not=["free"],
            )
            assert (done["review"]["state"], done["review"]["who"]) == ("corrected", "key k1 (Linh)")
            await bench.run("review.reject", turn_id=spam.turn_id)

            dry = await bench.run("review.cases", write=False)
            assert (dry["written"], len(dry["cases"]), bench.cases.exists()) == (0, 2, False)
            rated = await bench.run("review.cases", file="thumbs.jsonl", rated=True)
            assert [row["from"]["turn"] for row in rated["cases"]] == [good.turn_id]
            (bench.cases.parent / "thumbs.jsonl").unlink()

            written = await bench.run("review.cases")
            assert (written["written"], written["already"], written["duplicates"]) == (2, 0, [])
            again = await bench.run("review.cases")
            assert (again["written"], again["already"]) == (0, 2)

            first, second = [json.loads(line) for line in bench.cases.read_text("utf-8").splitlines()]
            assert (first["outcome"], first["relevant"], first["from"]["review"]) == ("answer", ["returns"], "accepted")
            assert (first["from"]["rating"], first["from"]["release"]) == ("up", "built-in")
            assert second["facts"][0] == ["4.50", "4,50"]
            assert (second["relevant"], second["must_not"]) == (["returns"], ["free"])
            read, broken = read_cases([bench.cases])
            assert ([case.outcome for case in read], broken) == (["answer", "answer"], [])
            logged = [(entry.who, entry.what) for entry in bench.house.store.audit.recent(9)]
            assert ("key k1 (Linh)", "review.accepted") in logged
            assert ("key k1 (Linh)", "review.corrected") in logged
            assert logged[0] == ("key k1 (Linh)", "review.cases")

    asyncio.run(story())
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in (MAIL, PHONE):
        assert secret.encode() not in kept
    assert b"4.50" in kept


def test_a_question_that_a_case_asks_already_is_named_and_a_held_out_one_is_not_shown(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path, judge_rate=0.0) as bench:
            bench.cases.parent.mkdir()
            dev, secret = (bench.cases.parent / name for name in ("dev.jsonl", "held_out.jsonl"))
            dev.write_text(json.dumps({"id": "c1", "question": f"{ASKED.lower()} "}) + "\nno case\n", "utf-8")
            secret.write_text(json.dumps({"id": "s1", "question": "Who pays for the return of a lamp"}), "utf-8")
            for text in (ASKED, "Who pays for the return of a lamp?", "Must a lamp be unused to return it?"):
                await bench.run("review.accept", turn_id=(await bench.ask(text)).turn_id)
            again = await bench.ask("must a lamp be unused to return it")
            await bench.run("review.accept", turn_id=again.turn_id)
            done = await bench.run("review.cases")
            assert done["written"] == 1
            assert [one["of"] for one in done["duplicates"]][:2] == ["dev.jsonl: c1", "held_out.jsonl"]
            assert done["duplicates"][2]["of"].startswith("reviewed.jsonl: turn-")
            assert secret.read_text("utf-8").count("\n") == 0
            for file in ("held_out.jsonl", "my_held_out.jsonl", "../dev.jsonl", "dev.yaml", ""):
                with pytest.raises(UsageError, match="no file that cases may be added to"):
                    await bench.run("review.cases", file=file)

    asyncio.run(story())


def test_a_folder_that_cannot_be_written_leaves_everything_as_it_was(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path, judge_rate=0.0) as bench:
            await bench.run("review.accept", turn_id=(await bench.ask(ASKED)).turn_id)
            bench.cases.parent.write_text("a file where the folder should be", "utf-8")
            with pytest.raises(UsageError, match="cannot be written"):
                await bench.run("review.cases")
            bench.cases.parent.unlink()
            bench.cases.parent.mkdir()
            bench.cases.write_text('{"id": "old", "question": "no line end"}', "utf-8")
            assert (await bench.run("review.cases"))["written"] == 1
            assert [json.loads(line)["id"][:4] for line in bench.cases.read_text("utf-8").splitlines()] == [
                "old",
                "turn",
            ]

    asyncio.run(story())


def test_people_rate_answers_and_wrong_ratings_are_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path, judge_rate=0.0) as bench:
            reply, handed = await bench.ask(ASKED), await bench.ask("I want to talk to a person")
            store, now = bench.house.store, bench.house.clock.now()
            store.reviews.ask([reply.turn_id], "rate")
            assert (await bench.run("review"))["causes"] == {"rate": 1, "handoff": 1}
            await bench.run("review.rate", turn_id=reply.turn_id, accuracy=2, safety=5)
            await bench.run("review.rate", turn_id=reply.turn_id, accuracy=4)
            await bench.run("review.rate", who="other", turn_id=reply.turn_id, accuracy=1)
            bench.house.clock.advance(1)
            rated = store.reviews.rated(now.replace(hour=0), bench.house.clock.now())
            assert [(one.who, one.aspect, one.value) for one in rated] == [
                ("key k1 (Linh)", "accuracy", 4), ("key k1 (Linh)", "safety", 5), ("other", "accuracy", 1),
            ]  # fmt: skip
            assert (await bench.run("review"))["causes"] == {"handoff": 1}
            for wrong in ({}, {"accuracy": 6}, {"safety": 0}):
                with pytest.raises(UsageError):
                    await bench.run("review.rate", turn_id=reply.turn_id, **wrong)
            with pytest.raises(UsageError, match="no answer to rate"):
                await bench.run("review.rate", turn_id=handed.turn_id, safety=3)

    asyncio.run(story())


def test_a_decision_needs_a_turn_and_something_right(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path, judge_rate=0.0) as bench:
            reply = await bench.ask(ASKED)
            with pytest.raises(NotFoundError):
                await bench.run("review.accept", turn_id="0190aaaa")
            with pytest.raises(UsageError, match="what is right"):
                await bench.run("review.correct", turn_id=reply.turn_id)
            for article in ("nowhere", "goodwill"):
                with pytest.raises(UsageError, match="no such public article"):
                    await bench.run("review.correct", turn_id=reply.turn_id, articles=[article])
            assert (await bench.run("review.show", turn_id=reply.turn_id))["review"] is None
            ask_again = await bench.run("review.correct", turn_id=reply.turn_id, outcome="dont_know")
            assert ask_again["review"]["outcome"] == "dont_know"

    asyncio.run(story())


def test_a_user_who_is_deleted_takes_reviews_and_ratings_along(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path, judge_rate=0.0) as bench:
            reply, store = await bench.ask(ASKED), bench.house.store
            await bench.run("review.accept", turn_id=reply.turn_id)
            await bench.run("review.rate", turn_id=reply.turn_id, safety=5)
            assert store.people.erase(store.vault.user_hash("ann")) == Erased(1, 0, 0, 0)
            assert store.reviews.decided(["accepted"]) == []
            assert (await bench.run("review.cases"))["cases"] == []

    asyncio.run(story())


def test_feedback_is_listed_with_its_turns_and_what_became_of_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path, judge_rate=0.0, chat=ScriptedChat(card=None)) as bench:
            up, down = await bench.ask(ASKED), await bench.ask("Who pays for the return of a lamp?")
            await bench.house.desk.rate(up.turn_id, "ann", "up")
            bench.house.clock.advance(60)
            await bench.house.desk.rate(down.turn_id, "ann", "down", f"no: {MAIL}")
            await bench.run("review.accept", turn_id=up.turn_id)
            found = await bench.run("feedback")
            assert (found["up"], found["down"]) == (1, 1)
            assert [(one["rating"], one["review"]) for one in found["feedback"]] == [("down", None), ("up", "accepted")]
            assert found["feedback"][0]["question"] == "Who pays for the return of a lamp?"
            assert found["feedback"][0]["comment"] == "no: <EMAIL_1>"
            only = await bench.run("feedback", rating="up", count=1)
            assert ([one["rating"] for one in only["feedback"]], only["down"]) == (["up"], 1)
            for wrong in ({"rating": "sideways"}, {"count": 0}, {"since": "soon"}):
                with pytest.raises(UsageError):
                    await bench.run("feedback", **wrong)

    asyncio.run(story())


def test_reviewing_is_an_analysts_and_writing_into_the_desk_an_admins() -> None:
    assert {OPERATIONS[name].scope for name in ("feedback", "review", "review.accept", "review.rate")} == {"analyst"}
    assert OPERATIONS["review.cases"].scope == "admin"
    assert OPERATIONS["review"].reads
    assert not OPERATIONS["review.accept"].reads
    assert "reviewed.jsonl" in FILES["dev"]
    assert FILES["held_out"] == ["held_out.jsonl"]
