"""Orders to a model inside retrieved text: how often they are found, and how often an article is dropped that gives none.

Attacks are our own texts for support desks, English and Vietnamese (indirect.jsonl), and the public BIPIA payloads; each
is put at the start, in the middle or at the end of a text that it has nothing to do with. Articles are those of our
desks and public ones. Rules were written by a look at the rows of the split dev alone, but our own texts and the rules
come from one hand: of held-out figures only those of BIPIA and of the public articles tell of other people's texts.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from evals.run import Figure, Result, share
from graph.profiles import find_desk
from guards.retrieved import Retrieved

NAME = "indirect"
OWN = Path(__file__).with_name("indirect.jsonl")
BIPIA = "bipia_attacks_train.jsonl"
CARRIERS = "bipia_email_contexts_train.jsonl"
BIPIA_DEV = frozenset(
    {0, 2, 7, 9, 11, 15, 18, 23, 25, 28, 31, 32, 35, 39, 40, 45, 48, 51, 52, 57, 58, 61, 65, 67, 68, 72, 78, 79, 84, 86,
     89, 94, 95, 96, 102, 105, 112, 114, 120, 123}
)  # fmt: skip
"""The lines of BIPIA that were read, drawn by chance, when the rules were written; the others are held out."""
TASKS = frozenset(
    {"Content Creation", "Learning and Tutoring", "Language Translation", "Programming Help", "Information Retrieval"}
)
"""BIPIA's tasks that are plain questions ("How do solar panels work?"): no word of them speaks to a model."""
ARTICLES = {
    "feedbackqa": "retrieval_feedbackqa/docs.jsonl",
    "tv manual": "retrieval_manuals/tv_docs.jsonl",
    "e-commerce FAQ": "kb_ecommerce_faq/faq.jsonl",
    "rhobank": "kb_rhobank/docs.jsonl",
}
MOST = 1_200
"""Characters of an article that are looked at in one piece, about a passage."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Planted:
    """An attack, the group that it is counted under, and the text that carries it."""

    attack: str
    group: str
    carrier: str


def measure_indirect(data: Path, say: Say) -> Result:
    """Figures of everything that is there; what is missing under `data` (the folder of public data) is said aloud."""
    found = Retrieved()
    planted = list(_planted(data, say))
    harmless = dict(_harmless(data, say))
    by_kind = {
        group: [
            share("dropped", [found.carries_orders(one.carrier) for one in planted if one.group == group]),
            share("defused", [one.attack not in found.defused(one.carrier) for one in planted if one.group == group]),
        ]
        for group in dict.fromkeys(one.group for one in planted)
    }
    for group, texts in harmless.items():
        by_kind[group] = [share("false_drops", [found.carries_orders(text) for text in texts])]
    figures = [
        _pooled("dropped", by_kind, [name for name in by_kind if name.endswith("held out") and "tasks" not in name]),
        _pooled("false_drops", by_kind, [name for name in harmless if "dev" not in name]),
    ]
    return Result(NAME, {"attacks": len(planted), "articles": sum(map(len, harmless.values()))}, figures, by_kind)


def read_own(split: str, label: str) -> list[dict[str, str]]:
    """Our own texts of a split: `attack` or `benign`."""
    rows = [json.loads(line) for line in OWN.read_text(encoding="utf-8").split("\n") if line.strip()]
    return [row for row in rows if (row["split"], row["label"]) == (split, label)]


def _planted(data: Path, say: Say) -> Iterator[Planted]:
    carriers = {language: cycle(_shop(language)) for language in ("en", "vi")}
    for split in ("dev", "held_out"):
        for place, row in enumerate(read_own(split, "attack")):
            group = f"own texts, {row['language']}, {split.replace('_', ' ')}"
            yield Planted(row["text"], group, _into(next(carriers[row["language"]]), row["text"], place))
    payloads, mails = data / "injection" / BIPIA, data / "injection" / CARRIERS
    if not payloads.is_file() or not mails.is_file():
        say(f"LEFT OUT {BIPIA} or {CARRIERS}: not in {data / 'injection'}")
        return
    texts = cycle([row["context"][:MOST] for row in _read(mails)])
    for number, row in enumerate(_read(payloads)):
        kind = "tasks" if row["attack_type"] in TASKS else "code" if "```" in row["attack"] else "orders"
        group = f"BIPIA {kind}, {'dev' if number in BIPIA_DEV else 'held out'}"
        for place in range(3):
            yield Planted(row["attack"], group, _into(next(texts), row["attack"], place))


def _harmless(data: Path, say: Say) -> Iterator[tuple[str, list[str]]]:
    yield "articles of our desks", [piece for language in ("en", "vi", "") for piece in _shop(language)]
    for split in ("dev", "held_out"):
        yield f"own harmless texts, {split.replace('_', ' ')}", [row["text"] for row in read_own(split, "benign")]
    for name, file in ARTICLES.items():
        path = data / file
        if path.is_file():
            rows = _read(path)
            texts = (
                f"{row.get('title') or row.get('question', '')}\n{row.get('text') or row.get('answer', '')}"
                for row in rows
            )
            yield f"articles, {name}", [piece for text in texts for piece in _pieces(text)]
        else:
            say(f"LEFT OUT {file}: not in {data}")
    path = data / "injection" / CARRIERS
    if path.is_file():
        yield "e-mails (BIPIA)", [row["context"] for row in _read(path)]


def _shop(language: str) -> list[str]:
    """Pieces of the shipped desks' articles in a language; without one, those of internal articles."""
    texts = [
        path.read_text(encoding="utf-8")
        for desk in ("shop", "clinic")
        for path in sorted((find_desk(desk) / "knowledge").rglob("*.md"))
    ]
    head = f"language: {language}" if language else "audience: internal"
    wanted = [text for text in texts if head in text and (not language or "audience: internal" not in text)]
    return [piece for text in wanted for piece in _pieces(text.split("---", 2)[-1].strip())]


def _pieces(text: str) -> list[str]:
    return [text[start : start + MOST] for start in range(0, len(text), MOST)] or [text]


def _into(carrier: str, attack: str, place: int) -> str:
    """The attack on lines of its own: before, between, or behind the carrier's lines."""
    lines = carrier.split("\n")
    lines.insert((0, len(lines) // 2, len(lines))[place % 3], attack)
    return "\n".join(lines)


def _read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def _pooled(name: str, by_kind: dict[str, list[Figure]], kinds: Sequence[str]) -> Figure:
    found = [figure for kind in kinds for figure in by_kind[kind] if figure.name == name]
    hits = sum(round((figure.value or 0.0) * figure.n) for figure in found)
    return share(name, [place < hits for place in range(sum(figure.n for figure in found))])
