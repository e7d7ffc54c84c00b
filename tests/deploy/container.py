"""A container in a few lines: it speaks the protocol over real HTTP, and fails when asked to.

A text's embedding is made of its characters. `flaky 2 x` fails twice with a retryable code before
it is embedded, `dead x` always and for good, `down x` always with a retryable code.
"""

import base64
import hashlib
import json
import threading
from array import array
from collections import Counter
from http.server import BaseHTTPRequestHandler

from tests.servers import LocalServer

DIMENSION = 4


def embedding(text):
    """What the container answers for a text."""
    return array("f", [byte / 255 for byte in hashlib.sha256(text.encode()).digest()[:DIMENSION]])


class Container(LocalServer):
    """Serves on a free port. refusals: answers to the first requests, `(status, body)`.

    A refusal of None closes the connection without a word. meeting: it answers so many at a time.
    """

    def __init__(self, refusals=(), fingerprints=("f1",), meeting=1):
        self.bodies = []
        self.asked = Counter()
        self.peak = 0
        self._meeting = threading.Barrier(meeting)
        self._active = 0
        self.refusals, self._fingerprints = list(refusals), list(fingerprints)
        self._lock = threading.Lock()
        super().__init__(self._handler())

    def answer(self, body):
        """(status, JSON) or None."""
        with self._lock:
            self.bodies.append(body)
            self._active += 1
            self.peak = max(self.peak, self._active)
            refusal = self.refusals.pop(0) if self.refusals else (200, None)
            more = len(self._fingerprints) > 1
            fingerprint = self._fingerprints.pop(0) if more else self._fingerprints[0]
        self._meeting.wait(60)
        with self._lock:
            self._active -= 1
            if refusal is None or refusal[0] != 200:
                return refusal
            inputs = json.loads(body)["inputs"]
            results = [self._result(index, one) for index, one in enumerate(inputs)]
        return 200, {"dimension": DIMENSION, "fingerprint": fingerprint, "results": results}

    def _result(self, index, item):
        text = item.get("text") or item.get("url") or item.get("image")
        self.asked[text] += 1
        word, number = ([*text.split(), "", "0", "0"])[:2]
        if word == "dead":
            return failed(index, "fetch_http_status", retryable=False)
        if word == "down" or (word == "flaky" and self.asked[text] <= int(number)):
            return failed(index, "fetch_timeout", retryable=True)
        encoded = base64.b64encode(embedding(text).tobytes()).decode()
        return {"index": index, "embedding": encoded}

    def _handler(self):
        container = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                reply = container.answer(self.rfile.read(int(self.headers["Content-Length"])))
                if reply is None:
                    self.close_connection = True
                    return
                data = json.dumps(reply[1]).encode()
                self.send_response(reply[0])
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                """Say nothing."""

        return Handler


def failed(index, code, *, retryable):
    error = {"code": code, "message": "as asked", "retryable": retryable}
    return {"index": index, "error": error}


def refusal(code, status, *, retryable, **more):
    error = {"code": code, "message": "as asked", "retryable": retryable}
    return status, {"error": error | more}
