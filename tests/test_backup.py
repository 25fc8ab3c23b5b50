"""A desk in one file and back: the same rows, conversations and knowledge, in files and in Postgres."""

import asyncio
import json
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cluster import ASKED, furnish, running_chroma
from fakes import FrozenClock
from places import Place, PostgresServer
from test_store_move import content
from typer.testing import CliRunner

from cli.main import build
from domain.errors import StoreError
from domain.settings import Settings, read_settings
from graph.backup import MANIFEST, backup, restore
from graph.bootstrap import close_service, open_service
from graph.record import Question
from store import HomeLock

pytestmark = pytest.mark.slow
KEY = "a key that all of them have"
SECRET = "mai@example.com"  # a customer's, not ours


def silent(_table: str, _rows: int) -> None:
    pass


def in_files(desk: Path, home: Path, **more: object) -> Settings:
    return read_settings(home=home, desk=str(desk), llm="off", ner="off", vault_key=KEY, **more)


async def spoken(settings: Settings) -> str:
    """A desk in which somebody has spoken; their thread."""
    service = await open_service(settings)
    try:
        first = await service.desk.ask(Question(f"I am {SECRET}. {ASKED[0]}", "mai"))
        await service.desk.ask(Question(ASKED[1], "mai", first.thread_id))
        await service.desk.rate(first.turn_id, "mai", "up", "thanks")
        return first.thread_id
    finally:
        await close_service(service)


async def backed_up(settings: Settings) -> Path:
    service = await open_service(settings)
    try:
        return Path((await backup(service))["file"])
    finally:
        await close_service(service)


async def looked_at(settings: Settings, thread: str) -> tuple[list[str], object, list[str], str]:
    """What a customer and an operator see of a desk."""
    service = await open_service(settings)
    try:
        said = [message.text for message in await service.desk.thread(thread, "mai")]
        found = (await service.knowledge.public.search(ASKED[0])).passages
        versions = [row.version for row in service.knowledge.versions()]
        again = await service.desk.ask(Question(ASKED[2], "mai", thread))
        return said, found, versions, again.outcome
    finally:
        await close_service(service)


@pytest.fixture(scope="module")
def spoken_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str, Path]:
    """(desk, home, thread, backup) of a desk in files in which somebody has spoken."""
    folder = tmp_path_factory.mktemp("spoken")
    desk, home = furnish(folder), folder / "home"
    thread = asyncio.run(spoken(in_files(desk, home)))
    return desk, home, thread, asyncio.run(backed_up(in_files(desk, home)))


def test_a_desk_comes_back_the_same(spoken_in: tuple[Path, Path, str, Path], tmp_path: Path) -> None:
    desk, home, thread, file = spoken_in
    assert file.stat().st_mode & 0o777 == 0o600
    assert SECRET.encode() not in b"".join(_members(file).values())
    manifest = asyncio.run(restore(in_files(desk, tmp_path), file, force=False, tell=silent))
    assert manifest.rows["receipts"] == 2
    old, new = (content_of(folder / "lamps") for folder in (home, tmp_path))
    for table in set(old) - {"leases", "audit"}:
        assert new[table] == old[table], table
    said, found, versions, outcome = asyncio.run(looked_at(in_files(desk, tmp_path), thread))
    assert (said, found, versions, outcome) == asyncio.run(looked_at(in_files(desk, home), thread))
    assert SECRET in said[0]
    assert outcome == "answer"


def content_of(folder: Path) -> dict[str, list[tuple]]:
    with closing(Place(folder)) as place:
        place.open = lambda: Place.open(place, FrozenClock(), vault_key=KEY)  # type: ignore[method-assign]  # its key
        return content(place)


def test_files_come_back_into_postgres_and_out_again(
    spoken_in: tuple[Path, Path, str, Path], tmp_path: Path, postgres: PostgresServer
) -> None:
    desk, _, thread, file = spoken_in
    url = postgres.empty()
    asyncio.run(restore(in_files(desk, tmp_path / "first"), file, force=False, tell=silent))
    shared = in_files(desk, tmp_path / "shared", database_url=url)
    asyncio.run(restore(shared, file, force=False, tell=silent))
    again = asyncio.run(backed_up(shared))
    asyncio.run(restore(in_files(desk, tmp_path / "back"), again, force=False, tell=silent))
    old, new = (content_of(tmp_path / name / "lamps") for name in ("first", "back"))
    for table in ("receipts", "calls", "scores", "feedback", "threads", "vault", "budget_accounts"):
        assert new[table] == old[table], table
    said, *_ = asyncio.run(looked_at(in_files(desk, tmp_path / "back"), thread))
    assert SECRET in said[0]
    with pytest.raises(StoreError, match="not empty"):
        asyncio.run(restore(in_files(desk, tmp_path / "third", database_url=url), file, force=True, tell=silent))
    postgres.drop(url)


