"""The page of `--playground` in headless Chromium: by mouse, by clipboard, by keyboard alone."""

import base64
import json
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from playwright.sync_api import expect

from model.checkpoints.checkpoint import BUILTIN
from tests.browser import chromium
from tests.browser.giving import drop, paste
from tests.e2e.service import started
from tests.images import png
from tests.ports import free_port

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        chromium.found() is None, reason="no Chromium here; Debian's is `apt-get install chromium`"
    ),
]
LARGEST = 200_000
LIMITS = ("--max-items-in-flight", "8", "--max-image-bytes", str(LARGEST))
HOSTILE = '<img src=x onerror="alert(1)">'
OVERLOADED_BY_A_PROXY = {"status": 429, "headers": {"Retry-After": "1"}, "body": "slow down"}
LARGE_BY_A_PROXY = {"status": 413, "content_type": "text/html", "body": "<h1>413</h1>"}


FOCUSED = """() => {
  const { ariaLabel, labels, innerText } = document.activeElement
  return ariaLabel ?? (labels?.[0] ?? { innerText }).innerText
}"""
# Shown elements that take the focus but have no name, and pictures without a text for them.
UNNAMED = """() => [...document.querySelectorAll('button, textarea, select, [tabindex="0"], img')]
  .filter((one) => one.checkVisibility())
  .filter((one) => one.matches('img') ? !one.hasAttribute('alt')
    : !(one.ariaLabel || one.innerText?.trim() || one.labels?.length || one.ariaLabelledByElements))
  .map((one) => one.outerHTML)"""
# Words on a ground of their own with a contrast below 4.5, the AA of WCAG 2.2. A canvas resolves
# every notation of a colour to bytes.
LOW_CONTRAST = """() => {
  const context = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })
  const light = (colour) => {
    context.fillStyle = colour
    context.fillRect(0, 0, 1, 1)
    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((byte) => byte / 255)
      .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const ground = (one) => {
    const colour = getComputedStyle(one).backgroundColor
    return /, 0\\)$/.test(colour) && one.parentElement ? ground(one.parentElement) : colour
  }
  const texts = 'td, th button, .name, .hint, .code, .message, .number, dt, dd, h2, h3, .solid'
  return [...document.querySelectorAll(texts)].filter((one) => one.checkVisibility())
    .map((one) => [one, light(getComputedStyle(one).color), light(ground(one))])
    .filter(([, a, b]) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5)
    .map(([one, a, b]) => `${one.outerHTML.slice(0, 80)} ${a} ${b}`)
}"""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("playground")
    flags = ("--playground", "--model", BUILTIN, "--batch-size", "4", "--text-batch-size", "4")
    with started(folder, *flags, *LIMITS) as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with chromium.running() as one:
        yield one


@pytest.fixture
def opened(browser):
    """Opens pages; at the end none has asked another origin, and no console has said a word."""
    pages = []

    def opening(service, **options):
        one = chromium.Watched(browser, service.url("/"), **options)
        pages.append((one, chromium.origin(service.url("/"))))
        return one.page

    yield opening
    for one, own in pages:
        one.context.close()
        assert one.said == []
        assert one.origins <= {own, "blob", "data"}


def sheet(page):
    """The names of the contact sheet, in order."""
    return page.locator("#sheet .card .name").all_inner_texts()


def cells(page):
    """The matrix as float [rows, columns]; what has no value is NaN."""
    rows = page.locator(".matrix tbody tr").all()
    values = [[number(one) for one in row.locator("td").all()] for row in rows]
    return np.array(values)


def number(cell):
    found = re.match(r"\u2212?\d\.\d{3}", cell.inner_text())
    return float(found[0].replace("\u2212", "-")) if found else np.nan


def embedded(page, count):
    expect(page.locator("#pill")).to_have_text(re.compile(rf"^{count} embedded"))


def wait_for_port(port):
    limit_s = time.monotonic() + 60
    while time.monotonic() < limit_s:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def focused(page):
    return " ".join(page.evaluate(FOCUSED).split())


def tab_to(page, words, most=80):
    """Press Tab until the focused element begins with these words; it shows that it is focused."""
    for _ in range(most):
        press(page, "Tab")
        if focused(page).startswith(words):
            style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert style == "solid"
            return
    pytest.fail(f"Tab never reached {words!r}")


