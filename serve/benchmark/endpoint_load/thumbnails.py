"""Thumbnail server for an endpoint on this machine, in its own process.

In the load generator's process the two would compete for the GIL and slow each other down.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from model.synthetic.mixes import MIXES, Mix

ROOT = Path(__file__).parents[3]
MODULE = __name__
STOP_TIMEOUT_S = 5.0


@contextmanager
def served(count: int, latency_ms: float, mix: str = "thumbnails") -> Iterator[list[str]]:
    """Draw images and serve each after `latency_ms`. Yields their URLs.

    Args:
        count: number of URLs. Images that are slow to draw are served at several URLs.
        latency_ms: from request to answer.
        mix: a key of `MIXES`.

    Raises:
        OSError: the server does not start.
    """
    # Its own session keeps Ctrl-C away from it; it ends when its standard input is closed.
    process = subprocess.Popen(  # noqa: S603 - this program, no user input
        [sys.executable, "-m", MODULE, str(count), str(latency_ms), mix],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        port = process.stdout.readline().decode().strip() if process.stdout else ""
        if not port:
            raise ChildProcessError("the server of thumbnails did not start")
        yield [f"http://127.0.0.1:{port}/{seed}.jpg" for seed in range(count)]
    finally:
        try:
            process.communicate(timeout=STOP_TIMEOUT_S)  # closes its input
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def replies(count: int, mix: Mix) -> dict[str, Reply]:
    """Draw the images, and return the reply of each of `count` paths."""
    pictures = [mix.draw(seed) for seed in range(min(count, mix.most))]
    return {f"/{number}.jpg": Reply(*pictures[number % len(pictures)]) for number in range(count)}


def main(count: int, latency_ms: float, mix: str) -> None:
    """Draw the images, print the port, and serve until the parent closes standard input."""
    with ThumbnailServer(replies(count, MIXES[mix]), latency_ms / 1000) as server:
        sys.stdout.write(server.netloc.rpartition(":")[2] + "\n")
        sys.stdout.flush()
        sys.stdin.buffer.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3])
