"""What the platform does with a container and what it finds, on a real process and real sockets."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from model.checkpoints.checkpoint import BUILTIN_FOLDER
from tests.e2e.service import ROOT, Running, started, without_proxies
from tests.e2e.test_streaming import HeldServer, peak_kib
from tests.ports import free_port

# Nothing is measured at the start, and nothing imports torch, by which the other policy resizes.
UNTUNED = ("--batch-size", "1", "--text-batch-size", "1")
SWIFT = (*UNTUNED, "--preprocess", "reference")
UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
# As the platform starts a container: as process 1, with the model's folder read-only.
AS_A_CONTAINER = """
mount -t tmpfs none /opt && mkdir -p /opt/ml && cp -r "$1" /opt/ml/model &&
chmod -R a+rX /opt && mount -o remount,ro /opt && shift && exec "$@"
"""


def can_unshare():
    return (
        shutil.which("setpriv") is not None
        and shutil.which("unshare") is not None
        and not sys.base_prefix.startswith("/opt")
        and subprocess.run([*UNSHARE, "true"], capture_output=True).returncode == 0
    )


@pytest.mark.skipif(not can_unshare(), reason="needs root and namespaces")
@pytest.mark.parametrize(
    ("user", "flags"),
    [([], SWIFT), (["setpriv", "--reuid", "10001", "--clear-groups"], UNTUNED)],
)
def test_serve_as_process_1_with_a_read_only_model_on_the_platforms_port(tmp_path, user, flags):
    """As root, and as a user that nobody has heard of and that has no home."""
    port = free_port()
    environ = without_proxies() | {"SAGEMAKER_BIND_TO_PORT": str(port), "HOME": "/nonexistent"}
    serve = [*user, sys.executable, "-B", "-m", "sweetspot", "serve", *flags]
    log = tmp_path / "serve.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*UNSHARE, "sh", "-c", AS_A_CONTAINER, "sh", str(BUILTIN_FOLDER), *serve],
            cwd=ROOT, env=environ, stdout=file, stderr=file,
        )  # fmt: skip
    running = Running(process, port, log)
    try:
        running.wait_until_ready()
        body = running.invoke({"text": "a"}).json()
        assert body["model"] == "model"
        assert "embedding" in body["results"][0]
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGTERM)
        assert process.wait(25) == 0
    finally:
        running.session.close()
        process.kill()
        process.wait()


@pytest.mark.skipif(not can_unshare(), reason="needs root and namespaces")
def test_without_network_and_credentials_images_in_the_body_are_embedded():
    """As with network isolation; what would have to be fetched fails, item by item."""
    environ = {name: value for name, value in without_proxies().items() if "AWS" not in name}
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.e2e.isolated"],
        cwd=ROOT, env=environ, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    image, away = json.loads(done.stdout)
    assert "embedding" in image[0]
    assert [one["error"]["code"] for one in away] == ["fetch_dns", "s3_denied"]


def test_missing_headers_and_those_of_the_platform_are_understood(service):
    """No Content-Type and no Accept; a client, host and headers that only the platform sends."""
    head = (
        "POST /invocations HTTP/1.1\r\nHost: model.aws.local:8080\r\nUser-Agent: AHC/2.0\r\n"
        "X-Amzn-SageMaker-Inference-Id: 7\r\nX-Amzn-SageMaker-Target-Variant: a\r\n"
        "X-Amzn-SageMaker-Session-Id: NEW_SESSION\r\nX-Nobody-Knows: this\r\n"
        "Content-Length: 13\r\nConnection: close\r\n\r\n"
    )
    with service.connect() as connection:
        connection.sendall(head.encode() + b'{"text": "a"}')
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"embedding" in answer


def test_a_ping_is_answered_while_requests_run(service):
    with HeldServer() as server, ThreadPoolExecutor(20) as pool:
        held = [pool.submit(service.invoke, {"url": server.url("/held")}) for _ in range(16)]
        limit_s = time.monotonic() + 60
        while server.requests < 16:
            assert time.monotonic() < limit_s
            time.sleep(0.01)
        for method in ("GET", "POST"):
            assert requests.request(method, service.url("/ping"), timeout=60).status_code == 200
        server.allowed.set()
        assert {one.result().status_code for one in held} == {200}


def test_there_is_no_other_listener_than_the_port(service):
    """So none can be outside SAGEMAKER_SAFE_PORT_RANGE."""
    sockets = set()
    for pid in (service.process.pid, worker_of(service)):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                sockets.add(link.readlink().name)
            except FileNotFoundError:
                continue
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    assert ports == {service.port}


def worker_of(service):
    master = service.process.pid
    return int(Path(f"/proc/{master}/task/{master}/children").read_text().split()[0])


ERRORS = [
    (b"{" * 5000, {}, 400),
    (json.dumps({"é" * 9000: 1}).encode(), {}, 400),
    (b"x", {"Content-Type": "y" * 5000}, 415),
    (b"{}", {"Accept": "z" * 5000}, 406),
]


@pytest.mark.parametrize(("body", "headers", "status"), ERRORS)
def test_error_bodies_survive_the_platform(service, body, headers, status):
    """It replaces what is longer than some 2,048 characters by a note."""
    answer = requests.post(service.url("/invocations"), body, headers=headers, timeout=10)
    assert answer.status_code == status
    assert len(answer.text) < 2048
    assert answer.json()["error"]["message"]


def test_a_large_body_is_held_once(tmp_path):
    """An asynchronous endpoint's: 60 MB of lines, of which the last cannot be read."""
    with started(tmp_path, "--backend", "fake", "--max-body-bytes", "100000000") as service:
        assert service.invoke({"text": "a"}).status_code == 200
        before = peak_kib(service)
        line = json.dumps({"image": "A" * 100_000}).encode() + b"\n"
        body = line * 600
        headers = {"Content-Type": "application/jsonlines", "Accept": "application/jsonlines"}
        answer = requests.post(service.url("/invocations"), body, headers=headers, timeout=60)
        lines = answer.text.splitlines()
        assert len(lines) == 600
        assert json.loads(lines[0])["error"]["code"] == "decode_unsupported"
        # The body, the items made of it, and a little.
        assert peak_kib(service) - before < 2.6 * len(body) / 1024