@pytest.mark.parametrize(("device", "scheme"), [("phone", "dark"), ("desktop", "light")])
def test_the_example_by_keyboard_alone(service, opened, device, scheme):
    page = opened(service, device=device, color_scheme=scheme, reduced_motion="reduce")
    expect(page.locator("#pill")).to_have_text("Ready")
    tab_to(page, "Try an example")
    press(page, "Enter")
    embedded(page, 12)
    expect(page.locator("#sheet-title")).to_have_text("Closest to dark login screen")
    assert sheet(page)[:2] == ["login.png", "sign-in.png"]
    tab_to(page, "Texts and URLs")
    page.keyboard.type("pricing cards")
    press(page, "Enter")
    expect(page.locator("#sheet-title")).to_have_text("Closest to pricing cards")
    assert sheet(page)[0] == "pricing.png"
    tab_to(page, "Rank by statistics.png")
    press(page, "Enter")
    expect(page.locator("#sheet .own")).to_contain_text("statistics.png")
    assert sheet(page)[0] == "statistics.png"
    assert focused(page).startswith("Rank by statistics.png")
    tab_to(page, "Rank by dashboard with a bar chart")
    press(page, "Enter")
    expect(page.locator("#sheet-title")).to_have_text("Closest to dashboard with a bar chart")
    press(page, "Shift+Tab", "Shift+Tab")
    usable(page)


def test_removing_keeps_the_focus_near(service, opened):
    page = opened(service)
    page.locator("#lines").fill("one\ntwo\nthree")
    page.locator("#lines").press("Enter")
    embedded(page, 3)
    page.get_by_role("button", name="Remove two").focus()
    for left in ("Remove three", "Remove one"):
        press(page, "Enter")
        expect(page.get_by_role("button", name=left)).to_be_focused()
    press(page, "Enter")
    expect(page.get_by_role("button", name="Try an example")).to_be_focused()
    expect(page.locator("#pill")).to_have_text("Ready")


def test_cosines_are_those_of_the_embeddings(service, opened):
    """Dropped files, chosen files, pasted ones; texts of the form and of the clipboard."""
    files = {f"{seed}.png": png(seed=seed) for seed in range(4)}
    page = opened(service)
    drop(page, {name: files[name] for name in ("0.png", "1.png")})
    with page.expect_file_chooser() as chooser:
        page.locator("#drop").press("Enter")
    chooser.value.set_files([{"name": "2.png", "mimeType": "image/png", "buffer": files["2.png"]}])
    paste(page, {"3.png": files["3.png"]})
    page.locator("#lines").fill(f"{HOSTILE}\na blue wave")
    page.get_by_role("button", name="Add").click()
    page.locator("#clear").focus()
    paste(page, texts=[["text/plain", "data: pasted words\n"]])
    embedded(page, 7)
    texts = page.locator(".matrix thead .name").all_inner_texts()
    assert sorted(texts) == sorted([HOSTILE, "a blue wave", "data: pasted words"])
    images = [base64.b64encode(data).decode() for data in files.values()]
    vectors = [
        np.float32([one["embedding"] for one in service.invoke(body).json()["results"]])
        for body in ({"images": images}, {"texts": texts})
    ]
    np.testing.assert_allclose(cells(page), vectors[0] @ vectors[1].T, atol=6e-4)
    order = np.argsort(-(vectors[0] @ vectors[1][texts.index("data: pasted words")]))
    assert sheet(page) == [f"{index}.png" for index in order]
    usable(page)


def test_a_bad_item_shows_its_code_and_harms_no_other(service, opened, thumbnail_server, nobody):
    """A URL is never a picture of this page: it has a tile of words."""
    page = opened(service)
    dead = f"{nobody}/dead%20link.png"
    good, missing = thumbnail_server.thumbnails(1)[0], thumbnail_server.url("/missing.png")
    drop(page, {"broken.png": b"not a picture", "large.png": bytes(LARGEST + 1), "x.png": png()})
    drop(page, texts=[["text/uri-list", "\r\n".join((good, missing, dead))]])
    expect(page.locator("#pill")).to_have_text("2 embedded, 4 failed")
    failed = page.locator(".item.failed")
    names, codes = failed.locator(".name"), failed.locator(".code")
    assert dict(zip(names.all_inner_texts(), codes.all_inner_texts(), strict=True)) == {
        "broken.png": "decode_unsupported",
        "large.png": "payload_too_large",
        "missing.png": "fetch_http_status",
        "dead link.png": "fetch_connect",
    }
    assert len(sheet(page)) == 2
    assert page.locator(".tile.url b").first.inner_text().startswith("127.0.0.1:")
    again = page.get_by_role("button", name="Retry dead link.png")
    with page.expect_request("**/invocations") as asked:
        again.click()
    assert json.loads(asked.value.post_data)["inputs"] == [{"url": dead}]
    expect(page.get_by_role("button", name="Retry")).to_have_count(1)
    usable(page)


def test_the_page_holds_so_many_items(service, opened):
    page = opened(service)
    page.locator("#lines").fill("\n".join(f"text {number}" for number in range(103)))
    page.locator("#lines").press("Enter")
    embedded(page, 100)
    expect(page.locator("#notice")).to_have_text("The page holds 100 items; 3 found no room.")
    usable(page)


