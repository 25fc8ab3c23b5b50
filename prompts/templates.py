"""`{{name}}` in a text. Nothing else is a template: no expressions, no second pass over what was put in."""

import re
from collections.abc import Mapping

from domain.errors import UsageError

VARIABLE = re.compile(r"\{\{\s*([a-z][a-z0-9_]*)\s*\}\}")
STRAY = re.compile(r"\{[%#]|[%#]\}|(?<!\{)\{\s*[a-z][a-z0-9_]*\s*\}(?!\})")
"""What other template languages would fill or run (`{% if %}`, `{# … #}`, `{name}`): here it would be sent as it is."""
TAG = re.compile(r"</?([a-z][a-z0-9_]*)>")
"""Tags by which a template fences data off, as in `<passages>`; placeholders such as `<EMAIL_1>` are none."""


def names_in(text: str, *, where: str) -> list[str]:
    """The variables of a template, in order of appearance. Raises UsageError for braces that are no variable."""
    rest = VARIABLE.sub("", text)
    if odd_lines := [line for line in rest.splitlines() if "{{" in line or "}}" in line or STRAY.search(line)]:
        odd = odd_lines[0].strip()
        raise UsageError(f"braces that are no variable: {odd[:60]!r}", where=where, fix="write {{name}} in lower case")
    return list(dict.fromkeys(VARIABLE.findall(text)))


def tags_in(text: str) -> frozenset[str]:
    """The names of the tags that fence data off."""
    return frozenset(TAG.findall(text))


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put the values in, once: braces inside a value stay as they are."""
    return VARIABLE.sub(lambda found: values[found[1]], text)


def inside_fence(value: str, tags: frozenset[str]) -> str:
    """A value that cannot close (or open) one of the template's fences: its `<` becomes `‹`."""
    if not tags:
        return value
    return re.sub(rf"<(?=\s*/?\s*(?:{'|'.join(sorted(tags))})\b)", "‹", value, flags=re.IGNORECASE)
