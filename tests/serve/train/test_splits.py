"""Which rows are held out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.types import ImageUrl
from serve.commands.tables.errors import JobError
from serve.commands.train.data.rows import Row
from serve.commands.train.data.splits import apart, split


def rows_of(groups, first=0):
    return [
        Row(ImageUrl(f"https://example.com/{first + index}.png"), ("a",), group, "")
        for index, group in enumerate(groups)
    ]


def groups_of(rows):
    return {row.group for row in rows}


@given(st.lists(st.integers(0, 200).map(str), min_size=100, max_size=400))
def test_a_group_is_never_on_both_sides_and_no_row_is_lost(groups):
    rows = rows_of(groups)
    train, held_out, how = split(rows)
    assert sorted([*train, *held_out], key=str) == sorted(rows, key=str)
    assert train
    assert held_out
    if how.startswith("by group"):
        assert not groups_of(train) & groups_of(held_out)


def test_about_a_tenth_is_held_out_and_stays_when_rows_come():
    groups = [str(index // 4) for index in range(4000)]
    train, held_out, how = split(rows_of(groups))
    assert 300 < len(held_out) < 500
    assert how == f"by group, {len(groups_of(held_out)):,} of 1,000 groups"
    more = split(rows_of([*groups, *(f"new {one}" for one in groups)]))
    assert groups_of(held_out) <= groups_of(more.held_out)
    assert groups_of(train) <= groups_of(more.train)


@pytest.mark.parametrize(
    ("groups", "why"),
    [
        ([None] * 200, "by row, because there are no groups"),
        (["a", "b"] * 100, "by row, because 2 groups are too few or too uneven"),
        ([*map(str, range(30)), *["1"] * 4000], "by row, because 30 groups are too few"),
    ],
)
def test_without_enough_groups_rows_are_held_out_and_it_is_said(groups, why):
    _, held_out, how = split(rows_of(groups))
    assert len(held_out) == round(len(groups) / 10)
    assert how.startswith(why)


def test_too_few_rows_are_refused():
    assert [len(side) for side in split(rows_of([None] * 4))[:2]] == [2, 2]
    with pytest.raises(JobError, match="3 images are too few to hold some out"):
        split(rows_of([None] * 3))


def test_what_the_validation_shares_is_left_out_of_the_training():
    data = rows_of(["a", "a", "b", "c"])
    validation = [*rows_of(["b"], first=100), *rows_of(["z"], first=3)]
    train, held_out, how = apart(data, validation)
    assert train == data[:2]
    assert held_out == validation
    assert how == "as given; 2 rows of --data that share an image or a group with it are left out"
    assert apart(data[:2], validation).how == "as given"
    with pytest.raises(JobError, match="--data holds 0 images that share no image or group"):
        apart(data[2:], validation)
    with pytest.raises(JobError, match="--validation holds 1 images; it needs 2"):
        apart(data, validation[:1])
