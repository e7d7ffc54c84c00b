"""A job: a row for each row, nothing twice, and the same command goes on."""

import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from rich.progress import Progress

from inference.loadtest.thumbnail_server import Reply
from serve.commands.bulk.command import bulk
from serve.commands.bulk.embedding.feeder import TRIES
from serve.commands.bulk.output.outcomes import Outcome, Outcomes
from serve.commands.bulk.output.parts import Parts
from serve.commands.tables.place import Place
from tests.bulk_jobs import FLAGS, rows, run, timeless
from tests.images import jpeg


@pytest.fixture
def table(server, tmp_path):
    """A table of 40 screens, of which 4 fail."""
    paths = [f"/{seed}.jpg" for seed in range(40)]
    paths[3], paths[14], paths[25] = "/gone", "/busy", "/text"
    urls = [*map(server.url, paths)]
    urls[36] = "http://127.0.0.2/blocked.jpg"
    path = tmp_path / "screens.parquet"
    names = [f"screen {row}" for row in range(40)]
    pq.write_table(pa.table({"screen": range(100, 140), "name": names, "link": urls}), path)
    return path


COLUMNS = ("--url-column", "link", "--id-column", "screen", "--rows-per-part", 16)
FAILED = {"fetch_http_status": 2, "decode_unsupported": 1, "fetch_blocked": 1}


def test_there_is_a_row_for_each_row(server, table, tmp_path):
    code, summary, _ = run(table, "-o", tmp_path / "out", *COLUMNS, "--price-per-hour", 3.6)
    assert code == 0
    found = rows(tmp_path / "out")
    given = pq.read_table(table).to_pylist()
    assert [(one["id"], one["name"], one["url"]) for one in found] == [
        (one["screen"], one["name"], one["link"]) for one in given
    ]
    failed = {row: one for row, one in enumerate(found) if one["error_code"]}
    assert failed.keys() == {3, 14, 25, 36}
    assert all(one["embedding"] is None and one["error_message"] for one in failed.values())
    assert [row for row, one in failed.items() if one["retryable"]] == [14]
    for row, one in enumerate(found):
        if row not in failed:
            assert np.linalg.norm(one["embedding"]) == pytest.approx(1, abs=1e-5)
            assert one["error_code"] is one["error_message"] is one["retryable"] is None
    assert {one["fingerprint"] for one in found} == {summary["fingerprint"]}

    assert summary["rows"] == summary["rows_of_input"] == 40
    assert (summary["embedded"], summary["encoded"], summary["failed"]) == (36, 36, 4)
    assert all(one["width"] > 100 for row, one in enumerate(found) if row not in failed)
    assert summary["failures"] == FAILED
    assert summary["may_pass"] == 1
    assert summary["price_per_million"] == pytest.approx(summary["price"] / 40 * 1e6, rel=0.3)
    assert json.loads((tmp_path / "out" / "_summary.json").read_text()) == summary
    names = sorted(one.name for one in (tmp_path / "out").glob("*.parquet"))
    assert names == ["_plan.parquet", *(f"part-{part:08d}.parquet" for part in range(3))]


def test_the_same_command_again_does_only_what_is_missing(server, table, tmp_path):
    out = tmp_path / "out"
    run(table, "-o", out, *COLUMNS)
    before, asked = rows(out), server.asked.copy()
    _, summary, printed = run(table, "-o", out, *COLUMNS)
    assert summary["rows"] == 40
    assert printed == f"already complete: {out}; nothing is embedded\n"
    assert server.asked == asked
    (out / "part-00000001.parquet").unlink()
    code, summary, printed = run(table, "-o", out, *COLUMNS)
    assert (code, summary["rows"], summary["failures"], printed) == (0, 40, FAILED, "")
    assert timeless(rows(out)) == timeless(before)
    again = server.asked - asked
    assert again.keys() == {f"/{seed}.jpg" for seed in range(16, 32) if seed != 25} | {"/text"}


