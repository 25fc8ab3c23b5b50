"""A real browser for the tests of the pages: Debian's chromium, driven by Playwright; a server for it to look at."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from api.server import address_of, listen, open_listener

CHROMIUM = Path("/usr/bin/chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NEEDS_BROWSER = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="NO BROWSER TEST WAS RUN: apt-get install chromium"),
]


def needs_browser(test: Any) -> Any:
    """Mark a test that needs a browser, in a file of which others do not."""
    for mark in NEEDS_BROWSER:
        test = mark(test)
    return test


@asynccontextmanager
async def serving(app: Any, port: int = 0) -> AsyncIterator[str]:
    """Serve an application on a port of loopback, 0: a free one; its address."""
    listener, ready = open_listener("127.0.0.1", port), asyncio.Event()
    task = asyncio.create_task(listen(app, listener, grace=2, ready=ready.set))
    await ready.wait()
    yield address_of(listener, "127.0.0.1")
    os.kill(os.getpid(), 15)
    await task


@asynccontextmanager
async def chromium(*arguments: str) -> AsyncIterator[Any]:
    """A fresh browser."""
    from playwright.async_api import async_playwright  # noqa: PLC0415  # only where there is a browser

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *arguments])
        yield browser
        await browser.close()


def faults_of(page: Any, addresses: Sequence[str], *, patience: float = 20_000) -> list[str]:
    """Whatever this page will ask elsewhere than at these addresses, and every error of its scripts."""
    faults: list[str] = []
    page.set_default_timeout(patience)
    page.on("request", lambda sent: None if sent.url.startswith(tuple(addresses)) else faults.append(sent.url))
    page.on("pageerror", lambda fault: faults.append(str(fault)))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    page.on("dialog", lambda dialog: faults.append(dialog.message))
    return faults


@asynccontextmanager
async def browsing(app: Any, path: str = "/", **options: Any) -> AsyncIterator[tuple[Any, list[str]]]:
    """A fresh browser on a page of an application, and what goes wrong in it."""
    async with serving(app) as address, chromium() as browser:
        page = await browser.new_page(**options)
        faults = faults_of(page, [address])
        await page.goto(f"{address}{path}")
        yield page, faults


async def photograph(page: Any, name: str, *, full: bool = True) -> None:
    """Keep what the page looks like now, for whoever names a folder in SHOTS."""
    if folder := os.environ.get("SHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=full)
