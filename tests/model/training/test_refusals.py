"""What cannot be trained on, or is not kept: one sentence, and nothing half-written."""

import sys
from dataclasses import replace

import pytest

from model.errors import TrainingError
from model.training.fine_tune import fine_tune
from model.training.options import TrainOptions
from model.training.run import WorseThanBase
from tests.disk import full_disk
from tests.model.training.coloured import coloured

OPTIONS = TrainOptions(learning_rate=1e-3, batch_size=54, epochs=1)


@pytest.fixture
def refused(shallow, tmp_path):
    """Fine-tune, and return the message of the error."""

    def run(train=None, options=OPTIONS, output=tmp_path / "artifact", error=TrainingError):
        with pytest.raises(error) as failed:
            fine_tune(str(shallow), train or coloured(), coloured(1), options, output)
        assert "\n" not in str(failed.value)
        return str(failed.value)

    return run


def test_what_finds_less_than_the_base_is_written_only_if_asked_to(shallow, tmp_path):
    first = tmp_path / "first"
    fine_tune(
        str(shallow), coloured(), coloured(1), replace(OPTIONS, learning_rate=3e-3, epochs=8), first
    )
    bad = replace(OPTIONS, learning_rate=1.0, epochs=4, patience=2)
    with pytest.raises(
        WorseThanBase, match="recall at 1 is 0.* and was 0.*; nothing was"
    ) as failed:
        fine_tune(str(first), coloured(), coloured(1), bad, tmp_path / "second")
    assert not (tmp_path / "second").exists()
    report = failed.value.report
    assert (report.best_epoch, report.ended_early, len(report.epochs)) == (0, True, 2)
    kept = fine_tune(
        str(first), coloured(), coloured(1), replace(bad, keep_worse=True), tmp_path / "second"
    )
    assert kept.after["held_out"] == kept.epochs[-1]["held_out"]
    assert (tmp_path / "second" / "model.safetensors").is_file()


def test_pairs_that_do_not_fit(refused):
    pairs = coloured()
    assert "have the shape (16, 16, 3); the base takes (32, 32, 3)" in refused(coloured(side=16))
    few = replace(pairs, captions=pairs.captions[:-1])
    assert "108 training pictures, 107 captions and 108 groups" in refused(few)
    bare = replace(pairs, captions=[("a",), (), *pairs.captions[2:]])
    assert "row 1 of the training pairs has no caption" in refused(bare)
    bare = replace(pairs, captions=[(), *pairs.captions[1:]])
    assert "row 0 of the training pairs has no caption" in refused(bare)


def test_a_folder_with_something_in_it(refused, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    assert "is not empty" in refused(output=tmp_path / "notes")


def test_a_loss_that_is_no_number(refused):
    bad = replace(OPTIONS, learning_rate=1e30)
    assert "the embeddings are no numbers any more; lower" in refused(options=bad)
    assert "the loss is nan at step 3; lower" in refused(options=replace(bad, batch_size=20))


def test_a_full_disk_leaves_nothing_behind(refused, tmp_path):
    output = tmp_path / "artifact"
    with full_disk():
        refused(error=OSError)
    assert not output.exists() or not any(output.iterdir())


def test_checkpoints_that_cannot_be_written(refused, tmp_path):
    (tmp_path / "file").write_text("no folder")
    refused(options=replace(OPTIONS, checkpoints=tmp_path / "file" / "in"), error=OSError)
    options = replace(OPTIONS, checkpoints=tmp_path / "checkpoints", save_every_s=0)
    with full_disk():
        message = refused(options=options, error=OSError)
    assert "no checkpoint can be written" in message
    assert not (tmp_path / "artifact").exists()


def test_the_packages_of_the_extra_are_named_if_missing(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    monkeypatch.setitem(sys.modules, "peft", None)
    said = "training needs accelerate and peft; install them: pip install 'sweetspot-clip[train]'"
    assert said in refused()
