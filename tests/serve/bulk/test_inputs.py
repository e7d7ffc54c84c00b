"""Inputs: every row of every file is in one part, with its columns and a stable id."""

import csv
import io
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.types import ImageUrl, Text, Unreadable
from serve.commands.bulk.inputs.rows import Reader
from serve.commands.bulk.inputs.schema import Columns
from serve.commands.bulk.inputs.splits import divide
from serve.commands.bulk.inputs.text import Most
from serve.commands.tables.errors import JobError
from serve.commands.tables.find import find

cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=12)
values = (
    st.none()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | cells
    | st.booleans()
)
NO_OUTPUT = "/no/output"
per_part = st.integers(1, 5)
in_a_folder = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def read(paths, rows_per_part, columns=None):
    """Return the rows of all parts: ids, URLs, texts, others as dicts, and what is broken."""
    columns = columns or Columns.named(None, None, None)
    place, form, found = find(list(map(str, paths)), NO_OUTPUT)
    splits, layout = divide(place, form, found, columns, Most(rows_per_part))
    base = os.path.commonpath([one.path.rpartition("/")[0] for one in found])
    reader = Reader(place, base, form, columns, layout)
    assert [split.part for split in splits] == list(range(len(splits)))
    assert all(1 <= split.rows <= rows_per_part for split in splits)
    return [reader.read(split) for split in splits]


def urls(parts):
    return [url for part in parts for url in part.urls]


def ids(parts):
    return [one for part in parts for one in part.ids.to_pylist()]


def others(parts):
    return [one for part in parts for one in part.others.to_pylist()]


def broken(parts):
    found, before = {}, 0
    for part in parts:
        found |= {before + index: why for index, why in part.broken.items()}
        before += len(part)
    return found


@in_a_folder
@given(st.lists(cells.map(lambda one: one.replace("\n", " ")), min_size=1), st.booleans(), per_part)
def test_lines_are_rows(tmp_path, lines, ended, count):
    path = tmp_path / "urls.txt"
    if not lines[-1]:
        ended = True  # an empty last line is one only if it is ended
    path.write_bytes("\n".join(lines).encode() + b"\n" * ended)
    parts = read([path], count)
    assert urls(parts) == [line.strip() or None for line in lines]
    assert ids(parts) == [f"urls.txt#{row}" for row in range(len(lines))]
    assert broken(parts).keys() == {row for row, line in enumerate(lines) if not line.strip()}


@in_a_folder
@given(st.lists(st.tuples(cells, cells), min_size=1), per_part)
def test_rows_of_csv_may_have_any_text(tmp_path, rows, count):
    path = tmp_path / "screens.csv"
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("url", "name"), *rows])
    path.write_bytes(text.getvalue().encode())
    parts = read([path], count)
    assert urls(parts) == [url for url, _ in rows]
    assert others(parts) == [{"name": name} for _, name in rows]
    assert not broken(parts)


@in_a_folder
@given(st.lists(st.dictionaries(st.sampled_from("abc"), values), min_size=1), per_part)
def test_values_of_json_lines_are_kept_whatever_they_are(tmp_path, rows, count):
    path = tmp_path / "screens.jsonl"
    lines = [json.dumps({"url": f"u{row}"} | values) for row, values in enumerate(rows)]
    path.write_text("\n".join(lines) + "\n")
    parts = read([path], count)
    assert urls(parts) == [f"u{row}" for row in range(len(rows))]
    assert not broken(parts)
    for found, written in zip(others(parts), rows, strict=True):
        for key, value in found.items():
            wanted = written.get(key)
            kept = (
                value
                if not isinstance(value, str) or isinstance(wanted, str)
                else json.loads(value)
            )
            assert kept == wanted


@in_a_folder
@given(st.lists(st.integers(1, 7), min_size=1, max_size=5), per_part)
def test_rows_of_parquet_are_read_across_row_groups(tmp_path, groups, count):
    path, rows = tmp_path / "screens.parquet", sum(groups)
    names = [f"u{row}" for row in range(rows)]
    table = pa.table({"n": range(rows), "url": names, "name": pa.array(names).dictionary_encode()})
    with pq.ParquetWriter(path, table.schema) as writer:
        first = 0
        for group in groups:
            writer.write_table(table.slice(first, group))
            first += group
    parts = read([path], count, Columns.named("url", None, "n"))
    assert urls(parts) == table["url"].to_pylist()
    assert ids(parts) == list(range(rows))
    assert others(parts) == [{"name": name} for name in names]


