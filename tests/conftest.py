"""What every test may lean on, and what none may do: no traffic leaves this machine."""

import ipaddress
import os
import socket

import pytest
from hypothesis import settings

from inference.thumbnail_server import ThumbnailServer

# Before boto3 is imported anywhere: no credentials but these, no metadata service.
os.environ |= {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
for name in [name for name in os.environ if name.startswith(("SWEETSPOT_", "SAGEMAKER_"))]:
    del os.environ[name]

# A slow machine is no wrong answer.
settings.register_profile("sweetspot", deadline=None)
settings.load_profile("sweetspot")


@pytest.fixture(autouse=True)
def connections(monkeypatch):
    """Every address that a test connected to; one that is not loopback is refused instead."""
    seen = []
    connect = socket.socket.connect

    def guarded(self, address):
        seen.append(address)
        if isinstance(address, tuple) and not ipaddress.ip_address(address[0]).is_loopback:
            raise ConnectionRefusedError(f"tests connect to nobody: {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    return seen


@pytest.fixture
def thumbnail_server():
    with ThumbnailServer() as server:
        yield server
