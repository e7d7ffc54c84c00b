"""Servers that misbehave on purpose: of images, and in the place of a container."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from tests.images import png


class MeetingServer(ThumbnailServer):
    """Answers only when `count` requests are there at the same time."""

    def __init__(self, count, body):
        super().__init__()
        self._barrier = threading.Barrier(count)
        self._body = body

    def _find(self, path):
        self._barrier.wait(timeout=60)
        return Reply(self._body)


class GatedServer(ThumbnailServer):
    """`/gate` answers when the gate is opened, with any query; everything else at once."""

    def __init__(self):
        super().__init__()
        self._reply = Reply(png(), "image/png")
        self.reached, self.gate = threading.Event(), threading.Event()

    def _find(self, path):
        if path.partition("?")[0] == "/gate":
            self.reached.set()
            self.gate.wait(60)
        return self._reply

    def urls(self, before, after=0):
        """Quick ones, the gate, and quick ones."""
        quick = self.thumbnails(before + after)
        return [*quick[:before], self.url("/gate"), *quick[before:]]


class LocalServer:
    """Serves a handler on a free port while it is entered."""

    def __init__(self, handler):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class ScriptedContainer(LocalServer):
    """Answers requests by turns, the last answer for ever: `(status, body)`, or None to hang up.

    `/invocations` is the container itself; `/endpoints/NAME/invocations` the container as
    SageMaker's runtime shows it, its errors as a 424 ModelError. A body of `{"aws": [status,
    code]}` is an error of SageMaker's own.
    """

    def __init__(self, *replies):
        self.requests = []
        self.asked = threading.Semaphore(0)  # released for each request
        self._replies = list(replies)
        super().__init__(self._handler())

    def _next(self):
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    def _handler(self):
        container = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                container.requests.append((self.path, dict(self.headers), body))
                container.asked.release()
                reply = container._next()
                if reply is None:
                    return
                status, answer, headers = reply[0], json.dumps(reply[1]), {}
                if self.path.startswith("/endpoints/") and status != 200:
                    status, answer, headers = as_sagemaker(status, reply[1])
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.encode())

            def log_message(self, *_):
                """Say nothing."""

        return Handler


def as_sagemaker(status, body):
    """A container's error as the runtime's answer: status, body, headers."""
    if "aws" in body:
        status, code = body["aws"]
        return status, json.dumps({"Message": "from AWS"}), {"x-amzn-ErrorType": code}
    error = {
        "Message": f"Received server error ({status}) from primary with message",
        "OriginalStatusCode": status,
        "OriginalMessage": json.dumps(body),
        "LogStreamArn": "arn:aws:logs:us-east-1:123456789012:log-group:x",
    }
    return 424, json.dumps(error), {"x-amzn-ErrorType": "ModelError"}
