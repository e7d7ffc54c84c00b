"""The client's page and example, run as written against the built-in model."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from examples import search
from inference.loadtest.thumbnail_server import ThumbnailServer
from tests.e2e.service import started, without_proxies

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "client.md").read_text()
SNIPPETS = [
    re.sub(r"^    ", "", block, flags=re.MULTILINE)
    for block in re.findall(r"(?:^(?:    .*)?\n)+", PAGE, re.MULTILINE)
    if "import Client" in block
]
SAID = ["0 128\n1 128\n", "Embedded\n", "query Embedded\nscreenshot Embedded\n"]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    flags = ("--local-endpoint", "--batch-size", "16", "--text-batch-size", "16")
    with started(tmp_path_factory.mktemp("service"), *flags) as service:
        yield service.url("")


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """A list of URLs, as the demo leaves one."""
    path = tmp_path_factory.mktemp("demo") / "urls.txt"
    with ThumbnailServer() as server:
        path.write_text("\n".join(server.thumbnails(2)))
        yield str(path)


def run(url, *words):
    env = without_proxies() | {"AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": url}
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ran(*words):
    """The example in this process, which imports LanceDB once."""
    return CliRunner().invoke(search.main, words)


def test_the_example_finds_thumbnails_by_text_and_by_screenshot(url):
    shown = run(url, "examples/search.py", url, "--thumbnails", "60")
    assert "60 of 60 thumbnails, 128 dimensions" in shown
    assert "dark login screen" in shown
    assert "screenshot of a player" in shown
    assert len(shown.splitlines()) == 2 + 4 * 3


def test_the_example_keeps_a_table_up_to_date(url, tmp_path):
    """It adds what is new, deletes what is gone, filters, and refuses another checkpoint's."""
    words = ["--lancedb", str(tmp_path / "table"), "--thumbnails"]
    shown = ran(url, *words, "40").stdout
    assert "40 added, 0 deleted, 40 in the table" in shown
    filtered = [*words, "30", "--where", "device = 'phone'"]
    first, _, *hits = ran(url, *filtered).stdout.splitlines()
    assert first == "0 added, 10 deleted, 30 in the table"
    assert len(hits) == 4 * 3
    assert all(line.rstrip().endswith("phone") for line in hits)
    with started(tmp_path, "--backend", "fake") as other:
        refused = ran(other.url(""), *words, "30")
    assert refused.exit_code == 1
    assert "gives fake-display-2: they cannot be compared" in " ".join(refused.stderr.split())


def test_the_example_says_what_is_missing_when_its_thumbnails_are_not_allowed(tmp_path):
    with started(tmp_path, "--backend", "fake", "--deny-host", "127.0.0.1") as strict:
        refused = ran(strict.url(""), "--thumbnails", "3")
    assert refused.exit_code == 1
    assert refused.stderr.endswith(
        "Error: no thumbnail was embedded: start the service with --allow-host 127.0.0.1\n"
    )


@pytest.mark.parametrize(
    ("snippet", "said"), list(zip(SNIPPETS, SAID, strict=True)), ids=["urls", "endpoint", "items"]
)
def test_each_snippet_of_the_page_runs(url, listed, snippet, said):
    snippet = snippet.replace("http://localhost:8080", url).replace("demo/urls.txt", listed)
    assert run(url, "-c", snippet).startswith(said)
