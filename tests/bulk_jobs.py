"""Jobs against a local server, by the command in this process."""

import contextlib
import json
import math
import re
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import lance
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from click.testing import CliRunner

from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from serve.commands.bulk.command import bulk
from serve.commands.bulk.output.lance.table import TABLE
from tests.images import jpeg

SEED = re.compile(r"/(\d+)\.jpg")
GONE, BUSY = Reply(status=404), Reply(status=503)
# On a slow machine a fetch takes long; no row is to fail by its time limit.
PATIENT = (
    "--connect-timeout-ms", "120000", "--fetch-timeout-ms", "120000", "--deadline-ms", "300000",
)  # fmt: skip
FLAGS = ["--backend", "fake", "--allow-host", "127.0.0.1", "--preprocess-processes", "0", *PATIENT]


class Counting(ThumbnailServer):
    """Counts the requests of each path. What follows a question mark makes no other thumbnail.

    Its thumbnails are small: a drawn screen takes 20 ms to draw, and half as long to decode.

    refusals: how many requests are answered by a 429 that asks for a pause of a second.
    answered: how many requests are answered before `go_on` is set; the others wait for it.
    """

    def __init__(self, **options):
        super().__init__(**options)
        self.asked = Counter()
        self.asked_s = []
        self.refusals = 0
        self.answered = math.inf
        self.go_on = threading.Event()

    def reply(self, path):
        self.asked[path] += 1
        self.asked_s.append(time.monotonic())
        if len(self.asked_s) > self.answered:
            self.go_on.wait(60)
        if len(self.asked_s) <= self.refusals:
            return Reply(status=429, headers={"Retry-After": "1"})
        path = path.partition("?")[0]
        if seed := SEED.fullmatch(path):
            self.replies.setdefault(path, Reply(jpeg(160, 120, seed=int(seed[1]))))
        return super().reply(path)


def counting():
    """Return a server, to be opened; of three of its paths no thumbnail comes."""
    return Counting(replies={"/gone": GONE, "/busy": BUSY, "/text": Reply(b"no picture")})


@contextlib.contextmanager
def local_s3():
    """Make S3 a server here, for this process and those that it starts. Yields a client."""
    from moto.server import ThreadedMotoServer  # takes long

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            patch.setenv(name, value)
        yield boto3.session.Session().client("s3")
    server.stop()


def write_urls(path, server, count):
    """Write a list of URLs, of which one in 33 is dead; few are the same picture."""
    paths = [f"/{seed % 30}.jpg?{seed}" for seed in range(count)]
    paths[::33] = ["/gone"] * len(paths[::33])
    path.write_text("\n".join(map(server.url, paths)))
    return path


def wait_for_requests(server, count, process):
    """Wait until so many more requests were made, or the process ended."""
    wanted = server.requests + count
    while server.requests < wanted and process.poll() is None:
        time.sleep(0.005)


def kept(folder, urls, per_part):
    """Return the paths of the rows that an unfinished job keeps in an output of Parquet.

    Those of its whole parts, and those that it saved of others. Dead ones are left out: they share
    a path.
    """
    listed = urls.read_text().split()
    found = {row["url"] for row in rows(folder)}
    for file in folder.glob("_open/part-*/*.arrow"):
        first = int(file.parent.name.removeprefix("part-")) * per_part
        saved = pa.ipc.open_file(file.read_bytes()).read_all()["row"].to_pylist()
        found |= {listed[first + row] for row in saved}
    return paths_of(found)


def paths_of(found):
    """Return the paths of those URLs that no other row has."""
    asked = map(urlsplit, found)
    return {f"{one.path}?{one.query}" for one in asked if one.query}


def run(*args):
    """Run the command. Returns its exit code, its summary, and what it printed besides."""
    done = CliRunner().invoke(bulk, [*map(str, args), *FLAGS, "--json"])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    summary = json.loads(done.stdout) if done.exit_code == 0 else None
    return done.exit_code, summary, done.stderr


def rows(folder):
    """Return all rows of an output, in the order of the input: a table of Lance has none."""
    if not (Path(folder) / TABLE).exists():
        return ds.dataset(folder, format="parquet").to_table().to_pylist()
    found = lance.dataset(Path(folder) / TABLE).to_table().to_pylist()
    return sorted(found, key=lambda one: int(str(one["id"]).rpartition("#")[2]))


def timeless(found):
    """Return rows without the time of their fetch."""
    return [one | {"fetched_at": None} for one in found]