@in_a_folder
@given(st.lists(st.integers(0, 30), min_size=1), st.integers(1, 60), per_part)
def test_a_part_of_lines_is_bounded_in_bytes(tmp_path, lengths, most, count):
    path = tmp_path / "urls.txt"
    path.write_text("".join("u" * one + "\n" for one in lengths))
    place, form, found = find([str(path)], NO_OUTPUT)
    splits, _ = divide(place, form, found, Columns.named(None, None, None), Most(count, most))
    assert sum(split.rows for split in splits) == len(lengths)
    assert [split.start for split in splits] == [0, *(split.end for split in splits[:-1])]
    assert splits[-1].end == path.stat().st_size
    for split, after in zip(splits, [*splits[1:], None], strict=True):
        assert split.rows == 1 or (split.end - split.start <= most and split.rows <= count)
        # No part ends before it must.
        if after and split.rows < count:
            assert split.end - split.start + lengths[after.first] + 1 > most


def test_a_part_of_parquet_is_bounded_in_bytes(tmp_path):
    path = tmp_path / "in.parquet"
    groups = [
        [f"http://host/{row}" for row in range(100)],
        [f"{row:05d}" * 2000 for row in range(100)],
    ]
    with pq.ParquetWriter(path, pa.schema([("url", pa.string())])) as writer:
        for one in groups:
            writer.write_table(pa.table({"url": one}))
    place, form, found = find([str(path)], NO_OUTPUT)
    columns = Columns.named(None, None, None)
    splits, _ = divide(place, form, found, columns, Most(1000, 10**5))
    assert sum(split.rows for split in splits) == 200
    assert {split.rows for split in splits[:-1]} == {9}
    assert divide(place, form, found, columns, Most(1000)).splits[0].rows == 200


def test_files_of_a_folder_a_glob_or_a_list_are_read_in_order(tmp_path):
    for name in ("b/2.txt", "a/1.txt", "a/.hidden.txt", "_job/3.txt", "a/notes.md"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    assert urls(read([tmp_path], 10)) == ["a/1.txt", "b/2.txt"]
    assert ids(read([tmp_path], 10)) == ["a/1.txt#0", "b/2.txt#0"]
    assert urls(read([tmp_path / "*" / "[12].txt"], 10)) == ["a/1.txt", "b/2.txt"]
    assert urls(read([tmp_path / "b" / "2.txt", tmp_path / "a" / "1.txt"], 10)) == [
        "a/1.txt", "b/2.txt",
    ]  # fmt: skip
    assert urls(read([tmp_path / "a" / "notes.md"], 10)) == ["a/notes.md"]


def test_a_row_that_cannot_be_read_is_broken_alone(tmp_path):
    path = tmp_path / "screens.jsonl"
    path.write_bytes(
        b'{"url": "u0", "n": 1}\nno json\n[1]\n\n{"url": 3, "n": 2}\n\xff\n{"n": 5}\n{"url": "u7"}'
    )
    parts = read([path], 3)
    assert urls(parts) == ["u0", None, None, None, None, None, None, "u7"]
    assert [one["n"] for one in others(parts)] == [1, None, None, None, 2, None, 5, None]
    assert broken(parts) == {
        1: "the line is not JSON",
        2: "the line is no JSON object",
        3: "the line is not JSON",
        4: "its url is no text",
        5: "the line is not JSON",
    }
    assert [part.item(0) for part in parts] == [
        ImageUrl("u0"), Unreadable("the line is not JSON"), Unreadable("the row has no URL"),
    ]  # fmt: skip


def test_a_row_of_csv_with_too_few_cells_is_broken(tmp_path):
    path = tmp_path / "screens.csv"
    path.write_bytes(b'\xef\xbb\xbfurl,"the\nname"\r\nu0,a\r\nu1\r\n\r\nu3,"\xff"\r\nu4,b')
    parts = read([path], 2)
    assert urls(parts) == ["u0", None, None, None, "u4"]
    assert others(parts)[0] == {"the\nname": "a"}
    assert broken(parts) == {
        1: "the row has 1 cells, not 2",
        2: "the row has 0 cells, not 2",
        3: "the row is not valid UTF-8",
    }


def test_texts_are_for_rows_without_a_url(tmp_path):
    path = tmp_path / "screens.jsonl"
    path.write_text('{"u": "x", "t": "a"}\n{"t": "b"}\n{"u": ""}\n')
    (part,) = read([path], 9, Columns.named("u", "t", None))
    assert [part.item(row) for row in range(3)] == [
        ImageUrl("x"), Text("b"), Unreadable("the row has no URL"),
    ]  # fmt: skip
    (part,) = read([path], 9, Columns.named(None, "t", None))
    assert [part.item(row) for row in range(3)] == [
        Text("a"), Text("b"), Unreadable("the row has no URL"),
    ]  # fmt: skip


def test_rows_without_an_id_get_one_if_ids_are_text(tmp_path):
    path = tmp_path / "screens.jsonl"
    path.write_text('{"url": "u0", "id": "a"}\n{"url": "u1"}\n')
    assert ids(read([path], 1, Columns.named(None, None, "id"))) == ["a", "screens.jsonl#1"]
    path.write_text('{"url": "u0", "id": 7}\n{"url": "u1"}\n')
    parts = read([path], 1, Columns.named(None, None, "id"))
    assert (ids(parts), broken(parts)) == ([7, None], {1: "the row has no id"})


def test_instants_and_lists_in_json_lines_stay_what_they_are(tmp_path):
    path = tmp_path / "screens.jsonl"
    row = {
        "at": "2026-11-28T10:00:00Z",
        "tags": ["a", "2026-01-01"],
        "size": {"w": 3, "on": "2026-01-01"},
    }
    path.write_text(json.dumps({"url": "u"} | row) + "\n")
    assert others(read([path], 1)) == [row]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "names no file"),
        ({"a.txt": "u", "b.jsonl": "{}"}, "several forms: jsonl, lines"),
        ({"a.txt": ""}, "the input has no rows"),
        ({"a.csv": ""}, "has no header"),
        ({"a.csv": "link\nu"}, "has no column url; it has link"),
        ({"a.csv": "url,url\nu,v"}, "has two columns url"),
        ({"a.csv": "url,embedding\nu,v"}, "has a column embedding, which the output has, too"),
        ({"a.csv": "url,id\nu,v"}, "has a column id, which the output has, too"),
        (
            {"a.csv": "url,n\nu,1", "b.csv": "url\nu"},
            "b.csv has other columns than the files before",
        ),
        ({"a.csv": "url\nu\rv"}, "a.csv is no CSV: "),
        ({"a.csv": b"url,caf\xe9\nu,v"}, "a.csv has no header in UTF-8"),
        ({"a.txt": "u", "b.txt.gz": "v"}, "b.txt.gz is compressed as a whole"),
        ({"a.jsonl": "{}"}, "has no column url; it has none"),
        ({"a.parquet": "no"}, "is not Parquet, or damaged"),
    ],
)
def test_an_input_that_cannot_be_read_is_refused(tmp_path, files, why):
    for name, text in files.items():
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(JobError, match=why.replace("?", r"\?")):
        read([tmp_path], 10)


