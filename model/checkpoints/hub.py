"""Checkpoints from a model hub, through huggingface_hub with its cache and its variables."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from model.checkpoints.layouts import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    CONFIG,
    MODULES,
    OPEN_CLIP_CONFIG,
    OPEN_CLIP_WEIGHTS,
    PICKLE,
    PICKLE_INDEX,
    WEIGHTS,
    WEIGHTS_INDEX,
    clip_folder,
    convert_with,
    has_safetensors,
    kind_of,
)
from model.errors import CheckpointError

log = logging.getLogger(__name__)

# What a checkpoint that is served consists of; pickles do not belong to it.
CHECKPOINT = (
    CONFIG,
    WEIGHTS,
    WEIGHTS_INDEX,
    "model-?????-of-?????.safetensors",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "spiece.model",
)
# The same in a folder of sentence-transformers, and what tells the layouts of others.
FILES = (
    *CHECKPOINT,
    MODULES,
    *(f"*_CLIPModel/{name}" for name in CHECKPOINT),
    ADAPTER_CONFIG,
    OPEN_CLIP_CONFIG,
)
PICKLES = (PICKLE, PICKLE_INDEX, "pytorch_model-?????-of-?????.bin")
# What `download_any` asks for when there are no weights yet: one form of them is enough.
OTHER_WEIGHTS = (
    (ADAPTER_WEIGHTS[0], OPEN_CLIP_WEIGHTS[0]),
    (*PICKLES, *(f"*_CLIPModel/{name}" for name in PICKLES)),
    (ADAPTER_WEIGHTS[1], OPEN_CLIP_WEIGHTS[1]),
)


def download(hub_id: str) -> Path:
    """Fetch `owner/name` or `owner/name@revision`, or find it in the cache.

    HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE apply as usual. The folder's name is the
    commit. The cache stores the commit of each revision, so a later start works offline.

    Raises:
        CheckpointError: the checkpoint cannot be downloaded, or has no safetensors.
    """
    folder = _snapshot(hub_id, FILES)
    if not has_safetensors(clip_folder(folder)):
        kind = kind_of(folder)
        what = f"is {kind.value}, without {WEIGHTS}" if kind else f"has no {WEIGHTS}"
        raise CheckpointError(
            f"{hub_id} {what}; only safetensors are loaded; {convert_with(hub_id)}"
        )
    log.info("%s is at revision %s", hub_id.partition("@")[0], folder.name)
    return folder


def download_any(hub_id: str) -> Path:
    """Fetch a repository of any layout, for conversion: weights in one form, pickles last.

    Raises:
        CheckpointError: it cannot be downloaded, or has no weights that are known.
    """
    folder = _snapshot(hub_id, FILES)
    for names in OTHER_WEIGHTS:
        if _has_weights(folder):
            return folder
        folder = _snapshot(hub_id, (*FILES, *names))
    if not _has_weights(folder):
        raise CheckpointError(f"{hub_id} has no weights of a layout that can be converted")
    return folder


def _has_weights(folder: Path) -> bool:
    inner = clip_folder(folder)
    others = (PICKLE, PICKLE_INDEX, *ADAPTER_WEIGHTS, *OPEN_CLIP_WEIGHTS)
    return has_safetensors(inner) or any((inner / name).exists() for name in others)


def _snapshot(hub_id: str, patterns: Sequence[str]) -> Path:
    """Fetch the files of a repository that match. Raises CheckpointError."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repository, _, revision = hub_id.partition("@")
    try:
        return Path(
            snapshot_download(repository, revision=revision or None, allow_patterns=[*patterns])
        )
    except GatedRepoError as exc:
        raise CheckpointError(f"{hub_id}: access is gated; set HF_TOKEN") from exc
    except RepositoryNotFoundError as exc:
        raise CheckpointError(f"{hub_id}: no such repository, or it needs HF_TOKEN") from exc
    except RevisionNotFoundError as exc:
        raise CheckpointError(f"{hub_id}: no such revision") from exc
    except LocalEntryNotFoundError as exc:
        raise CheckpointError(
            f"{hub_id}: no such folder, not in the cache, and the hub cannot be reached"
        ) from exc
    except (OSError, ValueError) as exc:
        raise CheckpointError(f"{hub_id}: the download failed: {exc}") from exc
