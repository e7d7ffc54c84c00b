"""What every test may lean on, and what none may do: no traffic leaves this machine."""

import errno
import gc
import ipaddress
import os
import signal
import socket

import pytest
from hypothesis import settings

from inference.loadtest.thumbnail_server import ThumbnailServer
from model.load import SPIN_COUNT
from tests.ports import refusing
from tests.servers import GatedServer

# Before boto3 is imported anywhere: no credentials but these, no metadata service.
os.environ |= {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
for name in [name for name in os.environ if name.startswith(("SWEETSPOT_", "SAGEMAKER_"))]:
    del os.environ[name]

# A shell that starts the tests in the background has them ignore SIGINT, and all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# As `load` sets it, which comes too late where a test module has imported torch: the threads of
# two processes of tests that spin take the cores from each other.
os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)

# A slow machine is no wrong answer.
settings.register_profile("sweetspot", deadline=None)
settings.load_profile("sweetspot")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Imports leave no garbage, and what they leave stays: nobody need search it again.

    A full collection took half a second, and each training of transformers asks for three.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture(autouse=True)
def connections(monkeypatch):
    """Every address that a test connected to; one that is not loopback is refused instead."""
    seen = []
    real, real_ex = socket.socket.connect, socket.socket.connect_ex

    def is_refused(address):
        seen.append(address)
        return isinstance(address, tuple) and not ipaddress.ip_address(address[0]).is_loopback

    def connect(self, address):
        if is_refused(address):
            raise ConnectionRefusedError(f"tests connect to nobody: {address}")
        return real(self, address)

    def connect_ex(self, address):
        return errno.ECONNREFUSED if is_refused(address) else real_ex(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)
    return seen


@pytest.fixture
def thumbnail_server():
    with ThumbnailServer() as server:
        yield server


@pytest.fixture
def nobody():
    """The origin of URLs that are refused a connection."""
    with refusing() as origin:
        yield origin


@pytest.fixture
def gated_server():
    with GatedServer() as server:
        yield server
        server.gate.set()
