"""Articles to chunks: cut at headings, then by size; every chunk keeps the headings above it."""

import re
from collections.abc import Callable, Iterable, Iterator

from retrieval.articles import Article, Chunk
from retrieval.config import Chunking

SplitText = Callable[[str], list[str]]
HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*\s*$")
FENCE = re.compile(r"^\s*(```|~~~)")


def chunk_articles(articles: list[Article], rule: Chunking) -> dict[str, list[Chunk]]:
    """The chunks of each article, by its id, in order."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter  # noqa: PLC0415  # 1 s: only an ingest

    by_size = RecursiveCharacterTextSplitter(chunk_size=rule.size, chunk_overlap=rule.overlap)
    return {article.id: _cut(article, rule, by_size.split_text) for article in articles}


def _cut(article: Article, rule: Chunking, split: SplitText) -> list[Chunk]:
    sections = _joined(_sections(article), rule.least) if rule.splitter == "headings" else [("", article.text)]
    pieces = [(section, piece) for section, text in sections for piece in split(text)]
    # An article of headings alone still says something.
    pieces = pieces or [("", article.text)]
    return [
        Chunk(f"{article.id}#{n}", article.id, article.title, section, piece, article.language, article.url)
        for n, (section, piece) in enumerate(pieces)
    ]


def _sections(article: Article) -> Iterator[tuple[str, str]]:
    """(headings above, text) of each stretch between headings; a # inside a code fence is no heading.

    langchain's Markdown splitter is not used: it joins paragraphs and flattens lists, which spoils quotes.
    """
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    fenced = False
    for line in article.text.splitlines():
        fenced ^= bool(FENCE.match(line))
        heading = None if fenced else HEADING.match(line)
        if heading is None:
            lines.append(line)
            continue
        level = len(heading[1])
        yield _section(path, lines, next_level=level)
        path, lines = [step for step in path if step[0] < level], []
        if heading[2] != article.title:
            path.append((level, heading[2]))
    yield _section(path, lines, next_level=0)


def _joined(sections: Iterable[tuple[str, str]], least: int) -> Iterator[tuple[str, str]]:
    """Sections with the short ones joined; a joined one keeps the first name, the others' stand in its text."""
    held: tuple[str, str] | None = None
    for name, text in sections:
        if not text.strip():
            continue
        if held is None or len(held[1]) >= least:
            if held is not None:
                yield held
            held = name, text.strip()
        else:
            held = held[0], f"{held[1]}\n\n{name.rpartition(' > ')[2]}\n{text.strip()}"
    if held is not None:
        yield held


def _section(path: list[tuple[int, str]], lines: list[str], *, next_level: int) -> tuple[str, str]:
    text = "\n".join(lines)
    # A heading with nothing below it, not even another heading, is itself what is said.
    if path and not text.strip() and next_level <= path[-1][0]:
        text = path[-1][1]
    return " > ".join(name for _, name in path), text
