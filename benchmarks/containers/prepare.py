"""Environments, checkpoints and profiles of the containers; made once and kept.

All of them are under FOLDER, which git ignores and `make clean` removes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.containers.container import Container
from benchmarks.containers.ours import VARIANTS
from benchmarks.containers.running import ROOT, LeftOut, last_words
from model.files import whole_folder
from tests.checkpoints import make_checkpoint

FOLDER = ROOT / ".peers"
LOGS, MODELS, ENVIRONMENTS = (FOLDER / name for name in ("logs", "models", "environments"))
# The same version for all containers: the comparison is of containers, not of torch versions.
TORCH = "torch==2.13.0"
DECISIVE = ("litserve", "infinity_emb", "torch", "transformers", "pillow")
# Variable with the index of torch's CPU builds, on Linux; empty: pip's own configuration.
TORCH_INDEX = "TORCH_INDEX"


def python_of(container: Container) -> Path:
    """Return the interpreter of a container. Raises LeftOut when its packages do not install."""
    if container.requirements is None:
        return Path(sys.executable)
    return environment(container.requirements)


def environment(requirements: str) -> Path:
    """Return the interpreter of an environment, made if missing. Raises LeftOut."""
    folder = ENVIRONMENTS / requirements
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _install(requirements, folder, python)
        (folder / "complete").touch()
    return python


def versions_of(container: Container) -> dict[str, str]:
    """Return the main packages' versions in a container's own environment, if it has one."""
    if container.requirements is None:
        return {}
    lines = _requirements(container.requirements).read_text().split()
    pinned = dict(one.split("==") for one in lines if "==" in one)
    return {one: pinned[one] for one in DECISIVE if one in pinned}


def model_of(container: Container, *, tune: bool) -> Path:
    """Return the model folder of a container, made if missing. Raises LeftOut."""
    checkpoint = MODELS / "checkpoint"
    if not checkpoint.exists():
        with whole_folder(checkpoint) as unfinished:
            make_checkpoint(unfinished, "vit-b-32")
    if container.name not in VARIANTS:
        return checkpoint
    variant, folder = VARIANTS[container.name], MODELS / container.name
    if not folder.exists():
        _make(variant.made_by, checkpoint, folder)
    if tune and variant.tuned and not (folder / "sweetspot.json").exists():
        _tune(container.name, folder)
    return folder


def stage_budget(container: Container) -> dict[str, float]:
    """Measure a variant's core-ms an image by stage (`benchmarks.budget`); empty on failure."""
    folder = str(MODELS / container.name)
    command = [sys.executable, "-m", "benchmarks.budget", "--model", folder]
    log = LOGS / f"{container.name}-budget.log"
    options = VARIANTS[container.name].options
    with log.open("wb") as file:
        done = subprocess.run(
            [*command, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=file, check=False
        )
    return dict(json.loads(done.stdout)) if done.returncode == 0 else {}


def forget_models() -> None:
    """Delete checkpoints and profiles, so that they are made again."""
    shutil.rmtree(MODELS, ignore_errors=True)


def _install(name: str, folder: Path, python: Path) -> None:
    """Install torch with its dependencies, then exactly the pinned packages of the file."""
    requirements = _requirements(name)
    index = os.environ.get(TORCH_INDEX)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    torch = [TORCH, "-c", str(requirements), *(["--index-url", index] if index else [])]
    _run(f"{name}-install", [sys.executable, "-m", "venv", str(folder)])
    _run(f"{name}-install", [*pip, *torch])
    _run(f"{name}-install", [*pip, "--no-deps", "-r", str(requirements)])


def _requirements(name: str) -> Path:
    return Path(__file__).with_name(f"{name}.txt")


def _make(made_by: Sequence[str], checkpoint: Path, folder: Path) -> None:
    """Run the variant's command, or copy the checkpoint with hard links."""
    with whole_folder(folder) as unfinished:
        if "{model}" not in made_by:
            shutil.copytree(checkpoint, unfinished, copy_function=os.link, dirs_exist_ok=True)
        if made_by:
            words = [one.format(model=checkpoint, folder=unfinished) for one in made_by]
            _run(f"{folder.name}-make", [sys.executable, "-m", "sweetspot", *words])


def _tune(name: str, folder: Path) -> None:
    """Write a profile. On a noisy machine none is written; the service then tunes at start."""
    command = [sys.executable, "-m", "sweetspot", "benchmark", "encoder", "--model", str(folder)]
    options = VARIANTS[name].options
    _run(f"{name}-tune", [*command, "--write-profile", str(folder), *options])


def _run(name: str, command: Sequence[str]) -> None:
    """Run a command. Raises LeftOut with the last line of its log."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name}.log"
    with log.open("wb") as file:
        done = subprocess.run(command, cwd=ROOT, stdout=file, stderr=file, check=False)
    if done.returncode:
        raise LeftOut(f"{name} failed: {last_words(log)}")
