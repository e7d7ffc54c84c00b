"""Conversion of a source to a folder, which is kept if it embeds as the source does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from model.backends.torch_encoder import TorchEncoder
from model.backends.weights_file import write_weights
from model.checkpoints.checkpoint import locate, verify
from model.checkpoints.hub import download_any
from model.checkpoints.layouts import WEIGHTS, Kind, clip_folder, kind_of, unpack_with
from model.config import ModelConfig
from model.convert import adapter, transformers_folder
from model.convert.open_clip.registry import PREFIX, hub_id
from model.convert.openai.plan import plan_file, plan_open_clip
from model.convert.plan import Plan
from model.convert.siglip import plan as siglip
from model.convert.siglip.settings import is_siglip
from model.errors import CheckpointError
from model.fidelity.check import Expected, Row
from model.files import whole_folder

# Thumbnails, and texts beside some odd ones, that are embedded by the source and by the result.
COMPARED = 8


def convert(source: str, target: Path, base: str | None, say: Callable[[str], object]) -> Row:
    """Convert a folder, a file or a hub id to a checkpoint in `target`, whole or not at all.

    Args:
        source: where it is; or `openclip:MODEL/TAG`, as open_clip names it.
        target: a folder that does not exist, or is empty.
        base: of an adapter; None is the one that it names.
        say: is told in a line what was found.

    Returns:
        The comparison with the source.

    Raises:
        CheckpointError: the message says in one sentence what is not supported, broken or missing,
            or that the result differs from its source.
        OSError: the folder cannot be written.
    """
    if target.exists() and any(target.iterdir()):
        raise CheckpointError(f"{target} is not empty; choose another folder")
    planned = plan(source, base)
    say(f"{source}: {planned.words}")
    return write(planned, target)


def write(planned: Plan, target: Path) -> Row:
    """Write a plan and compare the result with its source. Raises as `convert` does."""
    with whole_folder(target) as folder:
        with _speaking_of(planned.path, folder):
            write_weights(planned.weights, folder / WEIGHTS)
            planned.write_rest(folder)
            row = _compare(planned, folder)
        if row.below:
            raise CheckpointError(
                f"the result differs from {planned.path} and was not kept: {'; '.join(row.below)}"
            )
    return row


def plan(source: str, base: str | None) -> Plan:
    """Find and read a source. Raises CheckpointError."""
    try:
        return _plan(source, base)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as exc:
        raise CheckpointError(f"{source} is not a checkpoint: {exc}") from exc


def _plan(source: str, base: str | None) -> Plan:
    if source.startswith(PREFIX):
        source = hub_id(source)
    is_weights = Path(source).is_file() and unpack_with(Path(source)) is None
    found: Path | str = Path(source) if is_weights else locate(source)
    path = found if isinstance(found, Path) else download_any(found)
    kind = kind_of(path)
    if base is not None and kind is not Kind.ADAPTER:
        raise CheckpointError(f"--base is for adapters, and {source} is none")
    match kind:
        case Kind.SERVED:
            raise CheckpointError(
                f"{source} needs no conversion; serve it: sweetspot serve --model {source}"
            )
        case Kind.PICKLED:
            return transformers_folder.plan(path, kind.value)
        case Kind.SENTENCE_TRANSFORMERS:
            return transformers_folder.plan(clip_folder(path), kind.value)
        case Kind.ADAPTER:
            return adapter.plan(path, base)
        case Kind.OPEN_CLIP:
            return siglip.plan(path) if is_siglip(path) else plan_open_clip(path)
        case Kind.FILE:
            return plan_file(path)
        case None:
            raise CheckpointError(
                f"{source} holds no checkpoint of a known layout: of transformers, "
                "sentence-transformers, PEFT, OpenAI or open_clip"
            )


def _compare(planned: Plan, folder: Path) -> Row:
    """Embed the same items with the source and with what was written."""
    checkpoint = verify(folder)
    encoder = TorchEncoder(checkpoint, ModelConfig(device="cpu", policy="reference"))
    try:
        source = planned.source(checkpoint, encoder.tokenizer)
        return Expected(checkpoint, COMPARED, source).judge(encoder)
    finally:
        encoder.close()


@contextmanager
def _speaking_of(source: Path, folder: Path) -> Iterator[None]:
    """Let errors name the source, not the unfinished folder."""
    try:
        yield
    except CheckpointError as exc:
        message = str(exc).replace(str(folder / WEIGHTS), str(source))
        raise CheckpointError(message.replace(str(folder), str(source))) from exc
