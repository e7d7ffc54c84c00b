"""A headless Chromium, Debian's or the machine's own, and pages that remember what they did."""

import shutil
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
# No traffic but that of the page. Tests run as root in containers, hence no sandbox.
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
# A busy machine is no wrong answer.
PATIENCE_MS = 60_000
WIDTHS = {"phone": (360, 740), "desktop": (1280, 860)}


def found() -> str | None:
    """The path of a Chromium on this machine."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def running():
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found(), args=[*FLAGS])
        yield browser
        browser.close()


class Watched:
    """A page, with every origin it asked, and what its console said but for failed loads."""

    def __init__(self, browser, url, device="desktop", **options):
        width, height = WIDTHS[device]
        touch = device == "phone"
        size = {"viewport": {"width": width, "height": height}, "has_touch": touch}
        self.context = browser.new_context(**size, **options)
        self.context.set_default_timeout(PATIENCE_MS)
        self.page = self.context.new_page()
        self.origins, self.said = set(), []
        self.page.on("request", lambda one: self.origins.add(origin(one.url)))
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(url)

    def _hear(self, message):
        if not message.text.startswith("Failed to load resource"):
            self.said.append(message.text)


def origin(url):
    """`blob:` and `data:` leave nothing."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme.startswith("http") else parts.scheme
