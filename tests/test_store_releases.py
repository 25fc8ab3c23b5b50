"""Releases, what serves, second keys and experiments, on SQLite and on Postgres."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from fakes import FrozenClock
from places import Place

from domain.errors import ConflictError, FrontdeskError, NotFoundError, UsageError
from domain.receipt import Receipt
from domain.release import BUILT_IN, Release
from domain.turn import Call, Score
from store import Store
from store.releases import Deed, Deployment

RIVALS = 6


@pytest.fixture
def store(place: Place) -> Store:
    return place.open(FrozenClock())


def release(name: str, **more: object) -> Release:
    return Release(name=name, prompts={"answer": "answer@1"}, rag_config="english@1", **more)


def deed(store: Store, what: str, name: str, who: str = "lan", replaces: Deployment | None = None) -> Deed:
    return Deed(what, "production", name, replaces or store.releases.serving("production"), who, {"share": 0.5})


def told(work: Callable[[], object]) -> str:
    """ "" when it was done, else the kind of the error."""
    try:
        work()
    except FrontdeskError as fault:
        return type(fault).__name__
    return ""


def test_a_release_is_kept_to_the_letter_and_its_gate_is_replaced(store: Store) -> None:
    book = store.releases
    pinned = release("r1", thresholds={"injection": 0.7}, models={"simple": "Mẫu ✨"}, knowledge="k-1")
    made = book.add(pinned, "ghi chú \x00 \ud800", "lan")
    assert (made.release, made.gate, book.get("r1").release) == (pinned, None, pinned)
    assert book.get("r1").at == made.at
    for passed in (False, True):
        gate = {"passed": passed, "figures": {"answered_right": 0.75}}
        assert book.prove("r1", gate, "mai").gate == gate
    assert [one.release.name for one in book.all()] == ["r1"]
    assert [(row.who, row.what) for row in store.audit.recent(3)] == [
        ("mai", "release.gate"),
        ("mai", "release.gate"),
        ("lan", "release.create"),
    ]
    for name in ("r1", BUILT_IN):
        with pytest.raises(ConflictError, match="a release of that name"):
            book.add(release(name), "", "lan")
    for ask in (book.get, lambda name: book.prove(name, {}, "lan")):
        with pytest.raises(NotFoundError):
            ask("r2")


def test_what_serves_is_the_last_of_its_environment_and_going_back_follows_the_parents(store: Store) -> None:
    book, served = store.releases, []
    assert book.serving("production").release == BUILT_IN
    with pytest.raises(UsageError, match="nothing was promoted yet"):
        book.before(book.serving("production"))
    for name in ("r1", "r2"):
        book.add(release(name), "", "lan")
        now = book.serving("production")
        served.append(book.deploy(deed(store, "release.promote", name), parent=now.id))
    assert (book.serving("production"), book.serving("staging").release) == (served[1], BUILT_IN)
    back = book.before(served[1])
    assert back == served[0]
    again = book.deploy(deed(store, "release.rollback", back.release), parent=back.parent)
    assert book.serving("production").release == "r1"
    assert book.before(again).release == BUILT_IN


def test_of_many_that_promote_at_once_one_wins_and_the_others_are_told(store: Store) -> None:
    seen = store.releases.serving("production")
    for number in range(RIVALS):
        store.releases.add(release(f"r{number}"), "", "lan")

    def promote(number: int) -> str:
        wanted = deed(store, "release.promote", f"r{number}", f"key {number}", seen)
        return told(lambda: store.releases.deploy(wanted, parent=0))

    with ThreadPoolExecutor(RIVALS) as pool:
        found = list(pool.map(promote, range(RIVALS)))
    assert sorted(found) == [""] + ["ConflictError"] * (RIVALS - 1)
    assert store.releases.serving("production").release == f"r{found.index('')}"


def test_a_second_key_must_want_the_same_of_what_still_serves(store: Store) -> None:
    book = store.releases
    book.add(release("r1"), "", "lan")

    def ask(who: str, name: str = "r1") -> Deployment | None:
        return book.deploy(deed(store, "release.promote", name, who), parent=0, agreed=False)

    assert ask("lan") is None
    with pytest.raises(UsageError, match="waits for a second key"):
        ask("lan")
    done = ask("mai")
    assert done is not None
    assert book.serving("production") == done
    assert store.audit.recent(1)[0].after == {
        "environment": "production",
        "release": "r1",
        "share": 0.5,
        "asked_by": "lan",
        "agreed_by": "mai",
    }
    # What was asked of another state of things is asked anew, by whomever.
    assert ask("mai") is None
    book.deploy(deed(store, "release.rollback", BUILT_IN, "lan"), parent=0)
    assert ask("lan") is None


def test_one_experiment_runs_in_an_environment_and_a_rollback_ends_it(store: Store) -> None:
    store.releases.add(release("r1"), "", "lan")
    wanted = deed(store, "ab.start", "r1")

    def start(number: int) -> str:
        return told(lambda: store.experiments.start(f"e{number}", wanted, 0.25, "salt", agreed=True))

    with ThreadPoolExecutor(RIVALS) as pool:
        found = list(pool.map(start, range(RIVALS)))
    assert sorted(found) == [""] + ["ConflictError"] * (RIVALS - 1)
    name = f"e{found.index('')}"
    running = store.experiments.running("production")
    assert running == store.experiments.get(name)
    assert (running.a, running.b, running.share, running.stopped_at) == (BUILT_IN, "r1", 0.25, None)
    assert store.experiments.running("staging") is None
    with pytest.raises(ConflictError, match="an experiment runs there"):
        store.releases.deploy(deed(store, "release.promote", "r1"), parent=0)
    store.releases.deploy(deed(store, "release.rollback", BUILT_IN), parent=0)
    assert store.experiments.running("production") is None
    assert store.experiments.get(name).stopped_at is not None
    with pytest.raises(ConflictError, match="an experiment of that name"):
        store.experiments.start(name, deed(store, "ab.start", "r1"), 0.5, "salt", agreed=True)
    with pytest.raises(NotFoundError, match="no such experiment runs"):
        store.experiments.stop(name, "lan")


def test_what_came_of_an_experiments_turns_is_told_by_turn(store: Store) -> None:
    def turn(number: int, arm: str, experiment: str = "e1") -> Receipt:
        at = f"2026-03-0{number}T12:00:00+00:00"
        spent = [Call("answer", "m", ok=True, cost_microusd=700), Call("judge", "m", ok=True, cost_microusd=9)]
        return Receipt(
            f"turn-{number}", "t", "0" * 32, "d", f"user-{number}", at, "en", "answer", None, "q", "a", arm, "c", "k",
            12.5 * number, calls=spent, experiment=experiment,
        )  # fmt: skip

    for one in (turn(2, "r1"), turn(1, BUILT_IN), turn(3, "r1", experiment="")):
        store.ledger.save(one)
    store.ledger.add_scores("turn-2", [Score("faithful", 1.0), Score("relevant", 0.5)])
    store.feedback.add("turn-2", "down")
    first, second = store.experiments.exposures("e1")
    assert (first.user, first.release, first.quality, first.liked) == ("user-1", BUILT_IN, None, None)
    assert (second.release, second.quality, second.liked) == ("r1", 0.75, 0.0)
    assert (second.latency_ms, second.cost_microusd) == (25.0, 709)
    assert first.at < second.at