async def two_versions(settings: Settings, more: Path) -> Path:
    """A desk that has learnt more since, backed up."""
    service = await open_service(settings)
    try:
        await service.knowledge.ingest(more)
        return Path((await backup(service))["file"])
    finally:
        await close_service(service)


async def known_by(settings: Settings, rolled_back_to: str = "") -> dict[str, Any]:
    """All that a desk knows."""
    service = await open_service(settings)
    try:
        knowledge = service.knowledge
        if rolled_back_to:
            await knowledge.rollback(rolled_back_to)
        found = [(await knowledge.public.search(question, 10)).passages for question in ASKED]
        texts = [*knowledge.texts("public"), *knowledge.texts("internal")]
        records = {name: count for row in knowledge._pointer.versions for name, count in row.collections().items()}
        shelves = {name: knowledge._store.open(name, count) for name, count in records.items()}
        return {
            "serves": knowledge.version,
            "versions": knowledge.versions(),
            "articles": knowledge.articles(),
            "texts": texts,
            "found": [[passage.id for passage in passages] for passages in found],
            "chunks": {name: shelf.chunks() for name, shelf in shelves.items()},
            "vectors": {
                f"{name}/{own_id}": vector
                for name, shelf in shelves.items()
                for own_id, vector in shelf.vectors().items()
            },
        }
    finally:
        await close_service(service)


