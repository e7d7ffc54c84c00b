"""The example finds screens in its output by DuckDB and by LanceDB."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from examples.bulk_search import NEEDED, in_duckdb, in_lancedb
from serve.commands.bulk.output.formats import FORMATS
from tests.bulk_jobs import counting, rows, run, write_urls

ROOT = Path(__file__).parents[2]
# Neither batch sizes nor threads are measured.
SWIFT = os.environ | {
    "SWEETSPOT_BATCH_SIZE": "16",
    "SWEETSPOT_TEXT_BATCH_SIZE": "16",
    "SWEETSPOT_PREPROCESS_PROCESSES": "0",
}


def test_the_example_finds_screens_in_both_indexes(tmp_path):
    ran = subprocess.run(
        [sys.executable, "examples/bulk_search.py", "--thumbnails", "300", "--output", tmp_path],
        cwd=ROOT, env=SWIFT, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    for name in ("DuckDB", "LanceDB"):
        hits = [line for line in ran.stdout.splitlines() if name in line]
        assert len(hits) == 3 * 3
        assert re.search("(dark|night).*log in", hits[3])
        assert re.search("mobile green .*message", hits[6])


def test_help_needs_none_of_its_packages_and_a_run_names_them(monkeypatch, capsys):
    for name in NEEDED:
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    needed = "this example needs: pip install duckdb lancedb pylance"
    for words, said in (["--help"], 0), ([], needed):
        monkeypatch.setattr(sys, "argv", ["bulk_search.py", *words])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / "examples" / "bulk_search.py"), run_name="__main__")
        assert ended.value.code == said
    assert "--thumbnails" in capsys.readouterr().out


def test_outputs_of_both_formats_are_searched_alike(tmp_path):
    with counting() as server:
        urls = write_urls(tmp_path / "urls.txt", server, 30)
        for form in FORMATS:
            run(urls, "-o", tmp_path / form, "--format", form)
    query = np.array(rows(tmp_path / "parquet")[20]["embedding"], np.float32)
    found = [
        search(tmp_path / form, query) for form in FORMATS for search in (in_duckdb, in_lancedb)
    ]
    for hits in found:
        assert [url for url, _ in hits] == [url for url, _ in found[0]]
        assert [score for _, score in hits] == pytest.approx([s for _, s in found[0]], abs=1e-5)
    assert found[0][0][0] == server.url("/20.jpg?20")
