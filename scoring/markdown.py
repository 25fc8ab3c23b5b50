"""A passage of Markdown as the pieces that can be quoted: sentences, list items, table rows."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from scoring.text import sentences

HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.+?)\s*#*\s*$")
ITEM = re.compile(r"^\s*(?:[-*+•]|(\d{1,3})[.)])\s+(.*)$")
ROW = re.compile(r"^\s*\|(.*?)\|?\s*$")
RULE = re.compile(r"^[\s|:\-]+$")
NAME = re.compile(r"^[^\W_][^.!?:;,|…]{0,48}[^\W_)\"”]\??$")
"""The heading of a short section that retrieval has joined to the one before: a short line that ends as no sentence does."""
FENCE = re.compile(r"^\s*(```|~~~)")
MARKS = (
    (re.compile(r"!\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"\[([^\]]+)\]\(([^)\s]+)[^)]*\)"), r"\1 (\2)"),
    (re.compile(r"\*\*(.+?)\*\*|__(.+?)__"), r"\1\2"),
    (re.compile(r"(?<![\w*])\*(?!\s)(.+?)(?<!\s)\*(?![\w*])"), r"\1"),
    (re.compile(r"`([^`]*)`"), r"\1"),
    (re.compile(r"\\([|*_`#\[\]()-])"), r"\1"),
    (re.compile(r"^\s*>\s?"), ""),
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Something that can be quoted. Pieces of one `block` stand together; `steps` have an order.

    `lead` is what it cannot be understood without: a table's or list's introduction, else the heading above.
    """

    text: str
    lead: str
    heading: str
    block: int
    kind: str

    @property
    def stands_alone(self) -> bool:
        """A whole sentence needs no lead."""
        return self.kind == "sentence" and self.text.endswith((".", "!", "?", "…", ".”", ".)", '."'))


def clean(text: str) -> str:
    """A line for reading: without Markdown's marks, every figure as it was."""
    for mark, instead in MARKS:
        text = mark.sub(instead, text)
    return " ".join(text.split())


def pieces(text: str, heading: str = "") -> list[Piece]:
    """The pieces of a passage in order; `heading` is the one above it."""
    return list(_pieces(text, heading))


@lru_cache(maxsize=2_048)
def _pieces(text: str, heading: str) -> tuple[Piece, ...]:
    """Remembered, as `content_words` are: the passages of a desk come again and again."""
    found: list[Piece] = []
    lead = ""
    for block, (kind, lines) in enumerate(_blocks(text)):
        if kind == "heading":
            heading, lead = clean(lines[0]), ""
        elif kind == "table":
            found += [Piece(row, lead or heading, heading, block, "row") for row in _rows(lines)]
        elif kind == "sentence":
            said = sentences(clean(" ".join(lines)))
            found += [Piece(sentence, heading, heading, block, kind) for sentence in said]
            lead = said[-1] if said and said[-1].endswith(":") else ""
        else:
            found += [Piece(clean(line), lead or heading, heading, block, kind) for line in lines]
    # A lead is said with what it introduces, not alone.
    leads = {piece.lead for piece in found if piece.kind != "sentence"}
    return tuple(piece for piece in found if not (piece.text.endswith(":") and piece.text in leads))


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Neighbouring lines of one kind: heading, table, item, steps, sentence (= a paragraph)."""
    kind, lines = "", list[str]()
    written = text.splitlines()
    for place, line in enumerate(written):
        now, said = _kind(line, kind)
        if now == "sentence" and _names(written, place):
            now = "heading"
        if now == "more":
            lines[-1] += f" {said}"
        elif now and now == kind != "heading":
            lines.append(said)
        else:
            if lines:
                yield kind, lines
            kind, lines = (now, [said]) if now else ("", [])
    if lines:
        yield kind, lines


def _names(written: list[str], place: int) -> bool:
    """Whether a line is the bare heading of what follows: after an empty line, with a text right below it."""
    after_nothing = place > 0 and not written[place - 1].strip()
    below = written[place + 1] if place + 1 < len(written) else ""
    return (
        after_nothing
        and below[:1].strip() != ""
        and not below[:1].islower()
        and bool(NAME.match(written[place].strip()))
    )


def _kind(line: str, before: str) -> tuple[str, str]:
    """What a line is, and what it says."""
    if not line.strip() or FENCE.match(line):
        return ("", "")
    if heading := HEADING.match(line):
        return ("heading", heading[1])
    if row := ROW.match(line):
        return ("table", row[1])
    if item := ITEM.match(line):
        return ("steps" if item[1] else "item", item[2])
    if before in ("item", "steps") and line.startswith("  "):
        return ("more", line.strip())
    return ("sentence", line)


def _rows(lines: list[str]) -> list[str]:
    """Table rows as lines to read: `E2 (Code) …` becomes "E2 — Meaning: …; What to do: …"."""
    table = [[clean(cell) for cell in re.split(r"(?<!\\)\|", line)] for line in lines]
    ruled = [place for place, line in enumerate(lines) if RULE.match(line)]
    head = table[0] if ruled == [1] else []
    rows = [cells for place, cells in enumerate(table) if place not in ruled and not (head and place == 0)]
    return [_row(cells, head) for cells in rows if any(cells)]


def _row(cells: list[str], head: list[str]) -> str:
    names = head[1:] + [""] * len(cells)
    said = [f"{name}: {cell}" if name else cell for name, cell in zip(names, cells[1:], strict=False) if cell]
    first = cells[0]
    if head and head[0] and first.replace(" ", "").isdigit():
        first = f"{head[0]} {first}"
    return f"{first} — {'; '.join(said)}" if said and first else first or "; ".join(said)