@pytest.mark.parametrize(
    ("name", "why"),
    [("urls.txt.gz", "is compressed as a whole"), ("urls.json", "is no Parquet, JSON Lines, CSV")],
)
def test_what_is_surely_no_list_of_urls_is_refused_by_name(tmp_path, name, why):
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(JobError, match=f"{name} {why}"):
        read([tmp_path / name], 10)


def test_the_files_of_the_output_are_no_input(tmp_path):
    for name in ("in/a.txt", "in/out/part.parquet", "in/output.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("u")
    _, form, found = find([str(tmp_path / "in")], str(tmp_path / "in" / "out"))
    assert (form, [one.path for one in found]) == (
        "lines", [str(tmp_path / "in" / "a.txt"), str(tmp_path / "in" / "output.txt")],
    )  # fmt: skip
    with pytest.raises(JobError, match="names no file but the output's"):
        find([str(tmp_path / "in" / "out")], str(tmp_path / "in" / "out"))


def test_a_file_may_have_the_name_of_a_pattern(tmp_path):
    (tmp_path / "a[1].txt").write_text("u0")
    assert urls(read([tmp_path / "a[1].txt"], 10)) == ["u0"]


def test_cells_may_be_long(tmp_path):
    url = "data:image/png;base64," + "A" * 200_000
    (tmp_path / "a.csv").write_text(f'url\n"{url}"\n')
    assert urls(read([tmp_path / "a.csv"], 10)) == [url]


def test_odd_values_of_json_lines_break_no_row(tmp_path):
    path = tmp_path / "screens.jsonl"
    rows = [{"n": 12345678901234567890, "e": {}}, {"n": 1.5, "e": {}}, {"n": 2}]
    path.write_text("\n".join(json.dumps({"url": "u"} | row) for row in rows))
    parts = read([path], 10)
    assert not broken(parts)
    assert [one["e"] for one in others(parts)] == ["{}", "{}", None]
    pq.write_table(parts[0].others, tmp_path / "others.parquet")


def test_many_rows_of_other_types_are_read_at_once(tmp_path):
    path = tmp_path / "screens.jsonl"
    values = [1, "one", [1], None, {"a": 1}]
    lines = [json.dumps({"url": f"u{row}", "v": values[row % 5]}) for row in range(50_000)]
    path.write_text("\n".join(lines))
    parts = read([path], 50_000)
    assert not broken(parts)
    assert [one["v"] for one in others(parts)[:5]] == ["1", "one", "[1]", None, '{"a":1}']


def test_a_column_of_urls_must_hold_text(tmp_path):
    pq.write_table(pa.table({"url": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(JobError, match="column url holds int64, not text"):
        read([tmp_path], 10)


def test_a_file_that_changed_since_is_noticed(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("u0\nu1\n")
    place, form, found = find([str(path)], NO_OUTPUT)
    columns = Columns.named(None, None, None)
    (split,), layout = divide(place, form, found, columns, Most(10))
    path.write_text("u0 u1\n")
    with pytest.raises(JobError, match="a.txt has changed since the job began"):
        Reader(place, str(tmp_path), form, columns, layout).read(split)
