"""A server of images that does harm: its items get their codes, their neighbours embeddings."""

import time

import pytest

from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from tests.e2e.footprint import Footprint
from tests.e2e.service import started, without_proxies
from tests.hostile_server import TOO_SLOW, TOO_SLOW_IN_TLS, HostileServer
from tests.images import png

IO_THREADS = 64
ROUNDS, MOST_ROUNDS = 3, 10
HONEST = 10
# First uses and small objects take 30. Bodies of 20 MiB, six a round, were 120 when they stayed.
SPARE_MIB = 64


@pytest.fixture(scope="module")
def hostile():
    with HostileServer() as server:
        yield server


@pytest.fixture(scope="module")
def honest():
    with ThumbnailServer() as server:
        yield server


@pytest.fixture(scope="module")
def patient(tmp_path_factory, way):
    """A service whose fetches take 5 s at most; its requests have longer."""
    flags = ["--backend", "fake", "--fetch-timeout-ms", "5000", "--io-threads", str(IO_THREADS)]
    # glibc keeps what is freed for a while, in up to 8 arenas a core. Told to give blocks of
    # 32 KiB back at once, it shows what is not freed.
    environ = without_proxies() | {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "32768"}
    with started(tmp_path_factory.mktemp("patient"), *flags, *way, env=environ) as service:
        yield service


def ask(service, urls, deadline_ms=30_000):
    """URLs by name, in one request: by name the code or the embedding that came."""
    body = {"urls": list(urls.values()), "parameters": {"deadline_ms": deadline_ms}}
    results = service.invoke(body).json()["results"]
    assert [result["index"] for result in results] == list(range(len(urls)))
    return {
        name: result["error"]["code"] if "error" in result else result["embedding"]
        for name, result in zip(urls, results, strict=True)
    }


def mixed(bad, good):
    """Both in turn, for as long as there are both."""
    pairs = zip(bad.items(), good.items(), strict=False)
    return dict(item for pair in pairs for item in pair) | bad | good


def named(server):
    return {url: url for url in server.thumbnails(HONEST)}


def test_nobody_is_harmed_and_nothing_stays_behind(patient, hostile, honest):
    """Each item gets its own code, its neighbours what they get alone, and all is given back."""
    good = named(honest)
    alone = {name: ask(patient, {name: url})[name] for name, url in good.items()}
    assert all(isinstance(embedding, list) for embedding in alone.values())
    meet(patient, honest)
    seen = [settled(patient)]
    while not stays(seen):
        assert len(seen) <= MOST_ROUNDS, seen
        answer = ask(patient, mixed(hostile.urls, good))
        assert {name: answer[name] for name in hostile.codes} == hostile.codes
        assert {name: answer[name] for name in good} == alone
        seen.append(settled(patient))


def test_the_deadline_of_the_request_cuts_every_phase(patient, hostile, honest):
    """It comes before the limit of the fetch, and neighbours that were done are answered."""
    slow = {name: hostile.urls[name] for name in (*TOO_SLOW, *TOO_SLOW_IN_TLS)}
    good = named(honest)
    answer = ask(patient, mixed(slow, good), deadline_ms=1500)
    assert {answer[name] for name in slow} == {"deadline_exceeded"}
    assert all(isinstance(answer[name], list) for name in good)


def meet(service, server):
    """Have all threads that fetch wait at once, so that later none is new, nor a connection."""
    server.replies |= {f"/meet/{number}": Reply(png()) for number in range(IO_THREADS)}
    server.latency_s = 0.5
    ask(service, {path: server.url(path) for path in server.replies})
    server.latency_s = 0.0


def settled(service):
    """The footprint once it stays the same from one look to the next."""
    limit_s = time.monotonic() + 10
    last, now = None, Footprint.of(service.process.pid)
    while last is None or (last.threads, last.files) != (now.threads, now.files):
        assert time.monotonic() < limit_s, (last, now)
        time.sleep(0.1)
        last, now = now, Footprint.of(service.process.pid)
    return now


def stays(seen):
    """Whether the last rounds added less than one thread or file each: then none is left by a kind.

    A process that meets a hostile server for the first time keeps a connection to it.
    """
    if len(seen) <= 1 + ROUNDS:
        return False
    before, now = seen[-1 - ROUNDS], seen[-1]
    threads, files = now.threads - before.threads, now.files - before.files
    return max(threads, files) < ROUNDS and now.rss_mib - seen[0].rss_mib < SPARE_MIB
