"""The commands of docs/bulk.md as written; S3 and the cluster are local."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.bulk_jobs import counting, local_s3

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "bulk.md").read_text()
COMMANDS = re.findall(r"^    (sweetspot bulk .*)$", PAGE, re.MULTILINE)
QUERY = re.findall(r"^    (SELECT .*?) *-- DuckDB$", PAGE, re.MULTILINE)
SUBMITTED = re.findall(r"ray job submit .*\\\n\s+(.*)$", PAGE, re.MULTILINE)
OPENED = re.findall(r'^    lancedb.connect\("(.*)"\).open_table\("(.*)"\)$', PAGE, re.MULTILINE)
(LANCE,) = (one for one in COMMANDS if "--format lance" in one)
ROWS = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the page's inputs, in which its commands run."""
    folder = tmp_path_factory.mktemp("page")
    with (
        counting() as server,
        local_s3() as client,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("SWEETSPOT_ALLOW_HOST", "127.0.0.1")
        patch.setenv("SWEETSPOT_BACKEND", "fake")
        patch.setenv("SWEETSPOT_PREPROCESS_PROCESSES", "0")
        urls = server.thumbnails(ROWS)
        pq.write_table(pa.table({"screen": range(ROWS), "url": urls}), folder / "screens.parquet")
        (folder / "urls.txt").write_text("\n".join(urls))
        client.create_bucket(Bucket="bucket")
        screens = (folder / "screens.parquet").read_bytes()
        client.put_object(Bucket="bucket", Key="screens/1.parquet", Body=screens)
        yield folder


@pytest.fixture(scope="module")
def cluster(folder):
    """A cluster, whose nodes see what the folder's commands see."""
    utils = pytest.importorskip("ray.cluster_utils")
    cluster = utils.Cluster()
    cluster.add_node(num_cpus=1, include_dashboard=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", cluster.address)
        yield cluster
    cluster.shutdown()


def output_of(line):
    return re.search(r"-o (\S+)", line)[1]


def run(folder, line):
    """Run a command behind the one whose output it goes on from, but none twice."""
    if (folder / output_of(line)).exists():
        return
    for previous in re.findall(r"--previous (\S+)", line):
        run(folder, next(one for one in COMMANDS if output_of(one) == previous))
    name, *words = shlex.split(line)
    assert name == "sweetspot"
    ran = subprocess.run(
        [sys.executable, "-m", "sweetspot", *words], cwd=folder, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert re.search(rf"^rows +{ROWS} ", ran.stdout, re.MULTILINE), ran.stdout


@pytest.mark.parametrize("line", [one for one in COMMANDS if "ray" not in one and one != LANCE])
def test_a_command_runs(folder, line):
    run(folder, line)


@pytest.mark.parametrize("line", [one for one in COMMANDS if "ray" in one])
def test_a_command_runs_on_a_cluster(folder, cluster, line):
    run(folder, line)


def test_what_is_submitted_is_the_command_that_runs_on_a_cluster():
    assert [one for one in COMMANDS if "ray" in one] == SUBMITTED


def test_the_query_counts_failures(folder):
    run(folder, COMMANDS[0])  # goes on, if it ran before
    (query,) = QUERY
    found = duckdb.execute(query.replace("embeddings/", f"{folder}/embeddings/")).fetchall()
    assert found == [(None, ROWS)]


def test_lancedb_opens_the_table(folder):
    import lancedb  # takes long

    run(folder, LANCE)
    ((output, table),) = OPENED
    assert lancedb.connect(folder / output).open_table(table).count_rows() == ROWS
