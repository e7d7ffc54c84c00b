"""Ends in the middle of load: what was sent is answered, and no ping promises too much."""

import http.client
import json
import os
import select
import signal
import threading
import time
from collections import Counter

from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from tests.e2e.service import started
from tests.images import jpeg

CLIENTS, PICTURES = 64, 16
# Measures no batch sizes.
SWIFT = ("--batch-size", "4", "--text-batch-size", "4")
LIMIT_S = 90
BROKEN = (OSError, http.client.HTTPException)


class Connection:
    """A client's connection, which knows whether a whole request was sent on it."""

    def __init__(self, port):
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
        self._http.connect()

    def was_closed(self):
        """Whether the server said so before anything more was sent."""
        return self._http.sock is None or bool(select.select([self._http.sock], [], [], 0)[0])

    def ask(self, body=None):
        """Status and JSON of an invocation, or of a ping. Raises one of BROKEN."""
        method, path = ("GET", "/ping") if body is None else ("POST", "/invocations")
        self._http.request(method, path, body and json.dumps(body))
        response = self._http.getresponse()
        return response.status, json.loads(response.read())

    def close(self):
        self._http.close()


class Client(threading.Thread):
    """Asks again and again, on one connection or on one each, until the service goes away."""

    def __init__(self, port, url, kept, ends):
        super().__init__(daemon=True)
        self._port, self._url, self._kept, self._ends = port, url, kept, ends
        self._connection = None

    def run(self):
        while (end := self._ask()) == "answered":
            self._ends[end] += 1
        self._ends[end] += 1

    def _ask(self):
        try:
            self._connect()
        except OSError:
            return "refused"
        try:
            status, answer = self._connection.ask({"url": self._url})
        except BROKEN:
            return "reset"
        if status == 503:
            return answer["error"]["code"]
        return "answered" if len(answer["results"][0]["embedding"]) else "empty"

    def _connect(self):
        if self._connection and self._kept and not self._connection.was_closed():
            return
        if self._connection:
            self._connection.close()
        self._connection = Connection(self._port)


def test_sigterm_under_load_answers_every_request_that_was_sent(tmp_path, way):
    """Each of 64 clients ends by a whole answer, a 503 that says why, or before it sent a byte."""
    pictures = {f"/{seed}.jpg": Reply(jpeg(seed=seed)) for seed in range(PICTURES)}
    ends = Counter()
    with (
        ThumbnailServer(pictures, latency_s=0.2) as images,
        started(tmp_path, "--backend", "fake", *way) as service,
    ):
        clients = [
            Client(service.port, images.url(f"/{n % PICTURES}.jpg"), n % 2 == 0, ends)
            for n in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        wait_until(lambda: ends["answered"] > 2 * CLIENTS)
        service.process.send_signal(signal.SIGTERM)
        code = service.process.wait(25)
        for client in clients:
            client.join(LIMIT_S)
    assert code == 0
    assert ends["reset"] == 0, ends
    assert ends.keys() <= {"answered", "not_ready", "refused", "reset"}, ends


def test_a_killed_worker_is_replaced_and_no_ping_promises_too_much(tmp_path):
    """Whoever was told 200 is answered on the same connection, so by the same worker."""
    rounds, killed, stopping = [], threading.Event(), threading.Event()

    def probe(port):
        while not stopping.is_set():
            before = not killed.is_set()
            rounds.append((before, *ping_and_ask(port)))
            time.sleep(0.01)

    with started(tmp_path, "--model", "builtin", *SWIFT) as service:
        probes = [threading.Thread(target=probe, args=(service.port,)) for _ in range(4)]
        for thread in probes:
            thread.start()
        wait_until(lambda: len(rounds) > 20)
        os.kill(service.worker(), signal.SIGKILL)
        killed.set()
        wait_until(lambda: sum(good(one) for one in rounds if not one[0]) > 20)
        stopping.set()
        for thread in probes:
            thread.join(LIMIT_S)
    after = Counter(one[1:] for one in rounds if not one[0])
    assert after.keys() <= {(200, 200), (503, None)}, after
    assert any(good(one) for one in rounds if one[0])
    # A worker may have died between its ping and its answer, but has not refused then.
    assert {one[2] for one in rounds if one[0]} <= {200, None}


def ping_and_ask(port):
    """The statuses of a ping, and of an invocation after a good one; None for none."""
    ping = invocation = connection = None
    try:
        connection = Connection(port)
        ping, _ = connection.ask()
        if ping == 200:
            invocation, _ = connection.ask({"text": "a dark screen"})
    except BROKEN:
        pass
    finally:
        if connection:
            connection.close()
    return ping, invocation


def good(one):
    return one[1:] == (200, 200)


def wait_until(happened):
    limit_s = time.monotonic() + LIMIT_S
    while not happened():
        assert time.monotonic() < limit_s
        time.sleep(0.01)
