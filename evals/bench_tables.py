"""The figures of `frontdesk bench` as the tables of a page."""

import re
from pathlib import Path

from domain.errors import UsageError
from evals.bench import LONG, MANY, OWN, SOME, Figures

STEPS = ("guard_input", "route", "retrieve", "generate", "guard_output")
GROWN = re.compile(r"articles_(\d+)_cpu_ms$")
OVERALL = (
    ("added at 1 client, p50 / p95", "{added_ms_p50:.0f} / {added_ms_p95:.0f} ms"),
    ("streamed: first word, p50 / p95", "{stream_first_added_ms_p50:.0f} / {stream_first_added_ms_p95:.0f} ms"),
    ("streamed: whole, p50 / p95", "{stream_added_ms_p50:.0f} / {stream_added_ms_p95:.0f} ms"),
    ("requests/s at 32 clients", "{requests_per_s_32:.0f}"),
    ("the same, streamed", "{stream_requests_per_s_32:.0f}"),
    ("p95 at 32 clients", "{ms_p95_32:,.0f} ms"),
    ("processor a turn, 1 client", "{cpu_ms:.1f} ms"),
    ("RSS after all that", "{rss_mb:.0f} MB"),
    ("first start, reading the articles", "{ready_first_s:.1f} s"),
    ("a later start: ready", "{ready_s:.1f} s"),
)


def tables(found: Figures) -> str:
    """Markdown: overall, steps, growth, and how it was measured."""
    desks = [f"English desk, {OWN} articles", *([f"desk `{found['beside']}`"] if "beside" in found else [])]
    each = [found, _without("beside_", found)][: len(desks)]
    lines = _table(["what", *desks], [[what, *(text.format(**one) for one in each)] for what, text in OVERALL])
    lines += ["", *_table(["wall time of a step, 1 client", *desks], [
        [step, *(f"{one[f'step_{step}_ms']:.1f} ms" for one in each)] for step in STEPS
    ])]  # fmt: skip
    clients = [
        [f"{count}", *(f"{found[f'{name}_{count}']:,.0f}" for name in ("requests_per_s", "ms_p50", "ms_p95", "cpu_ms"))]
        for count in (SOME, MANY, 2 * MANY)
    ]
    lines += ["", *_table(["clients", "requests/s", "p50 ms", "p95 ms", "processor ms a turn"], clients)]
    lines += ["", *_growth(found)]
    return "\n".join([*lines, "", _how(found)])


def write_into(page: Path, found: Figures) -> None:
    """Put the tables between `<!-- bench -->` and `<!-- /bench -->` (`bench-2` for two processes). Raises UsageError."""
    name = "bench" if found["workers"] == 1 else f"bench-{found['workers']}"
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    try:
        text = page.read_text("utf-8")
    except OSError as fault:
        raise UsageError(f"cannot be read: {fault.strerror}", where=str(page), fix="name a Markdown file") from fault
    before, first, rest = text.partition(begin)
    _, last, after = rest.partition(end)
    if not (first and last):
        raise UsageError(
            f"has no markers {begin} and {end}", where=str(page), fix="write them where the tables shall be"
        )
    page.write_text(f"{before}{begin}\n{tables(found)}\n{end}{after}", "utf-8")


def _growth(found: Figures) -> list[str]:
    columns = ["English desk", "added p50 / p95", "processor a turn", "requests/s at 32", "p95 at 32", "RSS", "ready"]
    text = (
        "{added_ms_p50:.0f} / {added_ms_p95:.0f} ms|{cpu_ms:.1f} ms|{requests_per_s_32:.0f}|{ms_p95_32:,.0f} ms"
        "|{rss_mb:.0f} MB|{ready_s:.1f} s"
    )
    sizes = [int(match[1]) for name in found if (match := GROWN.match(name))]
    rows = [[f"{size:,} articles", *text.format(**_without(f"articles_{size}_", found)).split("|")] for size in sizes]
    rows = [[f"{OWN} articles", *text.format(**found).split("|")], *rows]
    start, later = found["thread_start_added_ms_p50"], found[f"thread_{LONG}_turns_added_ms_p50"]
    talk = f"The first turns of a conversation add {start:.0f} ms (p50), the last of {LONG} turns {later:.0f} ms."
    return [*_table(columns, rows), "", talk]


def _how(found: Figures) -> str:
    processes = "one process on SQLite" if found["workers"] == 1 else f"{found['workers']} processes"
    why = f" ({found['left_out_why']})" if found.get("left_out_why") else ""
    return (
        f"Measured with `frontdesk bench`: {processes}, {found['cores']} cores at a load of {found['load_before']} before it"
        f" began, clients and model on the same machine; the model alone takes {found['direct_ms_p50']} / "
        f"{found['direct_ms_p95']} ms. {found['counted']:,} turns counted, {found['left_out']} left out{why}."
    )


def _without(prefix: str, found: Figures) -> Figures:
    return {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}


def _table(columns: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (columns, ["---"] * len(columns), *rows)]
