"""The chat on another site's page: who may show it, whose session it is there, and how it is used, in a browser."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from api_fakes import FakeService, NoKeys, at_door
from browser import chromium, faults_of, needs_browser, photograph, serving
from test_api_page import TalkingDesk

from api import create_app
from domain.errors import SettingsError
from domain.settings import Settings, read_settings

SHOP = "https://shop.example"
PARTITIONED = "; HttpOnly; Path=/; SameSite=None; Secure; Partitioned"
SECONDS = 60.0
FOREIGN_PAGE = """<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>A shop</title>
<meta name="viewport" content="width=device-width"><meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src {desk}; frame-src {desk}; connect-src {desk}">
<style>* {{ color: #333; letter-spacing: .05em }} button {{ display: none }} iframe {{ display: none }}
body {{ font: 18px serif; max-width: 40rem; margin: 3rem auto; padding: 1rem }}</style>
<script src="{desk}/widget.js" async {data}></script></head>
<body><h1>Pans and lamps</h1><p>{words}</p><a href="#end">To the end</a></body></html>"""


def serving_widget(origins=SHOP):
    return FakeService(desk=TalkingDesk(), settings=Settings(llm="off", widget_origins=origins))


# ---- at the door


def test_named_sites_alone_may_frame_the_widget_and_nothing_else():
    async def work(door):
        return [await door.http.get(path) for path in ("/widget", "/widget.js", "/", "/ops", "/web/chat.js")]

    widget, loader, *others = at_door(work, serving_widget(f"{SHOP}, https://www.shop.example:8443"))
    policy = widget.headers["content-security-policy"]
    assert policy.endswith("frame-ancestors https://shop.example https://www.shop.example:8443")
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert "x-frame-options" not in widget.headers
    assert loader.headers["cross-origin-resource-policy"] == "cross-origin"
    for other in others:
        assert "frame-ancestors 'none'" in other.headers["content-security-policy"]
        assert other.headers["x-frame-options"] == "DENY"
        assert other.headers["cross-origin-resource-policy"] == "same-origin"


def test_without_a_named_site_there_is_no_widget():
    async def work(door):
        return [await door.http.get(path) for path in ("/widget", "/widget.js")]

    for answer in at_door(work):
        assert answer.status_code == 404
        assert "set-cookie" not in answer.headers


def test_the_session_in_a_frame_is_partitioned_and_the_page_keeps_its_strict_one():
    async def work(door):
        framed, page = await door.http.get("/widget"), await door.http.get("/")
        proxied = await door.http.get("/", headers={"X-Forwarded-Proto": "https", "Cookie": ""})
        name, _, value = framed.headers["set-cookie"].removesuffix(PARTITIONED).partition("=")
        again = await door.http.get("/widget", headers={"Cookie": f"{name}={value}"})
        return framed, page, proxied, again

    framed, page, proxied, again = at_door(work, serving_widget())
    assert framed.headers["set-cookie"].startswith("frontdesk_session=session-")
    assert framed.headers["set-cookie"].endswith(PARTITIONED)
    assert "samesite=strict" in page.headers["set-cookie"].lower()
    assert "secure" not in page.headers["set-cookie"].lower()
    assert "secure" in proxied.headers["set-cookie"].lower()
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize(
    "origins",
    ["*", "https://*.shop.example", "shop.example", "https://shop.example/path", "https://a.example;script-src *",
     "https://a.example 'self'", "javascript:1", "https://user@shop.example"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(origins, monkeypatch):
    monkeypatch.setenv("FRONTDESK_WIDGET_ORIGINS", origins)
    with pytest.raises(SettingsError, match="WIDGET_ORIGINS"):
        read_settings()


# ---- in a browser, on a page of another site (localhost is another site than 127.0.0.1)


@asynccontextmanager
async def foreign_site(page_of):
    """Another site; `page_of()` is what all its addresses answer."""

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        body = page_of().encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n" % len(body))
        writer.write(b"Connection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://localhost:{server.sockets[0].getsockname()[1]}"


def on_foreign_page(work, *, allowed=True, data="", language="en", keys=None, **options):
    """`work(page, desk, address)` on a page that shows the widget; its outcome, and what went wrong."""

    async def run():
        desks = []
        async with (
            asyncio.timeout(SECONDS),
            foreign_site(
                lambda: FOREIGN_PAGE.format(desk=desks[0], data=data, language=language, words="We sell. " * 40)
            ) as site,
        ):
            service = serving_widget(site if allowed else SHOP)
            service.store.keys = keys or NoKeys()
            async with (
                serving(create_app(service)) as address,
                chromium("--test-third-party-cookie-phaseout") as browser,
            ):
                desks.append(address)
                page = await browser.new_page(**({"viewport": {"width": 1000, "height": 800}} | options))
                faults = faults_of(page, [address, site])
                await page.goto(site)
                return await work(page, service.desk, address), faults

    return asyncio.run(run())


class Keyed(NoKeys):
    """A desk that asks everybody who they are."""

    def any(self):
        return True


async def ask_in_frame(page, text):
    frame = page.frame_locator("iframe")
    await frame.locator("#message").fill(text)
    await frame.locator("#message").press("Enter")
    await frame.locator(".assistant:last-child .thumb").first.wait_for()
    return frame


@needs_browser
def test_a_visitor_of_another_site_asks_by_keyboard_and_finds_the_talk_again():
    async def work(page, desk, address):
        del address
        await page.get_by_role("button", name="Chat with us").wait_for()
        await photograph(page, "widget-closed", full=False)
        frames_before = len(page.frames)
        await page.get_by_role("link", name="To the end").focus()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await page.frame_locator("iframe").locator("#message:focus").wait_for()
        await photograph(page, "widget-empty", full=False)
        await page.keyboard.type("How long do I have?")
        frame = await ask_in_frame(page, "How long do I have?")
        answer = await frame.locator(".assistant .text").inner_text()
        await photograph(page, "widget-answered", full=False)
        await page.keyboard.press("Escape")
        await page.get_by_role("dialog").wait_for(state="hidden")
        focused = await page.evaluate(
            "document.querySelector('[data-frontdesk-widget]').shadowRoot.activeElement.className"
        )
        await photograph(page, "widget-shut", full=False)
        cookies = [each for each in await page.context.cookies() if each["name"] == "frontdesk_session"]
        await page.reload()
        await page.get_by_role("button", name="Chat with us").click()
        await page.frame_locator("iframe").locator(".assistant .text").wait_for()
        await ask_in_frame(page, "And for sale items?")
        return frames_before, answer, focused, cookies, desk.asked

    (frames, answer, focused, cookies, asked), faults = on_foreign_page(work)
    assert faults == []
    assert frames == 1
    assert answer == "You have 30 days to return it. How long do I have?"
    assert focused == "open"
    (cookie,) = cookies
    assert (cookie["sameSite"], cookie["secure"], cookie["httpOnly"]) == ("None", True, True)
    assert cookie["partitionKey"].startswith("http://localhost")
    assert [(question.user_id, question.thread_id) for question in asked] == [
        (cookie["value"], ""),
        (cookie["value"], "thread-1"),
    ]


@needs_browser
def test_a_site_that_is_not_named_gets_a_way_out_and_can_do_nothing_in_the_visitors_name():
    async def work(page, desk, address):
        await page.get_by_role("button", name="Chat with us").click()
        posted = await page.evaluate(
            """async (desk) => {
              const ask = (kind) => fetch(`${desk}/v1/chat`, {method: "POST", credentials: "include", mode: "no-cors",
                headers: {"Content-Type": kind}, body: JSON.stringify({message: "hello"})}).then(() => "sent", () => "stopped");
              return [await ask("application/json"), await ask("text/plain")];
            }""",
            address,
        )
        await page.get_by_role("link", name="Open it in a new tab").wait_for()
        await photograph(page, "widget-refused", full=False)
        inside = [await frame.locator("#message").count() for frame in page.frames[1:]]
        return posted, inside, list(desk.asked)

    (_, inside, asked), faults = on_foreign_page(work, allowed=False)
    assert inside in ([], [0])
    assert asked == []
    assert any("frame-ancestors" in fault for fault in faults)


@needs_browser
def test_what_is_no_theme_and_no_colour_changes_nothing_and_is_said():
    said = []

    async def work(page, desk, address):
        del desk, address
        page.on("console", lambda line: said.append(line.text))
        await page.reload()
        await page.get_by_role("button", name="Chat with us").click()
        frame = page.frame_locator("iframe")
        await frame.locator("#suggestions button").first.wait_for()
        styled = [await frame.locator("html").get_attribute("style")]
        for asked in ("theme=evil&accent=red;background:url(x)", "theme=constructor&accent=%23fff000"):
            await page.frames[1].goto(page.frames[1].url.split("?")[0] + f"?{asked}")
            await frame.locator("#suggestions button").first.wait_for()
            styled.append(await frame.locator("html").get_attribute("style"))
        return styled

    data = 'data-theme="pink" data-accent="#fff;} * {display:none"'
    styled, faults = on_foreign_page(work, data=data)
    assert faults == []
    assert styled == [None, None, None]
    assert len([line for line in said if "Frontdesk: data-" in line]) == 2


@needs_browser
def test_on_a_telephone_it_fills_the_screen_and_says_where_it_works_without_a_session():
    async def work(page, desk, address):
        del address
        await page.get_by_role("button", name="Hỏi chúng tôi").click()
        frame = page.frame_locator("iframe")
        await frame.get_by_text("Xin chào!", exact=True).wait_for()  # the desk's own, once it was fetched
        box = await page.get_by_role("dialog").bounding_box()
        wide = await frame.locator("html").evaluate("root => root.scrollWidth - root.clientWidth")
        await photograph(page, "widget-phone", full=False)
        await ask_in_frame(page, "Bao lâu?")
        await page.context.clear_cookies()
        await frame.locator("#message").fill("Và sau đó?")
        await frame.locator("#message").press("Enter")
        told = await frame.locator(".trouble:not([hidden]) button").last.inner_text()
        await photograph(page, "widget-phone-no-session", full=False)
        await page.get_by_role("button", name="Đóng cửa sổ trò chuyện").click()
        return box, wide, told, await page.get_by_role("dialog").count(), len(desk.asked)

    data = 'data-label="Hỏi chúng tôi" data-position="left"'
    telephone = {"width": 375, "height": 700}
    seen, faults = on_foreign_page(work, language="vi", data=data, keys=Keyed(), viewport=telephone)
    assert [fault for fault in faults if "401" not in fault] == []
    box, wide, told, dialogs, asked = seen
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 375, 700)
    assert (wide, told, dialogs, asked) == (0, "Mở trong thẻ mới", 0, 1)
