"""What the engine tells of an image beside its embedding, and images that are not fetched again."""

import base64
import hashlib
import time
from datetime import UTC, datetime
from queue import SimpleQueue

import numpy as np
import pytest

from inference.loadtest.thumbnail_server import Reply
from inference.types import (
    Embedding,
    Failure,
    ImageBase64,
    ImageBytes,
    ImageDetails,
    ImageFile,
    ImageUrl,
    Text,
)
from tests.images import jpeg, oriented, png
from tests.inference.test_engine import image_vector, opened

pytestmark = pytest.mark.usefixtures("both_ways")

IMAGE = png(64, 48)
DIGEST = hashlib.sha256(IMAGE).digest()


def ask(engine, item, **options):
    told = SimpleQueue()
    engine.submit(item, time.monotonic() + 60, told.put, **options)
    return told.get(timeout=60)


def now_s():
    return datetime.now(UTC).timestamp()


def test_an_image_is_described_as_it_was_fetched(thumbnail_server):
    thumbnail_server.replies["/a"] = Reply(IMAGE, headers={"ETag": 'W/"a-1"'})
    with opened() as engine:
        before_s = now_s()
        found = ask(engine, ImageUrl(thumbnail_server.url("/a")), details=True)
        assert before_s <= found.details.fetched_s <= now_s()
    np.testing.assert_array_equal(found.vector, image_vector(IMAGE))
    fetched_s = found.details.fetched_s
    assert found.details == ImageDetails(DIGEST, fetched_s, 'W/"a-1"', 64, 48)


@pytest.mark.parametrize("sent", [{}, {"ETag": "a b"}, {"ETag": '"\xe9"'}, {"ETag": "*"}])
def test_what_cannot_be_sent_back_is_no_etag(thumbnail_server, sent):
    thumbnail_server.replies["/a"] = Reply(IMAGE, headers=sent)
    with opened() as engine:
        found = ask(engine, ImageUrl(thumbnail_server.url("/a")), details=True)
    assert (found.details.etag, found.details.sha256) == (None, DIGEST)


def test_the_size_is_that_of_the_whole_picture_as_it_is_shown():
    """The large one is decoded to a fraction of its size; the other lies on its side."""
    with opened() as engine:
        large = ask(engine, ImageBytes(jpeg(1200, 900)), details=True)
        turned = ask(engine, ImageBytes(oriented(6, 64, 48)), details=True)
    assert (large.details.width, large.details.height) == (1200, 900)
    assert (turned.details.width, turned.details.height) == (48, 64)


def test_images_that_are_not_fetched_are_described_too(tmp_path):
    (tmp_path / "a.png").write_bytes(IMAGE)
    encoded = base64.b64encode(IMAGE).decode()
    items = [
        ImageBytes(IMAGE),
        ImageBase64(encoded),
        ImageUrl(f"data:image/png;base64,{encoded}"),
        ImageFile(str(tmp_path / "a.png")),
    ]
    with opened() as engine:
        found = [ask(engine, item, details=True, etag='"ignored"').details for item in items]
    for one in found:
        assert one == ImageDetails(DIGEST, one.fetched_s, None, 64, 48)


def test_a_failure_is_described_as_far_as_it_came(thumbnail_server):
    cut = jpeg(200, 100)[:500]
    thumbnail_server.replies["/cut"] = Reply(cut, headers={"ETag": '"b"'})
    with opened() as engine:
        damaged = ask(engine, ImageUrl(thumbnail_server.url("/cut")), details=True)
        missing = ask(engine, ImageUrl(thumbnail_server.url("/missing")), details=True)
    assert damaged.code == "decode_corrupt"
    fetched_s = damaged.details.fetched_s
    assert damaged.details == ImageDetails(hashlib.sha256(cut).digest(), fetched_s, '"b"')
    assert (missing.code, missing.details) == ("fetch_http_status", None)


def test_nothing_is_told_of_a_text_or_unasked(thumbnail_server):
    with opened() as engine:
        assert ask(engine, Text("a"), details=True).details is None
        assert ask(engine, Text("a"), details=True).details is None
        assert ask(engine, ImageUrl(thumbnail_server.url("/1.jpg"))).details is None


@pytest.mark.parametrize("etag", ['"a"', 'W/"a"', "unquoted"])
def test_an_image_that_is_still_the_same_is_not_fetched_again(thumbnail_server, etag):
    thumbnail_server.replies["/a"] = Reply(IMAGE, headers={"ETag": etag})
    item = ImageUrl(thumbnail_server.url("/a"))
    with opened() as engine:
        first = ask(engine, item, details=True)
        assert first.details.etag == etag
        again = ask(engine, item, details=True, etag=etag)
        assert isinstance(again, Failure)
        assert (again.code, again.retryable, again.details) == ("not_modified", False, None)
        thumbnail_server.replies["/a"] = Reply(png(seed=1), headers={"ETag": '"b"'})
        changed = ask(engine, item, details=True, etag=etag)
        assert isinstance(changed, Embedding)
        assert changed.details.etag == '"b"'
        assert engine.items_in_flight == 0
    assert thumbnail_server.requests == 3


@pytest.mark.parametrize("etag", ["", "*", "a b", '"a"\r\nCookie: b', '"\xe9"', "a" * 513])
def test_what_is_no_etag_is_refused_before_anything_starts(thumbnail_server, etag):
    with opened() as engine:
        with pytest.raises(ValueError, match="not an ETag"):
            ask(engine, ImageUrl(thumbnail_server.url("/1.jpg")), etag=etag)
        assert engine.items_in_flight == 0
    assert thumbnail_server.requests == 0
