"""What is made once for a desk folder and ships in it."""

from typing import Any

from domain.ports import Progress
from domain.settings import Settings
from graph.profiles import find_desk, read_profile
from graph.rooms import VECTORS
from models.embedder import load_embedder
from retrieval import default_rag_config, load_rag_config
from retrieval.shipped import ship_vectors


async def ship_desk_vectors(settings: Settings, progress: Progress | None = None) -> dict[str, Any]:
    """Compute the vectors of a desk's own articles into its folder: {folder, texts, computed, bytes}.

    Raises DeskError, KnowledgeError, StoreError.
    """
    desk_folder = find_desk(settings.desk)
    articles = desk_folder / "knowledge"
    config = load_rag_config(settings.rag_config or default_rag_config(read_profile(desk_folder).languages))
    embedder = load_embedder(config.embedder.name)
    made = await ship_vectors(articles, desk_folder / VECTORS, config, embedder, progress)
    return {"folder": str(desk_folder / VECTORS), **made}
