"""Fine-tuning of a checkpoint on pairs of image and text."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from model.checkpoints.checkpoint import Checkpoint
from model.errors import TrainingError, install
from model.files import check_folder
from model.load import open_checkpoint
from model.training.artifact import check_output
from model.training.learning.batches import Order
from model.training.options import TrainOptions
from model.training.pairs import Pairs
from model.training.report import Report, Step
from model.training.run import Run


def fine_tune(
    base: str,
    train: Pairs,
    held_out: Pairs,
    options: TrainOptions,
    output: Path,
    forgetting: Pairs | None = None,
    progress: Callable[[Step], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    order: Order | None = None,
) -> Report:
    """Train, evaluate, and write an artifact, whole or not at all.

    With torchrun's environment, several processes train together; the first one writes.

    Args:
        base: a folder, a hub id, or `builtin`.
        train: to learn from.
        held_out: to judge by; of other groups.
        options: what changes, how, and what is kept.
        output: a folder that does not exist, or is empty.
        forgetting: what the base was good at, to tell whether it still is.
        progress: called after each step, and after each epoch's evaluation.
        stop: asked after each step; True saves a checkpoint and ends.
        order: of rows in each epoch; by default all of them, shuffled.

    Returns:
        The report, which is also in `training.json` of the artifact.

    Raises:
        TrainingError: the extra is missing, the pairs or the folder do not fit, or the loss is no
            number. Interrupted, WorseThanBase: nothing was written.
        CheckpointError: the base cannot be used. OSError: the disk cannot be written.
    """
    check_extra()
    check_output(output)
    if options.checkpoints:
        check_folder(options.checkpoints)
    checkpoint = open_checkpoint(base)
    for name, pairs in (("training", train), ("held-out", held_out), ("forgetting", forgetting)):
        if pairs is not None:
            _check(name, pairs, checkpoint)
    with ExitStack() as stack:
        folder = options.checkpoints or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        run = Run(checkpoint, train, held_out, forgetting, options)
        run.train(folder, progress, stop, order)
        return run.finish(base, output)


def check_extra() -> None:
    """Raise TrainingError if the packages of the extra are not installed."""
    if missing := [name for name in ("accelerate", "peft") if find_spec(name) is None]:
        raise TrainingError(
            f"training needs {' and '.join(missing)}; install them: {install('train')}"
        )


def _check(name: str, pairs: Pairs, checkpoint: Checkpoint) -> None:
    """Check that pairs belong together and fit the checkpoint. Raises TrainingError."""
    side, count = checkpoint.image_size, len(pairs.pixels)
    if pairs.pixels.shape[1:] != (side, side, 3):
        raise TrainingError(
            f"the {name} pictures have the shape {pairs.pixels.shape[1:]}; the base takes "
            f"{(side, side, 3)}"
        )
    if count < 2 or not len(pairs.captions) == len(pairs.groups) == count:
        raise TrainingError(
            f"there are {count} {name} pictures, {len(pairs.captions)} captions and "
            f"{len(pairs.groups)} groups; two or more of each are needed, as many of each"
        )
    bare = next((row for row, texts in enumerate(pairs.captions) if not texts), None)
    if bare is not None:
        raise TrainingError(f"row {bare} of the {name} pairs has no caption")
