"""The command: what it is given, what it says, what it writes, and what it leaves alone."""

import base64
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from safetensors.numpy import load_file

from model.checkpoints.checkpoint import BUILTIN_FOLDER, verify
from model.synthetic.attributes import combinations
from model.synthetic.captions import caption
from model.synthetic.thumbnails import draw
from serve.commands.train.asked import Asked
from serve.commands.train.command import train
from serve.commands.train.data.bad_rows import BadRows
from serve.commands.train.data.columns import Columns
from serve.commands.train.sets import read_sets
from tests.bulk_jobs import counting
from tests.disk import full_disk
from tests.e2e.service import ROOT
from tests.ports import free_port
from tests.serve.benchmark.charts import charts
from tests.serve.train.sets import pairs_file, write_lines

# Images are not given up on a machine that is busy with other tests.
FLAGS = ["--preprocess-processes", "0", "--allow-host", "127.0.0.1", "--deadline-ms", "250000"]
COMMAND = [sys.executable, "-m", "sweetspot", "train", *FLAGS]
ROWS = 60
WHOLE = ("--group-column", "app", "--epochs", 2, "--batch-size", 16, "--lora", 4, "--freeze",
         "text", "--no-augment", "--keep-worse")  # fmt: skip


def run(*words):
    return CliRunner().invoke(train, [*map(str, words), *FLAGS], env={"COLUMNS": "120"})


def record_of(folder):
    return json.loads((folder / "training.json").read_text())


def weights(folder):
    return load_file(folder / "model.safetensors")


