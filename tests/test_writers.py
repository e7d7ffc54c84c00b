"""Whatever writes a file: what was there outlives a failure, and one is said before long work."""

import json

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from benchmarks import record
from examples import demo
from inference.profile import profile
from model.synthetic.thumbnails import sample
from serve.benchmark.report.terminal import write_page
from sweetspot import main
from tests.deploy.configs import IMAGE
from tests.disk import full_disk
from tests.inference.test_profile import PROFILE


def page(path, _):
    write_page(Console(), str(path), "<p>" * 1000)


def template(path, _):
    words = ["deploy", "render", "designs", "--image", IMAGE, "-o", str(path)]
    main(words, standalone_mode=False)


def kept_profile(path, _):
    profile.write(path.parent, PROFILE)


def contact_sheet(path, patch):
    patch.setattr(demo, "SHEET", path)
    drawn = {seed: sample(seed) for seed in range(demo.BEST)}
    demo.draw_sheet([("a calendar", [(0.5, seed) for seed in drawn])], drawn)


def result(path, patch):
    patch.setattr(record, "RESULTS", path.parent)
    record.record(path.stem, list(range(1000)))


WRITERS = {
    "report.html": page,
    "template.json": template,
    profile.FILE_NAME: kept_profile,
    "sheet.png": contact_sheet,
    "result.json": result,
}


@pytest.mark.parametrize(("name", "write"), WRITERS.items(), ids=WRITERS)
def test_what_was_there_outlives_a_full_disk(tmp_path, monkeypatch, name, write):
    path = tmp_path / name
    before = json.dumps(profile.document([]))
    path.write_text(before)
    with full_disk(), pytest.raises((OSError, click.ClickException)):
        write(path, monkeypatch)
    assert path.read_text() == before
    assert [one.name for one in tmp_path.iterdir()] == [name]
    write(path, monkeypatch)
    assert path.read_bytes() != before.encode()


@pytest.mark.parametrize(
    "words",
    [
        ("benchmark", "encoder", "--backend", "fake", "--report", "{nowhere}"),
        ("benchmark", "encoder", "--backend", "fake", "--write-profile", "{file}"),
        ("benchmark", "encoder", "--backend", "fake", "--write-profile", "{folder}"),
        ("benchmark", "pipeline", "--backend", "fake", "--report", "{nowhere}"),
        ("benchmark", "endpoint", "--url", "http://127.0.0.1:9", "--report", "{nowhere}"),
        ("embed", "--text", "a", "--model", "./nosuch", "-o", "{nowhere}"),
        ("embed", "--text", "a", "--model", "./nosuch", "-o", "{folder}"),
        ("export", "-o", "{file}/graphs"),
        ("quantize", "-o", "{file}/graphs"),
        ("export", "-o", "{folder}"),
        ("quantize", "-o", "{folder}"),
        ("convert", "./nosuch", "-o", "{folder}"),
        ("train", "--data", "./nosuch", "-o", "{file}/graphs"),
        ("train", "--data", "./nosuch", "-o", "out", "--report", "{nowhere}"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_written_is_said_before_all_work(tmp_path, words):
    damaged = tmp_path / profile.FILE_NAME
    damaged.write_text("[]")
    places = {"nowhere": tmp_path / "no" / "page.html", "file": damaged, "folder": tmp_path}
    ran = CliRunner().invoke(main, [one.format(**places) for one in words])
    assert ran.exit_code != 0
    *usage_or_nothing, said = ran.output.splitlines()
    assert str(tmp_path) in said
    assert usage_or_nothing == [] or usage_or_nothing[0].startswith("Usage: ")
    assert [one.name for one in tmp_path.iterdir()] == [profile.FILE_NAME]
