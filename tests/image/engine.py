"""A container engine, docker or podman, and the image under test."""

import json
import os
import subprocess
import time
from contextlib import contextmanager

import requests

from tests.e2e.service import without_proxies
from tests.ports import free_port

ENGINE = os.environ.get("CONTAINER_ENGINE", "docker")
IMAGE = os.environ.get("IMAGE", "sweetspot:cpu")
# Limits are always given: an engine without cgroups of its own refuses to guess them.
MEMORY = ("--memory", "3g", "--memory-swap", "3g")
AS_NOBODY = ("--user", "10001", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "all")


def engine(*arguments, check=True, **options):
    """Run the engine; its standard output."""
    done = subprocess.run(
        [ENGINE, *arguments], capture_output=True, text=True, timeout=600, **options
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


def run(*arguments, options=()):
    """A command of the image, to its end."""
    return engine("run", "--rm", *MEMORY, *options, IMAGE, *arguments)


class Container:
    """One that serves on a port of this machine."""

    def __init__(self, name, port):
        self.name, self.port = name, port
        self.session = requests.Session()
        self.session.trust_env = False

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def ping(self):
        return self.session.get(self.url("/ping"), timeout=10)

    def invoke(self, body, **options):
        return self.session.post(self.url("/invocations"), json=body, timeout=60, **options)

    def logs(self):
        done = subprocess.run([ENGINE, "logs", self.name], capture_output=True, text=True)
        return done.stdout + done.stderr

    def state(self):
        return json.loads(engine("inspect", self.name))[0]["State"]

    def worker(self):
        """The process id of gunicorn's worker, in the container."""
        listing = "import pathlib; print(pathlib.Path('/proc/1/task/1/children').read_text())"
        return self.ask_inside(listing).strip()

    def wait_until_ready(self, seconds=60):
        limit_s = time.monotonic() + seconds
        while time.monotonic() < limit_s:
            try:
                if self.ping().status_code == 200:
                    return self
            except requests.ConnectionError:
                assert self.state()["Running"], self.logs()
            time.sleep(0.05)
        raise AssertionError(self.logs())

    def ask_inside(self, program):
        """Run a Python program in it, for containers without a network."""
        return engine("exec", self.name, "python", "-c", program)


@contextmanager
def served(*arguments, options=(), port_variable="SWEETSPOT_PORT", memory=MEMORY, ready=True):
    """Serve on the machine's own network, and leave nothing behind."""
    port = free_port()
    name = f"sweetspot-test-{port}"
    network = () if "--network" in options else ("--network", "host")
    environ = ("-e", f"{port_variable}={port}")
    engine(
        "run", "-d", "--name", name, *network, *memory, *environ, *options, IMAGE, *arguments,
        env=without_proxies(),
    )  # fmt: skip
    container = Container(name, port)
    try:
        yield container.wait_until_ready() if ready else container
    finally:
        container.session.close()
        engine("rm", "-f", "-t", "5", name, check=False)
