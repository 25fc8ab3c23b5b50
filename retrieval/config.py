"""A RAG configuration: one YAML file under configs/, versioned, that says how knowledge is cut, found and trusted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from domain.errors import KnowledgeError
from domain.turn import Language

FOLDER = Path(__file__).parent / "configs"
Feature = Literal[
    "dense_top",
    "dense_gap",
    "dense_lead",
    "dense_above",
    "lexical_top",
    "lexical_of_best",
    "lexical_gap",
    "lexical_lead",
    "fused_gap",
    "fused_lead",
    "coverage",
    "coverage_of_best",
    "length",
]
Share = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Chunking(_Strict):
    """How an article is cut. Sizes are characters; `headings` cuts at headings first, `plain` by size alone.

    A section shorter than `least` is joined with the one after it, its heading in the text.
    """

    splitter: Literal["headings", "plain"]
    size: int = Field(ge=100, le=8_000)
    overlap: int = Field(ge=0)
    least: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _overlap_fits(self) -> Self:
        if self.overlap >= self.size:
            message = "overlap must be less than size"
            raise ValueError(message)
        return self


class EmbedderPin(_Strict):
    """The embedder that filled the collections, by name and by the hash of its weights."""

    name: str = Field(min_length=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Fusion(_Strict):
    """Weight of the cosine and of each lexical share in their sum, and how many candidates each side brings.

    `lexical` is of a chunk's words, `title` of those of its title alone, `pairs` of neighbouring words.
    """

    dense: Share
    lexical: float = Field(ge=0, le=10)
    title: float = Field(0.0, ge=0, le=10)
    pairs: float = Field(0.0, ge=0, le=10)
    candidates: int = Field(ge=1, le=1_000)


class Calibration(_Strict):
    """A logistic regression from features of one search (retrieval/confidence.py) to P(answerable)."""

    bias: float
    weights: dict[Feature, float]


class Doubt(_Strict):
    """A logistic regression to P(the quotation answers), and what follows from it: below `low` a don't-know, below `high` a caveat.

    `confidence` weighs the search's confidence as log odds, `likeness` how far question and quotation are more alike than
    two of the desk's texts (cosines). For questions in the language of the articles found.
    """

    bias: float
    confidence: float
    likeness: float
    low: Share
    high: Share


class Reranking(_Strict):
    """A model that reads the question beside each of the first `candidates` chunks and puts those in a new order.

    By its name and the hash of its weights. One that takes longer than `deadline_ms` leaves the order as it was.
    """

    name: str = Field(min_length=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    candidates: int = Field(ge=2, le=50)
    deadline_ms: int = Field(ge=1, le=60_000)


class RagConfig(_Strict):
    """One version of one way to retrieve.

    `grey` = (low, high): a confidence below low is a don't-know, above high an answer; between them
    a model may be asked. `calibration` is for questions in the language of the articles found,
    `cross_language` for the others, where words cannot match (absent: not told apart). `doubt` decides over a quotation
    in the place of `grey` (absent: it does not).
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    version: int = Field(ge=1)
    chunking: Chunking
    embedder: EmbedderPin
    top_k: int = Field(ge=1, le=50)
    fusion: Fusion
    centring: Share = Field(description="How much of a language's pull on its own questions is taken back.")
    translated: dict[Language, Share] = Field(
        default_factory=dict,
        description="By the question's language: what its words in the other language (glossary.yaml) weigh.",
    )
    duplicate: Share = Field(description="Share of common words above which two chunks of one article are one.")
    per_article: int = Field(ge=1, description="Most chunks of one article among the results.")
    grey: tuple[Share, Share]
    calibration: Calibration
    cross_language: Calibration | None = None
    doubt: Doubt | None = None
    reranker: Reranking | None = None

    @model_validator(mode="after")
    def _grey_is_ordered(self) -> Self:
        if self.grey[0] > self.grey[1]:
            message = "grey must be [low, high]"
            raise ValueError(message)
        return self

    @property
    def tells_languages(self) -> bool:
        """Whether a question's language makes a difference. Its table takes memory, and a moment to read."""
        return bool(self.cross_language or self.translated or self.doubt)

    @property
    def label(self) -> str:
        """Name and version as receipts and collections carry it: "english@1"."""
        return f"{self.name}@{self.version}"


def default_rag_config(languages: Sequence[Language]) -> str:
    """Name of the configuration for a desk in these languages."""
    return "multilingual" if "vi" in languages else "english"


def load_rag_config(name: str) -> RagConfig:
    """Read a configuration by its name, or by the path of a YAML file. Raises KnowledgeError.

    `extends: NAME` takes what the file does not say from a shipped configuration.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    try:
        return RagConfig.model_validate(_raw(path))
    except FileNotFoundError as fault:
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise KnowledgeError("no such RAG configuration", where=str(path), fix=f"one of {known}") from fault
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        what = f"cannot be read: {fault}"
        raise KnowledgeError(what, where=str(path), fix="it must be YAML in UTF-8") from fault
    except ValidationError as fault:
        first = fault.errors()[0]
        what = f"{'.'.join(str(part) for part in first['loc']) or 'the file'}: {first['msg']}"
        raise KnowledgeError(what, where=str(path), fix="compare with english.yaml") from fault


def _raw(path: Path) -> object:
    """The file's fields over those of the one that it `extends`, which must be whole."""
    fields = yaml.safe_load(path.read_text("utf-8"))
    if not isinstance(fields, dict) or "extends" not in fields:
        return fields
    base = yaml.safe_load((FOLDER / f"{fields.pop('extends')}.yaml").read_text("utf-8"))
    return {**base, **fields}
