"""An HTML page to its text, in one pass over its tree: an edit of a tree of thousands of tags costs a search each."""

from bs4 import BeautifulSoup, CData, NavigableString, PageElement, Tag

LEFT_OUT = frozenset({"script", "style", "noscript", "template", "nav", "head", "title", "iframe", "svg"})
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
ENDS_A_LINE = frozenset({"p", "div", "li", "tr", "br", "section"})
LINES_OF_ITS_OWN = frozenset(
    """address article aside blockquote caption dd details dl dt fieldset figcaption figure footer form header hr main
    ol pre summary table tbody tfoot thead ul""".split()  # noqa: SIM905  # words read better as a text
)
CELLS = frozenset({"td", "th"})
SPOKEN = (NavigableString, CData)
"""What is text; comments, doctypes and scripts are kinds of string of their own."""


def page_text(soup: BeautifulSoup) -> str:
    """What a page says: blocks on lines of their own, cells parted, headings as Markdown's, so that it is cut as an article is."""
    telling = _Telling()
    opened: list[Tag] = [soup]
    for node in soup.descendants:
        while node.parent is not opened[-1]:
            telling.close(opened.pop())
        if isinstance(node, Tag):
            telling.open(node)
            opened.append(node)
        else:
            telling.say(node)
    while opened:
        telling.close(opened.pop())
    return "".join(telling.parts)


class _Telling:
    """What has been told so far, and what the tag means that stands open."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._silent = 0
        self._heading: Tag | None = None
        self._heard: list[str] = []
        self._at_line_start = True

    def open(self, tag: Tag) -> None:
        """Begin a tag: a block begins a line also where the one before was never closed."""
        if self._silent or tag.name in LEFT_OUT:
            self._silent += 1
        elif self._heading is None and tag.name in HEADINGS:
            self._heading, self._heard = tag, []
        elif self._heading is None and tag.name != "br" and tag.name in ENDS_A_LINE | LINES_OF_ITS_OWN:
            self._begin_line()

    def say(self, text: PageElement) -> None:
        """Add a string, if it is text and not left out."""
        if self._silent or type(text) not in SPOKEN:
            return
        if self._heading is None:
            self._tell(str(text))
        elif stripped := str(text).strip():
            self._heard.append(stripped)

    def close(self, tag: Tag) -> None:
        """End a tag."""
        if self._silent:
            self._silent -= 1
        elif tag is self._heading:
            self._heading = None
            self._tell(f"\n\n{'#' * int(tag.name[1])} {' '.join(self._heard)}\n\n")
        elif self._heading is not None:
            return
        elif tag.name in ENDS_A_LINE:
            self._tell("\n")
        elif tag.name in LINES_OF_ITS_OWN:
            self._begin_line()
        elif tag.name in CELLS and not self._at_line_start:
            self._tell(" ")

    def _begin_line(self) -> None:
        if not self._at_line_start:
            self._tell("\n")

    def _tell(self, text: str) -> None:
        self.parts.append(text)
        if said := text.rstrip(" \t"):
            self._at_line_start = said.endswith("\n")
