"""Name look-ups: bounded in number and time, whatever a name server does."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from inference.errors import FetchDns
from inference.fetching.dns import NameLookups


class Server:
    """A resolver whose names under `slow` are answered once `release` is set."""

    def __init__(self):
        self.asked = []
        self.asked_one = threading.Semaphore(0)
        self.release = threading.Event()

    def __call__(self, host, port):
        self.asked.append(host)
        self.asked_one.release()
        if host.startswith("slow"):
            self.release.wait(30)
        return [f"192.0.2.{len(host)}"]


@pytest.fixture
def server():
    one = Server()
    yield one
    one.release.set()


def test_a_look_up_that_takes_too_long_is_given_up_and_may_pass(server):
    names = NameLookups(server)
    with pytest.raises(FetchDns, match="slow was not looked up in time") as caught:
        names.addresses("slow", 80, 0.05)
    assert caught.value.retryable


def test_a_name_under_way_is_not_asked_for_again(server):
    """Twenty thumbnails of a dead name take one place."""
    names = NameLookups(server, lookups=2)
    with ThreadPoolExecutor(20) as pool:
        asking = [pool.submit(names.addresses, "slow", 80, 30) for _ in range(20)]
        server.asked_one.acquire(timeout=30)
        assert names.addresses("other", 80, 30) == ["192.0.2.5"]
        server.release.set()
        assert {tuple(one.result()) for one in asking} == {("192.0.2.4",)}
    assert names.addresses("slow", 80, 30) == ["192.0.2.4"]


def test_no_more_look_ups_at_once_than_there_are_places(server):
    names = NameLookups(server, lookups=2)
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(names.addresses, f"slow-{n}", 80, 30) for n in range(2)]
        for _ in held:
            server.asked_one.acquire(timeout=30)
        with pytest.raises(FetchDns) as caught:
            names.addresses("third", 80, 0.05)
        assert caught.value.retryable
        assert "third" not in server.asked
        server.release.set()
        for one in held:
            one.result()
    assert names.addresses("third", 80, 30) == ["192.0.2.5"]


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (socket.gaierror(socket.EAI_NONAME, "no such name"), False),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), True),
        (UnicodeError("label too long"), False),
        (OSError("no network"), False),
    ],
)
def test_what_the_resolver_raises_is_the_items_failure(error, retryable):
    def failing(host, port):
        raise error

    names = NameLookups(failing, lookups=1)
    for _ in range(3):  # and the place is given back
        with pytest.raises(FetchDns) as caught:
            names.addresses("a.example", 80, 30)
        assert caught.value.retryable is retryable
