"""`sweetspot export`: the graphs of a checkpoint, saved for quick starts."""

from __future__ import annotations

import time
from pathlib import Path

import click

from model.checkpoints.checkpoint import Checkpoint
from model.errors import ModelError
from model.files import check_folder
from model.load import open_checkpoint


def run(model: str | None, output: str | None) -> int:
    """Save the graphs beside the checkpoint, or a whole artifact in another folder."""
    start_s = time.perf_counter()
    try:
        checkpoint = open_checkpoint(model)
        folder = _export(checkpoint, Path(output) if output else checkpoint.folder)
    except ModelError as exc:
        raise click.ClickException(str(exc)) from exc
    except OSError as exc:
        where = output or "the folder of the checkpoint"
        raise click.ClickException(f"cannot write to {where}: {exc.strerror or exc}") from exc
    size = sum(path.stat().st_size for path in folder.iterdir())
    took_s = time.perf_counter() - start_s
    click.echo(f"{folder}: {size / 1e6:.1f} MB, exported and compared in {took_s:.1f} s")
    return 0


def _export(checkpoint: Checkpoint, artifact: Path) -> Path:
    from model.fidelity.exported import export

    check_folder(artifact)
    return export(checkpoint, artifact)
