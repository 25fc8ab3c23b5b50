"""Several processes of one desk: what they need, where each has its place, and how a start that fails is told."""

import asyncio
import pickle
from pathlib import Path

import pytest

from api.workers import Worker, run_workers
from domain.errors import StoreError, UsageError
from domain.settings import Settings, read_settings
from graph.crew import must_share, take_place

KEY = "one vault key for all of them"
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


def shared(**settings: object) -> Settings:
    return read_settings(database_url=NOWHERE, chroma_url="http://127.0.0.1:1", vault_key=KEY, **settings)


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({}, "set FRONTDESK_DATABASE_URL and FRONTDESK_CHROMA_URL"),
        ({"chroma_url": "http://chroma"}, "set FRONTDESK_DATABASE_URL, or use 1"),
        ({"database_url": NOWHERE, "vault_key": KEY}, "set FRONTDESK_CHROMA_URL, or use 1"),
    ],
)
def test_a_desk_in_files_has_one_process(settings: dict[str, str], missing: str) -> None:
    with pytest.raises(UsageError, match="3 workers cannot share") as refused:
        must_share(read_settings(**settings), 3)
    assert missing in str(refused.value)
    must_share(shared(), 3)


def test_each_takes_a_place_and_leaves_it_to_the_next(tmp_path: Path) -> None:
    first, second = asyncio.run(take_place(tmp_path)), asyncio.run(take_place(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]
    first.release()
    third = asyncio.run(take_place(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]
    second.release()
    third.release()


def test_a_database_that_is_away_is_told_before_any_worker_starts(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(StoreError, match="refused"):
        run_workers(shared(home=tmp_path, port=0), 2, say=said.append)
    assert said == []


def test_a_worker_that_cannot_open_the_desk_says_so_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sent: list[str] = []

    async def start() -> None:
        worker = pickle.loads(pickle.dumps(Worker(shared(home=tmp_path), "token", tmp_path / "workers")))  # noqa: S301  # our own, as it travels to a process

        async def receive() -> dict[str, str]:
            return {"type": "lifespan.startup"}

        async def send(message: dict[str, str]) -> None:
            sent.append(message["type"])

        await worker()({"type": "lifespan"}, receive, send)

    asyncio.run(start())
    assert sent == ["lifespan.startup.failed"]
    line = capsys.readouterr().err.strip()
    assert line.startswith("worker ")
    assert "127.0.0.1/none" in line
    assert "\n" not in line
