"""Pixels of rows: by the service's own pipeline, whole on disk or not at all, made once."""

import os
import shutil
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from inference.types import ImageFile, ImageUrl
from model.images.geometry import Geometry
from model.images.preprocess import ImagePreprocessing
from model.synthetic.thumbnails import sample
from serve.commands.tables.errors import JobError
from serve.commands.train.data.bad_rows import BadRows
from serve.commands.train.data.columns import Columns
from serve.commands.train.data.read import read_rows
from serve.commands.train.data.rows import Row
from serve.commands.train.pixels.prepare import Preparer
from serve.commands.train.pixels.store import check_room
from serve.settings import load
from tests.bulk_jobs import counting
from tests.disk import full_disk
from tests.images import damaged_images, oriented, png
from tests.serve.train.sets import pairs_file, tar

SIDE = 32
WAY = ImagePreprocessing(Geometry.clip(SIDE))
FLAGS = {
    "allow_host": ["127.0.0.1"],
    "preprocess_processes": "0",
    "max_image_bytes": "100000",
    "deadline_ms": "250000",  # on a machine that is busy with other tests
}


@pytest.fixture(scope="module")
def server():
    with counting() as one:
        yield one


def rows_of(*images):
    return [Row(image, (f"text {index}",), None, f"a.jsonl row {index + 1}")
            for index, image in enumerate(images)]  # fmt: skip


def prepare(rows, folder, percent=100, total=None, **flags):
    """Return what is prepared, the bad rows, and how many rows were told to be done."""
    settings, _ = load(FLAGS | flags, {})
    bad, done = BadRows(percent), []
    with Preparer(settings, WAY, folder, bad, total or len(rows), done.append) as preparer:
        return preparer.prepare(rows), bad, sum(done)


def drawn(count):
    """Drawn screens of several sizes and formats, by path."""
    thumbnails = [sample(seed) for seed in range(count)]
    return {f"/{seed}.jpg": Reply(one.data, one.mime) for seed, one in enumerate(thumbnails)}


def test_pixels_are_those_of_serving_in_the_order_of_the_rows(server, tmp_path):
    screens = drawn(40)
    server.replies |= screens
    path = tmp_path / "b.jpg"
    path.write_bytes(oriented(6))
    urls = server.thumbnails(40)
    images = [*map(ImageUrl, urls), ImageFile(str(path))]
    found, bad, done = prepare(rows_of(*images), tmp_path / "work")
    assert (bad.counts.total(), done) == (0, 41)
    assert found.pairs.pixels.shape == (41, SIDE, SIDE, 3)
    assert found.pairs.captions == [(f"text {index}",) for index in range(41)]
    assert found.pairs.groups == [*urls, str(path)]
    whole = [*(one.body for one in screens.values()), oriented(6)]
    assert np.array_equal(found.pairs.pixels, np.stack([WAY(data) for data in whole]))


@pytest.mark.parametrize("processes", ["0", "1"])
def test_bad_images_are_left_out_and_counted_by_code(server, tmp_path, processes):
    damaged = damaged_images()
    for name in ("truncated.png", "text", "bomb-header.png"):
        (tmp_path / name).write_bytes(damaged[name][0])
    (tmp_path / "large.png").write_bytes(bytes(100_001))
    names = ["truncated.png", "text", "bomb-header.png", "large.png", "nosuch.png"]
    images = [ImageFile(str(tmp_path / name)) for name in names]
    images += [ImageUrl(server.url("/gone")), ImageUrl("http://127.0.0.2/a.png")]
    images += [ImageUrl("s3://nobucket/a.png"), ImageFile("a\0b")]
    screens = drawn(len(images))
    server.replies |= screens
    good = [ImageUrl(url) for url in server.thumbnails(len(images))]
    mixed = [one for both in zip(images, good, strict=True) for one in both]
    found, bad, _ = prepare(rows_of(*mixed), tmp_path / "work", preprocess_processes=processes)
    assert bad.counts == {
        "decode_corrupt": 1, "decode_unsupported": 1, "decode_too_many_pixels": 1,
        "fetch_too_large": 1, "file_unreadable": 2, "fetch_http_status": 1, "fetch_blocked": 2,
    }  # fmt: skip
    assert bad.examples["file_unreadable"].startswith("a.jsonl row ")
    assert [row.image for row in found.rows] == good
    expected = np.stack([WAY(one.body) for one in screens.values()])
    assert np.array_equal(found.pairs.pixels, expected)


def test_images_of_a_tar_are_read_in_place(tmp_path):
    members = [(f"{index}.png", png(seed=index)) for index in range(5)]
    members += [("5.jpg", bytes(200_000))]
    named = [one for name, data in members for one in ((name, data), (name[0] + ".txt", b"a"))]
    rows = read_rows([str(tar(tmp_path / "a.tar", named))], "/no", Columns(), BadRows(100))
    found, bad, _ = prepare(rows, tmp_path / "work")
    assert np.array_equal(found.pairs.pixels, np.stack([WAY(data) for _, data in members[:5]]))
    assert bad.counts == {"fetch_too_large": 1}
    (tmp_path / "a.tar").unlink()
    with pytest.raises(JobError, match=r"a.tar cannot be read: .*No such file"):
        prepare(rows, tmp_path / "other")


