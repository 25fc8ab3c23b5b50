"""Releases: what they pin, how one reaches an environment, how one goes back, and who must agree."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import CountingIds, FrozenClock, ScriptedChat, WordEmbedder
from house import PROFILE
from places import open_store
from test_retrieval import configured, write

from domain.errors import ConflictError, KnowledgeError, NotFoundError, UsageError
from domain.ports import ModelCard
from domain.profile import DeskProfile
from domain.release import Release
from domain.settings import Settings
from graph import releasing
from graph.bell import Bell
from graph.desk import Desk, Limits
from graph.judging import Judging
from graph.record import Question
from graph.releases import FRESH_SECONDS, RETRY_SECONDS, Releases
from graph.rooms import Rooms
from graph.serving import Variants, built_in
from graph.threads import open_saver
from guards import Guards, ScopeFilter
from models.learned_router import LearnedRouter
from prompts import PromptLibrary, Replies
from retrieval import Knowledge
from store import Store
from tracing import Metrics, NoTracer

ASKED = "How many days do I have to return a lamp?"
BIG = ModelCard("gpt-4.1", "remote", "complex")
GATE = {"passed": True, "at": "2026-11-21T09:00:00+00:00", "who": "key 1", "figures": {}}


@dataclass
class Chat(ScriptedChat):
    """A model that always says the same, and another that may be pinned."""

    cards: dict[str, ModelCard | None] = field(default_factory=lambda: {"gpt-4.1": BIG})

    def up(self) -> dict[str, ModelCard | None]:
        return self.cards


@dataclass
class Place:
    """A desk whose releases are real."""

    service: Any
    chat: Chat
    clock: FrozenClock
    store: Store
    knowledge: Knowledge
    variants: Variants
    articles: Path

    def releases(self) -> Releases:
        """Those of another replica on the same store."""
        return Releases(self.store, self.variants, self.service.releases.built_in, "dev", self.clock)

    async def ask(self, user: str = "mai") -> Any:
        self.chat.lines.append("You have 30 days to return a lamp.")
        return (await self.service.desk.ask(Question(ASKED, user))).receipt


@asynccontextmanager
async def opened(folder: Path, profile: DeskProfile = PROFILE) -> AsyncIterator[Place]:
    clock, chat, embedder, opened = FrozenClock(), Chat(), WordEmbedder(), AsyncExitStack()
    settings = Settings(llm="off", ner="off")
    store = open_store(folder / "state", clock, daily_limit=1_000_000)
    knowledge = await Knowledge.open(folder / "kb", configured(grey=(0.0, 0.0)), embedder, clock)
    articles = write(folder / "articles", returns="You can return a lamp within 30 days. It must be unused.")
    await knowledge.ingest(articles)
    saver = await open_saver(folder, opened, "")
    prompts, guards = PromptLibrary.load(), Guards.load(profile)
    rooms = Rooms(
        profile,
        configured(grey=(0.0, 0.0)),
        embedder,
        knowledge,
        guards,
        ScopeFilter(profile, embedder),
        LearnedRouter(embedder),
        prompts,
    )
    variants = Variants(rooms, chat, settings, up=chat.up, cache=None, saver=saver, tracer=NoTracer(), desk="lamps")
    releases = Releases(store, variants, built_in(rooms, settings), "dev", clock)
    knowledge.pinned.held = releases.held
    metrics = Metrics()
    desk = Desk(
        releases.base.graph,
        Judging(store, NoTracer(), metrics, backlog=1, rate=lambda: 0.0, clock=clock),
        choose=releases.choose,
        saver=saver,
        store=store,
        guards=guards,
        replies=Replies(profile),
        tracer=NoTracer(),
        metrics=metrics,
        limits=Limits(64, 20.0),
        clock=clock,
        ids=CountingIds(),
        bell=Bell("lamps"),
    )
    service = SimpleNamespace(
        store=store, releases=releases, prompts=prompts, knowledge=knowledge, profile=profile, chat=chat, clock=clock,
        desk=desk,
    )  # fmt: skip
    try:
        yield Place(service, chat, clock, store, knowledge, variants, articles)
    finally:
        await desk.close()
        await opened.aclose()
        await knowledge.close()
        store.close()


def at(tmp_path: Path, work: Callable[[Place], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with opened(tmp_path, **options) as place:
            await work(place)

    asyncio.run(run())


def test_a_release_pins_prompt_model_guards_and_knowledge_and_the_receipt_names_it(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        service, old = place.service, place.knowledge.version
        before = await place.ask()
        assert (before.release, before.prompt, before.model) == ("built-in", "answer@1", "scripted")
        made = await releasing.create(
            service, name="r1", prompts={"answer": "answer_better"}, thresholds={"injection": 1e-9},
            models={"simple": "gpt-4.1", "medium": "gpt-4.1"}, who="key 1",
        )  # fmt: skip
        assert made["pins"]["knowledge"] == old
        assert (await place.ask()).release == "built-in"
        write(place.articles, returns="Lamps are sold as seen.")
        place.clock.advance(1)
        await place.knowledge.ingest(place.articles)
        assert (await releasing.show(service))["name"] == "built-in"
        await releasing.promote(service, name="r1", who="key 1")
        assert (await releasing.show(service))["name"] == "r1"
        assert any(said.action == "block" for said in (await place.ask()).verdicts)  # of so little all are attacks
        tuned = await releasing.create(
            service, name="r2", base="r1", knowledge=old, thresholds={"injection": 0.5}, who="k"
        )
        assert tuned["pins"]["prompt answer"] == "answer_better@1"
        await releasing.promote(service, name="r2", who="key 1")
        receipt = await place.ask()
        assert (receipt.release, receipt.prompt, receipt.model) == ("r2", "answer_better@1", "gpt-4.1")
        assert receipt.knowledge == old != place.knowledge.version
        assert "30 days" in place.chat.requests[-1].messages[-1].text
        place.chat.cards["gpt-4.1"] = None
        assert (await place.ask()).model == "scripted"

    at(tmp_path, work)


def test_a_rollback_holds_in_every_replica_within_a_second_and_no_turn_fails(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        service = place.service
        other = place.releases()
        await releasing.create(service, name="r1", who="key 1")
        assert (await other.choose("mai")).labels.release == "built-in"

        async def customers(names: str) -> list[asyncio.Task[Any]]:
            turns = [asyncio.create_task(place.ask(f"{names} {number}")) for number in range(12)]
            await asyncio.sleep(0.01)
            return turns

        turns = await customers("early")
        await releasing.promote(service, name="r1", who="key 1")
        assert (await place.ask()).release == "r1"
        turns += await customers("late")
        await releasing.rollback(service, who="key 1")
        assert (await place.ask()).release == "built-in"
        assert {(await turn).release for turn in turns} <= {"built-in", "r1"}
        kept = place.store.ledger.recent(100)
        assert [row.error for row in kept] == [""] * 26
        assert {row.outcome for row in kept} == {"answer"}

        await releasing.promote(service, name="r1", who="key 1")
        assert (await other.choose("mai")).labels.release == "built-in"  # read just now
        place.clock.advance(FRESH_SECONDS)
        assert (await other.choose("mai")).labels.release == "r1"
        await releasing.rollback(service, who="key 1")
        place.clock.advance(FRESH_SECONDS)
        assert (await other.choose("mai")).labels.release == "built-in"
        assert FRESH_SECONDS < 1

    at(tmp_path, work)


def test_of_two_promotions_at_once_one_wins_and_the_other_is_told(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        service = place.service
        for name in ("r1", "r2"):
            await releasing.create(service, name=name, who="key 1")
        both = [
            releasing.promote(service, name=name, replaces="built-in", who=f"key of {name}") for name in ("r1", "r2")
        ]
        done = await asyncio.gather(*both, return_exceptions=True)
        won = [one for one in done if isinstance(one, dict)]
        lost = [one for one in done if isinstance(one, ConflictError)]
        assert (len(won), len(lost)) == (1, 1)
        assert f"{won[0]['release']} serves" in str(lost[0])  # since it looked, or already when it looked
        assert service.store.releases.serving("dev").release == won[0]["release"]
        with pytest.raises(ConflictError, match="serves there, not built-in"):
            await releasing.promote(
                service, name="r2" if won[0]["release"] == "r1" else "r1", replaces="built-in", who="k"
            )

    at(tmp_path, work)


def test_production_is_reached_through_the_gate_or_with_a_reason_that_the_log_keeps(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        service = place.service
        await releasing.create(service, name="r1", who="key 1")
        with pytest.raises(ConflictError, match="was not put through the gate"):
            await releasing.promote(service, name="r1", environment="production", who="key 1")
        await releasing.prove(service, name="r1", passed=False, figures={"diff_answered_right": -0.2}, who="key 1")
        with pytest.raises(ConflictError, match="the gate was not passed"):
            await releasing.promote(service, name="r1", environment="production", without_gate="  ", who="key 1")
        done = await releasing.promote(
            service, name="r1", environment="production", without_gate="the judge is down", who="key 2"
        )
        assert done == {"environment": "production", "release": "r1", "before": "built-in", "state": "serving"}
        entry = service.store.audit.recent(1)[0]
        assert (entry.who, entry.what) == ("key 2", "release.promote")
        assert entry.after == {"environment": "production", "release": "r1", "without_gate": "the judge is down"}
        assert service.store.releases.serving("dev").release == "built-in"
        await releasing.create(service, name="r2", who="key 1")
        shown = await releasing.prove(service, name="r2", passed=True, figures={"mcnemar_p": 1.0}, who="key 1")
        assert shown["gate"]["figures"] == {"mcnemar_p": 1.0}
        await releasing.promote(service, name="r2", environment="production", who="key 2")

    at(tmp_path, work)


def test_where_the_desk_asks_for_it_a_second_key_must_agree_and_the_log_shows_both(tmp_path: Path) -> None:
    rules = PROFILE.model_dump(by_alias=True) | {"releases": {"approval": ["production"]}}

    async def work(place: Place) -> None:
        service = place.service
        await releasing.create(service, name="r1", who="owner")
        service.store.releases.prove("r1", GATE, "owner")

        async def promote(who: str) -> str:
            done = await releasing.promote(service, name="r1", environment="production", who=who)
            return str(done["state"])

        assert await promote("owner") == "waiting"
        for same in ("owner", "operator"):  # one person at this machine, through a server or not
            with pytest.raises(UsageError, match="second key"):
                await promote(same)
        assert service.store.releases.serving("production").release == "built-in"
        assert await promote("key 2 (Lan)") == "serving"
        done, asked = service.store.audit.recent(2)
        assert (asked.what, asked.who) == ("release.promote.ask", "owner")
        assert (done.what, done.after["asked_by"], done.after["agreed_by"]) == (
            "release.promote",
            "owner",
            "key 2 (Lan)",
        )
        await releasing.rollback(service, environment="production", who="owner")  # back needs nobody
        assert await promote("owner") == "waiting"  # an old consent is used up

    at(tmp_path, work, profile=DeskProfile.model_validate(rules))


def test_a_prompt_is_promoted_as_a_release_of_one_line_and_goes_back_as_one(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        service = place.service
        await releasing.create(service, name="r1", thresholds={"toxicity": 0.7}, who="k")
        await releasing.promote(service, name="r1", who="k")
        done = await releasing.promote_prompt(service, name="answer_better", who="k")
        changed = await releasing.diff(service, a="r1", b=done["release"])
        assert changed["changes"] == [{"pin": "prompt answer", "a": "answer@1", "b": "answer_better@1"}]
        assert (await place.ask()).prompt == "answer_better@1"
        again = await releasing.rollback_prompt(service, who="k")
        assert again["release"] == "r1"
        assert (await place.ask()).prompt == "answer@1"
        with pytest.raises(UsageError, match="no other prompt stood for it"):
            await releasing.rollback_prompt(service, name="judge", who="k")
        for wrong, why in (("judge", "cannot stand for answer"), ("nowhere@3", "no prompt")):
            with pytest.raises(UsageError, match=why):
                await releasing.promote_prompt(service, name=wrong, stands_for="answer", who="k")

    at(tmp_path, work)


def test_going_back_again_and_again_ends_at_what_ships(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        service = place.service
        for name in ("r1", "r2", "r3"):
            await releasing.create(service, name=name, who="k")
            await releasing.promote(service, name=name, who="k")
        went = [(await releasing.rollback(service, who="k"))["release"] for _ in range(3)]
        assert went == ["r2", "r1", "built-in"]
        with pytest.raises(UsageError, match="nothing served before it"):
            await releasing.rollback(service, who="k")

    at(tmp_path, work)


def test_what_a_release_is_pinned_to_survives_every_ingest(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        service, pinned = place.service, place.knowledge.version
        await releasing.create(service, name="r1", who="k")
        await releasing.promote(service, name="r1", who="k")
        for number in range(5):
            write(place.articles, returns=f"You can return a lamp within {number} days.")
            place.clock.advance(2)
            await place.knowledge.ingest(place.articles)
        versions = [row.version for row in place.knowledge.versions()]
        assert pinned in versions
        assert len(versions) == 4
        assert (await place.ask()).knowledge == pinned
        await releasing.create(service, name="r2", knowledge="live", who="k")
        await releasing.promote(service, name="r2", who="k")
        assert (await place.ask()).knowledge == place.knowledge.version

    at(tmp_path, work)


def test_a_release_that_cannot_be_served_is_refused_and_one_that_no_longer_can_leaves_the_last(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        service = place.service
        for fields, why in (
            ({"knowledge": "gone"}, "no such kept version"),
            ({"prompts": {"answer": "answer@99"}}, "no prompt"),
            ({"prompts": {"poem": "answer"}}, "nothing asks for"),
            ({"models": {"simple": "gpt-0"}}, "no model"),
            ({"base": "nowhere"}, "no such release"),
            ({"thresholds": {"injection": 7.0}}, "cannot be a release"),
        ):
            with pytest.raises((UsageError, NotFoundError), match=why):
                await releasing.create(service, name="bad", who="k", **fields)
        with pytest.raises(UsageError, match="no environment 'moon'"):
            await releasing.promote(service, name="built-in", environment="moon", who="k")
        await releasing.create(service, name="r1", who="k")
        with pytest.raises(ConflictError, match="of that name"):
            await releasing.create(service, name="r1", note="another", who="k")

        lost = Release(
            name="lost",
            prompts={},
            rag_config=service.releases.built_in.rag_config,
            knowledge="20200101T000000-00000000",
        )
        service.store.releases.add(lost, "", "k")
        with pytest.raises(KnowledgeError, match="no such kept version"):
            await releasing.promote(service, name="lost", who="k")
        await releasing.promote(service, name="r1", who="k")
        assert (await place.ask()).release == "r1"
        seen = service.store.releases.serving("dev")
        service.store.releases.deploy(releasing.Deed("release.promote", "dev", "lost", seen, "k", {}), parent=seen.id)
        place.clock.advance(FRESH_SECONDS)
        assert (await place.ask()).release == "r1"
        assert "no such kept version" in service.releases.trouble
        await releasing.rollback(service, who="k")
        place.clock.advance(RETRY_SECONDS)
        assert (await place.ask()).release == "r1"
        assert service.releases.trouble == ""

    at(tmp_path, work)


def test_for_measuring_one_release_answers_whatever_was_promoted(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        service = place.service
        only = service.releases.built_in.model_copy(
            update={"name": "trial", "prompts": service.releases.built_in.prompts | {"answer": "answer_bad@1"}}
        )
        await service.releases.only(only)
        receipt = await place.ask()
        assert (receipt.release, receipt.prompt) == ("trial", "answer_bad@1")
        assert replace(service.releases.base.labels, release="trial") == (await service.releases.choose("x")).labels

    at(tmp_path, work)
