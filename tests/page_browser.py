"""The page in a browser: Debian's Chromium without a window."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

CHROMIUM = shutil.which("chromium", path="/usr/bin:/usr/local/bin")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser for the time of the block."""
    assert CHROMIUM, "chromium is not installed: see qemu-testbed/testbed/packages.py"
    # Without its sandbox, which wants a user other than root; nothing but the test's own server is visited.
    arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_at(browser: Browser, url: str, **context: Any) -> Iterator[Page]:
    """Open ``url`` in a window of its own; whatever its scripts complain of is an error."""
    window = browser.new_context(**context)
    page, complaints = window.new_page(), list[str]()

    def note(said: ConsoleMessage) -> None:
        if _is_complaint(said.text, said.type):
            complaints.append(said.text)

    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", note)
    try:
        page.goto(url, wait_until="commit")
        yield page
    finally:
        window.close()
    assert not complaints, complaints


def _is_complaint(text: str, kind: str) -> bool:
    # That a connection is lost the browser says by itself; the page says it, too.
    return kind in ("error", "warning") and "ERR_" not in text and "Failed to load resource" not in text
