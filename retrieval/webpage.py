"""An HTML page to its text, in one pass and no tree: a tree of a page of 3 MB took minutes to edit.

The parser of the standard library is fed a piece at a time. What it holds back between two pieces begins with a tag or
a comment that has not ended yet; one that never ends is where it would look again and again.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from html.parser import HTMLParser

PIECE = 65_536
"""Characters that the parser is given at a time, and most that may be left of a tag at the end of the page."""
VOID = frozenset(
    "area base br col embed hr img input link meta param source track wbr".split()  # noqa: SIM905  # words read better
)
LEFT_OUT = frozenset({"script", "style", "noscript", "template", "nav", "head", "title", "iframe", "svg"})
IN_HEAD = frozenset({"title", "meta", "link", "base", "script", "style", "noscript", "template"})
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
ENDS_A_LINE = frozenset({"p", "div", "li", "tr", "section"})
LINES_OF_ITS_OWN = frozenset(
    """address article aside blockquote body caption dd details dl dt fieldset figcaption figure footer form header
    main ol pre summary table tbody tfoot thead ul""".split()  # noqa: SIM905  # as above
)
BLOCKS = ENDS_A_LINE | LINES_OF_ITS_OWN
CELLS = frozenset({"td", "th"})
CDATA = "CDATA["

Attributes = Sequence[tuple[str, str | None]]


class WebPage(HTMLParser):
    """What a page says, once it has been `read`: blocks on lines of their own, cells parted, headings as Markdown's.

    `title` is the page's own, else its first heading of the first level; `named` what its <meta name=…> say;
    `language` that of <html lang>.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.named: dict[str, str] = {}
        self.language = ""
        self._titles: dict[str, list[str]] = {"title": [], "h1": []}
        self._parts: list[str] = []
        self._open: list[str] = []
        self._standing: Counter[str] = Counter()
        self._heading: list[str] | None = None
        self._at_line_start = True

    def read(self, page: str) -> bool:
        """Read a whole page; False where a tag or a comment of it never ends, and what follows is not known."""
        for start in range(0, len(page), PIECE):
            self.feed(page[start : start + PIECE])
        if len(self.rawdata) > PIECE:
            return False
        self.close()
        self._leave(0)
        return True

    @property
    def title(self) -> str:
        """The page's own title, else its first heading."""
        return next((title for parts in self._titles.values() if (title := _plain(parts))), "")

    @property
    def text(self) -> str:
        """Everything that was said."""
        return "".join(self._parts)

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        """Begin a tag: a block begins a line also where the one before was never closed."""
        given = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.language = self.language or given.get("lang", "")
        elif tag == "meta":
            self._take_meta(given)
        if self._standing["head"] and tag not in IN_HEAD:
            self._leave(self._open.index("head"))  # its end may be left out
        if tag in HEADINGS and self._heading is not None:
            self._leave(self._last(HEADINGS))
        if tag not in VOID:
            self._open.append(tag)
            self._standing[tag] += 1
        if not self._silent:
            self._begin(tag)

    def handle_endtag(self, tag: str) -> None:
        """End a tag, and those in it that were never closed; one that was not opened is nothing."""
        if self._standing[tag]:
            self._leave(self._last({tag}))

    def handle_data(self, data: str) -> None:
        """Say a text, where it is one."""
        if self._standing["title"] and not self._standing["svg"]:
            self._titles["title"].append(data)
        if not self._silent:
            self._tell(data)

    def unknown_decl(self, data: str) -> None:
        """Say what stands in a CDATA section."""
        if data.startswith(CDATA):
            self.handle_data(data.removeprefix(CDATA))

    @property
    def _silent(self) -> bool:
        return any(self._standing[tag] for tag in LEFT_OUT)

    def _take_meta(self, given: Mapping[str, str]) -> None:
        self.named[given.get("name", "").lower()] = given.get("content", "")

    def _last(self, tags: Collection[str]) -> int:
        """Where the innermost of these stands; what lies above it is about to be closed, so that a search is paid once."""
        return next(place for place in range(len(self._open) - 1, -1, -1) if self._open[place] in tags)

    def _leave(self, place: int) -> None:
        """Close what stands open from this place on."""
        while len(self._open) > place:
            tag = self._open.pop()
            if not self._silent:
                self._end(tag)
            self._standing[tag] -= 1

    def _begin(self, tag: str) -> None:
        if tag in HEADINGS:
            self._heading = []
        elif tag == "br":
            self._tell("\n")
        elif tag in BLOCKS:
            self._begin_line()
        elif tag in CELLS and not self._at_line_start:
            self._tell(" ")

    def _end(self, tag: str) -> None:
        if tag in HEADINGS:
            said, self._heading = self._heading or [], None
            if tag == "h1" and not self._titles["h1"]:
                self._titles["h1"] = said
            self._tell(f"\n\n{'#' * int(tag[1])} {_plain(said)}\n\n")
        elif tag in ENDS_A_LINE:
            self._tell("\n")
        elif tag in LINES_OF_ITS_OWN:
            self._begin_line()

    def _begin_line(self) -> None:
        if self._heading is not None or not self._at_line_start:
            self._tell("\n")

    def _tell(self, text: str) -> None:
        if self._heading is not None:
            self._heading.append(text)
            return
        self._parts.append(text)
        if said := text.rstrip(" \t"):
            self._at_line_start = said.endswith("\n")


def _plain(parts: Sequence[str]) -> str:
    return " ".join("".join(parts).split())