def agree(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Vectors to within 1e-6: Chroma brings one to length 1 whenever it takes it, which may change its last bits."""
    assert one | {"vectors": set(one["vectors"])} == other | {"vectors": set(other["vectors"])}
    assert one["vectors"]
    for name, vector in one["vectors"].items():
        assert vector == pytest.approx(other["vectors"][name], abs=1e-6)


@pytest.mark.timeout(300)
def test_a_desk_on_a_chroma_server_comes_back_the_same(tmp_path: Path) -> None:
    desk, more = furnish(tmp_path), tmp_path / "more.md"
    more.write_text("---\nid: paint\ntitle: Paint\naudience: public\n---\nLamps are painted teal.\n", "utf-8")
    with running_chroma(tmp_path / "one") as url:
        first = in_files(desk, tmp_path / "old", chroma_url=url)
        thread = asyncio.run(spoken(first))
        file = asyncio.run(two_versions(first, more))
        known = asyncio.run(known_by(first))
        with pytest.raises(StoreError, match="the target holds a knowledge"):
            asyncio.run(restore(in_files(desk, tmp_path / "third", chroma_url=url), file, force=True, tell=silent))
        agree(asyncio.run(known_by(first)), known)
        seen = asyncio.run(looked_at(first, thread))
    with running_chroma(tmp_path / "two") as url:
        second = in_files(desk, tmp_path / "new", chroma_url=url)
        asyncio.run(restore(second, file, force=False, tell=silent))
        assert not (tmp_path / "new" / "lamps" / "knowledge").exists()
        agree(asyncio.run(known_by(second)), known)
        said, _, versions, outcome = asyncio.run(looked_at(second, thread))
        assert (said, versions, outcome) == (seen[0], seen[2], seen[3])
        older = known["versions"][1].version
        assert asyncio.run(known_by(second, older))["serves"] == older != known["serves"]
    # And out of the server into files, which is a desk that needs none.
    third = in_files(desk, tmp_path / "files")
    asyncio.run(restore(third, file, force=False, tell=silent))
    agree(asyncio.run(known_by(third)), known)


def test_what_is_there_is_kept_unless_it_is_forced_aside(
    spoken_in: tuple[Path, Path, str, Path], tmp_path: Path
) -> None:
    desk, _, thread, file = spoken_in
    settings = in_files(desk, tmp_path)
    asyncio.run(restore(settings, file, force=False, tell=silent))
    before = _files(tmp_path / "lamps")
    with pytest.raises(StoreError, match="there is a desk already"):
        asyncio.run(restore(settings, file, force=False, tell=silent))
    assert _files(tmp_path / "lamps") == before
    asyncio.run(restore(settings, file, force=True, tell=silent))
    (aside,) = (tmp_path / "lamps").glob("replaced-*")
    assert {"desk.sqlite3", "threads.sqlite3", "knowledge"} <= {path.name for path in aside.iterdir()}
    assert asyncio.run(looked_at(settings, thread))[3] == "answer"
    with HomeLock.acquire(tmp_path / "lamps"), pytest.raises(Exception, match="owns this folder"):
        asyncio.run(restore(settings, file, force=True, tell=silent))


@pytest.fixture
def copies(spoken_in: tuple[Path, Path, str, Path], tmp_path: Path) -> Iterator[Path]:
    """The backup, to be spoiled."""
    target = tmp_path / "copy.tar.gz"
    target.write_bytes(spoken_in[3].read_bytes())
    yield target
    left = [path.name for path in (tmp_path / "home" / "lamps").iterdir()]
    assert [name for name in left if name not in ("lock.json", "vault.key")] == []


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ("none", "no such file"),
        ("garbage", "no backup, or cut off"),
        ("half", "no backup, or cut off"),
        ("changed", "a file in it is not what was put in"),
        ("newer", "this one knows"),
        ("escape", "no backup, or cut off"),
    ],
)
def test_what_is_no_whole_backup_leaves_the_desk_alone(
    copies: Path, spoken_in: tuple[Path, Path, str, Path], tmp_path: Path, spoiled: str, said: str
) -> None:
    members = _members(copies)
    manifest = json.loads(members[MANIFEST])
    match spoiled:
        case "none":
            copies.unlink()
        case "garbage":
            copies.write_bytes(b"garbage" * 100)
        case "half":
            copies.write_bytes(copies.read_bytes()[:-2_000])
        case "changed":
            _repack(copies, members | {"desk.sqlite3": members["desk.sqlite3"] + b"\0"})
        case "newer":
            _repack(copies, members | {MANIFEST: json.dumps(manifest | {"tables": "9999"}).encode()})
        case "escape":
            _repack(copies, members | {"../../outside": b"out"})
    with pytest.raises(StoreError, match=said) as refused:
        asyncio.run(restore(in_files(spoken_in[0], tmp_path / "home"), copies, force=False, tell=silent))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize(("key", "said"), [("", "the vault's key is not here"), ("another key, long enough", "key")])
def test_without_its_key_nothing_comes_back(
    copies: Path, spoken_in: tuple, tmp_path: Path, key: str, said: str
) -> None:
    settings = read_settings(home=tmp_path / "home", desk=str(spoken_in[0]), llm="off", vault_key=key)
    with pytest.raises(StoreError, match=said):
        asyncio.run(restore(settings, copies, force=False, tell=silent))


def test_the_commands_say_where_the_key_is_and_overwrite_nothing(tmp_path: Path) -> None:
    desk, target = furnish(tmp_path), tmp_path / "kept.tar.gz"
    env = {"FRONTDESK_HOME": str(tmp_path / "home"), "FRONTDESK_NER": "off"}

    def call(*args: str, home: str = "home"):
        return CliRunner().invoke(
            build(), [*args, "--desk", str(desk)], env=env | {"FRONTDESK_HOME": str(tmp_path / home)}
        )

    made = call("backup", str(target), "--json")
    assert made.exit_code == 0, made.stderr
    assert json.loads(made.stdout.splitlines()[-1])["file"] == str(target)
    assert str(tmp_path / "home" / "lamps" / "vault.key") in made.stderr
    again = call("backup", str(target))
    assert (again.exit_code, "is there already" in again.stderr) == (2, True)
    (tmp_path / "other" / "lamps").mkdir(parents=True)
    (tmp_path / "other" / "lamps" / "vault.key").write_bytes((tmp_path / "home" / "lamps" / "vault.key").read_bytes())
    back = call("restore", str(target), "--json", home="other")
    assert back.exit_code == 0, back.stderr
    assert json.loads(back.stdout.splitlines()[-1])["rows"] > 0
    assert "there is a desk already" in call("restore", str(target)).stderr


def _members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file, "r:gz") as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}


def _repack(file: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(file, "w:gz") as archive:
        for name, data in members.items():
            path = file.with_name("member")
            path.write_bytes(data)
            archive.add(path, name)
            path.unlink()


def _files(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock.json"
    }
