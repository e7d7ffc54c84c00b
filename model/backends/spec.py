"""The spec of a checkpoint's encoder on any back end."""

from __future__ import annotations

from model.checkpoints.checkpoint import Checkpoint, fingerprint
from model.config import POLICY_VERSIONS, Backend, ModelConfig, Precision
from model.encoder import EncoderSpec
from model.images.preprocess import ImagePreprocessing


def spec_of(
    checkpoint: Checkpoint,
    config: ModelConfig,
    backend: Backend,
    device: str,
    precision: Precision,
    quantized: str = "",
) -> EncoderSpec:
    """Return the sizes of the checkpoint and the identity of the encoder.

    device: as displayed, with the name of a card. quantized: digest of int8 graphs, which changes
    the fingerprint.
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
        preprocessing=ImagePreprocessing(
            checkpoint.geometry, config.policy, config.max_image_pixels
        ),
        scores=checkpoint.scores,
    )
