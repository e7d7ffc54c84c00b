"""`sweetspot benchmark endpoint` as people type it, on a real service with the fake encoder."""

import json
import os
import pty
import re
import signal
import subprocess
from contextlib import suppress

import pytest
from click.testing import CliRunner

from sweetspot import main
from tests.e2e.service import ROOT, command, started
from tests.ports import free_port
from tests.servers import ScriptedContainer

TINY = ("--batch", "1,4", "--concurrency", "1,2", "--duration-s", "0.1")
# One way of preparing images will do: who asks does not know it.
FAKE = ("--backend", "fake", "--preprocess-processes", "0")
GOOD = {"results": [{"index": 0, "embedding": [1.0]}]}


def run(*arguments):
    return subprocess.run(
        command("benchmark", "endpoint", *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with started(tmp_path_factory.mktemp("service"), *FAKE) as running:
        yield running


@pytest.fixture
def some_urls(tmp_path, thumbnail_server):
    """A file of URLs that the service may fetch."""
    path = tmp_path / "urls.txt"
    path.write_text("\n".join([*thumbnail_server.thumbnails(8), ""]))
    return str(path)


@pytest.fixture(scope="module")
def measured(service, tmp_path_factory):
    """A small grid and single requests beside bulk, measured once: folder, document, messages."""
    folder = tmp_path_factory.mktemp("endpoint")
    result = run(
        "--url", service.url(""), *TINY, "--interactive-rate", "20", "--repeats", "2",
        "--latency-ms", "0", "--report", str(folder / "page.html"), "--json",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    (folder / "old.json").write_text(result.stdout)
    return folder, json.loads(result.stdout), result.stderr


def test_json_has_every_combination_with_its_numbers(measured):
    _, document, _ = measured
    assert document["complete"]
    assert [(one["batch"], one["concurrency"]) for one in document["cells"]] == [
        (1, 1), (1, 2), (4, 1), (4, 2),
    ]  # fmt: skip
    for one in document["cells"]:
        assert one["requests"] == len(one["latencies_ms"]) >= one["concurrency"]
        assert one["items_ok"] == one["batch"] * one["requests"]
        assert one["failed"] == one["errors"] == {}
        assert one["items_per_s"] > 0
        assert one["p50_ms"] <= one["p95_ms"] <= one["p99_ms"]
        assert one["core_ms"] >= 0
    assert "fake" in document["facts"]["model"]
    assert document["recommendation"]["cell"]["batch"] in {1, 4}
    assert document["asked"]["batch"] == [1, 4]


def test_single_requests_are_measured_alone_and_beside_bulk(measured):
    _, document, _ = measured
    part = document["interactive"]
    for kind in ("text", "screenshot"):
        assert part[kind]["alone"]["requests"] >= 15
        assert part[kind]["alone"]["failed"] == part[kind]["alone"]["errors"] == {}
    assert len(part["bulk"]["alone"]) == len(part["bulk"]["beside"]) == 2
    assert part["bulk"]["share"] > 0


def test_people_read_tables_charts_and_a_recommendation_on_standard_error(measured):
    folder, document, messages = measured
    assert document["recommendation"]["sentence"] in " ".join(messages.split())
    assert "requests at once" in messages
    assert "screenshot" in messages
    assert (folder / "page.html").read_text().startswith("<!doctype html>")


def test_an_older_document_is_compared_with(measured, service, some_urls):
    folder, document, _ = measured
    arguments = ("--url", service.url("/invocations"), "--urls", some_urls, *TINY)
    old = str(folder / "old.json")
    same = run(*arguments, "--compare", old, "--max-loss", "0.999")
    assert same.returncode == 0, same.stderr
    assert "images/s now / then" in same.stdout
    # As if the old one had been a thousand times faster: everything was lost.
    for one in document["cells"]:
        one["items_per_s"] *= 1000
    (folder / "faster.json").write_text(json.dumps(document))
    lost = run(*arguments, "--compare", str(folder / "faster.json"))
    assert lost.returncode == 1
    assert "lost more than 10%" in lost.stdout


def test_requests_may_arrive_at_a_rate(service, some_urls):
    result = run(
        "--url", service.url(""), "--urls", some_urls, "--batch", "1,2", "--rate", "50",
        "--duration-s", "0.2", "--json",
    )  # fmt: skip
    cells = json.loads(result.stdout)["cells"]
    assert [(one["batch"], one["rate_per_s"]) for one in cells] == [(1, 50), (2, 50)]
    assert all(one["requests"] > 0 and one["dropped"] == 0 for one in cells)
    assert "req/s" in result.stderr


def test_images_may_travel_in_the_body(service):
    result = run("--url", service.url(""), "--inline", *TINY, "--json")
    cells = json.loads(result.stdout)["cells"]
    assert all(one["items_ok"] > 0 and one["failed"] == {} for one in cells)


def test_an_overloaded_service_is_waited_for(tmp_path, some_urls, thumbnail_server):
    thumbnail_server.latency_s = 0.2
    with started(tmp_path, *FAKE, "--max-items-in-flight", "2") as small:
        result = run(
            "--url", small.url(""), "--urls", some_urls, "--batch", "4", "--concurrency", "4",
            "--duration-s", "0.1", "--json",
        )  # fmt: skip
    (cell,) = json.loads(result.stdout)["cells"]
    assert cell["retried"] > 0
    assert cell["errors"].keys() <= {"overloaded"}


def test_what_the_service_may_not_fetch_is_said_with_the_remedy(service, tmp_path):
    (tmp_path / "urls.txt").write_text("http://10.1.2.3/a.png\n")
    result = run("--url", service.url(""), "--urls", str(tmp_path / "urls.txt"), "--batch", "1")
    assert result.returncode == 1
    assert "may not fetch from 10.1.2.3: start it with --allow-host 10.1.2.3" in result.stderr


def test_nobody_there_is_one_sentence(some_urls):
    port = free_port()
    result = run("--url", f"http://127.0.0.1:{port}", "--urls", some_urls, "--batch", "1")
    assert result.returncode == 1
    assert result.stderr == (
        f"Error: nothing answers at http://127.0.0.1:{port}/invocations: connection refused\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "either --url or --endpoint-name"),
        (("--url", "http://x.org", "--endpoint-name", "x"), "either --url or --endpoint-name"),
        (("--url", "http://192.0.2.1"), "is not on this machine and cannot fetch from it"),
        (("--endpoint-name", "x"), "give --urls or --inline"),
        (("--url", "x.org", "--inline"), "such as http://localhost:8080"),
        (("--url", "http://x.org", "--inline", "--urls", "pyproject.toml"), "not both"),
        (
            ("--url", "http://x.org", "--urls", "pyproject.toml", "--batch", "9999"),
            "different URLs",
        ),
        (("--url", "http://x.org", "--batch", "1,0"), "'0' is not a whole number from 1"),
        (("--url", "http://x.org", "--compare", "pyproject.toml"), "is not JSON"),
        (("--query-target-ms", "100"), "is for --interactive-sweep"),
        (("--interactive-sweep", "--url", "http://x.org"), "starts the service itself"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_measured(arguments, words):
    result = CliRunner().invoke(main, ["benchmark", "endpoint", *arguments])
    assert result.exit_code in {1, 2}
    assert isinstance(result.exception, SystemExit)
    assert words in result.stderr


def test_a_sweep_starts_the_service_with_each_setting_and_measures_both_lanes(tmp_path, some_urls):
    page = tmp_path / "page.html"
    result = run(
        "--interactive-sweep", "50", "--query-target-ms", "60000", "--interactive-rate", "20",
        "--batch", "4", "--concurrency", "1", "--repeats", "1", "--duration-s", "0.5",
        "--price-per-hour", "0.25", "--report", str(page), "--json", "--urls", some_urls,
        "--", *FAKE,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    (setting,) = document["settings"]
    assert setting["interactive_wait_ms"] == 50
    assert setting["text"]["beside_bulk"]["requests"] > 0
    assert len(setting["bulk"]["alone"]) == len(setting["bulk"]["beside"]) == 1
    assert document["idle_p95_ms"].keys() == {"text", "screenshot"}
    assert document["model"]["name"] == "fake"
    assert document["recommendation"]["wait_ms"] == 50
    assert "take --interactive-wait-ms 50" in " ".join(result.stderr.split())
    assert "One setting was measured, so there is no curve" in page.read_text()


def test_a_sweep_of_a_service_that_does_not_start_says_why(some_urls):
    asked = ("--interactive-sweep", "50", "--batch", "1", "--urls", some_urls)
    result = run(*asked, "--", "--backend", "nonsense")
    assert result.returncode == 1
    assert "the service did not start: " in result.stderr
    assert "nonsense" in result.stderr


def test_an_endpoint_on_sagemaker_is_asked_through_its_runtime(monkeypatch, some_urls):
    """A server in the place of AWS: one overloaded answer in SageMaker's wrapping, then good."""
    busy = {"code": "overloaded", "message": "busy", "retryable": True, "retry_after_ms": 1}
    with ScriptedContainer((200, GOOD), (503, {"error": busy}), (200, GOOD)) as container:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", container.url)
        result = run(
            "--endpoint-name", "clip", "--urls", some_urls, "--batch", "1", "--concurrency", "1",
            "--duration-s", "0.1", "--json",
        )  # fmt: skip
    (cell,) = json.loads(result.stdout)["cells"]
    assert cell["requests"] == cell["items_ok"] > 0
    assert {path for path, _, _ in container.requests} == {"/endpoints/clip/invocations"}


def test_interrupting_leaves_what_was_measured(tmp_path):
    """Ctrl-C once the terminal tells of the second combination."""
    urls = tmp_path / "urls.txt"
    urls.write_text("http://x.org/a.png\n")
    many = ",".join(map(str, range(1, 31)))
    terminal, end = pty.openpty()
    with ScriptedContainer((200, GOOD)) as container:
        process = subprocess.Popen(
            [
                *command("benchmark", "endpoint", "--url", container.url, "--urls", str(urls)),
                *("--batch", "1", "--concurrency", many, "--duration-s", "0.5", "--json"),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=end,
            text=True,
        )
        os.close(end)
        shown = b""
        while len(set(re.findall(rb"(\d+) at once", shown))) < 2:
            shown += os.read(terminal, 65536)
        process.send_signal(signal.SIGINT)
        with suppress(OSError):  # how a terminal says that nobody writes to it any more
            while more := os.read(terminal, 65536):
                shown += more
        os.close(terminal)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, shown
    assert b"Traceback" not in shown
    document = json.loads(output)
    assert document["complete"] is False
    assert document["cells"]
    assert len(document["cells"]) < 30
    assert b"interrupted: partial" in shown
