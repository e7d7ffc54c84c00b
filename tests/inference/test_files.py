"""Images in files and pipes of this machine: what is read, and what each failure is called."""

import os
import threading
from dataclasses import replace

import pytest

from inference.config import EngineConfig
from inference.engine.engine import Engine
from inference.errors import DeadlineExceeded, FetchTooLarge, FileUnreadable
from inference.fetching.files import CHUNK_BYTES, read_file
from inference.types import Embedding, ImageFile
from model.backends.fake import FakeEncoder
from tests.e2e.service import ROOT
from tests.images import png
from tests.inference.test_engine import LOCAL, embed, image_vector

pytestmark = pytest.mark.usefixtures("both_ways")


def read(path, max_bytes=2**20):
    return read_file(str(path), max_bytes, lambda: True)


def test_a_file_is_read_whole_up_to_the_limit(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(data := os.urandom(2 * CHUNK_BYTES + 1))
    assert read(path, len(data)) == data
    with pytest.raises(FetchTooLarge, match="more than"):
        read(path, len(data) - 1)


def test_what_never_ends_is_too_large():
    with pytest.raises(FetchTooLarge):
        read("/dev/zero")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nosuch.png", "No such file"),
        (".", "Is a directory"),
        ("a" * 300, "File name too long"),
        ("a\0b", "null"),
        ("\ud800", "surrogates"),
    ],
)
def test_what_cannot_be_read_says_why_and_will_not_pass(tmp_path, name, reason):
    with pytest.raises(FileUnreadable, match=reason) as caught:
        read(f"{tmp_path}/{name}")
    assert (caught.value.code, caught.value.retryable) == ("file_unreadable", False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_cannot_be_read(tmp_path):
    path = tmp_path / "secret.png"
    path.touch(0)
    with pytest.raises(FileUnreadable, match="Permission denied"):
        read(path)


def test_a_pipe_is_read_to_its_end_whenever_somebody_writes(tmp_path):
    os.mkfifo(path := tmp_path / "pipe")
    asked = threading.Event()
    data = os.urandom(300_000)

    def write():
        asked.wait(30)
        path.write_bytes(data)

    def is_wanted():
        asked.set()
        return True

    writer = threading.Thread(target=write)
    writer.start()
    assert read_file(str(path), 2**20, is_wanted) == data
    writer.join()


def test_a_pipe_that_nobody_writes_to_is_left_when_it_is_no_longer_wanted(tmp_path):
    os.mkfifo(path := tmp_path / "pipe")
    wanted = iter([True, True, False])
    with pytest.raises(DeadlineExceeded):
        read_file(str(path), 2**20, lambda: next(wanted))


def test_the_engine_reads_files_and_each_fails_alone(tmp_path):
    good, large, bad = tmp_path / "good.png", tmp_path / "large.png", tmp_path / "bad.png"
    good.write_bytes(png())
    large.write_bytes(png(800, 800))
    bad.write_bytes(b"no image")
    limit = len(png()) + 100
    paths = [good, tmp_path, large, bad, tmp_path / "nosuch.png", good]
    with Engine(FakeEncoder(), replace(LOCAL, max_image_bytes=limit), EngineConfig()) as engine:
        results = embed(engine, [ImageFile(str(path)) for path in paths])
    assert isinstance(results[0], Embedding)
    assert list(results[0].vector) == list(results[5].vector) == list(image_vector(png()))
    assert [one.code for one in results[1:5]] == [
        "file_unreadable", "fetch_too_large", "decode_unsupported", "file_unreadable",
    ]  # fmt: skip


def test_only_commands_name_files_of_this_machine():
    """Whoever speaks with the service could read them else."""
    folders = ("deploy", "serve", "inference")
    found = {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "ImageFile" in path.read_text()
    }
    assert found == {
        "inference/types.py",
        "inference/preparation/in_threads.py",
        "inference/preparation/order.py",
        "inference/preparation/processes/process.py",
        "serve/commands/embed/inputs.py",
        "serve/commands/train/data/parquet_images.py",
        "serve/commands/train/data/rows.py",
        "serve/commands/train/pixels/prepare.py",
    }