def test_pixels_are_made_once_and_anew_if_an_image_changes(server, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png())
    rows = rows_of(ImageFile(str(path)), ImageUrl(server.url("/7.jpg")), ImageUrl("bad://a"))
    first, _, _ = prepare(rows, tmp_path / "work")
    asked = server.asked.total()
    again, bad, done = prepare(rows, tmp_path / "work")
    assert server.asked.total() == asked
    assert again.sha256 == first.sha256
    assert np.array_equal(again.pairs.pixels, first.pairs.pixels)
    assert (bad.counts, done) == ({"fetch_blocked": 1}, 3)
    path.write_bytes(png(seed=5))
    os.utime(path, ns=(5, 5))
    other, _, _ = prepare(rows, tmp_path / "work")
    assert other.sha256 != first.sha256


def test_too_many_bad_images_end_the_job_early_and_leave_nothing(server, tmp_path):
    rows = rows_of(*[ImageUrl(server.url("/gone"))] * 5, *map(ImageUrl, server.thumbnails(500)))
    asked = server.asked.total()
    with pytest.raises(JobError, match="--max-bad 0.5 percent: fetch_http_status 3 .a.jsonl row"):
        prepare(rows, tmp_path / "work", percent=0.5)
    assert server.asked.total() < asked + 300
    assert not list((tmp_path / "work").iterdir())


def test_a_full_disk_is_one_sentence_and_leaves_nothing(server, tmp_path):
    rows = rows_of(*map(ImageUrl, server.thumbnails(3)))
    with full_disk(), pytest.raises(JobError) as told:
        prepare(rows, tmp_path / "work")
    assert str(told.value) == f"the pixels cannot be written to {tmp_path / 'work'}: File too large"
    assert not list((tmp_path / "work").iterdir())
    assert prepare(rows, tmp_path / "work")[2] == 3


def test_a_disk_with_too_little_room_is_said_before_anything_is_fetched(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    check_room(tmp_path / "new" / "work", free // 2)
    with pytest.raises(JobError, match=r"the pixels take \d+\.\d GB, but .*work has .* GB free"):
        check_room(tmp_path / "new" / "work", free * 2)


def test_an_interruption_leaves_nothing(gated_server, tmp_path):
    settings, _ = load(FLAGS, {})
    rows = rows_of(*map(ImageUrl, gated_server.urls(3, after=3)))
    with Preparer(settings, WAY, tmp_path / "work", BadRows(0), 7) as preparer:

        def interrupt():
            gated_server.reached.wait()
            preparer.interrupt(KeyError("stop"))

        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyError, match="stop"):
            preparer.prepare(rows)
        gated_server.gate.set()
    assert not list((tmp_path / "work").iterdir())


def test_a_slow_image_is_given_up_at_its_deadline(tmp_path):
    slow = {"/slow": Reply(sample(1).data)}
    with ThumbnailServer(slow, latency_s=2.0) as server:
        rows = rows_of(ImageFile(str(tmp_path / "a.png")), ImageUrl(server.url("/slow")))
        (tmp_path / "a.png").write_bytes(png())
        found, bad, _ = prepare(rows, tmp_path / "work", deadline_ms="300")
    assert len(found.rows) == 1
    assert bad.counts.keys() <= {"deadline_exceeded", "fetch_timeout"}


def test_pairs_of_a_table_beside_its_images(tmp_path):
    path = pairs_file(tmp_path, 4, app=lambda index: f"app {index % 2}")
    rows = read_rows([str(path)], "/no", Columns(group="app"), BadRows(0))
    found, _, _ = prepare(rows, tmp_path / "work")
    assert found.pairs.groups == ["app 0", "app 1", "app 0", "app 1"]


def test_images_inside_parquet_are_read_in_place(tmp_path):
    """As `datasets` writes them: a struct of bytes and path, of which one may be missing."""
    (tmp_path / "beside.png").write_bytes(png(seed=7))
    images = [{"bytes": png(seed=index), "path": f"{index}.png"} for index in range(40)]
    images[3] = {"bytes": None, "path": "beside.png"}
    images[4], images[5] = {"bytes": None, "path": None}, None
    images[6]["bytes"] = bytes(200_000)
    rows = [{"image": one, "text": f"text {index}"} for index, one in enumerate(images)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=7)
    found = read_rows([str(tmp_path / "a.parquet")], "/no", Columns(), BadRows(0))
    assert [row.captions for row in found] == [(f"text {index}",) for index in range(40)]
    assert found[8].where == f"{tmp_path / 'a.parquet'} row 9"
    some = [*found[:12], *found[30:]]
    got, bad, _ = prepare(some, tmp_path / "work")
    assert bad.counts == {"image_missing": 2, "fetch_too_large": 1}
    seeds = [0, 1, 2, 7, *range(7, 12), *range(30, 40)]
    assert np.array_equal(got.pairs.pixels, np.stack([WAY(png(seed=one)) for one in seeds]))


def test_a_column_of_bytes_is_one_of_images(tmp_path):
    rows = [{"image": png(seed=index), "text": "a"} for index in range(2)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    found = read_rows([str(tmp_path / "a.parquet")], "/no", Columns(), BadRows(0))
    got, _, _ = prepare(found, tmp_path / "work")
    assert np.array_equal(got.pairs.pixels, np.stack([WAY(png(seed=one)) for one in range(2)]))
    (tmp_path / "a.parquet").write_bytes(b"no table")
    with pytest.raises(JobError, match=r"a\.parquet cannot be read: .*not a parquet file"):
        prepare(found, tmp_path / "other")
