"""Rows of every kind of input, and what is no row."""

import csv
import io
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inference.types import ImageFile, ImageUrl
from serve.commands.tables.errors import JobError
from serve.commands.train.data.bad_rows import BadRows
from serve.commands.train.data.columns import Columns
from serve.commands.train.data.read import read_rows
from serve.commands.train.data.rows import Member
from tests.bulk_jobs import local_s3
from tests.images import png
from tests.serve.train.sets import caption, pairs_file, tar, write_images, write_lines


def read(*data, columns=None, percent=100):
    bad = BadRows(percent)
    return read_rows([str(one) for one in data], "/nowhere", columns or Columns(), bad), bad


def read_all(*data, columns=None):
    rows, bad = read(*data, columns=columns)
    assert not bad.counts
    return rows


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.jsonl", write_lines), ("a.csv", write_csv), ("a.parquet", write_parquet)],
)
def test_tables_of_every_form_give_the_same_rows(tmp_path, name, write):
    urls = ["https://example.com/a.jpg", "shots/b.png", "/data/c.png", "s3://bucket/d.png"]
    rows = [{"url": url, "caption": f" text {url} ", "app": url[0]} for url in urls]
    write(tmp_path / name, rows)
    found = read_all(tmp_path / name, columns=Columns(group="app"))
    assert [row.image for row in found] == [
        ImageUrl(urls[0]),
        ImageFile(str(tmp_path / "shots/b.png")),
        ImageFile("/data/c.png"),
        ImageUrl(urls[3]),
    ]
    assert [row.captions for row in found] == [(f"text {url}",) for url in urls]
    assert [row.group for row in found] == ["h", "s", "/", "s"]
    assert found[1].where == f"{tmp_path / name} row 2"


@pytest.mark.parametrize(
    ("name", "write"), [("a.jsonl", write_lines), ("a.parquet", write_parquet)]
)
def test_an_image_has_several_captions_and_several_rows(tmp_path, name, write):
    rows = [
        {"image": "a.png", "captions": ["one", "two", " ", "one"]},
        {"image": "b.png", "captions": ["three"]},
        {"image": "a.png", "captions": ["four", "two"]},
    ]
    write(tmp_path / name, rows)
    found = read_all(tmp_path / name)
    assert [row.captions for row in found] == [("one", "two", "four"), ("three",)]


def test_named_columns_come_before_those_that_are_looked_for(tmp_path):
    row = {"image": "a.png", "shot": "b.png", "text": "wrong", "title": "right"}
    path = write_lines(tmp_path / "a.jsonl", [row])
    (found,) = read_all(path, columns=Columns("shot", "title"))
    assert (found.image, found.captions) == (ImageFile(str(tmp_path / "b.png")), ("right",))


def test_a_folder_with_metadata_is_an_imagefolder(tmp_path):
    names = write_images(tmp_path, 3)
    (tmp_path / "notes.csv").write_text("a\n1\n")  # another table in it is not meant
    rows = [{"file_name": name, "text": caption(index)} for index, name in enumerate(names)]
    write_lines(tmp_path / "metadata.jsonl", rows)
    found = read_all(tmp_path)
    assert [row.image for row in found] == [ImageFile(str(tmp_path / name)) for name in names]


def test_tables_and_tars_are_read_from_s3(tmp_path):
    with local_s3() as client:
        client.create_bucket(Bucket="sets")
        line = json.dumps({"image": "shots/a.png", "text": "a"}).encode()
        client.put_object(Bucket="sets", Key="in/a.jsonl", Body=line + b'\n{"image":"/etc/x"}')
        shard = tar(tmp_path / "a.tar", [("1.png", png()), ("1.txt", b"one")])
        client.put_object(Bucket="sets", Key="in/a.tar", Body=shard.read_bytes())
        rows, bad = read("s3://sets/in/a.jsonl")
        (member,) = read_all("s3://sets/in/a.tar")
        assert member.image.place.files.open_input_file(member.image.path).size() > 0
    assert [row.image for row in rows] == [ImageUrl("s3://sets/in/shots/a.png")]
    assert bad.counts == {"row_invalid": 1}  # a file of this machine, named by a table that is not


def test_samples_of_a_tar_are_rows(tmp_path):
    extra = json.dumps({"caption": ["a", "b"], "app": 7}).encode()
    members = [
        ("x/1.png", png(seed=1)),
        ("x/1.txt", b"one\n"),
        ("x/1.cls", b"4"),
        ("x/2.json", extra),
        ("x/2.JPG", b"jpeg"),
        ("x/2.seg.png", b"no picture of the sample"),
        ("y/2.webp", b"webp"),
    ]
    folder = tarfile.TarInfo("x")
    folder.type = tarfile.DIRTYPE
    rows, bad = read(tar(tmp_path / "a.tar", [folder, *members]))
    assert [row.captions for row in rows] == [("one",), ("a", "b")]
    assert all(isinstance(row.image, Member) for row in rows)
    with (tmp_path / "a.tar").open("rb") as file:
        file.seek(rows[0].image.offset)
        assert file.read(rows[0].image.size) == png(seed=1)
    assert bad.examples == {"text_missing": f"{tmp_path / 'a.tar'} y/2: the row has no text"}
    (row,) = read(tmp_path / "a.tar", columns=Columns(group="app"))[0]
    assert row.group == "7"


