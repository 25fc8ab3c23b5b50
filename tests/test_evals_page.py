"""The page of a run in a real browser: a desk's answers before and after an article was spoilt, held side by side."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from browser import NEEDS_BROWSER, chromium, faults_of, photograph
from fakes import ShelfSearch
from house import RETURNS, open_house
from test_evals_desk import case, run

from domain.turn import Passage
from evals.asking import Bench, put_through
from evals.records import Records
from evals.report import Side, write_page
from evals.run import Result
from evals.suites.desk import summed_up

pytestmark = NEEDS_BROWSER

AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
SPOILT = replace(RETURNS, text=RETURNS.text.replace("30 days", "14 days"))
ABOUT = ("a blue lamp", "my lamp", "the desk lamp", "an old lamp", "a lamp <b>with</b> a dimmer & a shade")
OUTSIDE = ("Write a poem about the sea", "What is the capital of France?")
CASES = [
    *(case(f"days-{what}", f"How many days do I have to return {what}?", facts=[["30 days"]], kind="days") for what in ABOUT),
    case("shipping", "What does return shipping of a lamp cost?", facts=[["USD 4.50"]], kind="cost"),
    *(case(text, text, "refuse", kind="scope") for text in OUTSIDE),
]  # fmt: skip
WIDE, NARROW = {"width": 1200, "height": 900}, {"width": 390, "height": 800}


def measured(folder: Path, passage: Passage) -> Result:
    """What the desk says to the cases with this passage on its shelf."""

    async def work() -> Result:
        async with open_house(folder, shelf=ShelfSearch([passage])) as house:
            bench = Bench(house.desk, [], house.store.ledger.get)
            scored, unscored = await put_through(bench, CASES, run())
            about: dict[str, object] = {"desk": "Lamp Shop", "split": "dev", "parallel": 4, "modes": {"quote": 8}}
            result = summed_up(scored, unscored, about, secret=False)
            return replace(result, config={"knowledge": passage.text[:12], "code": "0123456789ab"})

    return asyncio.run(work())


def written(folder: Path) -> tuple[Path, str]:
    """The page of the second of two kept runs, as `eval desk --report` writes it, and the name of the first."""
    records, path = Records(folder), folder / "run.html"
    for place, passage in enumerate((RETURNS, SPOILT)):
        result = measured(folder / f"home-{place}", passage)
        record = records.save(result, began=AT + timedelta(hours=place), seconds=1.0, seed=0)
    before = records.before(record)
    assert before is not None
    write_page(record.result, path, Side(before.id, before.result))
    return path, before.id


async def looked_at(path: Path) -> dict[str, Any]:
    """What stands on the page, wide and in the light, narrow and in the dark."""
    seen: dict[str, Any] = {}
    async with asyncio.timeout(60), chromium() as browser:
        page = await browser.new_page()
        faults = faults_of(page, [path.as_uri()])
        await page.goto(path.as_uri())
        for scheme, viewport in (("light", WIDE), ("dark", NARROW)):
            await page.set_viewport_size(viewport)
            await page.emulate_media(color_scheme=scheme)
            await photograph(page, f"report-{scheme}")
            seen[scheme] = {
                "paper": await page.evaluate("getComputedStyle(document.body).backgroundColor"),
                "overflow": await page.evaluate("document.documentElement.scrollWidth - innerWidth"),
            }
            plots = await page.locator("svg").evaluate_all(
                "all => all.map(one => [one.getAttribute('aria-label'), one.getBoundingClientRect().height,"
                " one.querySelectorAll('circle, rect').length])"
            )
            seen[scheme]["plots"] = {label: (height, marks) for label, height, marks in plots}
        seen["faults"] = faults
        seen["heads"] = await page.locator("h2").all_inner_texts()
        seen["worst"] = await page.locator("article").first.inner_text()
        seen["cards"] = await page.locator("article").count()
        seen["bold"] = await page.locator("article b").count()
        seen["difference"] = await page.locator("section", has_text="Difference to").first.inner_text()
    return seen


def test_the_page_of_a_run_shows_plots_worst_cases_and_what_changed_and_asks_for_nothing(tmp_path: Path) -> None:
    path, before = written(tmp_path)
    seen = asyncio.run(looked_at(path))
    assert seen["faults"] == []
    for scheme in ("light", "dark"):
        assert seen[scheme]["overflow"] <= 0, "the page is wider than the screen"
        plots = seen[scheme]["plots"]
        assert {"shares with intervals", "differences with intervals", "by kind"} <= plots.keys()
        assert all(height > 20 and marks for height, marks in plots.values())
    assert seen["light"]["paper"] != seen["dark"]["paper"]
    assert f"Difference to {before}, on the same rows" in seen["heads"]
    assert "answered_right" in seen["difference"]
    assert f"{-5 / 8:+.3f} (n 8" in seen["difference"]
    assert seen["cards"] == len(ABOUT)
    assert "14 days" in seen["worst"]
    assert "30 days" in seen["worst"].partition(before.upper() if before.upper() in seen["worst"] else before)[2]
    assert seen["bold"] == 0, "text of a customer became markup"
