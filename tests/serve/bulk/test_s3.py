"""A job from S3 to S3."""

import lance
import pytest

from serve.commands.bulk.output.lance.table import TABLE
from serve.commands.tables.place import Place
from tests.bulk_jobs import local_s3, run

BUCKET = "bulk-jobs"


@pytest.fixture
def s3():
    """A client of a local S3 with a bucket."""
    with local_s3() as client:
        client.create_bucket(Bucket=BUCKET)
        yield client


def test_a_job_reads_from_s3_writes_to_s3_and_goes_on_there(s3, server):
    lines = "\n".join(server.thumbnails(30)).encode()
    for name in ("a", "b"):
        s3.put_object(Bucket=BUCKET, Key=f"in/{name}.txt", Body=lines)
    job = (f"s3://{BUCKET}/in/*.txt", "-o", f"s3://{BUCKET}/out", "--rows-per-part", 16)
    code, summary, _ = run(*job)
    assert (code, summary["embedded"]) == (0, 60)
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET, Prefix="out/part")["Contents"]]
    assert keys == [f"out/part-{part:08d}.parquet" for part in range(4)]
    asked = server.requests
    s3.delete_object(Bucket=BUCKET, Key=keys[2])
    assert run(*job)[1]["embedded"] == 60
    assert server.requests == asked + 16


def test_a_table_of_lance_in_s3(s3, server):
    for name in ("a", "b"):
        lines = "\n".join(server.thumbnails(30)).encode()
        s3.put_object(Bucket=BUCKET, Key=f"in/{name}.txt", Body=lines)
    output = f"s3://{BUCKET}/table"
    job = (f"s3://{BUCKET}/in/*.txt", "-o", output, "--rows-per-part", 16, "--format", "lance")
    code, summary, printed = run(*job)
    assert code == 0, printed
    assert summary["embedded"] == 60
    table = lance.dataset(f"{output}/{TABLE}", storage_options={"allow_http": "true"})
    ids = table.to_table(columns=["id"])["id"].to_pylist()
    assert sorted(ids) == sorted(f"{name}.txt#{row}" for name in "ab" for row in range(30))
    asked = server.requests
    assert run(*job)[1]["embedded"] == 60
    assert server.requests == asked
    again = run(*job[:2], f"s3://{BUCKET}/again", "--previous", output)[1]
    assert (again["same_bytes"], again["encoded"]) == (60, 0)


def test_a_table_of_lance_takes_no_keys_of_a_url(s3, server, tmp_path):
    (tmp_path / "urls.txt").write_text(server.url("/1.jpg"))
    given = f"s3://key:secret@{BUCKET}/other"
    code, _, printed = run(tmp_path / "urls.txt", "-o", given, "--format", "lance")
    assert (code, server.requests) == (1, 0)
    assert "--format lance writes to a disk, or to S3 with the keys of the environment" in printed


def test_a_bucket_that_is_not_there_is_named(s3, server):
    code, _, printed = run("s3://no-such-bucket/in.txt", "-o", f"s3://{BUCKET}/out")
    assert code == 1
    assert "no-such-bucket" in printed
    assert printed.count("\n") == 1


def test_what_is_no_place_is_refused(tmp_path):
    code, _, printed = run("ftp://host/in.txt", "-o", tmp_path)
    assert code == 1
    assert printed.startswith("Error: ftp://host/in.txt cannot be opened: ")


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    place = Place.of(str(tmp_path))
    place.write("a/b.bin", b"one")
    place.write("a/b.bin", b"two")
    assert (place.names("a"), place.read("a/b.bin")) == (["b.bin"], b"two")
    place.delete("a")
    assert (place.names("a"), place.is_empty()) == ([], True)
