"""SageMaker's training contract: what a job's folder gives, and what it gets."""

import json
import re
import signal
import sys
import tarfile
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from model.checkpoints.checkpoint import BUILTIN_FOLDER, verify
from model.training.report import Step
from serve.commands.train.command import train
from serve.commands.train.job.folder import Cluster
from serve.commands.train.job.hyperparameters import words_of
from serve.commands.train.job.processes import Places, Processes
from serve.commands.train.job.run import run
from serve.observe.training_lines import METRICS, epoch_line, step_line
from tests.ports import free_port
from tests.serve.train.job.layout import QUICK, lay_out, read_only, started


def to_its_end(process):
    said, _ = process.communicate(timeout=600)
    return said


def found_metrics(said):
    found = {name: re.findall(regex, said) for name, regex in METRICS.items()}
    return {name: [float(one) for one in values] for name, values in found.items() if values}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A job that nothing disturbs: its folder and its log."""
    root = lay_out(tmp_path_factory.mktemp("job"))
    with read_only(root / "input"):
        process = started(root)
        said = to_its_end(process)
    assert process.returncode == 0, said
    return root, said


def test_a_job_trains_by_its_strings_and_leaves_an_artifact_and_a_page(done):
    root, said = done
    record = json.loads((root / "model" / "training.json").read_text())
    assert record["options"]["epochs"] == 4
    assert record["options"]["keep_worse"] is True
    images = {name: record["data"][name]["images"] for name in ("train", "held_out")}
    assert images == {"train": 24, "held_out": 4}
    assert verify(root / "model").digest != verify(BUILTIN_FOLDER).digest
    assert "<figure" in (root / "output" / "data" / "page.html").read_text()
    assert not (root / "output" / "failure").exists()
    assert sorted(one.name for one in root.iterdir()) == [
        "checkpoints", "input", "model", "output",
    ]  # fmt: skip
    assert "Traceback" not in said


def test_the_expressions_find_the_metrics_in_the_log(done):
    root, said = done
    record = json.loads((root / "model" / "training.json").read_text())
    found = found_metrics(said)
    assert {"train:loss", "train:learning_rate", "train:images_per_second"} <= found.keys()
    assert found["train:loss"][0] == pytest.approx(record["losses"][0], abs=1e-3)
    told = [one["held_out"]["text_to_image"]["1"] for one in record["epochs"]]
    assert found["validation:recall_at_1_text_to_image"] == pytest.approx(told, abs=1e-3)
    assert len(found["validation:recall_at_1_image_to_text"]) == len(told)


RECALLS = {
    name: {"text_to_image": {"1": there}, "image_to_text": {"1": back}}
    for name, there, back in (("held_out", 0.25, 0.5), ("forgetting", 0.75, 1.0))
}


@given(st.floats(0, 1e4), st.floats(1e-12, 1), st.floats(0, 1e6))
def test_every_value_of_a_line_is_found_by_the_expression_of_its_metric_alone(loss, rate, speed):
    step = Step(40, 640, 2, 32, loss, rate, speed)
    assert found_metrics(step_line(step)) == {
        "train:loss": [pytest.approx(loss, abs=1e-3)],
        "train:learning_rate": [pytest.approx(rate, rel=1e-2)],
        "train:images_per_second": [pytest.approx(speed, abs=0.1)],
    }
    assert found_metrics(epoch_line(replace(step, results=RECALLS))) == {
        "validation:recall_at_1_text_to_image": [0.25],
        "validation:recall_at_1_image_to_text": [0.5],
        "forgetting:recall_at_1_text_to_image": [0.75],
        "forgetting:recall_at_1_image_to_text": [1.0],
    }


def test_a_stopped_job_saves_its_state_and_goes_on_to_the_same_weights(done, tmp_path):
    """As a spot instance that is taken: the next one has its checkpoints, and nothing else."""
    root = lay_out(tmp_path)
    process = started(root)
    for line in process.stdout:
        if line.startswith("step "):
            process.send_signal(signal.SIGTERM)
            break
    said = to_its_end(process)
    assert process.returncode == 130, said
    assert f"interrupted: {root}/checkpoints keeps what is done" in said
    assert not (root / "output" / "failure").exists()
    assert not any((root / "model").iterdir())
    saved = list(root.glob("checkpoints/*/checkpoint-*/history.json"))
    assert saved

    for path in root.glob("input/data/*/shots/*"):
        path.touch()  # copied from S3 once more
    process = started(root)
    said = to_its_end(process)
    assert process.returncode == 0, said
    assert "step 1 of" not in said
    resumed, whole = map(trained, (root, done[0]))
    assert resumed[0] == pytest.approx(whole[0], abs=1e-6)
    assert max(abs(one - whole[1][name]).max() for name, one in resumed[1].items()) <= 1e-6


def trained(root):
    """Losses and weights of a job."""
    losses = json.loads((root / "model" / "training.json").read_text())["losses"]
    return losses, load_file(root / "model" / "model.safetensors")


def test_two_instances_train_together_and_the_first_one_alone_writes(done, tmp_path):
    hosts, port = ("127.0.0.1", "localhost"), free_port()
    roots = [lay_out(tmp_path / name, hosts=hosts, host=name) for name in hosts]
    processes = [started(root, port, CUDA_VISIBLE_DEVICES="") for root in roots]
    said = [to_its_end(one) for one in processes]
    assert [one.returncode for one in processes] == [0, 0], "\n".join(said)
    record = json.loads((roots[0] / "model" / "training.json").read_text())
    assert record["processes"] == 2
    assert record["losses"] == pytest.approx(trained(done[0])[0], abs=1e-4)
    assert [any(one.glob("model/*")) for one in roots] == [True, False]
    assert [any(one.glob("output/data/*")) for one in roots] == [True, False]


def small(root, **changes):
    """A job that ends before it trains."""
    return lay_out(root, **{"channels": ("train",)} | changes)


def config(name, text):
    def change(root):
        (root / "input" / "config" / f"{name}.json").write_text(text)

    return change


def channel(name, **facts):
    return config("inputdataconfig", json.dumps({"train": {}, name: facts}))


def damaged(root):
    for path in root.glob("input/data/train/shots/*"):
        path.write_bytes(b"\x89PNG\r\n\x1a\n damaged")


def without_pairs(root):
    (root / "input" / "data" / "train" / "pairs.jsonl").unlink()


def model_is_no_checkpoint(root):
    (root / "input" / "data" / "model").mkdir()
    (root / "input" / "data" / "model" / "model.tar.gz").write_bytes(b"nothing")


TWO = '{"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]}'


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (config("hyperparameters", '{"epoch": "2"}'), "hyperparameter epoch: train has no such op"),
        (config("hyperparameters", '{"epochs": "x"}'), "hyperparameter epochs: 'x' is not a valid"),
        (config("hyperparameters", '{"epochs": 2}'), "hyperparameter epochs: 2 is no string"),
        (config("hyperparameters", "{"), "hyperparameters.json cannot be read: Expecting"),
        (config("resourceconfig", '{"hosts": []}'), "resourceconfig.json: current_host None is no"),
        (channel("test"), "channel test: must be one of train, validation, forgetting, model"),
        (channel("train", TrainingInputMode="Pipe"), "channel train: its input mode must be File"),
        (channel("validation"), "channel validation: there is no folder "),
        (model_is_no_checkpoint, "channel model: model.tar.gz cannot be unpacked: "),
    ],
)  # fmt: skip
def test_a_job_that_cannot_start_leaves_one_sentence(tmp_path, capsys, harm, said):
    root = small(tmp_path)
    harm(root)
    assert run(train, root) == 1
    reason = (root / "output" / "failure").read_text()
    assert reason.startswith(said)
    assert "\n" not in reason
    assert capsys.readouterr().err == f"Error: {reason}\n"
    assert not (root / "model").exists()


def test_several_instances_need_all_of_a_channel_each(tmp_path):
    root = small(tmp_path)
    config("resourceconfig", TWO)(root)
    channel("train", S3DistributionType="ShardedByS3Key")(root)
    assert run(train, root) == 1
    said = "channel train: every instance needs all of it"
    assert (root / "output" / "failure").read_text().startswith(said)


@pytest.mark.parametrize(
    ("harm", "changes", "said"),
    [
        (damaged, {}, "at least 2 of 24 rows are bad, more than"),
        (without_pairs, {}, "/input/data/train names no file"),
        (lambda _: None, {"io_threads": "many"}, "io-threads"),
    ],
    ids=["damaged", "empty", "setting"],
)
def test_a_job_that_fails_leaves_the_sentence_of_the_command(tmp_path, capfd, harm, changes, said):
    root = small(tmp_path, hyperparameters=QUICK | changes)
    harm(root)
    assert run(train, root) == 1
    reason = (root / "output" / "failure").read_text()
    assert said in reason
    assert "\n" not in reason
    assert f"Error: {reason}\n" in capfd.readouterr().out


def test_of_a_long_reason_sagemaker_gets_what_it_shows(tmp_path):
    root = small(tmp_path)
    config("hyperparameters", json.dumps({"x" * 5000: "1"}))(root)
    assert run(train, root) == 1
    assert len((root / "output" / "failure").read_text()) == 1024


def test_an_archive_is_a_base_and_a_base_is_named_once(tmp_path):
    root = small(tmp_path, hyperparameters=QUICK | {"model": "builtin"})
    folder = root / "input" / "data" / "model"
    folder.mkdir()
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        archive.add(BUILTIN_FOLDER / "config.json", "config.json")
    assert run(train, root) == 1
    said = "the base is both a hyperparameter and a channel; name it once"
    assert (root / "output" / "failure").read_text() == said
    config("hyperparameters", json.dumps(QUICK))(root)
    assert run(train, root) == 1  # unpacked, but for the weights
    assert "model.safetensors" in (root / "output" / "failure").read_text()


def test_strings_become_words_of_the_command():
    given = {
        "learning_rate": "1e-4", "no-augment": "true", "keep-worse": "False", "lora": "8",
        "allow_host": "a.example,b.example", "model": "openai/clip-vit-base-patch32",
        "_tuning_objective_metric": "train:loss", "sagemaker_job_name": "a",
    }  # fmt: skip
    assert words_of(given, train) == [
        "--learning-rate=1e-4", "--no-augment", "--lora=8", "--allow-host=a.example",
        "--allow-host=b.example", "--model=openai/clip-vit-base-patch32",
    ]  # fmt: skip


def test_each_process_is_told_what_torchrun_would_tell_it():
    places = Places(Cluster(("algo-1", "algo-2"), 1, "eth0"), local=4)
    assert places.environ(3, cores=48) == {
        "RANK": "7", "LOCAL_RANK": "3", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4",
        "MASTER_ADDR": "algo-1", "MASTER_PORT": "29500", "OMP_NUM_THREADS": "12",
        "GLOO_SOCKET_IFNAME": "eth0", "NCCL_SOCKET_IFNAME": "eth0",
    }  # fmt: skip
    assert Places(Cluster(), local=1).environ(0, cores=4) == {}


ENDS = {
    "sentence": ("print('Error: no such pair'); print('at exit'); raise SystemExit(3)", 3,
                 "no such pair"),
    "traceback": ("raise ValueError('odd')", 1, "ValueError: odd"),
    "killed": ("import os; os.kill(os.getpid(), 9)", 137,
               "the training was ended by SIGKILL; is there too little memory?"),
    "silent": ("raise SystemExit(4)", 4, "the training ended with the exit code 4"),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_when_one_process_fails_the_others_end_and_its_reason_is_told(name, capfd):
    program, code, reason = ENDS[name]
    waits = "import signal; print('waits', flush=True); signal.pause()"
    commands = [[sys.executable, "-c", one] for one in (waits, program)]
    end = Processes().run(commands, [{}, {}])
    assert (end.code, end.reason, end.stopped) == (code, reason, False)
    assert "at exit" in capfd.readouterr().out or name != "sentence"


ASKS = """
import os, signal, sys
def stop(*_):
    print("Error: the disk is full", flush=True)
    os._exit({code})
signal.signal(signal.SIGTERM, stop)
os.kill(os.getppid(), signal.SIGTERM)
signal.pause()
"""


@pytest.mark.parametrize(("code", "stopped"), [(130, True), (1, False)])
def test_a_process_that_cannot_save_when_it_is_stopped_has_failed(code, stopped):
    """The child asks this process to stop, which passes that on to it."""
    end = Processes().run([[sys.executable, "-c", ASKS.format(code=code)]], [{}])
    assert (end.code, end.reason, end.stopped) == (code, "the disk is full", stopped)
