"""The client's page and example, run as written against the built-in model."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.service import started, without_proxies

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "client.md").read_text()
SNIPPETS = [
    re.sub(r"^    ", "", block, flags=re.MULTILINE)
    for block in re.findall(r"(?:^(?:    .*)?\n)+", PAGE, re.MULTILINE)
    if "import Client" in block
]
SAID = ["0 fetch_http_status", "Embedded\n", "query Embedded\nscreenshot Embedded\n"]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with started(tmp_path_factory.mktemp("service"), "--local-endpoint") as service:
        yield service.url("")


def run(url, *words):
    env = without_proxies() | {"AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": url}
    ran = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_example_finds_thumbnails_by_text_and_by_screenshot(url):
    shown = run(url, "examples/search.py", url, "--thumbnails", "60")
    assert "60 of 60 thumbnails, 128 dimensions" in shown
    assert "dark login screen" in shown
    assert "screenshot of a calendar" in shown
    assert len(shown.splitlines()) == 2 + 4 * 3


def test_the_example_says_what_is_missing_when_its_thumbnails_are_not_allowed(tmp_path):
    with started(tmp_path, "--backend", "fake", "--deny-host", "127.0.0.1") as strict:
        words = [sys.executable, "examples/search.py", strict.url(""), "--thumbnails", "3"]
        ran = subprocess.run(words, cwd=ROOT, env=without_proxies(), capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr.endswith(
        "Error: no thumbnail was embedded: start the service with --allow-host 127.0.0.1\n"
    )


@pytest.mark.parametrize(
    ("snippet", "said"), list(zip(SNIPPETS, SAID, strict=True)), ids=["urls", "endpoint", "items"]
)
def test_each_snippet_of_the_page_runs(url, snippet, said):
    # The page's thumbnails are made up, and no name is looked up in a test.
    snippet = snippet.replace("http://localhost:8080", url).replace("https://example.com", url)
    assert run(url, "-c", snippet).startswith(said)
