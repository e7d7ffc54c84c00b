"""Memory for decoding: never more than there is, everyone has a turn, the too large fail alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import TooManyPixels
from model.images.preprocess import preprocess
from model.memory_budget import MIB, Room
from tests.images import encode, jpeg, picture, png


@settings(max_examples=30)
@given(sizes=st.lists(st.integers(1, 100), min_size=1, max_size=60))
def test_never_more_than_the_limit_is_held_and_everyone_has_a_turn(sizes):
    room, lock, held, most = Room(100), threading.Lock(), [0], [0]

    def hold(size):
        with room.take(size):
            with lock:
                held[0] += size
                most[0] = max(most[0], held[0])
            with lock:
                held[0] -= size
        return size

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(hold, sizes)) == sizes
    assert most[0] <= 100


def test_a_large_one_waits_for_the_others_and_is_not_overtaken():
    room, order = Room(10), []
    waiting = threading.Barrier(2)

    def hold(size):
        with room.take(size):
            order.append(size)

    with ThreadPoolExecutor(1) as large, ThreadPoolExecutor(1) as small:
        with room.take(5):
            first = large.submit(lambda: (waiting.wait(), hold(10)))
            waiting.wait()
            while not room._turn.locked():
                pass
            second = small.submit(hold, 1)
            assert not second.done()
        first.result()
        second.result()
    assert order == [10, 1]


def test_what_is_taken_is_given_back_by_a_picture_that_fails():
    room = Room(4 * MIB)
    for _ in range(20):
        with pytest.raises(Exception, match="damaged"):
            preprocess(png(400, 400)[:-200], 32, room=room)
    assert preprocess(png(400, 400), 32, room=room).shape == (32, 32, 3)


@pytest.mark.parametrize("policy", ["display", "reference"])
@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF"])
def test_a_picture_larger_than_the_room_fails_and_says_so(image_format, policy):
    large = encode(picture(1000, 1000, mode="P" if image_format == "GIF" else "RGB"), image_format)
    with pytest.raises(TooManyPixels, match=r"takes some \d+ MiB of memory, the limit here is 8"):
        preprocess(large, 32, policy, room=Room(8 * MIB))


def test_a_jpeg_that_is_decoded_to_a_fraction_needs_a_fraction():
    plain, progressive = jpeg(2000, 2000), jpeg(2000, 2000, progressive=True)
    assert preprocess(plain, 32, room=Room(8 * MIB)).shape == (32, 32, 3)
    for data, policy in [(plain, "reference"), (progressive, "display")]:
        with pytest.raises(TooManyPixels):
            preprocess(data, 32, policy, room=Room(8 * MIB))
