"""A driver too old for the CUDA of torch is named in one line."""

import pytest

from model.backends.cuda.driver import check_driver, driver_cuda
from model.errors import CheckpointError


def test_a_driver_of_an_earlier_major_version_is_too_old():
    with pytest.raises(CheckpointError) as caught:
        check_driver((12, 2), "13.0")
    words = str(caught.value)
    assert "runs CUDA 12.2" in words
    assert "built for 13.0" in words
    assert "InferenceAmiVersion" in words
    assert "\n" not in words


@pytest.mark.parametrize(
    ("driver", "built_for"),
    [((12, 2), "12.8"), ((13, 0), "13.0"), ((13, 1), "12.8"), (None, "13.0"), ((12, 2), None)],
)
def test_others_are_not(driver, built_for):
    check_driver(driver, built_for)


def test_without_a_driver_there_is_no_version():
    assert driver_cuda("libno-such-driver.so.1") is None


def test_a_library_that_is_no_driver_has_no_version():
    assert driver_cuda("libc.so.6") is None
