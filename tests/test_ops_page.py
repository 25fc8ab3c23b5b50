"""The operators' page in a real browser: the key, the figures, a turn's waterfall; nothing leaves for elsewhere."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from api_fakes import TOKEN, FakeService
from browser import NEEDS_BROWSER, browsing, photograph
from fakes import FrozenClock, WordEmbedder
from places import open_store
from synthetic import keep_turns

from api import create_app

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SECONDS = 90.0
TURNS = 10_000

pytestmark = NEEDS_BROWSER


async def masked(text: str) -> str:
    return text.replace("ann@mail.example", "<EMAIL_1>")


@dataclass
class Reviewed(FakeService):
    """A service whose turns can be grouped and decided about."""

    embedder: WordEmbedder = field(default_factory=WordEmbedder)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.guards.mask = masked
        self.knowledge.articles = list


def in_browser(
    folder: Path, turns: int, work: Callable[[Any], Awaitable[Any]], **options: Any
) -> tuple[Any, list[str]]:
    store = open_store(folder, FrozenClock(NOW), daily_limit=2_000_000)
    if turns:
        keep_turns(store, turns, NOW, timedelta(days=30))
    service = Reviewed(store=store, clock=FrozenClock(NOW))
    app = create_app(service, owner_token=TOKEN)  # type: ignore[arg-type]
    options = {"viewport": {"width": 1280, "height": 900}} | options

    async def run() -> tuple[Any, list[str]]:
        async with asyncio.timeout(SECONDS), browsing(app, "/ops", **options) as (page, faults):
            return await work(page), faults

    try:
        return asyncio.run(run())
    finally:
        store.close()


async def enter(page: Any, key: str = TOKEN) -> None:
    await page.fill("#key", key)
    await page.press("#key", "Enter")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_key_opens_the_figures_and_a_turn_its_waterfall(tmp_path: Path, scheme: str) -> None:
    async def work(page: Any) -> dict[str, Any]:
        await enter(page)
        await page.wait_for_selector("#figures:not([hidden])")
        day = await page.inner_text("#tiles")
        await page.locator("#range label", has_text="30 days").click()
        await page.locator("#tiles", has_text="10,000").wait_for()
        await page.locator("#charts canvas").nth(3).wait_for()
        await page.locator("h2", has_text="Questions without an answer").wait_for()
        await photograph(page, f"ops-full-{scheme}")
        charts, heads = await page.locator("#charts canvas").count(), await page.locator("h2").all_inner_texts()
        await page.locator("#charts summary").first.click()
        rows = await page.locator("#charts details[open] tbody tr").count()
        await page.select_option("#kind", "failed")
        await page.locator("#turns", has_text="model down").wait_for()
        async with page.expect_response("**/admin/turns?*kind=thumbs_down*"):
            await page.select_option("#kind", "thumbs_down")
        await page.wait_for_selector("#loading", state="hidden")
        await page.locator("#turns button").first.focus()
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#turn[open] .waterfall .bar")
        bars, said = await page.locator(".waterfall .bar").count(), await page.inner_text("#turn-body")
        widths = await page.eval_on_selector_all(".waterfall .bar", "all => all.map(one => one.offsetWidth)")
        await page.wait_for_timeout(200)
        await photograph(page, f"ops-turn-{scheme}")
        linked = await page.evaluate("location.hash")
        await page.keyboard.press("Escape")
        await page.wait_for_url("**/ops")  # the turn is out of the address when its dialog is told that it is shut
        await page.reload()
        await page.wait_for_selector("#figures:not([hidden])")
        kept = await page.evaluate("sessionStorage.length")
        await page.click("#forget")
        gone = await page.evaluate("sessionStorage.length")
        return {"day": day, "charts": charts, "heads": heads, "rows": rows, "bars": bars, "said": said,
                "widths": widths, "linked": linked, "kept": kept, "gone": gone, "url": page.url}  # fmt: skip

    found, faults = in_browser(tmp_path, TURNS, work, color_scheme=scheme)
    assert faults == []
    assert "10,000" not in found["day"]
    assert found["charts"] == 4
    assert {"Health", "Requests", "Cost by model", "Budgets", "In use", "Questions without an answer"} <= {
        *found["heads"]
    }
    assert found["rows"] >= 30
    assert found["bars"] >= 3
    assert max(found["widths"]) > 3 * min(found["widths"])
    assert "guard_input" in found["said"]
    assert not {"null", "undefined", "NaN"} & {*found["said"].split()}
    assert found["linked"].startswith("#turn=01900000-")
    assert (found["kept"], found["gone"]) == (1, 0)
    assert TOKEN not in found["url"]


def test_a_wrong_key_is_refused_and_asked_for_again(tmp_path: Path) -> None:
    async def work(page: Any) -> tuple[Any, ...]:
        await photograph(page, "ops-key")
        await enter(page, "fd_wrong_key")
        await page.wait_for_selector("#trouble:not([hidden])")
        told, kept = await page.inner_text("#trouble"), await page.evaluate("sessionStorage.length")
        hidden = await page.is_hidden("#figures")
        await enter(page)
        await page.wait_for_selector("#figures:not([hidden])")
        await photograph(page, "ops-empty")
        return told, kept, hidden, await page.is_visible("#empty"), await page.locator("canvas").count()

    (told, kept, hidden, empty, charts), faults = in_browser(tmp_path, 0, work)
    assert told
    assert (kept, hidden, empty, charts) == (0, True, True, 0)
    # The browser itself reports the refusal.
    assert [fault for fault in faults if "401" not in fault] == []


def test_a_telephone_shows_it_without_scrolling_sideways(tmp_path: Path) -> None:
    async def work(page: Any) -> tuple[int, int]:
        await enter(page)
        await page.wait_for_selector("#charts canvas")
        await page.wait_for_timeout(400)
        await photograph(page, "ops-phone")
        wide = await page.evaluate("document.documentElement.scrollWidth")
        await page.locator("#turns button").first.click()
        await page.wait_for_selector("#turn[open] .waterfall")
        await photograph(page, "ops-phone-turn")
        return wide, await page.evaluate(
            "document.querySelector('#turn').scrollWidth - document.querySelector('#turn').clientWidth"
        )

    (wide, over), faults = in_browser(tmp_path, 2_000, work, viewport={"width": 390, "height": 800})
    assert faults == []
    assert wide <= 390
    assert over <= 0


def test_what_waits_is_shown_and_a_turn_is_accepted(tmp_path: Path) -> None:
    async def work(page: Any) -> tuple[str, str, str]:
        await enter(page)
        await page.click("#review")
        await page.wait_for_selector("table caption:has-text('wait for a reviewer')", state="attached")
        waits = await page.inner_text("section[aria-labelledby=s-panelReview]")
        await page.locator("section[aria-labelledby=s-panelReview] td button").first.click()
        await page.wait_for_selector("#turn[open] #decision")
        before = await page.inner_text("#decision")
        await page.fill("#decision-note", "as told to ann@mail.example")
        await page.click("#decision button:has-text('Accept')")
        await page.wait_for_selector("#decision:has-text('Accepted by')")
        await page.locator("#decision").scroll_into_view_if_needed()
        await photograph(page, "ops-review")
        return waits, before, await page.inner_text("#decision")

    (waits, before, after), faults = in_browser(tmp_path, 1_000, work)
    assert faults == []
    assert "dont know" in waits
    assert "Nobody has decided" in before
    assert "as told to <EMAIL_1>" in after


def test_a_turn_is_corrected_and_rated_in_vietnamese(tmp_path: Path) -> None:
    async def work(page: Any) -> dict[str, Any]:
        seen: dict[str, Any] = {"key": await page.inner_text("#entry")}
        await enter(page)
        await page.locator("#turns tr", has_text="đã trả lời").first.locator("button").click()
        await page.wait_for_selector("#turn[open] #decision")
        await page.click("#rating summary")
        await page.select_option("#rating select[name=accuracy]", "2")
        await page.select_option("#rating select[name=safety]", "5")
        await page.click("#rating button")
        await page.locator("#rating", has_text="đã chấm: Chính xác 2, An toàn 5").wait_for()
        await page.click("#correction summary")
        await page.select_option("#right-outcome", "answer")
        await page.fill("#right-answer", "30 ngày, hỏi ann@mail.example <b>nhé</b>")
        await page.fill("#right-facts", "30 ngày | một tháng\n\nmiễn phí")
        await page.fill("#right-must-not", "60 ngày")
        await page.click("#correction button")
        await page.locator("#decision", has_text="Đã sửa bởi").wait_for()
        await photograph(page, "ops-correct-vi")
        seen["turn"] = await page.inner_text("#turn")
        seen["kept"] = [await page.input_value(f"#right-{name}") for name in ("answer", "facts", "must-not")]
        await page.fill("#right-articles", "no-such-article")
        await page.click("#correction button")
        await page.wait_for_selector("#turn-trouble:not([hidden])")
        seen["refused"] = await page.inner_text("#turn-trouble")
        await page.keyboard.press("Escape")
        await photograph(page, "ops-vi")
        seen["page"] = await page.inner_text("main")
        await page.select_option("#language", "en")
        await page.locator("h2", has_text="Questions without an answer").wait_for()
        await page.reload()
        await page.locator("h2", has_text="Questions without an answer").wait_for()
        return seen

    seen, faults = in_browser(tmp_path, 1_000, work, locale="vi-VN")
    assert [fault for fault in faults if "422" not in fault and "400" not in fault] == []
    assert "Các số liệu này dành cho người vận hành" in seen["key"]
    assert seen["kept"] == ["30 ngày, hỏi <EMAIL_1> <b>nhé</b>", "30 ngày | một tháng\nmiễn phí", "60 ngày"]
    assert "no-such-article" in seen["refused"]
    assert {"null", "undefined", "NaN"}.isdisjoint({*seen["turn"].split(), *seen["page"].split()})
    for english in ("Questions", "Nobody", "stopped", "Requests", "Turns", "answered", "dont know"):
        assert english not in seen["page"], english