def leftovers(folder):
    return sorted(one.name for one in folder.iterdir())


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """60 pictures of 30 apps, of which a tenth is held out, beside their table."""
    return pairs_file(tmp_path_factory.mktemp("pairs"), ROWS, app=lambda index: 30 + index // 2)


@pytest.fixture(scope="module")
def screens(tmp_path_factory):
    """40 pictures of which the base finds most: its own kind."""
    folder, dice = tmp_path_factory.mktemp("screens"), random.Random(0)
    chosen = dice.sample(combinations(), 40)
    for index, one in enumerate(chosen):
        draw(one, 10**9 + index, 256).save(folder / f"{index}.png")
    rows = [{"image": f"{index}.png", "text": caption(one, dice)}
            for index, one in enumerate(chosen)]  # fmt: skip
    return write_lines(folder / "screens.jsonl", rows)


@pytest.fixture(scope="module")
def whole(pairs, screens, tmp_path_factory):
    """A run, and the folder with its output, its work and its page."""
    folder = tmp_path_factory.mktemp("whole")
    done = run("--data", pairs, "--forgetting", screens, *WHOLE, "--sweep", "-o", folder / "out",
               "--work", folder / "work", "--report", folder / "page.html")  # fmt: skip
    assert done.exit_code == 0, done.output
    return done, folder


def test_a_whole_run_writes_an_artifact_and_its_record(whole, pairs):
    _, folder = whole
    assert leftovers(folder) == ["out", "page.html", "work"]
    assert verify(folder / "out").digest != verify(BUILTIN_FOLDER).digest
    record = record_of(folder / "out")
    data, options = record["data"], record["options"]
    held_out = data["held_out"]["images"]
    assert data["train"]["images"] == ROWS - held_out
    assert data["held_out"]["groups"] == held_out // 2
    assert data["train"]["groups"] == ROWS // 2 - held_out // 2
    assert data["forgetting"]["images"] == data["forgetting"]["captions"] == 40
    digests = {one[key] for one in data.values() if "images" in one
               for key in ("rows_sha256", "pixels_sha256")}  # fmt: skip
    assert len(digests) == 6
    assert data["bad_rows"] == {}
    assert (options["lora"], options["what"], options["augment"]) == (4, "image", False)
    assert len(record["losses"]) == 2 * (data["train"]["images"] // 16)
    assert record["settings"]["data"] == [str(pairs)]
    assert {"python", "torch", "pillow", "sweetspot"} <= record["versions"].keys()
    assert record["base"] == "builtin"


def test_a_whole_run_says_what_it_does_and_what_came_of_it(whole):
    done, folder = whole
    record = record_of(folder / "out")
    held_out = record["data"]["held_out"]["images"]
    said = f"{ROWS - held_out} images to train on, {held_out} held out by group, {held_out // 2} of"
    assert done.stderr.startswith(said)
    assert re.search(r"; their pixels take 0\.\d\d GB in .*work\n", done.stderr)
    last = record["epochs"][-1]["held_out"]["text_to_image"]["1"]
    assert re.search(rf"epoch 2 of 2, .*{last:.3f}", done.stderr)
    before, after = (record[when]["held_out"]["text_to_image"]["1"] for when in ("before", "after"))
    row = f"held out text to image @1 {before:.3f} {after:.3f} {after - before:+.3f}"
    assert row in re.sub(" +", " ", done.stdout)
    assert f"Recall@1 from text to image went from {before:.3f} to {after:.3f}" in done.stdout


def test_the_page_draws_curves_a_sweep_and_misses(whole):
    _, folder = whole
    html, record = (folder / "page.html").read_text(), record_of(folder / "out")
    drawn = dict(charts(html))
    assert list(drawn) == [
        "text to image, held out", "image to text, held out",
        "text to image, the base's own", "image to text, the base's own",
        "Interpolation", "Loss of a batch",
    ]  # fmt: skip
    pictures = re.findall(r"data:image/jpeg;base64,([\w+/=]+)", html)
    sides = [Image.open(io.BytesIO(base64.b64decode(one))).size for one in pictures]
    assert sides == [(128, 128)] * 2 * len(record["hardest"])
    assert len(html) < 900_000


def test_a_sweep_has_both_ends(whole):
    _, folder = whole
    record = record_of(folder / "out")
    assert [one["share"] for one in record["sweep"]] == [0, 0.25, 0.5, 0.75, 1]
    for end, when in ((0, "before"), (-1, "after")):
        for name in ("held_out", "forgetting"):
            assert record["sweep"][end][name] == record[when][name]


def test_other_shares_of_the_weights_need_no_training(whole, pairs, screens):
    _, folder = whole
    again = run("--data", pairs, "--forgetting", screens, *WHOLE, "-o", folder / "half",
                "--work", folder / "work", "--interpolate", 0.5, "--json")  # fmt: skip
    record, half = record_of(folder / "out"), record_of(folder / "half")
    assert json.loads(again.stdout) == half
    for name in ("data", "losses", "took_s", "epochs"):
        assert half[name] == record[name]
    assert half["after"]["held_out"] == record["sweep"][2]["held_out"]
    base, tuned, mixed = map(weights, (BUILTIN_FOLDER, folder / "out", folder / "half"))
    assert base.keys() == tuned.keys() == mixed.keys()
    for name, one in mixed.items():
        np.testing.assert_allclose(one, (base[name] + tuned[name]) / 2, atol=1e-6)


def test_pixels_are_those_of_the_base(whole):
    _, folder = whole
    side = verify(BUILTIN_FOLDER).image_size
    kept = [np.load(one / "pixels.npy", mmap_mode="r") for one in folder.glob("work/pixels-*")]
    assert {one.shape[1:] for one in kept} == {(side, side, 3)}
    assert sum(len(one) for one in kept) == ROWS + 40


def test_a_validation_of_its_own_is_used(pairs, tmp_path):
    rows = [{"image": str(pairs.parent / f"shots/{index}.png"), "text": "a"} for index in range(10)]
    own = write_lines(tmp_path / "own.jsonl", rows)
    asked = Asked(
        data=(str(pairs),), validation=(str(own),), forgetting=(), columns=Columns(), max_bad=5.0,
        output="out", work=None, checkpoints=None, report=None, options={}, as_json=False,
    )  # fmt: skip
    sets = read_sets(asked, BadRows(5.0))
    assert [len(sets.rows[name]) for name in ("train", "held_out")] == [ROWS - 10, 10]
    assert sets.how.startswith("as given; 10 rows of --data that share an image or a group")


def test_what_is_worse_than_the_base_is_not_written_and_may_be_kept_after_all(screens, tmp_path):
    out = tmp_path / "out"
    words = ("--data", screens, "-o", out, "--learning-rate", 0.05, "--epochs", 1,
             "--batch-size", 12)  # fmt: skip
    done = run(*words, "--report", tmp_path / "page.html")
    assert done.exit_code == 1
    error = done.stderr.splitlines()[-1]
    assert re.fullmatch(
        r"Error: the result finds fewer of the held-out pairs than the base: recall at 1 is "
        rf"0\.\d+, and was [01]\.\d+; nothing was written; pixels and checkpoints are kept in "
        rf"{out}\.training",
        error,
    )
    assert leftovers(tmp_path) == ["out.training", "page.html"]
    kept = run(*words, "--keep-worse", "--json")
    assert kept.exit_code == 0
    assert len(json.loads(kept.stdout)["losses"]) == 3
    assert leftovers(tmp_path) == ["out", "page.html"]


def damaged(folder):
    for index in range(5):
        (folder / f"shots/{index}.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")


def without_texts(folder):
    lines = (folder / "pairs.jsonl").read_text().splitlines()
    rows = [json.loads(line) | ({"text": " "} if index < 5 else {})
            for index, line in enumerate(lines)]  # fmt: skip
    write_lines(folder / "pairs.jsonl", rows)


def nothing(_):
    pass


@pytest.mark.parametrize(
    ("harm", "words", "said"),
    [
        (damaged, [], r"least 3 of 40 rows are bad, .*decode_corrupt 3 \(.*jsonl row \d+: "),
        (without_texts, [], r"least 5 of 40 rows are bad, .*text_invalid 5 \(.*: the text is empt"),
        (nothing, ["--group-column", "file"], r"jsonl has no column file; it has image"),
        (nothing, ["--image-column", "link"], r"jsonl has no column link; it has image"),
        (nothing, ["--data", "nosuch.csv"], r"nosuch.csv names no file"),
        (nothing, ["--model", "./nosuch"], r"nosuch"),
        (nothing, ["--validation", "{folder}/shots/1.png"], r"holds plain lines; a table"),
    ],
    ids=["damaged", "empty", "group", "image", "file", "model", "picture"],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence_and_leaves_nothing(tmp_path, harm, words, said):
    path = pairs_file(tmp_path / "set", 40)
    harm(path.parent)
    words = [one.format(folder=path.parent) for one in words]
    done = run("--data", path, "-o", tmp_path / "out", *words)
    assert done.exit_code == 1
    error = done.stderr.splitlines()[-1]
    assert re.match(f"Error: .*{said}", error)
    assert "Traceback" not in done.output
    assert leftovers(tmp_path) == ["set"]


def test_a_full_disk_is_one_sentence_and_leaves_nothing(pairs, tmp_path):
    with full_disk():
        done = run("--data", pairs, "-o", tmp_path / "out")
    assert done.exit_code == 1
    work = tmp_path / "out.training"
    said = f"Error: the pixels cannot be written to {work}: File too large"
    assert done.stderr.splitlines()[-1] == said
    assert leftovers(tmp_path) == []


def test_an_output_that_cannot_be_written_is_said_before_all_work(pairs, tmp_path):
    (tmp_path / "file").touch()
    done = run("--data", pairs, "-o", tmp_path / "file" / "out")
    assert done.exit_code == 2
    assert f"cannot write {tmp_path / 'file' / 'out'}: Not a directory" in done.stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "other").touch()
    done = run("--data", pairs, "-o", tmp_path / "full")
    assert done.stderr == f"Error: {tmp_path / 'full'} is not empty; name a new folder\n"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "full"]


def test_a_signal_stops_the_training_and_the_same_command_goes_on(tmp_path):
    with counting() as server:
        rows = [{"url": url, "caption": url} for url in server.thumbnails(60)]
        path = write_lines(tmp_path / "a.jsonl", rows)
        out = tmp_path / "out"
        words = ["--data", str(path), "-o", str(out), "--epochs", "3", "--batch-size", "2",
                 "--keep-worse"]  # fmt: skip
        process = subprocess.Popen([*COMMAND, *words], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        # The Trainer makes it right before the first of many steps.
        while not list(tmp_path.glob("out.training/checkpoints-*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "stopping; a second signal ends at once\n" in said
        kept = f"interrupted: {out}.training keeps what is done; the same command goes on\n"
        assert said.endswith(kept)
        assert not out.exists()
        asked = server.requests
        assert run(*words).exit_code == 0
        assert server.requests == asked
    assert len(record_of(out)["losses"]) == 3 * 27
    assert not (tmp_path / "out.training").exists()


def test_of_two_processes_one_fetches_and_one_writes(tmp_path, tmp_path_factory):
    said = tmp_path_factory.mktemp("said")
    with counting() as server:
        rows = [{"url": url, "caption": url} for url in server.thumbnails(24)]
        path = write_lines(tmp_path / "a.jsonl", rows)
        words = ["--data", path, "-o", tmp_path / "out", "--epochs", 1, "--batch-size", 8,
                 "--keep-worse", "--json"]  # fmt: skip
        script = [sys.executable, "-m", "tests.serve.train.two", str(said), str(free_port())]
        alone = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        with subprocess.Popen(
            [*script, *map(str, words), *FLAGS], cwd=ROOT, env=os.environ | alone,
            start_new_session=True,
        ) as two:  # fmt: skip
            try:
                assert two.wait(timeout=300) == 0
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(two.pid, signal.SIGKILL)
        assert server.requests == 24
    assert (said / "1.out").read_text() == ""
    record = json.loads((said / "0.out").read_text())
    assert record == record_of(tmp_path / "out")
    assert record["processes"] == 2
    assert leftovers(tmp_path) == ["a.jsonl", "out"]


def test_a_signal_stops_the_fetching_and_leaves_nothing(gated_server, tmp_path):
    # Every image waits: a set of images that did not would be kept.
    gates = [gated_server.url(f"/gate?{index}") for index in range(40)]
    path = write_lines(tmp_path / "a.jsonl", [{"url": url, "caption": url} for url in gates])
    words = ["--data", str(path), "-o", str(tmp_path / "out")]
    process = subprocess.Popen([*COMMAND, *words], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert gated_server.reached.wait(60)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "interrupted: the same command goes on"
    assert leftovers(tmp_path) == ["a.jsonl"]
