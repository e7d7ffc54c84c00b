"""The folder of a training job as SageMaker lays it out, and the job as a process of its own."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager

from tests.e2e.service import ROOT
from tests.serve.train.sets import pairs_file

RUN = """
import sys
from pathlib import Path
from serve.commands.train.command import train
from serve.commands.train.job.run import run
raise SystemExit(run(train, Path(sys.argv[1]), int(sys.argv[2])))
"""
# All are strings, as SageMaker gives them.
QUICK = {
    "epochs": "4", "batch_size": "8", "chunk-size": "1", "keep-worse": "True",
    "preprocess_processes": "0", "sagemaker_region": "us-east-1",
}  # fmt: skip
# Images by channel. Without a channel of its own what is held out would depend on the paths.
PAIRS = {"train": 24, "validation": 4}
PORT = 29_500


def lay_out(root, hyperparameters=QUICK, channels=tuple(PAIRS), hosts=("algo-1",), host="algo-1"):
    """A job of these; its channels have pairs."""
    for name in channels:
        pairs_file(root / "input" / "data" / name, PAIRS[name])
    config = root / "input" / "config"
    config.mkdir(parents=True)
    channel = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated",
               "RecordWrapperType": "None"}  # fmt: skip
    for name, value in (
        ("hyperparameters", hyperparameters),
        ("inputdataconfig", dict.fromkeys(channels, channel)),
        ("resourceconfig", {"current_host": host, "hosts": list(hosts),
                            "network_interface_name": "lo"}),
    ):  # fmt: skip
        (config / f"{name}.json").write_text(json.dumps(value))
    return root


def started(root, port=PORT, **environ):
    """The job of a folder, as a process whose output is to be read."""
    words = [sys.executable, "-c", RUN, str(root), str(port)]
    return subprocess.Popen(
        words, cwd=ROOT, env=os.environ | environ, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@contextmanager
def read_only(folder):
    """A folder that nobody writes to, not even in passing: as FastFile mounts a channel."""
    before = snapshot(folder)
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        yield
    finally:
        for path in paths:
            path.chmod(0o755)
    assert snapshot(folder) == before


def snapshot(folder):
    return {str(path): path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}
