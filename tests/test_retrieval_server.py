"""A real Chroma server: replicas share versions, one writes at a time, a server that is away is noticed and comes back."""

import asyncio
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fakes import FrozenClock
from test_retrieval import CountingEmbedder, configured, write

from domain.errors import StoreError
from graph.system import SystemClock
from retrieval import Knowledge
from retrieval.shared import WRITER
from retrieval.vectors import ServerPlace, VectorStore

pytestmark = pytest.mark.slow
SECONDS = 15.0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`chroma run` over one folder, to be stopped and started."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.place = ServerPlace(f"http://127.0.0.1:{self.port}", "frontdesk-test")
        self.process = None

    async def start(self):
        program = Path(sys.executable).parent / "chroma"
        command = [program, "run", "--path", self.folder, "--host", "127.0.0.1", "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
        async with httpx.AsyncClient() as client:
            for _ in range(300):
                try:
                    await client.get(f"{self.place.url}/api/v2/heartbeat")
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
                else:
                    return

    def stop(self):
        self.process.kill()
        self.process.wait()


@asynccontextmanager
async def replicas(tmp_path, count=2):
    server = Server(tmp_path / "server")
    await server.start()
    opened = []
    try:
        for number in range(count):
            folder = tmp_path / f"replica{number}"
            opened.append(
                await Knowledge.open(folder, configured(), CountingEmbedder(), SystemClock(), server=server.place)
            )
        yield server, opened
    finally:
        for knowledge in opened:
            await knowledge.close()
        server.stop()


async def until(true):
    for _ in range(int(SECONDS / 0.1)):
        if true():
            return
        await asyncio.sleep(0.1)
    raise AssertionError


async def first(knowledge, question="when do parcels to Hanoi arrive"):
    return (await knowledge.public.search(question)).passages[0].text


def test_a_new_version_and_a_rollback_reach_the_other_replica(tmp_path):
    root = write(tmp_path / "articles", shipping="Parcels to Hanoi in two days.", internal_fraud="Refund vouchers.")

    async def run():
        async with replicas(tmp_path) as (_, (one, two)):
            old = (await one.ingest(root)).version
            await until(lambda: two.version == old)
            assert await first(two) == "Parcels to Hanoi in two days."
            assert two.texts("internal") == ["Refund vouchers."]
            write(root, shipping="Parcels to Hanoi arrive by boat.")
            new = (await two.ingest(root)).version
            await until(lambda: one.version == new)
            assert await first(one) == "Parcels to Hanoi arrive by boat."
            await one.rollback(old)
            await until(lambda: two.version == old)
            assert await first(two) == "Parcels to Hanoi in two days."
            fewer = (await two.forget(["internal_fraud"], replaces=old)).version
            await until(lambda: one.version == fewer)
            assert (one.texts("internal"), await first(one)) == ([], "Parcels to Hanoi in two days.")

    asyncio.run(run())


def test_two_replicas_that_write_at_once_lose_nothing(tmp_path):
    left = write(tmp_path / "left", returns="Return a kettle in thirty days.")
    right = write(tmp_path / "right", shipping="Parcels to Hanoi in two days.")

    async def run():
        async with replicas(tmp_path) as (_, (one, two)):
            await asyncio.gather(one.ingest(left), two.ingest(right))
            await until(lambda: one.version == two.version)
            assert [row.id for row in one.articles()] == ["returns", "shipping"]
            assert [row.articles for row in two.versions()] == [2, 1]

    asyncio.run(run())


def test_a_server_that_is_away_is_noticed_and_comes_back(tmp_path):
    root = write(tmp_path / "articles", shipping="Parcels to Hanoi in two days.")

    async def run():
        async with replicas(tmp_path, 1) as (server, (one,)):
            await one.ingest(root)
            assert one.trouble == ""
            server.stop()
            await until(lambda: one.trouble)
            with pytest.raises(StoreError, match="FRONTDESK_CHROMA_URL"):
                await first(one)
            with pytest.raises(StoreError, match="FRONTDESK_CHROMA_URL"):
                await Knowledge.open(
                    tmp_path / "late", configured(), CountingEmbedder(), FrozenClock(), server=server.place
                )
            await server.start()
            await until(lambda: not one.trouble)
            assert await first(one) == "Parcels to Hanoi in two days."

    asyncio.run(run())


def test_a_writer_that_died_holds_nobody_up_for_ever(tmp_path):
    root = write(tmp_path / "articles", shipping="Parcels to Hanoi in two days.")

    async def run():
        async with replicas(tmp_path, 1) as (server, (one,)):
            dead = await asyncio.to_thread(VectorStore, server.place)
            now = SystemClock().now().timestamp()
            assert await asyncio.to_thread(dead.texts.claim, WRITER, now, now + 2)
            assert not await asyncio.to_thread(dead.texts.claim, WRITER, now, now + 2)
            assert (await one.ingest(root)).added == ["shipping"]
            assert SystemClock().now().timestamp() > now + 2

    asyncio.run(run())
