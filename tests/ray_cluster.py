"""The real Ray, two workers on this machine: `make test-ray`, in an environment that has it."""

import asyncio
import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray
from test_spreading import CASES, found_by, run_of, vars_of
from typer.testing import CliRunner

from cli.main import build
from domain.errors import FrontdeskError, StoreError
from domain.ports import Hand
from evals.run import Run
from graph.on_ray import RayHands
from models.embedder import load_embedder
from models.spreading import SpreadEmbedder

pytestmark = pytest.mark.timeout(300)
WORKERS = 2


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[str]:
    """A cluster of two workers that this process has joined already."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(Path(__file__).parent)}
    where = {"include_dashboard": False, "_node_ip_address": "127.0.0.1", "log_to_driver": False}
    ray.init(address="local", num_cpus=WORKERS, **where)
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


def hands() -> RayHands:
    return RayHands(ray, "the cluster")


def test_passages_are_embedded_on_two_workers_as_in_one_process() -> None:
    texts, one = [f"Passage {number} about lamps." for number in range(200)], load_embedder("bge-small-en-v1.5")
    spread = asyncio.run(SpreadEmbedder(one, hands()).passages(texts))
    assert spread == asyncio.run(one.passages(texts))


def test_an_evaluation_on_two_workers_finds_what_one_process_finds(tmp_path: Path) -> None:
    again = [case | {"id": f"{case['id']}-{time}"} for time in range(4) for case in CASES]
    run = run_of(tmp_path, again)
    assert found_by("desk", Run(**{**vars_of(run), "hands": hands()})) == found_by("desk", run)


@dataclass(frozen=True)
class Marked:
    """Makes hands that say who they are. One whose folder holds `die` kills itself once, or each time."""

    folder: Path
    ever: bool = False

    def __call__(self) -> "MarkedHand":
        return MarkedHand(self)


class MarkedHand:
    def __init__(self, marked: Marked) -> None:
        self.marked = marked

    def do(self, items: Sequence[int]) -> list[tuple[int, int]]:
        if 7 in items and (self.marked.ever or not (self.marked.folder / "died").exists()):
            (self.marked.folder / "died").write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        if -1 in items:
            raise StoreError("there is no such thing", where="item -1", fix="take another")
        return [(item * item, os.getpid()) for item in items]

    def close(self) -> None:
        (self.marked.folder / f"closed-{os.getpid()}").touch()


async def done(hire: Callable[[], Hand], items: Sequence[int]) -> dict[int, tuple[int, int]]:
    async with aclosing(hands().each(hire, items, batch=1)) as coming:
        return {place: result async for place, result in coming}


def test_a_worker_that_dies_is_replaced_and_its_work_is_done_again(tmp_path: Path) -> None:
    found = asyncio.run(done(Marked(tmp_path), range(40)))
    assert {place: square for place, (square, _) in found.items()} == {place: place**2 for place in range(40)}
    assert len({pid for _, pid in found.values()}) >= WORKERS
    assert int((tmp_path / "died").read_text()) not in {pid for _, pid in list(found.values())[8:]}
    assert len(list(tmp_path.glob("closed-*"))) == WORKERS


def test_one_that_dies_each_time_ends_the_work_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(FrontdeskError, match="Ray gave the work up") as told:
        asyncio.run(done(Marked(tmp_path, ever=True), range(12)))
    assert "\n" not in str(told.value)


def test_an_error_of_ours_comes_back_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"item -1: there is no such thing \(take another\)"):
        asyncio.run(done(Marked(tmp_path), [1, -1, 2]))


def test_the_commands_take_it(tmp_path: Path) -> None:
    run = run_of(tmp_path, CASES)
    env = {"FRONTDESK_NER": "off", "FRONTDESK_HOME": str(tmp_path / "other")}
    common = ["--desk", run.settings.desk, "--on", "ray", "--json"]
    first = CliRunner().invoke(build(), ["ingest", str(Path(run.settings.desk) / "knowledge"), *common], env=env)
    assert (first.exit_code, '"unchanged": 4' in first.stdout) == (0, True), first.stderr
    (tmp_path / "more.md").write_text("---\nid: paint\ntitle: Paint\naudience: public\n---\nLamps are painted teal.\n")
    more = CliRunner().invoke(build(), ["ingest", str(tmp_path / "more.md"), *common], env=env)
    assert (more.exit_code, '"added": 1' in more.stdout) == (0, True), more.stderr
    told = CliRunner().invoke(build(), ["eval", "desk", "--data", str(run.data), *common], env=env)
    assert (told.exit_code, '"answered_right": 0.8' in told.stdout) == (0, True), told.stderr


TWO_USERS = """
import asyncio, ray, sys
from contextlib import aclosing
from pathlib import Path
from graph.on_ray import open_hands
from ray_cluster import Marked

async def squares(joined, go_on):
    async with open_hands("ray", sys.argv[1]) as hands:
        joined.set()
        await go_on.wait()
        async with aclosing(hands.each(Marked(Path(sys.argv[2])), range(3), batch=1)) as coming:
            return sum([square async for _, (square, _) in coming])

async def both():
    first, second, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    later = asyncio.create_task(squares(second, ended))
    one = await squares(first, second)
    ended.set()
    print(one, await later, ray.is_initialized())

asyncio.run(both())
"""


def test_the_first_of_two_that_ends_leaves_the_connection_to_the_second(tmp_path: Path, cluster: str) -> None:
    command = [sys.executable, "-c", TWO_USERS, cluster, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    assert done.stdout.strip() == "5 5 False", done.stderr


def test_a_cluster_without_our_code_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "nowhere_else.py").write_text("class Own:\n    def __call__(self):\n        return self\n")
    sys.path.insert(0, str(tmp_path))
    own = importlib.import_module("nowhere_else").Own()
    with pytest.raises(FrontdeskError, match=r"the cluster has no Frontdesk, or another one: .*nowhere_else.*same one"):
        asyncio.run(done(own, [1]))
    sys.path.remove(str(tmp_path))