def wait_for_overload(service):
    """Until the service refuses what the page will ask."""
    images = [base64.b64encode(png(seed=seed)).decode() for seed in range(3)]
    limit_s = time.monotonic() + 60
    while service.invoke({"images": images}).status_code != 503:
        assert time.monotonic() < limit_s
        time.sleep(0.05)


def test_a_busy_service_is_asked_again_without_a_click(service, opened, gated_server):
    page = opened(service)
    with ThreadPoolExecutor(1) as other:
        held = [f"{gated_server.url('/gate')}?{number}" for number in range(40)]
        holding = other.submit(service.invoke, {"urls": [gated_server.url("/gate"), *held]})
        wait_for_overload(service)
        drop(page, {f"{seed}.png": png(seed=seed) for seed in range(3)})
        expect(page.locator("#banner")).to_contain_text("The service is busy.")
        expect(page.locator("#banner code")).to_have_text("overloaded")
        expect(page.locator("#countdown")).to_contain_text("Tries again in")
        gated_server.gate.set()
        holding.result()
    embedded(page, 3)
    expect(page.locator("#banner")).to_be_hidden()


def test_a_proxy_in_between_may_refuse_in_its_own_words(service, opened):
    page = opened(service)
    answers = [OVERLOADED_BY_A_PROXY, LARGE_BY_A_PROXY]
    page.route("**/invocations", lambda one: one.fulfill(**answers.pop(0)), times=len(answers))
    drop(page, {"0.png": png()})
    expect(page.locator("#banner")).to_contain_text("The service is busy. 429")
    expect(page.locator("#banner")).to_contain_text("The request is too large.")
    expect(page.locator(".item.failed .code")).to_have_text("http_413")
    page.get_by_role("button", name="Try again").click()
    embedded(page, 1)
    expect(page.locator("#banner")).to_be_hidden()


def test_a_lost_connection_is_tried_again(service, opened):
    """Wherever the page is scrolled to, it is seen."""
    page = opened(service, device="phone")
    expect(page.locator("#pill")).to_have_text("Ready")
    page.context.set_offline(True)
    page.locator("#lines").fill("patience")
    page.locator("#lines").press("Enter")
    expect(page.locator("#banner")).to_contain_text("The service cannot be reached.")
    page.locator("#facts").scroll_into_view_if_needed()
    expect(page.locator("#banner")).to_be_in_viewport(ratio=1)
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    embedded(page, 1)
    expect(page.locator("#banner")).to_be_hidden()


def test_after_a_restart_with_another_model_everything_is_embedded_again(service, opened):
    page = opened(service)
    page.route("**/invocations", answer_of_another_model, times=1)
    asked = []
    page.on("request", lambda one: asked.append(one.post_data) if one.post_data else None)
    for words in ("first", "second"):
        page.locator("#lines").fill(words)
        page.locator("#lines").press("Enter")
        embedded(page, 1 if words == "first" else 2)
    texts = [[one["text"] for one in json.loads(body)["inputs"]] for body in asked]
    assert texts == [["first"], ["second"], ["first"]]


def answer_of_another_model(route):
    response = route.fetch()
    route.fulfill(response=response, json=response.json() | {"fingerprint": "another"})


def test_loading_is_waited_for_and_a_model_chosen(tmp_path, opened):
    may_load, port = tmp_path / "may-load", free_port()
    flags = ("--playground", "true", "--backend", "fake", "--models", "designs=a,components=b")
    late = {"program": ("tests.browser.late",), "ready": False, "port": port}
    with started(tmp_path, *flags, "--may-load", str(may_load), **late) as service:
        wait_for_port(port)
        page = opened(service)
        expect(page.locator("#banner")).to_contain_text("The model is loading.")
        page.locator("#lines").fill("patience")
        page.locator("#lines").press("Enter")
        may_load.touch()
        embedded(page, 1)
        expect(page.locator("#banner")).to_be_hidden()
        with page.expect_request("**/invocations") as asked:
            page.get_by_label("Embed with").select_option("components")
        assert json.loads(asked.value.post_data)["model"] == "components"
        expect(page.locator("#facts")).to_contain_text("components")
        embedded(page, 1)


def usable(page):
    """Names of everything that takes the focus, one h1, ids that are unique, room on the screen."""
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate(LOW_CONTRAST) == []
    assert page.locator("h1").count() == 1
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(set(ids)) == len(ids)
    root, body = "document.documentElement", "document.body"
    assert page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth")
    assert page.evaluate(f"{root}.scrollHeight <= Math.max({body}.offsetHeight, innerHeight)")
