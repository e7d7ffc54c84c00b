"""Image servers that misbehave on purpose."""

import threading

from inference.thumbnail_server import Reply, ThumbnailServer


class MeetingServer(ThumbnailServer):
    """Answers only when `count` requests are there at the same time."""

    def __init__(self, count, body):
        super().__init__()
        self._barrier = threading.Barrier(count)
        self._body = body

    def _find(self, path):
        self._barrier.wait(timeout=60)
        return Reply(self._body)
