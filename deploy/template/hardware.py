"""Instance types, their GPUs, and the machine image whose driver an image's CUDA needs. Pure."""

from __future__ import annotations

import re

from deploy.errors import ConfigError

INSTANCE_TYPE = re.compile(r"ml\.(?P<family>[a-z][a-z0-9-]*)\.(?P<size>[a-z0-9]+)")

# The image takes torch 2.13 from PyPI, built for CUDA 13.0: pytorch/pytorch#190355.
IMAGE_CUDA = "13.0"
# NVIDIA's driver of each machine image: ProductionVariant.InferenceAmiVersion in SageMaker's API.
ENDPOINT_AMIS = {
    "al2-ami-sagemaker-inference-gpu-2-1": 535,
    "al2-ami-sagemaker-inference-gpu-3-1": 550,
    "al2023-ami-sagemaker-inference-gpu-4-1": 580,
}
# TransformResources.TransformAmiVersion in SageMaker's API.
TRANSFORM_AMIS = {"al2-ami-sagemaker-batch-gpu-470": 470, "al2-ami-sagemaker-batch-gpu-535": 535}
# The oldest driver, and the oldest compute capability, of a CUDA version: NVIDIA's "CUDA
# Compatibility", table of minor version compatibility, and the release notes of 12.0 and 13.0.
OLDEST_DRIVER = {12: 525, 13: 580}
OLDEST_CAPABILITY = {12: 5.0, 13: 7.5}
# GPUs older than Turing; all other GPUs of SageMaker have 7.5 or more.
OLD_CAPABILITY = {"p2": 3.7, "g3": 5.2, "p3": 7.0, "p3dn": 7.0}


def family(instance_type: str) -> str:
    """`ml.g5.xlarge` -> `g5`.

    Raises:
        ConfigError: not an instance type.
    """
    found = INSTANCE_TYPE.fullmatch(instance_type)
    if not found:
        raise ConfigError(f"--instance-type {instance_type}: must look like ml.c7i.xlarge")
    if found["family"].startswith(("inf", "trn")):
        raise ConfigError(f"--instance-type {instance_type}: only CPUs and NVIDIA GPUs work")
    return found["family"]


def is_gpu(instance_type: str) -> bool:
    """Return whether the instance has NVIDIA GPUs."""
    return re.match(r"[gp]\d", family(instance_type)) is not None


def cuda_major(cuda: str) -> int:
    """`13.0` -> 13.

    Raises:
        ConfigError: an unknown version.
    """
    major = cuda.partition(".")[0]
    if not re.fullmatch(r"[0-9]{1,2}\.[0-9]{1,2}", cuda) or int(major) not in OLDEST_DRIVER:
        raise ConfigError(f"--cuda {cuda}: must be a version of CUDA 12 or 13, such as 13.0")
    return int(major)


def check_capability(instance_type: str, cuda: str) -> None:
    """Raise ConfigError if an instance has a GPU that is too old for the image's CUDA."""
    if not is_gpu(instance_type):
        return
    oldest = OLDEST_CAPABILITY[cuda_major(cuda)]
    capability = OLD_CAPABILITY.get(family(instance_type))
    if capability is not None and capability < oldest:
        raise ConfigError(
            f"--instance-type {instance_type}: its GPU has compute capability {capability}, and "
            f"the image's CUDA {cuda} needs {oldest} or more"
        )


def machine_image(instance_type: str, cuda: str, *, transform: bool) -> str | None:
    """Return the machine image with the newest driver, which runs older CUDA; None without GPU.

    Raises:
        ConfigError: the image's CUDA is known not to run there.
    """
    if not is_gpu(instance_type):
        return None
    check_capability(instance_type, cuda)
    major = cuda_major(cuda)
    amis = TRANSFORM_AMIS if transform else ENDPOINT_AMIS
    newest = max(amis, key=amis.__getitem__)
    if amis[newest] < OLDEST_DRIVER[major]:
        raise ConfigError(
            f"--instance-type {instance_type}: the newest driver of batch transform is "
            f"{amis[newest]}, and the image's CUDA {cuda} needs {OLDEST_DRIVER[major]}; "
            "use CPU instances, or an asynchronous endpoint"
        )
    return newest