def test_bad_rows_are_counted_by_code(tmp_path):
    lines = [
        '{"image": "a.png", "text": "good"}',
        '{"image": "b.png", "text": "  "}',
        '{"image": "b.png", "text": []}',
        '{"image": "b.png"}',
        '{"image": null, "text": "a"}',
        '{"image": 5, "text": "a"}',
        '{"image": "b.png", "text": 5}',
        '{"image": "b.png", "text": ["", " "]}',
        "not JSON",
        '{"image": "b.png", "text": "%s"}' % ("x" * 70_000),
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    rows, bad = read(tmp_path / "a.jsonl")
    assert len(rows) == 1
    assert bad.counts == {
        "text_invalid": 3, "text_missing": 2, "image_missing": 1, "row_invalid": 3,
    }  # fmt: skip
    assert bad.examples["text_invalid"] == f"{tmp_path / 'a.jsonl'} row 2: the text is empty"


def test_too_many_bad_rows_end_the_job_and_name_their_codes():
    bad = BadRows(5)
    bad.add("text_invalid", "a.csv row 2", "the text is empty", count=4)
    bad.check(80)
    bad.add("fetch_timeout", "a.csv row 9", "took too long")
    bad.check(100)
    with pytest.raises(JobError) as told:
        bad.check(99)
    assert str(told.value) == (
        "at least 5 of 99 rows are bad, more than --max-bad 5 percent: "
        "text_invalid 4 (a.csv row 2: the text is empty), "
        "fetch_timeout 1 (a.csv row 9: took too long)"
    )


@pytest.mark.parametrize(
    ("rows", "columns", "why"),
    [
        ([{"a": 1, "text": "b"}], {}, "no column image or url or file_name; it has a, text; name"),
        ([{"image": "a", "b": 1}], {}, "no column text or caption or captions; it has image, b"),
        ([{"image": "a", "text": "b"}], {"group": "app"}, "no column app; it has image, text"),
        ([{"image": "a", "text": "b"}], {"image": "x"}, "no column x; it has image, text"),
        ([{"image": "a", "text": "b"}], {"group": "text"}, "must be different columns"),
        ([], {}, "no column image or url or file_name; it has none"),
    ],
)
def test_a_missing_column_is_named(tmp_path, rows, columns, why):
    path = write_lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(JobError, match=why):
        read(path, columns=Columns(**columns))


def test_lists_of_lines_and_compressed_tars_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("https://example.com/a.jpg\n")
    with pytest.raises(JobError, match="holds plain lines"):
        read(tmp_path / "a.txt")
    tar(tmp_path / "b.tar.gz", [])
    with pytest.raises(JobError, match="is compressed as a whole"):
        read(tmp_path / "b.tar.gz")


def typed(kind, name="1.png", **fields):
    member = tarfile.TarInfo(name)
    member.type = kind
    for field, value in fields.items():
        setattr(member, field, value)
    return member


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([typed(tarfile.SYMTYPE, linkname="/etc/passwd")], "'1.png', which is no plain file"),
        ([typed(tarfile.LNKTYPE, linkname="a")], "no plain file"),
        ([typed(tarfile.CHRTYPE)], "no plain file"),
        ([typed(tarfile.FIFOTYPE)], "no plain file"),
        ([("1.png", b"a"), ("1.png", b"b")], "'1.png' twice in a row"),
        ([typed(tarfile.XHDTYPE, size=2**30)], "a header is too large"),
        ([typed(tarfile.GNUTYPE_LONGNAME, size=2**30)], "a header is too large"),
    ],
)
def test_hostile_members_are_refused(tmp_path, members, why):
    with pytest.raises(JobError, match=why):
        read(tar(tmp_path / "a.tar", members))


def test_what_is_no_tar_is_refused_and_a_large_text_is_a_bad_row(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"no tar" * 1000)
    with pytest.raises(JobError, match="is no tar, or damaged"):
        read(tmp_path / "a.tar")
    whole = tar(tmp_path / "b.tar", [("1.png", bytes(30_000)), ("1.txt", b"a")]).read_bytes()
    (tmp_path / "b.tar").write_bytes(whole[:5_000])
    with pytest.raises(JobError, match="is no tar, or damaged"):
        read(tmp_path / "b.tar")
    _, bad = read(tar(tmp_path / "c.tar", [("1.png", b"a"), ("1.txt", bytes(2**20 + 1))]))
    assert bad.counts == {"row_invalid": 1}


def test_a_name_that_leaves_the_folder_writes_nothing(tmp_path):
    members = [("../../out.png", b"a"), ("../../out.txt", b"text"), ("/abs.png", b"b")]
    before = set(tmp_path.parent.rglob("*"))
    rows, _ = read(tar(tmp_path / "a.tar", members))
    assert [row.captions for row in rows] == [("text",)]
    assert set(tmp_path.parent.rglob("*")) - before == {tmp_path / "a.tar"}


def test_a_shared_image_of_two_files_is_one_row(tmp_path):
    pairs_file(tmp_path, 2)
    (tmp_path / "more.csv").write_text("image,text\nshots/1.png,again\n")
    rows = read_all(tmp_path / "pairs.jsonl")
    again = read_all(tmp_path / "more.csv")
    assert rows[1].image == again[0].image


def test_a_byte_order_mark_and_no_last_line_end(tmp_path):
    line = io.StringIO()
    json.dump({"image": "a.png", "text": "ü"}, line)
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + line.getvalue().encode())
    assert read_all(tmp_path / "a.jsonl")[0].captions == ("ü",)
