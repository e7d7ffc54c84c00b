"""What breaks inside, in a real process: it is noticed, answered as far as can be, and mended."""

import base64
import json
import resource
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from tests.e2e.faulty import DIES
from tests.e2e.service import started
from tests.faulty_pictures import CRASHES, HANGS
from tests.images import png

IMAGE = base64.b64encode(png()).decode()


def faulty(folder, processes):
    flags = ("--backend", "fake", "--stall-s", "1", "--preprocess-processes", str(processes))
    return started(folder, *flags, program=("tests.e2e.faulty",))


def encoded(data):
    return {"image": base64.b64encode(data).decode()}


def test_a_decoder_that_hangs_costs_its_item_and_then_its_process(tmp_path):
    with faulty(tmp_path) as service:
        before = service.worker()
        inputs = [{"text": "a"}, encoded(HANGS), {"image": IMAGE}]
        answer = service.invoke({"inputs": inputs, "parameters": {"deadline_ms": 500}}).json()
        assert [one.get("error", {}).get("code") for one in answer["results"]] == [
            None, "deadline_exceeded", None,
        ]  # fmt: skip
        service.wait_for_another(before)
        assert "embedding" in service.invoke({"image": IMAGE}).json()["results"][0]
        assert "the decoding of an image has taken more than 1 s" in service.log.read_text()


def test_a_batching_thread_that_dies_is_noticed_and_its_process_replaced(tmp_path):
    """The request that it took along is answered all the same."""
    with faulty(tmp_path) as service:
        before = service.worker()
        error = service.invoke({"text": DIES}).json()["results"][0]["error"]
        assert (error["code"], error["retryable"]) == ("deadline_exceeded", True)
        with suppress(requests.ConnectionError):
            ping = service.ping()
            assert ping.status_code == 503 or service.worker() != before
        service.wait_for_another(before)
        assert "embedding" in service.invoke({"text": "a"}).json()["results"][0]


def test_a_decoder_that_crashes_takes_its_process_along_and_a_new_one_serves(tmp_path):
    with faulty(tmp_path) as service:
        before = service.worker()
        with pytest.raises(requests.ConnectionError):
            service.invoke(encoded(CRASHES))
        service.wait_for_another(before)
        assert "embedding" in service.invoke({"image": IMAGE}).json()["results"][0]
        assert service.process.poll() is None


def test_a_full_disk_hinders_nobody(tmp_path):
    """No file may grow, and what is logged finds no room."""

    def full():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    with (
        Path("/dev/full").open("wb") as nowhere,
        started(
            tmp_path, "--model", "builtin", "--batch-size", "4", "--text-batch-size", "4",
            preexec_fn=full, stdout=nowhere, stderr=nowhere,
        ) as service,
        ThreadPoolExecutor(4) as pool,
    ):  # fmt: skip
        bodies = [{"image": IMAGE}, {"text": "a"}, {"url": "http://10.0.0.1/"}, {"texts": []}]
        answers = list(pool.map(service.invoke, bodies))
        assert [one.status_code for one in answers] == [200, 200, 200, 400]
        assert "embedding" in json.loads(answers[0].content)["results"][0]
