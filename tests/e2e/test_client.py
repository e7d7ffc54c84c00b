"""The client and boto3 against the real service, which is killed and restarted under them."""

import logging
import os
import signal
from contextlib import ExitStack, contextmanager

import boto3
from botocore.config import Config

from deploy.client import Client, Embedded, Failed
from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from model.backends.fake import FakeEncoder
from tests.e2e.service import started
from tests.images import jpeg
from tests.ports import free_port

COUNT, EACH_BAD, KINDS = 2000, 20, 40


def is_bad(index):
    """5 %: half of them gone for good, half with a status that may pass."""
    return index % EACH_BAD == 7


@contextmanager
def thumbnails():
    """2,000 thumbnails of 40 pictures, each a URL of its own; 100 of them are bad."""
    pictures = [jpeg(seed=seed) for seed in range(KINDS)]
    replies = {
        f"/thumbnail-{index}": Reply(status=404 if index % 40 == 7 else 503)
        if is_bad(index)
        else Reply(pictures[index % KINDS])
        for index in range(COUNT)
    }
    encoder = FakeEncoder()
    expected = [encoder.encode_images(encoder.spec.preprocessing(one)[None])[0] for one in pictures]
    with ThumbnailServer(replies) as server:
        urls = [server.url(f"/thumbnail-{index}") for index in range(COUNT)]
        yield urls, [one.tolist() for one in expected]


class Killed:
    """The service on one port: kill its worker, or all of it and start it again."""

    def __init__(self, folder):
        self._folder = folder
        self._port = free_port()
        self._stack = ExitStack()
        self._running = self._start(ready=True)
        self.kills = []

    def _start(self, *, ready):
        options = ("--backend", "fake", "--local-endpoint")
        return self._stack.enter_context(
            started(self._folder, *options, port=self._port, ready=ready)
        )

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def kill_worker(self):
        os.kill(self._running.worker(), signal.SIGKILL)
        self.kills.append("worker")

    def kill_all(self):
        os.killpg(self._running.process.pid, signal.SIGKILL)
        self._running.process.wait()
        self._running = self._start(ready=False)
        self.kills.append("all")


def test_2000_thumbnails_in_order_while_the_service_is_killed_and_restarted(tmp_path, caplog):
    """By boto3's own client. 5 % are bad; the worker is killed, then all, then the worker again."""
    caplog.set_level(logging.WARNING, "deploy.client.retrying")
    with thumbnails() as (urls, expected), Killed(tmp_path) as service:
        faults = {500: service.kill_worker, 1000: service.kill_all, 1500: service.kill_worker}
        config = Config(retries={"total_max_attempts": 1})
        runtime = boto3.client("sagemaker-runtime", endpoint_url=service.url, config=config)
        results = []
        with Client("designs", client=runtime, items=50) as client:
            for result in client.embed_urls(iter(urls)):
                results.append(result)
                faults.get(len(results), lambda: None)()
        runtime.close()
    assert service.kills == ["worker", "all", "worker"]
    assert "retrying for at most" in caplog.text
    assert [one.index for one in results] == list(range(COUNT))
    for index, result in enumerate(results):
        if is_bad(index):
            assert isinstance(result, Failed)
            assert (result.code, result.retryable) == ("fetch_http_status", index % 40 != 7)
        else:
            assert isinstance(result, Embedded), result
            assert result.embedding.tolist() == expected[index % KINDS]
