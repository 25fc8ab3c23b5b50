"""API keys: what is kept of them, and what opens with them."""

import pytest
from fakes import FrozenClock
from hypothesis import given, settings
from hypothesis import strategies as st
from places import open_store

from domain.errors import NotFoundError, UsageError
from store.keys import Keys

TEXT = "fd_0123456789ab_" + "s" * 43


@pytest.fixture
def keys(tmp_path):
    store = open_store(tmp_path, FrozenClock())
    yield store.keys
    store.close()


def test_a_key_is_known_by_its_text_alone(keys: Keys, tmp_path):
    assert not keys.any()
    made = keys.add(" our shop ", "server", TEXT)
    assert (made.id, made.name, made.scope, made.revoked_at) == ("0123456789ab", "our shop", "server", None)
    assert keys.check(TEXT) == made
    assert keys.any()
    assert keys.list() == [made]
    on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"our shop" in on_disk
    assert b"s" * 43 not in on_disk


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["", TEXT[:-1], TEXT + "s", TEXT.replace("ss", "st", 1), TEXT.replace("ab_", "ac_")]) | st.text()
)
def test_nothing_else_opens(tmp_path_factory, text):
    store = open_store(tmp_path_factory.mktemp("keys"), FrozenClock())
    store.keys.add("shop", "chat", TEXT)
    assert (store.keys.check(text) is not None) == (text == TEXT)
    store.close()


def test_a_revoked_key_opens_nothing_and_the_desk_stays_shut(keys: Keys):
    keys.add("shop", "chat", TEXT)
    revoked = keys.revoke("0123456789ab")
    assert revoked.revoked_at is not None
    assert keys.check(TEXT) is None
    assert keys.any()
    assert keys.revoke("0123456789ab") == revoked
    with pytest.raises(NotFoundError):
        keys.revoke("ffffffffffff")


@pytest.mark.parametrize(
    ("name", "scope", "text"),
    [("", "chat", TEXT), ("x" * 81, "chat", TEXT), ("shop", "root", TEXT), ("shop", "chat", "fd_short_key")],
)
def test_what_is_no_key_is_not_kept(keys: Keys, name, scope, text):
    with pytest.raises(UsageError):
        keys.add(name, scope, text)
    assert not keys.any()
