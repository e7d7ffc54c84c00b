"""The chart in the terminal."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.benchmark.report.terminal_chart import HEIGHT, WIDTH, Line, Mark, lines

xs = st.lists(st.integers(1, 1024), min_size=2, max_size=8, unique=True).map(sorted)
ys = st.floats(0, 1e6, allow_subnormal=False)


@st.composite
def a_line(draw):
    return Line("one", [(x, draw(ys)) for x in draw(xs)])


@settings(max_examples=25)
@given(st.lists(a_line(), min_size=1, max_size=4), st.booleans())
def test_every_chart_keeps_to_its_size(found, is_log_y):
    drawn = lines("y", "x", found, Mark(8, "here"), is_log_y=is_log_y).plain.split("\n")
    assert len(drawn) == HEIGHT + (len(found) > 1)
    assert max(map(len, drawn[:HEIGHT])) <= WIDTH


@settings(max_examples=25)
@given(xs, st.booleans())
def test_what_grows_goes_up(points, is_log_y):
    found = [Line("one", [(x, 10 * x) for x in points])]
    rows = lines("y", "x", found, is_log_y=is_log_y).plain.split("\n")
    marks = [(line.index("●"), -row) for row, line in enumerate(rows) if "●" in line]
    assert sorted(marks) == sorted(marks, key=lambda one: one[1])


@pytest.mark.parametrize("x", [1, 64])
def test_the_marked_x_has_a_label_within_the_chart(x):
    found = [Line("one", [(1, 1), (64, 2)])]
    assert "spot" in lines("y", "x", found, Mark(x, "spot")).plain.split("\n")[2]


def test_the_axes_have_numbers():
    points = [(1, 10), (2, 20), (3, 30), (4, 40), (8, 1000)]
    rows = lines("images/s", "batch", [Line("one", points)], is_log_y=True).plain.split("\n")
    assert "images/s" in rows[0]
    assert "batch" in rows[-1]
    assert re.findall(r"\d+", rows[-2]) == ["1", "2", "4", "8"]
    numbers = [line.split("┤")[0].strip() for line in rows if "┤" in line]
    assert numbers == ["1,000", "500", "200", "100", "50", "20", "10"]


def test_lines_are_told_apart_without_colour():
    found = [Line("a", [(1, 1), (2, 1)]), Line("b", [(1, 9), (2, 9)])]
    plain = lines("y", "x", found).plain
    assert plain.count("●") == plain.count("▲") == 3
    assert plain.endswith("  ● a  ▲ b")


def test_a_single_x_is_no_chart():
    assert lines("y", "x", [Line("p50", [(4, 1.0)]), Line("p95", [(4, 2.0)])]) is None


def test_nothing_but_zeros_can_be_shown():
    found = [Line("one", [(4, 0.0), (8, 0.0)])]
    assert "●" in lines("y", "x", found, is_log_y=True).plain
