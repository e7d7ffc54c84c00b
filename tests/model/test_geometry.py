"""Where a picture's pixels go: laws that hold for every shape."""

from hypothesis import given
from hypothesis import strategies as st

from model.images.geometry import Geometry, axes, rows_first

SIDE = st.integers(1, 5000)


@given(width=SIDE, height=SIDE, size=st.integers(1, 400))
def test_the_shortest_side_becomes_the_size_and_the_centre_is_kept(width, height, size):
    across, down = axes((width, height), Geometry.clip(size))
    assert min(across.resized, down.resized) == size
    for axis in (across, down):
        before, after = axis.start, axis.resized - axis.start - size
        assert 0 <= before <= after <= before + 1
        start, end = axis.kept
        assert 0 <= start < end <= axis.source


@given(width=SIDE, height=SIDE, size=st.integers(1, 400), fraction=st.sampled_from([2, 4, 8]))
def test_a_scaled_picture_goes_where_the_whole_one_goes(width, height, size, fraction):
    geometry = Geometry.clip(size)
    whole = axes((width, height), geometry)
    scaled = axes((width / fraction, height / fraction), geometry)
    assert [axis[1:] for axis in whole] == [axis[1:] for axis in scaled]


@given(width=SIDE, height=SIDE, size=st.integers(1, 400))
def test_only_an_upright_picture_that_shrinks_is_resized_rows_first(width, height, size):
    if rows_first(*axes((width, height), Geometry.clip(size))):
        assert height > 2 * width - size
        assert height > size
