"""What the store keeps about people: secrets, threads, tickets, thumbs; and what admins did."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes import FrozenClock
from hypothesis import given, settings
from hypothesis import strategies as st
from places import Place

from domain.errors import NotFoundError, StoreError
from domain.receipt import Receipt
from store import Store, Ticket
from store.tickets import candidate_id

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRETS = {"<EMAIL_1>": "mai.nguyen@example.com", "<PERSON_1>": "Nguyễn Thị Mai", "<PHONE_1>": "0901234567"}


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(START)


@pytest.fixture
def store(place: Place, clock: FrozenClock) -> Store:
    return place.open(clock)


@pytest.fixture(scope="module")
def shared(lasting_place: Place) -> Store:
    return lasting_place.open()


def handoff(store: Store, thread: str, turn: str, summary: str = "wants a person") -> Ticket:
    return store.tickets.open(thread, turn, "user", department="sales", reason="customer_asked", summary=summary)


# vault


@settings(max_examples=30, deadline=None)
@given(
    thread=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
    first=st.dictionaries(st.text(), st.text(st.characters())),
    second=st.dictionaries(st.text(), st.text(st.characters())),
)
def test_the_vault_gives_back_what_was_put_in(
    shared: Store, thread: str, first: dict[str, str], second: dict[str, str]
) -> None:
    shared.vault.delete(thread)
    assert shared.vault.read(thread) == {}
    shared.vault.write(thread, first)
    shared.vault.write(thread, second)
    assert shared.vault.read(thread) == {**first, **second}


def test_no_personal_data_lies_in_the_database_in_plain(store: Store, place: Place) -> None:
    store.vault.write("thread-1", SECRETS)
    store.vault.write("thread-1", {"<EMAIL_2>": "second@example.com"})
    store.threads.claim("thread-1", store.vault.user_hash("mai.nguyen"))
    store.audit.record("somebody", "positive-control", None, None)

    for _ in range(2):  # once with the write-ahead log, once without it
        content = place.content()
        assert b"positive-control" in content
        for secret in (*SECRETS.values(), "second@example.com", "mai.nguyen"):
            for form in (secret.encode(), secret.encode("utf-16-le"), ascii(secret).strip("'").encode()):
                assert form not in content
        store.close()
    assert (place.folder / "vault.key").stat().st_mode & 0o777 == 0o600


def test_a_sealed_row_opens_in_its_own_thread_only(store: Store, place: Place) -> None:
    store.vault.write("mine", SECRETS)
    place.sql("UPDATE vault SET thread = 'yours'")
    with pytest.raises(StoreError, match="moved"):
        store.vault.read("yours")


def test_a_forged_row_is_refused(store: Store, place: Place) -> None:
    store.vault.write("mine", SECRETS)
    place.sql(
        "UPDATE vault SET sealed = overlay(sealed PLACING 'AAAA'::bytea FROM 61)"
        if place.url
        else "UPDATE vault SET sealed = CAST(substr(sealed, 1, 60) || 'AAAA' || substr(sealed, 65) AS BLOB)"
    )
    with pytest.raises(StoreError, match="key"):
        store.vault.read("mine")


def test_users_are_known_by_a_keyed_hash(tmp_path: Path, clock: FrozenClock) -> None:
    one = Store.open(tmp_path / "one", clock, vault_key="first key, long enough")
    same = Store.open(tmp_path / "same", clock, vault_key="first key, long enough")
    other = Store.open(tmp_path / "other", clock, vault_key="second key, long enough")
    hashed = one.vault.user_hash("mai@example.com")
    assert len(bytes.fromhex(hashed)) * 8 == 128
    assert same.vault.user_hash("mai@example.com") == hashed
    assert len({hashed, other.vault.user_hash("mai@example.com"), one.vault.user_hash("Mai@example.com")}) == 3
    assert one.vault.user_hash("\ud800") != one.vault.user_hash("\ud801")
    for opened in (one, same, other):
        opened.close()


# threads


def test_a_thread_belongs_to_who_came_first(store: Store, clock: FrozenClock) -> None:
    assert not store.threads.belongs("t", "mai")
    assert store.threads.touched("t") is None
    store.threads.claim("t", "mai")
    clock.moment += timedelta(hours=1)
    with pytest.raises(NotFoundError, match="no such thread"):
        store.threads.claim("t", "lan")
    assert (store.threads.belongs("t", "mai"), store.threads.touched("t")) == (True, START)
    assert not store.threads.belongs("t", "lan")
    store.threads.claim("t", "mai")
    assert store.threads.touched("t") == clock.moment
    store.threads.delete("t")
    store.threads.claim("t", "lan")
    assert store.threads.belongs("t", "lan")


def test_of_many_who_come_at_once_one_gets_the_thread(store: Store) -> None:
    def claims(user: str) -> str | None:
        try:
            store.threads.claim("t", user)
        except NotFoundError:
            return None
        return user

    with ThreadPoolExecutor(8) as pool:
        winners = [user for user in pool.map(claims, [f"user-{number}" for number in range(24)]) if user]
    (winner,) = winners
    assert store.threads.belongs("t", winner)


def test_threads_that_are_not_used_any_more_are_named(store: Store, clock: FrozenClock) -> None:
    for name in ("a", "b", "c"):
        store.threads.claim(name, "mai")
        clock.moment += timedelta(days=1)
    store.threads.claim("a", "mai")
    assert store.threads.untouched_since(START + timedelta(days=2)) == ["b"]
    assert store.threads.untouched_since(START + timedelta(days=3)) == ["b", "c"]


# tickets


def test_a_turn_that_is_run_again_gives_the_same_ticket(store: Store) -> None:
    first = handoff(store, "thread", "turn-1")
    assert handoff(store, "thread", "turn-1") == first
    assert [message.turn_id for message in store.tickets.messages(first.id)] == ["turn-1"]
    closed = store.tickets.close(first.id)
    assert handoff(store, "thread", "turn-1") == closed


def test_a_second_handoff_joins_the_thread_s_open_ticket(store: Store, clock: FrozenClock) -> None:
    first = handoff(store, "thread", "turn-1", "first")
    clock.moment += timedelta(minutes=1)
    assert handoff(store, "thread", "turn-2", "second") == first
    assert handoff(store, "thread", "turn-2", "second") == first
    said = store.tickets.messages(first.id)
    assert [(message.author, message.text, message.at) for message in said] == [
        ("desk", "first", START),
        ("desk", "second", clock.moment),
    ]
    other = handoff(store, "another thread", "turn-3")
    assert [ticket.id for ticket in store.tickets.list_open()] == [first.id, other.id]
    store.tickets.close(first.id)
    third = handoff(store, "thread", "turn-4")
    assert third.id not in {first.id, other.id}
    assert store.tickets.of_thread("thread") == third


def test_many_handoffs_of_a_thread_at_once_make_one_ticket(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: handoff(store, "thread", f"turn-{number % 6}").id, range(24)))
    assert len(set(made)) == 1
    assert sorted(message.turn_id for message in store.tickets.messages(made[0])) == [f"turn-{n}" for n in range(6)]


def test_messages_join_an_open_ticket_and_no_closed_one(store: Store, clock: FrozenClock) -> None:
    ticket = handoff(store, "thread", "turn-1")
    store.tickets.say(ticket.id, "customer", "Hello?", "turn-2")
    store.tickets.say(ticket.id, "customer", "Hello?", "turn-2")
    store.tickets.say(ticket.id, "agent", "Chào chị \ud800 ạ")
    store.tickets.say(ticket.id.lower(), "agent", "Still there?")
    assert [(message.author, message.text) for message in store.tickets.messages(ticket.id)] == [
        ("desk", "wants a person"),
        ("customer", "Hello?"),
        ("agent", "Chào chị \ufffd ạ"),
        ("agent", "Still there?"),
    ]
    clock.moment += timedelta(minutes=5)
    closed = store.tickets.close(ticket.id)
    clock.moment += timedelta(minutes=5)
    assert store.tickets.close(ticket.id) == closed == store.tickets.get(ticket.id)
    assert (closed.closed_at, closed.closed_by) == (START + timedelta(minutes=5), "agent")
    assert store.tickets.of_thread("thread") is None
    with pytest.raises(NotFoundError, match="closed"):
        store.tickets.say(ticket.id, "customer", "And?")


def test_ids_are_readable_and_follow_from_the_turn(store: Store) -> None:
    made = handoff(store, "thread", "0193aaaa-1111").id
    assert made == candidate_id("0193aaaa-1111", 0)
    assert len(made) == 7
    assert made.startswith("T-")
    assert not set(made[2:]) & set("01IO")


def test_two_turns_with_the_same_id_get_two_tickets(store: Store) -> None:
    seen: dict[str, str] = {}
    for number in itertools.count():
        turn = f"turn-{number}"
        twin = seen.setdefault(candidate_id(turn, 0), turn)
        if twin != turn:
            break
    first = handoff(store, "a", twin)
    second = handoff(store, "b", turn)
    assert first.id == candidate_id(turn, 0)
    assert second.id == candidate_id(turn, 1)
    assert handoff(store, "b", turn) == second


def test_an_unknown_ticket(store: Store) -> None:
    for use in (store.tickets.get, store.tickets.messages, store.tickets.close):
        with pytest.raises(NotFoundError, match="no such ticket"):
            use("T-22222")
    with pytest.raises(NotFoundError, match="no such ticket"):
        store.tickets.say("T-22222", "agent", "Hello")


# feedback


def rated(store: Store, *turns: str) -> None:
    for turn in turns:
        store.ledger.save(
            Receipt(
                turn, "t", "tr", "shop", "u", START.isoformat(), "en", "answer", None, "q", "a", "r1", "c1", "k1", 1.0
            )
        )


def test_a_later_rating_takes_the_earlier_one_s_place(store: Store, clock: FrozenClock) -> None:
    rated(store, "turn-1", "turn-2")
    store.feedback.add("turn-1", "down", "sai rồi")
    clock.moment += timedelta(minutes=1)
    store.feedback.add("turn-1", "up", "đúng rồi")
    clock.moment += timedelta(minutes=1)
    store.feedback.add("turn-2", "down")
    current = store.feedback.get("turn-1")
    assert current is not None
    assert (current.rating, current.comment, current.at) == ("up", "đúng rồi", START + timedelta(minutes=1))
    assert [one.turn_id for one in store.feedback.since(START)] == ["turn-2", "turn-1"]
    assert [one.turn_id for one in store.feedback.since(clock.moment)] == ["turn-2"]


def test_an_unknown_turn_cannot_be_rated(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no such turn"):
        store.feedback.add("turn-1", "up")
    assert store.feedback.get("turn-1") is None


def test_a_receipt_that_is_saved_again_keeps_its_rating(store: Store) -> None:
    rated(store, "turn-1")
    store.feedback.add("turn-1", "up")
    rated(store, "turn-1")
    current = store.feedback.get("turn-1")
    assert current is not None
    assert current.rating == "up"


# audit


def test_the_audit_log_tells_who_changed_what(store: Store, clock: FrozenClock) -> None:
    store.audit.record("key-1", "budget.set", {"usd": 1}, {"usd": 5})
    clock.moment += timedelta(minutes=1)
    store.audit.record("key-2", "key.revoke", ["a", None], None)
    newest, oldest = store.audit.recent(10)
    assert (newest.who, newest.before, newest.after, newest.at) == ("key-2", ["a", None], None, clock.moment)
    assert (oldest.what, oldest.before, oldest.after, oldest.at) == ("budget.set", {"usd": 1}, {"usd": 5}, START)
    assert store.audit.recent(1) == [newest]


CHANGES = {
    "sqlite": "INSERT OR REPLACE INTO audit SELECT id, at, 'somebody else', what, before, after FROM audit",
    "postgres": "TRUNCATE audit",
}


@pytest.mark.parametrize("change", ["UPDATE audit SET who = 'somebody else'", "DELETE FROM audit", ""])
def test_no_entry_can_be_changed_or_removed(store: Store, place: Place, change: str) -> None:
    change = change or CHANGES[place.kind]
    store.audit.record("key-1", "budget.set", 1, 5)
    with pytest.raises(StoreError, match="append-only"), store._database.write() as connection:
        connection.exec_driver_sql(change)
    assert [entry.who for entry in store.audit.recent(10)] == ["key-1"]
