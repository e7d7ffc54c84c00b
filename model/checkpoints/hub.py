"""Checkpoints from a model hub, through huggingface_hub with its cache and its variables."""

from __future__ import annotations

import logging
from pathlib import Path

from model.checkpoints.checkpoint import CONVERT, WEIGHTS, WEIGHTS_INDEX
from model.errors import CheckpointError

log = logging.getLogger(__name__)

# Pickles are not downloaded.
FILES = (
    "config.json",
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
)


def download(hub_id: str) -> Path:
    """Fetch `owner/name` or `owner/name@revision`, or find it in the cache.

    HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE apply as usual. The folder's name is the
    commit. The cache stores the commit of each revision, so a later start works offline.

    Raises:
        CheckpointError: the checkpoint cannot be downloaded, or has no safetensors.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repository, _, revision = hub_id.partition("@")
    try:
        folder = Path(
            snapshot_download(repository, revision=revision or None, allow_patterns=list(FILES))
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
    if not (folder / WEIGHTS).exists() and not (folder / WEIGHTS_INDEX).exists():
        raise CheckpointError(f"{hub_id} has no {WEIGHTS}; only safetensors are loaded; {CONVERT}")
    log.info("%s is at revision %s", repository, folder.name)
    return folder
