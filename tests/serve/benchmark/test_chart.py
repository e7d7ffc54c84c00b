"""The chart in the terminal."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.benchmark.report.chart import Mark, Series, chart

xs = st.lists(st.integers(1, 1024), min_size=1, max_size=8, unique=True).map(sorted)
ys = st.floats(0, 1e6, allow_subnormal=False)


@st.composite
def series(draw):
    return Series("one", [(x, draw(ys)) for x in draw(xs)])


@given(st.lists(series(), min_size=1, max_size=4))
def test_every_line_keeps_to_its_width(found):
    lines = chart("y", "x", found, Mark(8, "here")).plain.split("\n")
    assert len(lines) == 14 + (len(found) > 1)
    assert max(map(len, lines[:14])) <= 60


@given(xs)
def test_every_point_has_its_mark_and_what_grows_goes_up(points):
    plain = chart("y", "x", [Series("one", [(x, 10 * x) for x in points])]).plain
    rows = [
        (line.index(mark), row)
        for row, line in enumerate(plain.split("\n"))
        for mark in re.findall("●", line)[:1]
    ]
    assert 1 <= plain.count("●") <= len(points)
    columns = [column for column, _ in sorted(rows, key=lambda one: -one[1])]
    assert columns == sorted(columns)


def test_the_axes_have_numbers_and_doubling_is_a_step_of_the_same_width():
    plain = chart("images/s", "batch", [Series("one", [(1, 10), (2, 20), (4, 40), (8, 45)])]).plain
    lines = plain.split("\n")
    assert "images/s" in lines[0]
    assert "batch" in lines[-1]
    assert re.findall(r"\d+", lines[-2]) == ["1", "2", "4", "8"]
    ticks = [match.start() for match in re.finditer("┬", lines[-3])]
    steps = [later - earlier for earlier, later in itertools.pairwise(ticks)]
    assert max(steps) - min(steps) <= 1
    assert [int(line.split("┤")[0]) for line in lines if "┤" in line] == [40, 20, 0]


@pytest.mark.parametrize("x", [1, 64])
def test_the_marked_x_has_a_line_and_a_label_within_the_chart(x):
    lines = chart("y", "x", [Series("one", [(1, 1), (64, 2)])], Mark(x, "spot")).plain.split("\n")
    assert "spot" in lines[1]
    assert sum("┊" in line for line in lines) >= 8


def test_series_are_told_apart_without_colour():
    plain = chart("y", "x", [Series("a", [(1, 1)]), Series("b", [(1, 9)])]).plain
    assert plain.count("●") == plain.count("▲") == 2
    assert "● a" in plain
    assert "▲ b" in plain


def test_nothing_but_zeros_can_be_shown():
    assert "●" in chart("y", "x", [Series("one", [(4, 0.0)])]).plain
