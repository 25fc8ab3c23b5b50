"""How long an ingest takes, part by part, and how near its embedding is to the bare model: python -m evals.ingest_speed FILE.

Processor seconds, so that a busy machine does not matter much. The model is run on the same texts, block by block between
those of the ingest, with nothing around it: what is left between the two is ours.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from domain.ports import Progress, Vector
from models.embedder import MAX_TOKENS, SPECS, find_weights, load_embedder, open_model
from retrieval import load_rag_config

CONFIG = "english"
BLOCK = 64


class Beside:
    """The English embedder, and after each block of its passages the bare model on the same texts."""

    def __init__(self) -> None:
        self._inner = load_embedder(load_rag_config(CONFIG).embedder.name)
        spec = SPECS[self._inner.name]
        self._session, self._tokenizer = open_model(find_weights(spec.package, spec.files))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._threads = spec.threads
        self.texts, self.tokens, self.beside = 0, 0, 0.0
        self.ours, self.bare, self.bare_wall, self.ours_wall = 0.0, 0.0, 0.0, 0.0

    @property
    def name(self) -> str:
        """The embedder's name."""
        return self._inner.name

    async def warm(self) -> None:
        """Load the weights, which is no part of the measure."""
        await self._inner.warm()
        self._run(["warm"])  # the first run allocates
        self.texts, self.tokens, self.bare, self.bare_wall = 0, 0, 0.0, 0.0

    async def query(self, text: str) -> Vector:
        """The vector of a question."""
        return await self._inner.query(text)

    def ask(self, text: str) -> Vector:
        """The same; it blocks."""
        return self._inner.ask(text)

    async def passages(self, texts: Sequence[str], progress: Progress | None = None) -> list[Vector]:
        """The vectors of passages, measured."""
        vectors: list[Vector] = []
        for start in range(0, len(texts), BLOCK):
            block = texts[start : start + BLOCK]
            cpu, wall = process_time(), perf_counter()
            vectors += await self._inner.passages(block)
            self.ours += process_time() - cpu
            self.ours_wall += perf_counter() - wall
            cpu = process_time()
            await asyncio.to_thread(self._run, block)
            self.beside += process_time() - cpu
            if progress is not None:
                progress(len(vectors), len(texts))
        return vectors

    def _run(self, texts: Sequence[str]) -> None:
        import numpy as np  # noqa: PLC0415  # came with onnxruntime

        given = [np.array([encoded.ids], dtype=np.int64) for encoded in self._tokenizer.encode_batch(list(texts))]
        feeds = [
            {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            for ids in given
        ]

        def run(feed: dict[str, Any]) -> None:
            self._session.run(["last_hidden_state"], feed)

        cpu, wall = process_time(), perf_counter()
        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(run, feeds))
        self.bare += process_time() - cpu
        self.bare_wall += perf_counter() - wall
        self.texts += len(texts)
        self.tokens += sum(ids.size for ids in given)


async def measured(path: Path) -> str:
    """Ingest `path` into a folder that goes; the account in three lines. Raises KnowledgeError."""
    from graph.rooms import open_knowledge  # noqa: PLC0415  # seconds: not for --help

    beside = Beside()
    await beside.warm()
    with tempfile.TemporaryDirectory(prefix="frontdesk-eval-") as folder:
        knowledge = await open_knowledge(Path(folder), load_rag_config(CONFIG), lambda _: beside)
        try:
            cpu = process_time()
            report = await knowledge.ingest(path)
            whole = process_time() - cpu - beside.beside
        finally:
            await knowledge.close()
    rate, floor = beside.texts / beside.ours, beside.texts / beside.bare
    return (
        f"{len(report.added)} articles, {beside.texts} passages of {beside.tokens / beside.texts:.0f} tokens\n"
        f"processor: {whole:.1f} s, {beside.ours:.1f} of it embedding, {whole - beside.ours:.1f} the rest\n"
        f"passages a processor second: {rate:.1f}, the bare model {floor:.1f} ({beside.bare / beside.ours:.0%});"
        f" by the clock {beside.texts / beside.ours_wall:.1f}, the bare model {beside.texts / beside.bare_wall:.1f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m evals.ingest_speed", description="Time an ingest beside the bare model."
    )
    parser.add_argument("articles", type=Path, metavar="FILE", help="articles, as `frontdesk ingest` takes them")
    sys.stdout.write(f"{asyncio.run(measured(parser.parse_args().articles))}\n")
