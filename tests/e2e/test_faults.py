"""What breaks inside, in a real process: it is noticed, answered as far as can be, and mended."""

import base64
import json
import os
import resource
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from tests.chaos import flood
from tests.e2e.faulty import DIES
from tests.e2e.service import FORK_SERVER, PREPARING, started
from tests.faulty_pictures import CRASHES, HANGS, KILLS, STOPS
from tests.images import png

IMAGE = base64.b64encode(png()).decode()


def faulty(folder, processes):
    flags = ("--backend", "fake", "--stall-s", "1", "--preprocess-processes", str(processes))
    return started(folder, *flags, program=("tests.e2e.faulty",))


def encoded(data):
    return {"image": base64.b64encode(data).decode()}


def test_a_decoder_that_hangs_costs_its_item_and_then_its_process(tmp_path):
    with faulty(tmp_path, 0) as service:
        before = service.worker()
        inputs = [{"text": "a"}, encoded(HANGS), {"image": IMAGE}]
        answer = service.invoke({"inputs": inputs, "parameters": {"deadline_ms": 500}}).json()
        assert [one.get("error", {}).get("code") for one in answer["results"]] == [
            None, "deadline_exceeded", None,
        ]  # fmt: skip
        service.wait_for_another(before)
        assert "embedding" in service.invoke({"image": IMAGE}).json()["results"][0]
        assert "the decoding of an image has taken more than 1 s" in service.log.read_text()


@pytest.mark.parametrize("processes", [0, 2])
def test_a_batching_thread_that_dies_is_noticed_and_its_process_replaced(tmp_path, processes):
    """The request that it took along is answered all the same, and no process is left behind."""
    with faulty(tmp_path, processes) as service:
        before = service.worker()
        error = service.invoke({"text": DIES}).json()["results"][0]["error"]
        assert (error["code"], error["retryable"]) == ("deadline_exceeded", True)
        with suppress(requests.ConnectionError):
            ping = service.ping()
            assert ping.status_code == 503 or service.worker() != before
        service.wait_for_another(before)
        assert "embedding" in service.invoke({"text": "a"}).json()["results"][0]
        assert len(service.processes()) == 2 + (1 + processes if processes else 0)


def test_a_decoder_that_crashes_takes_its_process_along_and_a_new_one_serves(tmp_path):
    with faulty(tmp_path, 0) as service:
        before = service.worker()
        with pytest.raises(requests.ConnectionError):
            service.invoke(encoded(CRASHES))
        service.wait_for_another(before)
        assert "embedding" in service.invoke({"image": IMAGE}).json()["results"][0]
        assert service.process.poll() is None


@pytest.mark.parametrize("bad", [CRASHES, KILLS, HANGS, STOPS])
def test_in_a_process_a_picture_that_breaks_its_decoder_fails_alone(tmp_path, bad):
    """The worker stays."""
    with faulty(tmp_path, 2) as service:
        before = service.worker()
        inputs = [{"text": "a"}, *[{"image": IMAGE}] * 3, encoded(bad), encoded(png(seed=1))]
        results = service.invoke({"inputs": inputs}).json()["results"]
        (failed,) = [one for one in results if "error" in one]
        assert failed["index"] == 4
        assert failed["error"]["code"] == "decode_corrupt"
        assert "the decoder crashed on it" in failed["error"]["message"]
        assert failed["error"]["retryable"] is False
        assert service.ping().status_code == 200
        assert service.worker() == before


def test_a_flood_of_pictures_that_end_their_process_does_not_stop_the_service():
    report = flood.run(pictures=96, processes=2)
    assert report.findings == []
    assert report.failed == 96


@contextmanager
def hanging(folder):
    """A service of two processes in each of which pictures hang."""
    with (
        started(
            folder, "--backend", "fake", "--preprocess-processes", "2",
            program=("tests.e2e.faulty",),
        ) as service,
        ThreadPoolExecutor(1) as pool,
    ):  # fmt: skip
        wait_until(service, lambda names: sorted(names)[-3:] == [FORK_SERVER, *2 * [PREPARING]])
        inputs = [encoded(kind + b"%d" % n) for kind in (STOPS, HANGS) for n in range(4)]
        body = {"inputs": inputs, "parameters": {"deadline_ms": 5000}}
        answer = pool.submit(service.invoke, body)
        time.sleep(1)
        yield service, answer


def wait_until(service, are_so):
    """Until the names of its processes are so. One that is forked has its parent's at first."""
    limit_s = time.monotonic() + 60
    while not are_so(list(service.processes().values())):
        assert time.monotonic() < limit_s, service.processes()
        time.sleep(0.05)


def wait_until_gone(service):
    wait_until(service, lambda names: not names)


def test_sigterm_ends_all_in_time_while_pictures_hang(tmp_path):
    """The platform sends SIGKILL after 30 s."""
    with hanging(tmp_path) as (service, answer):
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(25) == 0
        wait_until_gone(service)
        results = answer.result().json()["results"]
    assert {one["error"]["code"] for one in results} == {"deadline_exceeded"}


def test_a_killed_worker_leaves_no_process_behind_while_pictures_hang(tmp_path):
    with hanging(tmp_path) as (service, answer):
        worker, before = service.worker(), service.processes()
        os.kill(worker, signal.SIGKILL)
        service.wait_for_another(worker)
        assert isinstance(answer.exception(), requests.ConnectionError)
        assert "embedding" in service.invoke({"image": IMAGE}).json()["results"][0]
        left = set(before) & set(service.processes())
    assert left == {service.process.pid}


def test_a_killed_service_leaves_no_process_behind_while_pictures_hang(tmp_path):
    """The worker ends by itself when gunicorn's master is gone. The pictures hang for a minute."""
    with hanging(tmp_path) as (service, answer):
        assert answer.result().status_code == 200
        service.session.close()  # the worker waits for open connections
        service.process.kill()
        service.process.wait()
        wait_until_gone(service)


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
