"""Driving pages in a real browser, headless."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = ["--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update"]


@contextmanager
def headless_browser() -> Iterator[Browser]:
    """The machine's Chromium; the tests don't bring one, since the package that drives it would have to download it."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    assert program, "no Chromium was found: sudo apt-get install chromium"
    with sync_playwright() as tool:
        # Without its sandbox, which a container's root may not use: these pages are ours.
        browser = tool.chromium.launch(executable_path=program, args=[*QUIET, "--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()
