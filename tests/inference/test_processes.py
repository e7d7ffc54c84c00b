"""Preparing processes: they die, hang and come back, and each image still has its own result."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.config import EngineConfig
from inference.engine.engine import Engine
from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from inference.types import Embedding, ImageBytes, ImageUrl
from model.backends.fake import FakeEncoder
from model.errors import CheckpointError
from model.memory_budget import MIB
from tests.e2e.service import ROOT
from tests.faulty_pictures import CRASHES, HANGS, KILLS, RAISES, STOPS, FaultyEncoder
from tests.images import png
from tests.inference.test_engine import LOCAL, PATIENT, image_vector, soon, wait_for


@contextmanager
def opened(encoder=None, fetch=PATIENT, **config):
    config = {"processes": 2} | config
    with Engine(encoder or FaultyEncoder(), fetch, EngineConfig(**config)) as engine:
        yield engine


def embed(engine, items, seconds=60, **options):
    return engine.embed(items, soon(seconds), **options).results


def pictures(count):
    return [ImageBytes(png(seed=seed)) for seed in range(count)]


def preparing(engine):
    return [pid for pid, role in engine.processes().items() if role == "preprocess"]


def is_alive(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.mark.parametrize("bad", [CRASHES, KILLS])
def test_a_picture_that_ends_its_process_fails_alone(bad):
    good = pictures(64)
    with opened() as engine:
        results = embed(engine, [*good[:32], ImageBytes(bad), *good[32:]])
    (failed,) = [one for one in results if not isinstance(one, Embedding)]
    assert results.index(failed) == 32
    assert failed.code == "decode_corrupt"
    assert failed.message == "damaged image: the decoder crashed on it"
    assert not failed.retryable
    for item, one in zip(good, [*results[:32], *results[33:]], strict=True):
        np.testing.assert_array_equal(one.vector, image_vector(item.data))


def test_many_such_pictures_do_not_stop_the_service(caplog):
    bad = [ImageBytes(CRASHES + str(number).encode()) for number in range(60)]
    good = pictures(60)
    mixed = [one for pair in zip(bad, good, strict=True) for one in pair]
    with opened() as engine, ThreadPoolExecutor(1) as pool:
        flood = pool.submit(embed, engine, mixed)
        query = [embed(engine, [ImageBytes(png(seed=999 + n))], 20) for n in range(5)]
        results = flood.result(60)
        assert engine.trouble() is None
        assert engine.items_in_flight == 0
    assert all(isinstance(one, Embedding) for [one] in query)
    assert [one.code for one in results[::2]] == ["decode_corrupt"] * 60
    assert all(isinstance(one, Embedding) for one in results[1::2])
    assert 1 <= len([one for one in caplog.records if "is replaced" in one.message]) <= 3


@pytest.mark.parametrize("bad", [HANGS, STOPS])
def test_a_decoding_that_hangs_is_ended(bad):
    good = pictures(20)
    with opened(stall_s=0.6, processes=1) as engine:
        results = embed(engine, [*good, ImageBytes(bad)])
        assert engine.trouble() is None
    assert [one.code for one in results if not isinstance(one, Embedding)] == ["decode_corrupt"]


def test_killed_processes_lose_nothing():
    """From outside, again and again, while images are fetched and decoded."""
    replies = {f"/{seed}": Reply(png(seed=seed)) for seed in range(64)}
    with (
        ThumbnailServer(replies, latency_s=0.05) as server,
        opened(FakeEncoder()) as engine,
        ThreadPoolExecutor(3) as pool,
    ):
        items = [ImageUrl(server.url(path)) for path in replies]
        before = embed(engine, items)
        running = [pool.submit(lambda: [embed(engine, items) for _ in range(6)]) for _ in range(3)]
        while not all(one.done() for one in running):
            for pid in preparing(engine)[:1]:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.4)
        for results in [one for future in running for one in future.result()]:
            for one, other in zip(results, before, strict=True):
                np.testing.assert_array_equal(one.vector, other.vector)


def test_a_dead_fork_server_is_replaced():
    with opened() as engine:
        embed(engine, pictures(2))
        (pid,) = [pid for pid, role in engine.processes().items() if role == "fork_server"]
        children = preparing(engine)
        os.kill(pid, signal.SIGKILL)
        results = embed(engine, pictures(20))
        assert pid not in engine.processes()
        wait_for(lambda: not any(map(is_alive, children)))
    assert all(isinstance(one, Embedding) for one in results)


def test_a_dead_process_is_replaced():
    with opened() as engine:
        embed(engine, pictures(2))
        before = preparing(engine)
        os.kill(before[0], signal.SIGKILL)
        wait_for(lambda: len(set(preparing(engine)) - set(before)) == 1)


def test_one_slow_url_holds_up_no_other(gated_server):
    urls = gated_server.urls(20, 20)
    with opened(FakeEncoder(), processes=1, io_threads=4) as engine:
        stream = engine.stream([ImageUrl(url) for url in urls], soon(60))
        with stream as groups:
            found = set()
            for group in groups:
                found |= {index for index, _ in group}
                if len(found) == 40:
                    gated_server.gate.set()
    assert found == set(range(41))


def test_a_fault_of_ours_is_logged_once_with_its_traceback(caplog):
    with opened() as engine:
        results = embed(engine, [ImageBytes(RAISES + b"1"), ImageBytes(RAISES + b"2")])
    assert {(one.code, one.retryable) for one in results} == {("internal", True)}
    assert "KeyError" in results[0].message
    (said,) = caplog.records
    assert "a bug of ours" in said.getMessage()
    assert "faulty_pictures.py" in said.getMessage()


def test_decoding_memory_is_shared_by_all_processes():
    """Two large pictures at a time would exceed it. One that exceeds it alone is refused."""
    large = [ImageBytes(png(1000, 1000, seed=seed)) for seed in range(6)]
    with opened(FakeEncoder(), decode_bytes=20 * MIB) as engine:
        results = embed(engine, [*large, *pictures(10)])
        (refused,) = embed(engine, [ImageBytes(png(2000, 1000))])
    assert all(isinstance(one, Embedding) for one in results)
    assert refused.code == "decode_too_many_pixels"
    assert refused.message == "decoding takes about 26 MiB of memory, the limit is 20 MiB"


def test_memory_that_a_dead_process_had_is_lent_again():
    large = [ImageBytes(png(1000, 1000, seed=seed)) for seed in range(8)]
    with opened(FakeEncoder(), decode_bytes=20 * MIB) as engine, ThreadPoolExecutor(1) as pool:
        running = pool.submit(embed, engine, large * 1)
        for _ in range(5):
            time.sleep(0.05)
            for pid in preparing(engine)[:1]:
                os.kill(pid, signal.SIGKILL)
        assert all(isinstance(one, Embedding) for one in running.result(60))


def test_models_of_different_sizes_share_a_slot():
    small, large = FakeEncoder(), FakeEncoder(size=64)
    items = pictures(5)
    config = EngineConfig(processes=2)
    with Engine(small, LOCAL, config) as engine:
        engine.add("large", large, config.image, config.text)
        results = embed(engine, items, models=("fake", "large"))
        assert engine.images_decoded == 10
    for item, result in zip(items, results, strict=True):
        for name, encoder in (("fake", small), ("large", large)):
            expected = encoder.encode_images(encoder.spec.preprocessing(item.data)[None])[0]
            np.testing.assert_array_equal(result.by_model[name].vector, expected)


def test_models_whose_pixels_exceed_a_slot_are_refused_until_others_leave():
    config = EngineConfig(processes=2)
    with Engine(FakeEncoder(size=1600), LOCAL, config) as engine:
        with pytest.raises(CheckpointError, match="the limit is 16,777,216"):
            engine.add("too large", FakeEncoder(size=1800), config.image, config.text)
        engine.remove("fake")
        engine.add("fits now", FakeEncoder(size=1800), config.image, config.text)
        assert isinstance(embed(engine, pictures(1))[0], Embedding)


def test_more_items_than_slots_all_pass():
    with opened(FakeEncoder(), max_items_in_flight=3, window=3) as engine:
        assert all(isinstance(one, Embedding) for one in embed(engine, pictures(50)))


def test_interactive_items_pass_a_flood_of_slow_bulk_items():
    with (
        ThumbnailServer({"/quick": Reply(png())}, latency_s=0.3) as server,
        opened(FakeEncoder(), io_threads=4, lane_permits=8, window=64) as engine,
        ThreadPoolExecutor(1) as pool,
    ):
        bulk = pool.submit(embed, engine, [ImageUrl(url) for url in server.thumbnails(64)])
        wait_for(lambda: server.requests >= 4)
        embed(engine, [ImageUrl(server.url("/quick"))])
        assert not bulk.done()
        bulk.result(60)


def test_nothing_outlives_a_service_that_is_killed(tmp_path):
    """Not the fork server, not the processes, not even one that hangs with the lock held."""
    code = f"""if True:
        import sys, time
        sys.path.insert(0, {str(ROOT)!r})
        from tests.inference.test_processes import *
        if __name__ == "__main__":
            engine = Engine(FaultyEncoder(), PATIENT, EngineConfig(processes=2))
            embed(engine, pictures(2))
            print(*engine.processes(), flush=True)
            embed(engine, [ImageBytes(STOPS)])
    """
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as service:
        pids = [int(pid) for pid in service.stdout.readline().split()]
        assert len(pids) == 3
        time.sleep(0.3)
        service.kill()
    wait_for(lambda: not any(map(is_alive, pids)))


def test_a_process_has_no_open_files_of_the_service():
    """A listener, or a client's connection, would stay open in it."""
    with socket.create_server(("127.0.0.1", 0)) as listener, opened(FakeEncoder()) as engine:
        embed(engine, pictures(2))
        inode = Path(f"/proc/self/fd/{listener.fileno()}").readlink()
        for pid in engine.processes():
            held = [one.readlink() for one in Path(f"/proc/{pid}/fd").iterdir()]
            assert inode not in held
            assert len(held) < 12


