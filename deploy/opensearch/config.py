"""What OpenSearch is told of an endpoint: frozen, and checked before a request is made of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from deploy.errors import ConfigError
from deploy.template import names
from serve.settings import MODEL_NAME

Vectors = Literal["float32", "float16", "byte"]
VECTORS: tuple[Vectors, ...] = get_args(Vectors)
# The limit of a knn_vector field.
MAX_DIMENSION = 16_000
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}")
# A checkpoint's has 16 hexadecimal digits; names of indexes have no capitals.
_FINGERPRINT = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True)
class Connection:
    """An endpoint, the checkpoint it serves, and an index of its embeddings.

    Attributes:
        endpoint: its name in SageMaker.
        dimension: of its embeddings.
        model: one of several that it serves; None is its default.
        role_arn: the role that OpenSearch Service assumes; None for access keys.
        texts_only: many texts a request and no images, instead of a text, an image, or both.
        vectors: what the index keeps of float32.
    """

    endpoint: str
    region: str
    dimension: int
    fingerprint: str
    model: str | None = None
    role_arn: str | None = None
    texts_only: bool = False
    vectors: Vectors = "float32"

    def __post_init__(self) -> None:
        """Raise ConfigError for what OpenSearch or AWS would refuse later."""
        names.check_name(self.endpoint)
        _check_region(self.region)
        if not 1 <= self.dimension <= MAX_DIMENSION:
            raise ConfigError(f"--dimension {self.dimension}: must be from 1 to {MAX_DIMENSION:,}")
        if not _FINGERPRINT.fullmatch(self.fingerprint):
            raise ConfigError(f"--fingerprint {self.fingerprint}: must be 8 to 64 of 0-9, a-f")
        if self.model is not None and not MODEL_NAME.fullmatch(self.model):
            raise ConfigError(f"--model {self.model}: must be up to 64 of A-Z, a-z, 0-9, . _ -")
        if self.role_arn is not None and not _ROLE.fullmatch(self.role_arn):
            raise ConfigError(f"--role-arn {self.role_arn}: must be the ARN of an IAM role")

    @property
    def name(self) -> str:
        """The name of the index and of all that belongs to it.

        It has the fingerprint, so that the embeddings of two checkpoints are never in one index.
        """
        kind = "-texts" if self.texts_only else ""
        return f"{self.endpoint.lower()}-{self.fingerprint}{kind}"


def _check_region(region: str) -> None:
    if not _REGION.fullmatch(region):
        raise ConfigError(f"--region {region}: must look like eu-west-1")
    if region.startswith("cn-"):
        raise ConfigError(
            f"--region {region}: OpenSearch trusts endpoints of amazonaws.com only by default"
        )
