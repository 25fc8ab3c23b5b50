"""Finding the right article: ingestion, versioned collections, hybrid search with a calibrated confidence."""

from retrieval.articles import ArticleInfo, IngestReport, KnowledgeVersion
from retrieval.config import RagConfig, default_rag_config, load_rag_config
from retrieval.knowledge import Knowledge

__all__ = [
    "ArticleInfo",
    "IngestReport",
    "Knowledge",
    "KnowledgeVersion",
    "RagConfig",
    "default_rag_config",
    "load_rag_config",
]