def test_a_deadline_may_come_by_attribute_and_is_capped(tmp_path):
    """A container cannot see an asynchronous endpoint's time limit."""
    with (
        HeldServer() as server,
        started(
            tmp_path, "--backend", "fake", "--deadline-ms", "60000", "--max-deadline-ms", "300"
        ) as service,
    ):
        for sent in ({}, {"deadline-ms": "200"}, {"deadline-ms": "3600000"}):
            attributes = ";".join(f"{name}={value}" for name, value in sent.items())
            headers = {"X-Amzn-SageMaker-Custom-Attributes": attributes}
            answer = service.invoke({"url": server.url("/held")}, headers=headers).json()
            assert answer["results"][0]["error"]["code"] == "deadline_exceeded"
        server.allowed.set()


def test_a_job_is_told_how_to_ask(tmp_path):
    """With what the platform sets when the caller set it, which is no setting of ours."""
    environ = without_proxies() | {
        "SAGEMAKER_BATCH": "True",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6",
        "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "4",
        "SAGEMAKER_SAFE_PORT_RANGE": "23000-23999",
    }
    with started(tmp_path, "--backend", "fake", env=environ) as service:
        answer = requests.get(service.url("/execution-parameters"), timeout=10)
        assert answer.status_code == 200
        found = answer.json()
        assert found.keys() == {"MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"}
        assert found["BatchStrategy"] in {"MULTI_RECORD", "SINGLE_RECORD"}
        assert found["MaxConcurrentTransforms"] * found["MaxPayloadInMB"] <= 100
        # 100 MB are accepted in a job; that is the largest payload there is.
        body = b'{"text": "' + b"x" * (60 * 2**20) + b'"}'
        asked = requests.post(service.url("/invocations"), body, timeout=60)
        assert asked.json()["results"][0]["error"]["code"] == "text_invalid"


def test_a_connection_is_accepted_at_once(tmp_path):
    """The door is open before anything heavy is imported; who asks too early is told to wait."""
    with started(tmp_path, "--model", "builtin", *SWIFT, ready=False) as service:
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", service.port), timeout=0.25)
                break
            except ConnectionRefusedError:
                time.sleep(0.005)
        with connection:
            assert service.process.poll() is None
            assert "ready after" not in service.log.read_text()
            answer = requests.get(service.url("/execution-parameters"), timeout=10)
            assert answer.status_code == 503
        service.wait_until_ready()
