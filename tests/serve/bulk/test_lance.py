"""A job whose output is a table of Lance."""

import json

import lance
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inference.loadtest.thumbnail_server import Reply
from serve.commands.bulk.output.lance.table import TABLE
from tests.bulk_jobs import rows, run, timeless
from tests.images import jpeg

COUNT, PER_PART = 40, 16
FLAGS = ("--id-column", "screen", "--rows-per-part", PER_PART)


@pytest.fixture
def table(server, tmp_path):
    """A table of screens, of which 3 fail, and one may pass."""
    paths = [f"/{seed}.jpg" for seed in range(COUNT)]
    paths[3], paths[14], paths[25] = "/gone", "/busy", "/text"
    screens = {
        "screen": range(COUNT),
        "url": [*map(server.url, paths)],
        "tags": pa.array([["a", None]] * COUNT),
        "kind": pa.array(["login", "chat"] * (COUNT // 2)).dictionary_encode(),
    }
    path = tmp_path / "screens.parquet"
    pq.write_table(pa.table(screens), path)
    return path


def job(table, output, *flags):
    code, summary, printed = run(table, "-o", output, *FLAGS, *flags)
    assert code == 0, printed
    return summary


def give_etags(server):
    for seed in range(COUNT):
        etag = {"ETag": f'"{seed}"'}
        server.replies[f"/{seed}.jpg"] = Reply(jpeg(seed=seed), headers=etag)


def database(output):
    """What LanceDB finds in an output."""
    import lancedb  # takes long

    return lancedb.connect(output)


def open_table(output):
    return database(output).open_table("embeddings")


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_rows_are_those_of_parquet(table, tmp_path, dtype):
    parquet = job(table, tmp_path / "parquet", "--dtype", dtype)
    lance_ = job(table, tmp_path / "lance", "--dtype", dtype, "--format", "lance")
    assert timeless(rows(tmp_path / "lance")) == timeless(rows(tmp_path / "parquet"))
    measured = {"wall_s", "images_s", "core_hours"}
    assert {key for key in parquet if parquet[key] != lance_[key]} <= measured
    kinds = [
        lance.dataset(tmp_path / "lance" / TABLE).schema,
        pq.read_schema(tmp_path / "parquet" / "part-00000000.parquet"),
    ]
    assert kinds[0].names == kinds[1].names
    assert len({str(one.field("embedding").type.value_type) for one in kinds}) == 1
    assert kinds[0].field("embedding").type.list_size == lance_["dimension"]


def test_lancedb_finds_a_screen_by_its_embedding(table, tmp_path):
    job(table, tmp_path / "out", "--format", "lance")
    found = rows(tmp_path / "out")[30]
    search = open_table(tmp_path / "out").search(np.array(found["embedding"], np.float32))
    (hit,) = search.distance_type("dot").limit(1).to_list()
    assert hit["id"] == 30


def test_the_same_command_again_does_nothing(server, table, tmp_path):
    first = job(table, tmp_path / "out", "--format", "lance")
    asked, version = server.requests, open_table(tmp_path / "out").version
    again = job(table, tmp_path / "out", "--format", "lance")
    assert (again["rows"], again["failures"]) == (first["rows"], first["failures"])
    assert (server.requests, open_table(tmp_path / "out").version) == (asked, version)


def test_failures_that_may_pass_are_tried_again_and_replaced(server, table, tmp_path):
    out = tmp_path / "out"
    job(table, out, "--format", "lance")
    before, asked = rows(out), server.asked.copy()
    server.replies["/busy"] = Reply(jpeg(seed=14))
    summary = job(table, out, "--format", "lance", "--retry-failed")
    assert (summary["may_pass"], summary["embedded"]) == (0, COUNT - 2)
    assert (server.asked - asked).keys() == {"/busy"}
    after = rows(out)
    assert after[14].pop("embedding") is not None
    assert after[:14] + after[15:] == before[:14] + before[15:]


@pytest.mark.parametrize(("earlier", "form"), [("parquet", "lance"), ("lance", "parquet")])
def test_an_earlier_output_may_have_the_other_format(server, table, tmp_path, earlier, form):
    give_etags(server)
    job(table, tmp_path / "sunday", "--format", earlier)
    again = job(table, tmp_path / "monday", "--format", form, "--previous", tmp_path / "sunday")
    assert (again["unchanged"], again["encoded"], again["failed"]) == (COUNT - 3, 0, 3)
    assert timeless(rows(tmp_path / "monday")) == timeless(rows(tmp_path / "sunday"))


def test_a_compacted_table_can_be_gone_on_with_and_be_an_earlier_one(server, table, tmp_path):
    give_etags(server)
    out = tmp_path / "out"
    job(table, out, "--format", "lance")
    open_table(out).delete("error_code IS NOT NULL")
    open_table(out).optimize()
    assert len(lance.dataset(out / TABLE).get_fragments()) == 1
    assert job(table, out, "--format", "lance")["rows"] == COUNT
    assert len(rows(out)) == COUNT - 3
    again = job(table, tmp_path / "monday", "--previous", out)
    assert again["unchanged"] == COUNT - 3
    code, _, printed = run(table, "-o", out, *FLAGS, "--format", "lance", "--retry-failed")
    assert (code, "was compacted" in printed, printed.count("\n")) == (1, True, 1)


def test_a_table_that_was_deleted_is_not_begun_anew(table, tmp_path):
    out = tmp_path / "out"
    job(table, out, "--format", "lance")
    database(out).drop_table("embeddings")
    code, _, printed = run(table, "-o", out, *FLAGS, "--format", "lance")
    assert (code, "has lost files of the job" in printed) == (1, True)


@pytest.mark.parametrize(("kept", "asked"), [("lance", "parquet"), ("parquet", "lance")])
def test_the_format_of_an_output_stays(table, tmp_path, kept, asked):
    job(table, tmp_path / "out", "--format", kept)
    code, _, printed = run(table, "-o", tmp_path / "out", *FLAGS, "--format", asked)
    assert code == 1
    assert "began with other settings: --format changed; start it as before" in printed


def test_a_job_from_before_there_were_formats_is_of_parquet(server, table, tmp_path):
    job(table, tmp_path / "out")
    path, asked = tmp_path / "out" / "_job.json", server.requests
    kept = json.loads(path.read_text())
    del kept["format"]
    path.write_text(json.dumps(kept))
    assert job(table, tmp_path / "out")["rows"] == COUNT
    assert server.requests == asked


def test_columns_that_lance_cannot_hold_are_refused_at_the_start(server, tmp_path):
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"url": server.thumbnails(2), "app.name": ["a", "b"]}), path)
    code, _, printed = run(path, "-o", tmp_path / "out", "--format", "lance")
    assert (code, server.requests) == (1, 0)
    assert "--format lance cannot make the table" in printed
    assert "app.name" in printed
    assert not any(word in printed for word in (".rs", "/home"))