def test_limits_are_the_fetchers(thumbnail_server):
    fetch = replace(LOCAL, max_image_bytes=100)
    with opened(FakeEncoder(), fetch) as engine:
        results = embed(engine, [ImageUrl(thumbnail_server.url("/1.jpg")), *pictures(1)])
    assert [one.code for one in results] == ["fetch_too_large"] * 2


def test_no_number_of_kills_is_blamed_on_an_image_that_is_being_fetched(gated_server):
    with opened() as engine, ThreadPoolExecutor(1) as pool:
        (url,) = gated_server.urls(0)
        running = pool.submit(embed, engine, [ImageUrl(url)])
        for number in range(6):
            wait_for(lambda asked=number: gated_server.requests > asked)
            for pid in preparing(engine):
                os.kill(pid, signal.SIGKILL)
        gated_server.gate.set()
        assert isinstance(running.result(30)[0], Embedding)


def test_a_picture_that_ends_its_process_is_found_under_steady_load():
    """Of interactive items: no process is ever idle, so it waits for none that is."""
    stopping = threading.Event()

    def ask(engine, url):
        while not stopping.is_set():
            assert isinstance(embed(engine, [ImageUrl(url)])[0], Embedding)

    with (
        ThumbnailServer(latency_s=0.05) as server,
        opened() as engine,
        ThreadPoolExecutor(16) as pool,
    ):
        asking = [pool.submit(ask, engine, url) for url in server.thumbnails(16)]
        (found,) = embed(engine, [ImageBytes(CRASHES)], 20)
        stopping.set()
        for one in asking:
            one.result(30)
    assert found.code == "decode_corrupt"


@pytest.mark.parametrize("count", [2])
def test_pictures_that_hang_when_they_are_tried_again_hold_up_no_others(count):
    hanging = [ImageBytes(STOPS + str(number).encode()) for number in range(count)]
    with opened(stall_s=4.0, processes=count) as engine, ThreadPoolExecutor(1) as pool:
        embed(engine, pictures(2))
        before = preparing(engine)
        flood = pool.submit(embed, engine, hanging)
        wait_for(lambda: not set(before) & set(preparing(engine)), seconds=30)
        embedded = embed(engine, pictures(10), 3.5)
        assert not flood.done()
        assert {one.code for one in flood.result(60)} == {"decode_corrupt"}
    assert all(isinstance(one, Embedding) for one in embedded)


def test_kills_of_idle_processes_are_no_trouble_once_others_work():
    with opened() as engine:
        embed(engine, pictures(2))
        for _ in range(8):
            before = preparing(engine)
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda old=before: len(set(preparing(engine)) - set(old)) == 2)
        embed(engine, pictures(20))
        assert engine.trouble() is None
