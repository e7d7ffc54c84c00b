import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from model.checkpoints.checkpoint import verify
from model.checkpoints.graphs import find
from model.config import ModelConfig
from model.load import load
from model.training.fine_tune import fine_tune
from model.training.judging.recall import Questions, recalls
from model.training.options import TrainOptions
from tests.model.training.coloured import coloured

OPTIONS = TrainOptions(
    learning_rate=3e-3, batch_size=54, epochs=12, patience=12, augment=False, sweep=True
)


@pytest.fixture(scope="module")
def tuned(shallow, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned") / "artifact"
    steps = []
    report = fine_tune(
        str(shallow), coloured(), coloured(1, seed=1), OPTIONS, folder, progress=steps.append
    )
    return report, steps, folder


def test_the_artifact_is_served_with_the_recall_of_the_report(tuned):
    report, _, folder = tuned
    assert find(verify(folder), "float32")
    encoder = load(ModelConfig(model=str(folder), device="cpu"))
    held_out = coloured(1, seed=1)
    questions = Questions(held_out)
    images = encoder.encode_images(held_out.pixels)
    texts, _ = encoder.encode_texts(questions.texts)
    served = recalls(*questions.ranks(images, texts)).as_dict()
    assert served == report.after["held_out"]
    assert encoder.spec.fingerprint == report.fingerprint
    encoder.close()


def test_it_finds_more_than_the_base(tuned):
    report, _, _ = tuned
    before, after = report.before["held_out"], report.after["held_out"]
    for direction in ("text_to_image", "image_to_text"):
        assert after[direction]["1"] >= before[direction]["1"] + 0.3


def test_the_report_is_in_the_artifact(tuned):
    report, steps, folder = tuned
    assert json.loads((folder / "training.json").read_text()) == report.as_dict()
    assert len(report.losses) == 24 == sum(step.results is None for step in steps)
    assert [step.results["held_out"] for step in steps if step.results] == [
        one["held_out"] for one in report.epochs
    ]
    assert steps[-1].step == steps[-1].steps == 24
    best = max(report.epochs, key=lambda one: sum(both["1"] for both in one["held_out"].values()))
    assert report.best_epoch == best["epoch"]
    ranks = [one["rank"] for one in report.hardest]
    assert ranks == sorted(ranks, reverse=True)
    assert all(rank > 0 for rank in ranks)


def test_a_sweep_tells_what_other_shares_of_the_tuned_weights_would_give(tuned, shallow, tmp_path):
    report, _, _ = tuned
    assert [one["share"] for one in report.sweep] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert report.sweep[0]["held_out"] == report.before["held_out"]
    assert report.sweep[-1]["held_out"] == report.after["held_out"]
    options = replace(OPTIONS, interpolate=0.5, keep_worse=True, sweep=False)
    half = fine_tune(
        str(shallow), coloured(), coloured(1, seed=1), options, tmp_path, forgetting=coloured(1)
    )
    assert half.after["held_out"] == report.sweep[2]["held_out"]
    assert half.epochs[-1]["held_out"] == report.epochs[-1]["held_out"]
    assert half.after["forgetting"]["text_to_image"].keys() == {"1", "5", "10"}


def test_lora_trains_a_share_of_the_weights_and_writes_plain_ones(shallow, tmp_path):
    options = replace(OPTIONS, lora=4, epochs=1, keep_worse=True, sweep=False)
    report = fine_tune(str(shallow), coloured(), coloured(1, seed=1), options, tmp_path)
    assert 2_000 < report.counts["changed_weights"] < 10_000
    found, base = (load_file(one / "model.safetensors") for one in (tmp_path, shallow))
    assert found.keys() == base.keys()
    name = "vision_model.encoder.layers.0.mlp.fc1"
    assert not torch.equal(found[f"{name}.weight"], base[f"{name}.weight"])
    assert torch.equal(found[f"{name}.bias"], base[f"{name}.bias"])
