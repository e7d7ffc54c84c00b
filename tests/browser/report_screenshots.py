"""Takes the pictures of reports again: `python -m tests.browser.report_screenshots [MODEL]`.

The encoder's is of a recorded measurement. Pipeline and endpoint are measured here, on the
built-in model or on the folder MODEL.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect

from inference.profile.curve import Point, fit, sweet_spot
from inference.tuning.tune import Tuned
from model.checkpoints.checkpoint import BUILTIN
from serve.benchmark.encoder_sizes.page import encoder_page
from tests.browser import chromium
from tests.e2e.service import ROOT, command, started

FOLDER = ROOT / "docs" / "reports"
RECORDED = ROOT / "benchmarks" / "results" / "encoder-vit-b-32.json"
# Pictures of charts need no more colours.
COLOURS = 128
LOOKS = {"encoder": "light", "endpoint": "light", "pipeline": "dark"}


def main(model=BUILTIN, folder=FOLDER):
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        pages = measured(Path(place), model)
        with chromium.running() as browser:
            for name, scheme in LOOKS.items():
                take(browser, pages / f"{name}.html", folder / f"{name}.png", "desktop", scheme)
            take(browser, pages / "encoder.html", folder / "encoder-phone.png", "phone", "dark")


def measured(place, model):
    (place / "encoder.html").write_text(recorded_encoder())
    benchmark(place, "pipeline", "--model", model, "--batch", "16")
    with started(place, "--model", model) as service:
        load = ("--batch", "16,1,4", "--concurrency", "4,1,16", "--latency-target-ms", "1000")
        beside = ("--interactive-rate", "2")
        benchmark(place, "endpoint", "--url", service.url(""), *load, *beside)
    return place


def recorded_encoder():
    found = json.loads(RECORDED.read_text())
    (profile,) = found["result"]["profiles"]
    towers = {name: tuned(profile[name]["points"]) for name in ("image", "text")}
    machine = "{cpu}, {cores} cores".format(**found["machine"])
    return encoder_page([({"model": found["model"], "machine": machine}, towers)])


def tuned(points):
    curve = fit([Point(**one) for one in points])
    return Tuned(curve, sweet_spot(curve), samples_ms={}, noise=0.0, is_noisy=False)


def benchmark(place, name, *options):
    report = ("--report", str(place / f"{name}.html"))
    subprocess.run(command("benchmark", name, *options, *report), check=True, stdout=sys.stderr)


def take(browser, page, path, device, scheme):
    watched = chromium.Watched(browser, page.as_uri(), device, color_scheme=scheme)
    figures = watched.page.locator("figure[data-kind]")
    expect(figures.locator(".drawn > svg")).to_have_count(figures.count())
    if device == "desktop" and watched.page.locator("circle").count():
        hover(watched.page)
    watched.page.screenshot(path=path, full_page=True)
    watched.context.close()
    with Image.open(path) as image:
        drawn = image.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE)
        drawn.save(path, optimize=True)


def hover(page):
    """Point at a dot in the middle of the first chart, so that its numbers are seen."""
    dots = page.locator(".drawn").first.locator("circle")
    dots.nth(dots.count() // 2).hover(force=True)
    expect(page.locator("[aria-label=tip]").first).not_to_be_empty()


if __name__ == "__main__":
    main(*sys.argv[1:2])