def test_only_failures_that_may_pass_are_tried_again(server, table, tmp_path):
    out = tmp_path / "out"
    run(table, "-o", out, *COLUMNS)
    before, asked = rows(out), server.asked.copy()
    server.replies["/busy"] = Reply(jpeg(seed=14))
    code, summary, _ = run(table, "-o", out, *COLUMNS, "--retry-failed")
    assert (code, summary["may_pass"], summary["embedded"]) == (0, 0, 37)
    assert summary["failures"] == {**FAILED, "fetch_http_status": 1}
    assert (server.asked - asked).keys() == {"/busy"}
    after = rows(out)
    assert after[14].pop("embedding") is not None
    assert after[:14] + after[15:] == before[:14] + before[15:]


@pytest.mark.parametrize("form", ["parquet", "lance"])
def test_rows_that_were_blocked_are_tried_again_by_the_policy_of_now(server, tmp_path, form):
    path, out = tmp_path / "urls.txt", tmp_path / "out"
    path.write_text(server.url("/1.jpg"))
    job = [path, "-o", out, "--format", form]
    args = map(str, [*job, "--deny-host", "127.0.0.1", *FLAGS])
    said = re.sub(r"\s+", " ", CliRunner().invoke(bulk, list(args)).stdout)
    assert "1 fetch_blocked, such as: the host 127.0.0.1 is denied by --deny-host" in said
    assert "1 blocked: add the flag, and --retry-failed" in said
    summary = run(*job)[1]
    assert summary["examples"].keys() == summary["failures"].keys() == {"fetch_blocked"}
    assert run(*job, "--retry-failed")[1]["embedded"] == 1
    assert rows(out)[0]["embedding"] is not None


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (
            ["--model-name", "other", "--preprocess", "reference"],
            "the model, its precision or --pre",
        ),
        (["--dtype", "float16"], "--dtype changed"),
        (["--rows-per-part", "17"], "--rows-per-part changed"),
        (["--id-column", "name"], "the columns changed"),
    ],
)
def test_another_job_is_refused(server, table, tmp_path, changed, why):
    out = tmp_path / "out"
    run(table, "-o", out, *COLUMNS)
    code, _, printed = run(table, "-o", out, *COLUMNS, *changed)
    assert code == 1
    assert re.search(f"began with other settings: {why}", printed)
    assert printed.count("\n") == 1


def test_another_input_is_refused(server, table, tmp_path):
    out = tmp_path / "out"
    run(table, "-o", out, *COLUMNS)
    pq.write_table(pq.read_table(table).slice(0, 39), table)
    assert "the input changed" in run(table, "-o", out, *COLUMNS)[2]


