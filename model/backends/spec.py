"""What an encoder of a checkpoint announces, whichever back end runs it."""

from __future__ import annotations

from model.checkpoints.checkpoint import Checkpoint, fingerprint
from model.config import POLICY_VERSIONS, Backend, ModelConfig, Precision
from model.encoder import EncoderSpec


def spec_of(
    checkpoint: Checkpoint,
    config: ModelConfig,
    backend: Backend,
    device: str,
    precision: Precision,
    quantized: str = "",
) -> EncoderSpec:
    """Sizes of the checkpoint, identity of what runs.

    device: as shown, with the name of a card. quantized: digest of int8 graphs, whose embeddings
    are of their own.
    """
    policy = POLICY_VERSIONS[config.policy]
    return EncoderSpec(
        name=config.name or checkpoint.name,
        image_size=checkpoint.image_size,
        dimension=checkpoint.dimension,
        context_length=checkpoint.context_length,
        mean=checkpoint.mean,
        std=checkpoint.std,
        backend=backend,
        device=device,
        precision=precision,
        fingerprint=fingerprint(checkpoint, policy, quantized),
        preprocessing=f"{policy} {checkpoint.geometry}",
    )
