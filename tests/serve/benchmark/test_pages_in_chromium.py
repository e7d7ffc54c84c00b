"""Reports in headless Chromium: drawn, told by hover, of any width, and without a request."""

from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import expect

from inference.tuning.tune import TuneConfig, tune
from serve.benchmark.encoder_sizes.page import encoder_page
from serve.benchmark.endpoint_load.page import endpoint_page
from serve.benchmark.pipeline_stages.page import pipeline_page
from serve.benchmark.query_sweep.page import sweep_page
from serve.benchmark.side_by_side.page import compare_page
from serve.commands.train.results.page import training_page
from tests.browser import chromium
from tests.serve.benchmark import test_pipeline_record as pipeline
from tests.serve.benchmark import test_query_sweep as queries
from tests.serve.benchmark import test_record as endpoint
from tests.serve.benchmark import test_side_by_side as by
from tests.serve.benchmark.loads import cell

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        chromium.found() is None, reason="no Chromium here; Debian's is `apt-get install chromium`"
    ),
]
HOSTILE = (
    "</script><script>window.hacked = 1</script><img src=http://127.0.0.1:9/ onerror='hacked=1'>"
)
FACTS = {"model": HOSTILE, HOSTILE: "x"}
# What is wider than the window, but for tables, which scroll in their own box.
TOO_WIDE = """() => [...document.querySelectorAll('body *')]
  .filter((one) => !one.closest('.table'))
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
  .map((one) => one.outerHTML.slice(0, 200))"""
# Colours of the page, and of the number at an axis of the first chart.
COLOURS = """() => [document.body, document.querySelector('svg text')].map((one, index) =>
  getComputedStyle(one)[index ? 'fill' : 'backgroundColor'])"""


def encoder():
    now = [0.0]

    def run(n):
        now[0] += max(0.1, 0.01 * n)

    found = tune(run, TuneConfig(latency_target_ms=200), clock=lambda: now[0])
    return encoder_page([(FACTS, {HOSTILE: found})])


def requests():
    cells = [cell(batch, at, 10.0 * batch * at, 5.0 * at) for batch in (1, 4) for at in (1, 4)]
    found = endpoint.found(cells, endpoint.interactive())
    return endpoint_page(type(found)(found.asked, FACTS, cells, found.choice, found.interactive))


def stages():
    found = pipeline.found()
    found.facts.update(FACTS)
    return pipeline_page(found)


def training():
    recalls = {"1": 0.2, "5": 0.4, "10": 0.6}
    both = {"text_to_image": recalls, "image_to_text": recalls}
    epochs = [{"epoch": 1, "held_out": both}, {"epoch": 2, "held_out": both}]
    report = {"before": {"held_out": both}, "after": {"held_out": both}, "epochs": epochs}
    report["sweep"] = [{"share": share, "held_out": both} for share in (0.0, 0.5, 1.0)]
    report["options"] = {"interpolate": 0.5}
    report |= {"losses": [0.9, 0.5, 0.3], "best_epoch": 2, "ended_early": False, "sweep": []}
    report["hardest"] = [{"row": 0, "found": 1, "rank": 7, "text": HOSTILE}]
    return training_page(report, FACTS, np.zeros((2, 32, 32, 3), np.uint8))


def sweep():
    return sweep_page(replace(queries.found(), facts=FACTS))


def compared():
    told = {"load": HOSTILE, "model": HOSTILE, "machine": HOSTILE}
    return compare_page([replace(one, **told) for one in (by.FAST, by.CHEAP)])


# Each page, a mark of its first chart, and what hover tells of it.
PAGES = {
    "encoder": (encoder, "circle", "batches of 1\np50 100.0 ms, p95 100.0 ms"),
    "endpoint": (requests, "circle", "1 image a request, 1 request at once\n10.0 items/s"),
    "pipeline": (stages, "[aria-label=bar] rect", "pipeline\n100.0"),
    "sweep": (sweep, "circle", "--interactive-wait-ms 50\ntext p95 70 ms"),
    "compare": (compared, "[aria-label=bar] rect", "fast\n100.0"),
    "training": (training, "circle", "epoch 0\nrecall@1 0.200"),
}


@pytest.fixture(scope="module")
def browser():
    with chromium.running() as one:
        yield one


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    for name, (page, _, _) in PAGES.items():
        (folder / f"{name}.html").write_text(page())
    return {name: (folder / f"{name}.html").as_uri() for name in PAGES}


@pytest.mark.parametrize(("device", "scheme"), [("desktop", "light"), ("phone", "dark")])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_drawn_asks_nobody_and_hover_tells_the_numbers(
    browser, urls, name, device, scheme
):
    watched = chromium.Watched(browser, urls[name], device, color_scheme=scheme)
    page, (_, mark, told) = watched.page, PAGES[name]
    figures = page.locator("figure[data-kind]")
    expect(figures.locator(".drawn > svg")).to_have_count(figures.count())
    page.locator(".drawn").first.locator(mark).first.hover(force=True)
    expect(page.locator(".drawn").first.locator("[aria-label=tip]")).to_contain_text(
        told.split("\n")[0]
    )
    expect(page.locator(".drawn").first.locator("[aria-label=tip]")).to_contain_text(
        told.split("\n")[1]
    )
    ground, ink = page.evaluate(COLOURS)
    assert (sum(numbers(ground)) > sum(numbers(ink))) is (scheme == "light")
    assert page.evaluate(TOO_WIDE) == []
    assert page.evaluate("window.hacked") is None
    assert watched.said == []
    assert watched.origins <= {"file", "data"}
    watched.context.close()


def test_a_page_is_drawn_anew_in_another_width_and_fits_on_paper(browser, urls):
    watched = chromium.Watched(browser, urls["encoder"])
    drawn = watched.page.locator(".drawn > svg").first
    before = int(drawn.get_attribute("width"))
    watched.page.set_viewport_size({"width": 390, "height": 844})
    expect(drawn).not_to_have_attribute("width", str(before))
    watched.page.emulate_media(media="print")
    assert watched.page.evaluate(TOO_WIDE) == []
    assert watched.page.pdf(format="A4").startswith(b"%PDF")
    watched.context.close()


def test_a_request_that_a_page_tries_is_blocked_by_its_own_policy(browser, urls):
    watched = chromium.Watched(browser, urls["endpoint"])
    ask = "fetch('http://127.0.0.1:9/').then(() => 'sent', (error) => error.message)"
    assert watched.page.evaluate(ask) == "Failed to fetch"
    assert "Content Security Policy" in watched.said[0]
    assert watched.origins <= {"file", "data"}
    watched.context.close()


def numbers(colour):
    return [float(one) for one in colour.removeprefix("rgb(").removesuffix(")").split(",")]
