"""Which model answers, how it is reached, and what it costs; and what can be told of a question without one.

Heavy libraries (langchain_openai, onnxruntime, xllamacpp) are imported when something is first asked of them.
"""

from models.catalog import load_catalog
from models.chat import ModelClient
from models.embedded import LocalModel
from models.embedder import load_embedder
from models.language import detect_language
from models.router import ComplexityRouter
from models.weights import shipped_weights

__all__ = [
    "ComplexityRouter",
    "LocalModel",
    "ModelClient",
    "detect_language",
    "load_catalog",
    "load_embedder",
    "shipped_weights",
]
