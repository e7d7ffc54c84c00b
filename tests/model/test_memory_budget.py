"""Memory for decoding: never more than there is, everyone has a turn, the too large fail alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import TooManyPixels
from model.images.preprocess import preprocess
from model.memory_budget import MIB, MemoryBudget
from tests.images import encode, jpeg, picture, png


@settings(max_examples=30)
@given(sizes=st.lists(st.integers(1, 100), min_size=1, max_size=60))
def test_never_more_than_the_limit_is_held_and_everyone_has_a_turn(sizes):
    budget, lock, held, most = MemoryBudget(100), threading.Lock(), [0], [0]

    def hold(size):
        with budget.take(size):
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
    budget, order = MemoryBudget(10), []
    waiting = threading.Barrier(2)

    def hold(size):
        with budget.take(size):
            order.append(size)

    with ThreadPoolExecutor(1) as large, ThreadPoolExecutor(1) as small:
        with budget.take(5):
            first = large.submit(lambda: (waiting.wait(), hold(10)))
            waiting.wait()
            while not budget._turn.locked():
                pass
            second = small.submit(hold, 1)
            assert not second.done()
        first.result()
        second.result()
    assert order == [10, 1]


def test_what_is_taken_is_given_back_by_a_picture_that_fails():
    budget = MemoryBudget(4 * MIB)
    for _ in range(20):
        with pytest.raises(Exception, match="damaged"):
            preprocess(png(400, 400)[:-200], 32, budget=budget)
    assert preprocess(png(400, 400), 32, budget=budget).shape == (32, 32, 3)


@pytest.mark.parametrize("policy", ["display", "reference"])
@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF"])
def test_a_picture_larger_than_the_room_fails_and_says_so(image_format, policy):
    large = encode(picture(1000, 1000, mode="P" if image_format == "GIF" else "RGB"), image_format)
    with pytest.raises(TooManyPixels, match=r"takes about \d+ MiB of memory, the limit is 8"):
        preprocess(large, 32, policy, budget=MemoryBudget(8 * MIB))


def test_a_jpeg_that_is_decoded_to_a_fraction_needs_a_fraction():
    plain, progressive = jpeg(2000, 2000), jpeg(2000, 2000, progressive=True)
    assert preprocess(plain, 32, budget=MemoryBudget(8 * MIB)).shape == (32, 32, 3)
    for data, policy in [(plain, "reference"), (progressive, "display")]:
        with pytest.raises(TooManyPixels):
            preprocess(data, 32, policy, budget=MemoryBudget(8 * MIB))
