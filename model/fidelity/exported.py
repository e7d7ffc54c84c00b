"""The graphs of a checkpoint, exported and compared with the model before they are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.graphs import Graphs
from model.config import ModelConfig
from model.encoder import Encoder
from model.errors import CheckpointError
from model.fidelity.cosines import fidelity

# Tracing turns conditions into constants, so the saved graphs are compared with the model.
MAX_DIFFERENCE = 1e-5
TEXTS = ("login", "dark dashboard with a bar chart on a tablet, in green")


def export(checkpoint: Checkpoint, artifact: Path) -> Path:
    """Save the graphs, and the checkpoint if it is in another folder.

    Returns:
        The folder of the graphs.

    Raises:
        CheckpointError: the graphs differ from the model, or as `model.backends.export.save`.
        OSError: they cannot be written.
    """
    from model.backends.convert import convert
    from model.backends.export import save
    from model.backends.openvino_encoder import OpenVinoEncoder
    from model.backends.torch_encoder import TorchEncoder

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