def test_a_folder_of_something_else_is_refused(server, table, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").touch()
    code, _, printed = run(table, "-o", tmp_path / "out", *COLUMNS)
    assert code == 1
    assert "out is not empty, and holds no job" in printed
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_texts_and_images_are_in_one_table(server, tmp_path):
    path = tmp_path / "mixed.jsonl"
    lines = [{"url": server.url("/1.jpg"), "text": None}, {"text": "a dark login"}, {"text": ""}]
    path.write_text("\n".join(map(json.dumps, lines)))
    code, summary, _ = run(
        path, "-o", tmp_path / "out", "--text-column", "text", "--url-column", "url",
        "--dtype", "float16",
    )  # fmt: skip
    assert (code, summary["failures"]) == (0, {"text_invalid": 1})
    found = rows(tmp_path / "out")
    assert [one["text"] for one in found] == [None, "a dark login", ""]
    assert [one["embedding"] is None for one in found] == [False, False, True]


def test_no_host_gets_more_requests_at_once_than_allowed(server, tmp_path):
    server.latency_s = 0.02
    path = tmp_path / "urls.txt"
    path.write_text("\n".join(server.thumbnails(40)))
    assert run(path, "-o", tmp_path / "a", "--per-host", 2)[1]["embedded"] == 40
    assert server.peak == 2
    assert run(path, "-o", tmp_path / "b")[1]["embedded"] == 40
    assert server.peak > 2


def test_a_host_that_asks_for_a_pause_gets_one(server, tmp_path):
    server.refusals = 2
    path = tmp_path / "urls.txt"
    path.write_text("\n".join(f" {url}" for url in server.thumbnails(20)))
    code, summary, _ = run(path, "-o", tmp_path / "out", "--per-host", 2)
    assert (code, summary["embedded"], summary["failed"]) == (0, 20, 0)
    assert len(server.asked_s) == 22
    pauses = [after - before for before, after in itertools.pairwise(server.asked_s)]
    assert sum(pause > 0.9 for pause in pauses) == 1


def test_a_host_that_never_has_time_fails_its_rows(server, tmp_path):
    server.refusals = 10**6
    path = tmp_path / "urls.txt"
    path.write_text(server.url("/1.jpg"))
    code, summary, _ = run(path, "-o", tmp_path / "out")
    assert (code, summary["failures"], summary["may_pass"]) == (0, {"fetch_http_status": 1}, 1)
    assert len(server.asked_s) == TRIES


def test_an_input_that_is_not_there_is_named(tmp_path):
    code, _, printed = run(tmp_path / "no.parquet", "-o", tmp_path / "out")
    assert (code, printed) == (1, f"Error: {tmp_path / 'no.parquet'} names no file\n")


def test_an_output_that_cannot_be_written_ends_the_job(server, table, tmp_path):
    out = tmp_path / "out"
    run(table, "-o", out, *COLUMNS)
    (out / "part-00000001.parquet").unlink()
    (out / "part-00000001.parquet").mkdir()
    (out / "part-00000001.parquet" / "x").touch()
    code, _, printed = run(table, "-o", out, *COLUMNS)
    assert code == 1
    assert "a file cannot be read or written" in printed
    (out / "part-00000001.parquet" / "x").unlink()
    (out / "part-00000001.parquet").rmdir()
    asked = server.asked.copy()
    assert run(table, "-o", out, *COLUMNS)[1]["rows"] == 40
    assert server.asked == asked  # its rows were saved
    assert not [*Path(out, "_open").glob("*")]


def test_copies_of_a_file_are_parts_of_their_own(server, tmp_path):
    table = pa.table({"id": range(20), "url": server.thumbnails(20)})
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c"):
        pq.write_table(table, tmp_path / "in" / f"{name}.parquet")
    code, summary, _ = run(tmp_path / "in", "-o", tmp_path / "out", "--id-column", "id")
    assert (code, summary["rows"]) == (0, 60)
    assert [one["id"] for one in rows(tmp_path / "out")] == [*range(20)] * 3


def test_a_job_that_was_killed_before_it_was_whole_begins_anew(server, table, tmp_path):
    out = tmp_path / "out"
    run(table, "-o", out, *COLUMNS)
    for path in out.iterdir():
        if path.name != "_plan.parquet":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (out / ".writing-0123").touch()
    assert run(table, "-o", out, *COLUMNS)[1]["rows"] == 40


def test_an_error_beside_the_work_fails_no_row(server, table, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no terminal")

    monkeypatch.setattr(Progress, "update", broken)
    server.latency_s = 0.05
    with pytest.raises(RuntimeError, match="no terminal"):
        run(table, "-o", tmp_path / "out", *COLUMNS)
    monkeypatch.undo()
    assert run(table, "-o", tmp_path / "out", *COLUMNS)[1]["failures"] == FAILED


def test_saved_failures_that_may_pass_are_tried_again(server, tmp_path):
    path, out = tmp_path / "urls.txt", tmp_path / "out"
    path.write_text("\n".join([server.url("/busy"), *server.thumbnails(5)]))
    run(path, "-o", out)
    part = out / "part-00000000.parquet"
    found = pq.read_table(part)
    part.unlink()
    place = Parts(Place.of(str(out)), 16, pa.float32(), found["fingerprint"][0].as_py())
    outcomes = Outcomes(6, 16)
    outcomes.found[0] = Outcome("fetch_http_status", "503", True)
    place.save(0, outcomes, [0])
    server.replies["/busy"] = Reply(jpeg(seed=14))
    assert run(path, "-o", out)[1]["may_pass"] == 1
    assert run(path, "-o", out, "--retry-failed")[1]["may_pass"] == 0
