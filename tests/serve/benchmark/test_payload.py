"""What is sent."""

import base64
import io
import json
import subprocess
import sys

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inference.loadtest.thumbnail_server import Reply
from model.synthetic.mixes import MIXES, photo
from serve.benchmark.endpoint_load.payload import Bulk, Rounds, inline_images, screenshots, texts
from serve.benchmark.endpoint_load.thumbnails import MODULE, ROOT, replies, served


@given(st.integers(1, 40), st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_within_a_draw_all_differ_and_rounds_use_all_alike(size, draws):
    rounds = Rounds(f"u{index}" for index in range(size))
    taken = []
    for count in draws:
        if count > size:
            with pytest.raises(ValueError, match="different ones, not"):
                rounds.take(count)
            continue
        drawn = rounds.take(count)
        assert len(set(drawn)) == count
        taken += drawn
    uses = [taken.count(f"u{index}") for index in range(size)]
    assert max(uses) - min(uses) <= 1


def test_the_order_is_shuffled_and_the_same_each_time():
    pool = [str(index) for index in range(50)]
    assert Rounds(pool).take(50) == Rounds(pool).take(50) != pool


def test_equal_urls_count_once():
    assert Bulk("urls", ["a", "b", "a"]).different == 2


def test_bulk_is_urls_or_the_images_themselves():
    bulk = Bulk("urls", ["http://x.org/a", "http://x.org/b"])
    assert len(json.loads(bulk.body(2).data)["urls"]) == 2
    assert bulk.host == "x.org"
    inline = Bulk("images", inline_images(2))
    (image,) = json.loads(inline.body(1).data)["images"]
    assert Image.open(io.BytesIO(base64.b64decode(image))).width > 100
    assert inline.host is None


def test_single_requests_are_a_text_and_a_screenshot():
    text, screenshot = texts()(), screenshots()()
    assert set(json.loads(text.data)) == {"text"}
    assert screenshot.content_type == "image/png"
    image = Image.open(io.BytesIO(screenshot.data))
    assert (image.format, image.width) == ("PNG", 1280)


def test_hardly_a_text_comes_twice():
    """Neither in a run nor in the next: a service answers a known one from memory."""
    one, other = texts(), texts()
    first, second = ({take().data for _ in range(2000)} for take in (one, other))
    assert len(first) > 1980
    assert len(first & second) < 40


def test_thumbnails_are_served_by_another_process_while_they_are_needed():
    with served(2, latency_ms=0.0) as urls:
        assert len(urls) == 2
        answers = [requests.get(url, timeout=30) for url in urls]
    assert all(one.headers["Content-Type"].startswith("image/") for one in answers)
    with pytest.raises(requests.ConnectionError):
        requests.get(urls[0], timeout=30)


def test_what_takes_long_to_draw_stands_at_more_than_one_url():
    drawn = replies(5, MIXES["photos"]._replace(most=2))
    assert len(drawn) == 5
    assert drawn["/0.jpg"] == drawn["/2.jpg"] == drawn["/4.jpg"] == Reply(*photo(0))
    assert drawn["/1.jpg"] == drawn["/3.jpg"] != drawn["/0.jpg"]


def test_the_server_of_thumbnails_ends_when_its_parent_has_gone():
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE, "1", "0", "small"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline().strip().isdigit()
    process.communicate(timeout=60)
    assert process.returncode == 0
