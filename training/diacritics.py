"""Count the forms of Vietnamese words that models/diacritics.py restores by.

    python -m training.diacritics --data vihos_train_dev.jsonl [--check FILE …]

`--data` holds rows {"text", "toxic"}: those that are not toxic are counted (ViHOS, MIT). `--check` files hold rows {"text"}, or
{"question"}, in Vietnamese with diacritics: prints the share of their words that come back when their diacritics are taken away.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from domain.words import fold
from models.diacritics import EDGE, TABLE, WORD, Restorer, clauses

LEAST = 2
"""Times that two words must have stood side by side."""


def main() -> int:
    """Write the table, or check what it restores."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, default=TABLE)
    parser.add_argument("--own", type=Path, nargs="*", default=[], help="texts of a desk, for --check")
    parser.add_argument("--check", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    if given.data:
        alone, pairs = counted(row["text"] for row in _rows(given.data) if not row["toxic"])
        given.out.write_text(
            json.dumps({"alone": alone, "pairs": pairs}, ensure_ascii=False, sort_keys=True) + "\n", "utf-8"
        )
        sys.stdout.write(f"{given.out}: {len(alone)} forms, {sum(map(len, pairs.values()))} pairs\n")
    restorer = Restorer(path.read_text("utf-8") for path in given.own)
    for path in given.check:
        right, words = checked(restorer, [str(row.get("question") or row.get("text")) for row in _rows(path)])
        sys.stdout.write(f"{path.name}: {right / words:.3f} of {words} words\n")
    return 0


def counted(texts: Iterable[str]) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """How often each form stands there, and each behind another."""
    alone, pairs = Counter[str](), Counter[tuple[str, str]]()
    for text in texts:
        for words in clauses(text):
            alone.update([EDGE, *words])
            pairs.update(pairwise([EDGE, *words]))
    nested = defaultdict[str, dict[str, int]](dict)
    for (before, form), count in pairs.items():
        if count >= LEAST:
            nested[before][form] = count
    return dict(alone), nested


def checked(restorer: Restorer, texts: Iterable[str]) -> tuple[int, int]:
    """How many words come back, and of how many."""
    right = words = 0
    for text in texts:
        meant = [word for clause in clauses(text) for word in clause]
        back = WORD.findall(restorer.restored(" ".join(fold(word) for word in meant)))
        right += sum(one == other for one, other in zip(meant, back, strict=True))
        words += len(meant)
    return right, words


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


if __name__ == "__main__":
    sys.exit(main())
