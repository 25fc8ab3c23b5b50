"""The agents' inbox in a real browser, beside the customer's page: a person takes over, answers, and gives back."""

import asyncio
from pathlib import Path
from typing import Any

from api_fakes import FakeService
from browser import NEEDS_BROWSER, chromium, faults_of, photograph, serving
from house import PROFILE, open_house

from api import create_app

SECONDS = 100.0
ANALYST, AGENT = (f"fd_{number * 12}_{number * 43}" for number in "12")
RETURNS = "How many days do I have to return a lamp?"

pytestmark = NEEDS_BROWSER


async def ask(page: Any, text: str) -> None:
    answers = await page.locator(".assistant").count()
    await page.fill("#message", text)
    await page.press("#message", "Enter")
    await page.locator(".assistant").nth(answers).locator(".thumb").first.wait_for()


async def enter(page: Any, key: str) -> None:
    await page.fill("#key", key)
    await page.press("#key", "Enter")


def test_a_customer_asks_for_a_person_who_answers_in_the_same_conversation(tmp_path: Path) -> None:
    async def story() -> tuple[dict[str, Any], list[str]]:
        async with asyncio.timeout(SECONDS), open_house(tmp_path) as house:
            house.store.keys.add("the figures", "analyst", ANALYST)
            house.store.keys.add("Linh", "agent", AGENT)
            service = FakeService(desk=house.desk, store=house.store, clock=house.clock, profile=PROFILE)  # type: ignore[arg-type]
            async with serving(create_app(service)) as address, chromium() as browser:  # type: ignore[arg-type]
                customer = await browser.new_page(locale="en-US", viewport={"width": 900, "height": 800})
                agent = await (
                    await browser.new_context(locale="en-US", viewport={"width": 1200, "height": 850})
                ).new_page()
                faults = [*(faults_of(page, [address]) for page in (customer, agent))]
                seen = await round_trip(customer, agent, address, house)
                return seen, [fault for each in faults for fault in each if not {"403", "404"} & {*fault.split()}]

    seen, faults = asyncio.run(story())
    assert faults == []
    assert "scope agent" in seen["refused"]
    assert seen["empty"]
    assert seen["ticket"] in seen["row"]
    assert "Returns" in seen["row"]
    assert seen["ticket"] in seen["title"]
    assert seen["department"] == "Returns"
    assert "A colleague answers" in seen["read"]
    assert "Linh here: your lamp is on its way. <b>soon</b>" in seen["read"]
    assert seen["joined"][-1].endswith(
        "Thank you. It is order 77, by the way: how many days do I have to return a lamp?"
    )
    assert seen["draft"] == "half a sen"
    assert seen["left"] == 0
    assert seen["after"] == ["answer"]
    assert seen["again"] != seen["ticket"]
    assert seen["again"] in seen["withdrawn"]
    assert seen["gone"]
    assert seen["audit"] == ["handoffs.withdraw", "handoffs.close", "handoffs.reply"]


async def round_trip(customer: Any, agent: Any, address: str, house: Any) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    await agent.goto(f"{address}/ops/inbox")
    await enter(agent, ANALYST)
    await agent.wait_for_selector("#trouble:not([hidden])")
    seen["refused"] = await agent.inner_text("#trouble")
    await enter(agent, AGENT)
    await agent.wait_for_selector("#no-tickets:not([hidden])")
    seen["empty"] = await agent.inner_text("#no-tickets")
    await photograph(agent, "inbox-empty")

    await customer.goto(address)
    await ask(customer, RETURNS)
    await customer.click("#talk-to-person")
    await customer.wait_for_selector('.assistant[data-outcome="handoff"] .ticket')
    seen["ticket"] = await customer.inner_text('.assistant[data-outcome="handoff"] .ticket')
    seen["department"] = await customer.inner_text('.assistant[data-outcome="handoff"] .department')
    await photograph(customer, "handoff")

    house.clock.advance(700)
    await agent.locator("#tickets button").wait_for()  # by itself, within ten seconds
    seen["row"] = await agent.inner_text("#tickets button")
    await agent.locator("#tickets button").focus()
    await agent.keyboard.press("Enter")
    await agent.wait_for_selector("#ticket-title:focus")
    seen["title"] = await agent.inner_text("#ticket-title")
    await photograph(agent, "inbox-ticket")
    await agent.fill("#text", "Linh here: your lamp is on its way. <b>soon</b>")
    await agent.locator("#text").press("Control+Enter")
    await agent.locator("#messages .agent").wait_for()

    await customer.locator('.assistant[data-outcome="agent"]').wait_for()  # by itself, within ten seconds
    seen["read"] = await customer.inner_text('.assistant[data-outcome="agent"]')
    await photograph(customer, "handoff-answered")
    await ask(customer, "Thank you. It is order 77, by the way: how many days do I have to return a lamp?")
    await agent.fill("#text", "half a sen")
    await agent.click("#refresh")
    await agent.locator("#messages .customer", has_text="order 77").wait_for()
    seen["joined"] = await agent.locator("#messages .customer").all_inner_texts()
    seen["draft"] = await agent.input_value("#text")
    await agent.set_viewport_size({"width": 390, "height": 800})
    await photograph(agent, "inbox-phone")

    await agent.click("#close")
    await agent.locator("#sure button[value=yes]").click()
    await agent.wait_for_selector("#no-tickets:not([hidden])")
    seen["left"] = await agent.locator("#tickets button").count()
    await ask(customer, RETURNS)
    seen["after"] = await customer.locator(".assistant").last.evaluate("node => [node.dataset.outcome]")
    await customer.click("#talk-to-person")
    await customer.locator(".assistant[data-outcome=handoff]").nth(1).locator(".ticket").wait_for()
    await agent.click("#refresh")
    seen["again"] = await agent.locator("#tickets button").first.get_attribute("data-ticket")
    await withdrawal(customer, agent, seen)
    seen["audit"] = [entry.what for entry in house.store.audit.recent(3)]
    return seen


async def withdrawal(customer: Any, agent: Any, seen: dict[str, Any]) -> None:
    """The customer takes the open ticket back while the agent writes."""
    await agent.locator("#tickets button").first.click()
    await agent.wait_for_selector("#ticket-title:focus")
    await customer.locator("#waiting:not([hidden]) p", has_text=seen["again"]).wait_for()
    await photograph(customer, "handoff-waiting")
    await customer.click("#waiting button")
    await customer.locator("#waiting", has_text="withdrawn").wait_for()
    await photograph(customer, "handoff-withdrawn")
    await agent.fill("#text", "Too late")
    await agent.locator("#text").press("Control+Enter")
    await agent.locator("#trouble", has_text="withdrawn").wait_for()
    seen["withdrawn"] = await agent.inner_text("#withdrawn li")
    await photograph(agent, "inbox-withdrawn")
    await ask(customer, RETURNS)
    seen["gone"] = await customer.is_hidden("#waiting")
