"""`sweetspot convert`, and what it writes served and embedded with."""

import json
import subprocess

from tests.checkpoints import make_checkpoint
from tests.e2e.service import ROOT, command, without_proxies
from tests.model.convert.sources import pickled


def run(*arguments):
    return subprocess.run(
        command(*map(str, arguments)),
        cwd=ROOT,
        env=without_proxies(),
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_converted_checkpoint_embeds(tmp_path):
    source = pickled(make_checkpoint(tmp_path / "first", "shallow"), tmp_path / "source")
    made = run("convert", source, "-o", tmp_path / "target")
    assert made.returncode == 0, made.stderr
    found, result = made.stdout.splitlines()
    assert found == f"{source}: a checkpoint of transformers whose weights are pickles (CLIP)"
    assert "cosine to the source at least 1.0000" in result
    assert result.endswith(f"serve it: sweetspot serve --model {tmp_path / 'target'}")
    shown = run(
        "embed", "--model", tmp_path / "target", "--backend", "torch", "--format", "jsonl",
        "--text", "login",
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert len(json.loads(shown.stdout)["embedding"]) == 24
