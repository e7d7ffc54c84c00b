"""`sweetspot export`: the graphs of a checkpoint, saved for quick starts."""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np

from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.graphs import Graphs
from model.config import ModelConfig
from model.encoder import Encoder
from model.errors import CheckpointError, ModelError
from model.fidelity.cosines import fidelity
from model.files import check_folder
from model.load import open_checkpoint

# Tracing turns conditions into constants, so the saved graphs are compared with the model.
MAX_DIFFERENCE = 1e-5
TEXTS = ("login", "dark dashboard with a bar chart on a tablet, in green")


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
    from model.backends.convert import convert
    from model.backends.export import save
    from model.backends.openvino_encoder import OpenVinoEncoder
    from model.backends.torch_encoder import TorchEncoder

    check_folder(artifact)
    encoder = TorchEncoder(checkpoint, ModelConfig(device="cpu"))

    def check(graphs: Graphs) -> None:
        config = ModelConfig(precision="float32")
        _compare(encoder, OpenVinoEncoder(checkpoint, config, graphs))

    towers = convert(encoder)
    return save(artifact, "float32", checkpoint, towers, encoder.tokenizer, check=check)


def _compare(encoder: Encoder, exported: Encoder) -> None:
    """Raise CheckpointError when the graphs compute something else."""
    side = encoder.spec.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    difference = max(
        fidelity(exported.encode_images(pixels), encoder.encode_images(pixels)).max_difference,
        fidelity(exported.encode_texts(TEXTS)[0], encoder.encode_texts(TEXTS)[0]).max_difference,
    )
    if not difference <= MAX_DIFFERENCE:
        raise CheckpointError(
            f"the graphs differ from the model by {difference:.1e}, and were not kept; "
            "run it with --backend torch"
        )
