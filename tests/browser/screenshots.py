"""Takes the pictures of docs/playground.md again: `python -m tests.browser.screenshots`."""

import tempfile
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect

from inference.loadtest.thumbnail_server import ThumbnailServer
from model.checkpoints.checkpoint import BUILTIN
from model.synthetic.thumbnails import sample
from tests.browser import chromium
from tests.browser.giving import drop, transfer
from tests.e2e.service import ROOT, started
from tests.ports import refusing

FOLDER = ROOT / "docs" / "playground"
# A larger file keeps fewer colours.
MOST_BYTES = 140_000


def main(folder=FOLDER):
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place, chromium.running() as browser:
        flags = ("--playground", "--model", BUILTIN)
        with started(Path(place), *flags) as service, ThumbnailServer() as images:
            shoot = Shooting(browser, service, folder)
            shoot.empty()
            shoot.example()
            shoot.pictures_alone()
            shoot.errors(images)
            shoot.refusals()


class Shooting:
    """Each method is a state of the page; the names of the files say which."""

    def __init__(self, browser, service, folder):
        self._browser, self._service, self._folder = browser, service, folder

    def empty(self):
        for device, scheme in (("desktop", "light"), ("phone", "dark")):
            with self._opened(device, scheme) as page:
                self._take(page, f"empty-{device}")
        with self._opened("desktop", "light") as page:
            page.dispatch_event("#drop", "dragover", {"dataTransfer": transfer(page, {"a": b""})})
            self._take(page, "drag")

    def example(self):
        for device in chromium.WIDTHS:
            for scheme in ("light", "dark"):
                with self._opened(device, scheme) as page:
                    example(page)
                    self._take(page, f"example-{device}-{scheme}", full=True)
        with self._opened("phone", "dark") as page:
            example(page)
            page.evaluate("document.querySelector('#sheet').scrollIntoView()")
            self._take(page, "sheet-phone")
        with self._opened("desktop", "light") as page:
            example(page)
            page.locator("#sheet .card button").nth(1).click()
            self._take(page, "by-picture")

    def pictures_alone(self):
        with self._opened("desktop", "light") as page:
            example(page)
            for _ in range(3):
                page.locator(".part").first.locator(".remove").first.click()
            self._take(page, "pictures-alone", full=True)

    def errors(self, images):
        for device, scheme in (("desktop", "light"), ("phone", "dark")):
            with self._opened(device, scheme) as page, refusing() as nobody:
                bad = [images.url("/gone/cover.png"), f"{nobody}/a.png"]
                bad.append("http://10.0.0.7/private.png")
                example(page)
                drop(page, {"notes.txt": b"not a picture", "mail.jpg": sample(7).data})
                urls = [*images.thumbnails(1), *bad]
                drop(page, texts=[["text/uri-list", "\r\n".join(urls)]])
                expect(page.locator(".item.failed")).to_have_count(4)
                expect(page.locator("#pill")).to_contain_text("4 failed")
                self._take(page, f"item-errors-{device}", full=device == "phone")

    def refusals(self):
        """Answers as a proxy or a busy service gives them; they can be had at will only so."""
        loading = error(503, "not_ready", "the service is loading its model", 1000)
        busy = error(503, "overloaded", "too many requests at once; retry later", 8000)
        large = {"status": 413, "content_type": "text/html", "body": "<h1>413</h1>"}
        for name, path, answer in (
            ("loading", "**/facts", loading),
            ("busy", "**/invocations", busy),
            ("too-large", "**/invocations", large),
            ("not-reached", "**/invocations", None),
        ):
            for device, scheme in (("desktop", "light"), ("phone", "dark")):
                with self._opened(device, scheme, path, answer) as page:
                    example(page, wait=False)
                    expect(page.locator("#banner")).to_be_visible()
                    page.evaluate("window.scrollTo(0, 0)")
                    self._take(page, f"{name}-{device}")

    @contextmanager
    def _opened(self, device, scheme, path=None, answer=None):
        options = {"color_scheme": scheme, "reduced_motion": "reduce"}
        one = chromium.Watched(self._browser, "about:blank", device, **options)
        if path is not None:
            one.page.route(path, lambda route: refuse(route, answer))
        one.page.goto(self._service.url("/"))
        expect(one.page.locator("#pill")).not_to_have_text("Connecting")
        yield one.page
        one.context.close()

    def _take(self, page, name, *, full=False):
        page.mouse.move(1, 1)
        page.wait_for_timeout(300)
        path = self._folder / f"{name}.png"
        page.screenshot(path=path, full_page=full)
        if path.stat().st_size > MOST_BYTES:
            with Image.open(path) as image:
                image.convert("RGB").quantize(256).save(path, optimize=True)


def example(page, *, wait=True):
    page.locator("#example").click()
    expect(page.locator("#tray img")).to_have_count(9)
    if wait:
        expect(page.locator("#pill")).to_have_text("12 embedded")


def refuse(route, answer):
    if answer is None:
        route.abort()
    else:
        route.fulfill(**answer)


def error(status, code, message, retry_after_ms):
    body = {"code": code, "message": message, "retryable": True, "retry_after_ms": retry_after_ms}
    return {"status": status, "json": {"error": body}}


if __name__ == "__main__":
    main()
