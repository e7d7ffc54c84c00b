"""What a container that `deploy` made would tell CloudWatch: read from its real log."""

import base64

import pytest

from deploy.template.config import Config
from deploy.template.template import template
from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from tests import emf
from tests.deploy.configs import IMAGE
from tests.deploy.requests import resolve
from tests.e2e.service import started, without_proxies
from tests.images import png

DEPLOYED = Config("designs", IMAGE)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The documents in the log of a stopped service with the variables of a deployment."""
    folder = tmp_path_factory.mktemp("cloudwatch")
    flags = ("--backend", "fake", "--batch-size", "4", "--text-batch-size", "2")
    environ = without_proxies() | DEPLOYED.environment
    with (
        ThumbnailServer({"/a": Reply(png())}) as thumbnails,
        started(folder, *flags, env=environ) as service,
    ):
        pictures = [base64.b64encode(png(seed=seed)).decode() for seed in range(300)]
        assert service.invoke({"images": pictures}).ok
        assert service.invoke({"urls": [thumbnails.url(path) for path in ("/a", "/gone")]}).ok
        assert service.invoke({"url": thumbnails.url("/gone")}).ok
        assert service.invoke({"text": "secret query"}).ok
        assert service.invoke({"nonsense": 1}).status_code == 400
        assert '"_aws"' not in (folder / "serve.log").read_text()  # a minute has not passed
    assert service.process.returncode == 0
    return emf.read((folder / "serve.log").read_text())


def test_the_dashboard_draws_every_metric_of_the_log_and_no_other(told):
    resources = template(DEPLOYED)["Resources"]
    body = resolve(resources["Dashboard"]["Properties"]["DashboardBody"], resources)
    assert {found[:3] for found in emf.drawn(body)} == emf.metrics(told)
    assert {endpoint for *_, endpoint in emf.drawn(body)} == {one["Endpoint"] for one in told}


def test_requests_and_items_are_counted_by_lane_and_code(told):
    assert emf.numbers(told, "Requests", Lane="bulk") == [2]
    assert emf.numbers(told, "Requests", Lane="interactive") == [2]
    assert emf.numbers(told, "RequestErrors", Code="bad_request") == [1]
    assert emf.numbers(told, "Items", Lane="bulk") == [302]
    assert emf.numbers(told, "Failures", Lane="bulk", Code="fetch_http_status") == [1]
    assert emf.numbers(told, "Failures") == [1, 1]


def test_times_are_of_each_item_up_to_100(told):
    assert len(emf.numbers(told, "RequestTime", Lane="bulk")) == 2
    assert len(emf.numbers(told, "FetchTime", Lane="bulk")) == 2
    assert len(emf.numbers(told, "DecodeTime", Lane="bulk")) == 100
    assert len(emf.numbers(told, "EncodeTime", Lane="interactive")) == 1
    assert all(one > 0 for one in emf.numbers(told, "EncodeTime"))


def test_the_engine_is_idle_at_the_end_and_its_batches_are_known(told):
    assert emf.numbers(told, "ItemsInFlight") == [0]
    assert emf.numbers(told, "ItemsQueued") == [0, 0]
    assert set(emf.numbers(told, "BatchSize", Model="designs", Tower="image")) <= {1, 2, 3, 4}
    assert len(emf.numbers(told, "Slowdown")) == 2


def test_neither_urls_nor_texts_are_told(told):
    assert "secret" not in str(told)
    assert "/gone" not in str(told)
