"""Vectors that lie beside a desk's articles, so that its first start need not compute them.

One file an embedder: `vectors/NAME.npz` with the hash of the embedder's weights, a key (the start of a text's
sha256) and a vector (half precision: cosines differ by less than .0005) for each text. It is a cache that is
checked: what does not fit is not used, and what is not in it is computed.
"""

import asyncio
import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import structlog

from domain.errors import StoreError
from domain.ports import Embedder, Progress, Vector
from retrieval.chunking import chunk_articles
from retrieval.config import EmbedderPin, RagConfig
from retrieval.reading import read_articles

KEY_BYTES = 16
MOST_BYTES = 200_000_000
UNIT = (0.99, 1.01)
"""Lengths that a normalised vector may have in half precision."""


def read_vectors(folder: Path, pin: EmbedderPin) -> dict[bytes, Vector]:
    """The vectors that ship for this embedder, by `key_of` their text; none where the file is absent or wrong."""
    path = _place(folder, pin)
    if not path.is_file():
        return {}
    try:
        return _checked(path, pin)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as fault:
        # A wrong cache costs seconds, not answers.
        structlog.get_logger().warning("shipped vectors are not used", file=str(path), why=str(fault)[:200])
        return {}


def key_of(text: str) -> bytes:
    """What a text's vector is kept under."""
    return hashlib.sha256(text.encode()).digest()[:KEY_BYTES]


async def ship_vectors(
    articles: Path, folder: Path, config: RagConfig, embedder: Embedder, progress: Progress | None = None
) -> Mapping[str, int]:
    """Write the vectors of all these articles into `folder`: {texts, computed, bytes}. Raises KnowledgeError, StoreError.

    What the file there holds already is not computed again.
    """
    texts = await asyncio.to_thread(_texts, articles, config)
    kept = await asyncio.to_thread(read_vectors, folder, config.embedder)
    missing = [text for text in texts if key_of(text) not in kept]
    computed = await embedder.passages(missing, progress)
    kept |= {key_of(text): vector for text, vector in zip(missing, computed, strict=True)}
    vectors = {key: kept[key] for key in map(key_of, texts)}
    size = await asyncio.to_thread(_write, _place(folder, config.embedder), config.embedder, vectors)
    return {"texts": len(texts), "computed": len(missing), "bytes": size}


def _texts(articles: Path, config: RagConfig) -> list[str]:
    chunks = chunk_articles(read_articles(articles).articles, config.chunking)
    return sorted({chunk.embedded for rows in chunks.values() for chunk in rows})


def _write(path: Path, pin: EmbedderPin, vectors: Mapping[bytes, Vector]) -> int:
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as stream:
            np.savez(
                stream,
                embedder=np.frombuffer(bytes.fromhex(pin.sha256), dtype=np.uint8),
                keys=np.frombuffer(b"".join(vectors), dtype=np.uint8).reshape(-1, KEY_BYTES),
                vectors=np.asarray(list(vectors.values()), dtype=np.float16),
            )
        return path.stat().st_size
    except OSError as fault:
        raise StoreError(f"cannot be written: {fault.strerror}", where=str(path), fix="mend its rights") from fault


def _place(folder: Path, pin: EmbedderPin) -> Path:
    return folder / f"{pin.name}.npz"


def _checked(path: Path, pin: EmbedderPin) -> dict[bytes, Vector]:
    if path.stat().st_size > MOST_BYTES:
        message = "it is too large"
        raise ValueError(message)
    # np.load leaves a file open that it cannot read; a stream of our own is closed whatever comes.
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
        if held["embedder"].tobytes().hex() != pin.sha256:
            message = "another embedder made them"
            raise ValueError(message)
        keys, vectors = held["keys"], held["vectors"].astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1)
    if keys.shape != (len(vectors), KEY_BYTES) or not ((lengths > UNIT[0]) & (lengths < UNIT[1])).all():
        message = "keys and vectors do not fit"
        raise ValueError(message)
    unit = (vectors / lengths[:, None]).tolist()
    return {key.tobytes(): vector for key, vector in zip(keys, unit, strict=True)}
