"""One fine-tuning, from the base to its report."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from model.backends.memory_errors import memory_errors
from model.backends.towers.load import float_weights
from model.checkpoints.checkpoint import Checkpoint, fingerprint
from model.checkpoints.layouts import WEIGHTS
from model.checkpoints.tokenizer import Tokenizer
from model.config import POLICY_VERSIONS, ModelConfig
from model.errors import TrainingError
from model.files import whole_files
from model.training.artifact import REPORT, write_checkpoint, write_json
from model.training.dual_encoder import DualEncoder
from model.training.gathered import processes, rank
from model.training.judging.evaluation import Evaluation, Evaluator
from model.training.learning.batches import Order
from model.training.learning.history import History, latest
from model.training.learning.trainable import (
    Weights,
    choose,
    interpolated,
    plain_weights,
    put,
    restore,
)
from model.training.memory import fitting_pairs
from model.training.options import TrainOptions
from model.training.pairs import Pairs
from model.training.report import Report, Step

PACKAGES = ("torch", "transformers", "accelerate", "peft")
# Rows whose pixels tell whether two runs have the same pairs.
SAMPLED_ROWS = 64
# Shares of the tuned weights, besides none of them.
SWEEP = (0.25, 0.5, 0.75, 1.0)
# What torch names when a file cannot be written: it has no type of error for that.
TORCH_WRITER = "PytorchStreamWriter"
# Options that change nothing that a checkpoint holds.
OTHER_OPTIONS = (
    "checkpoints", "save_every_s", "memory_bytes", "chunk_size", "interpolate", "sweep",
    "keep_worse",
)  # fmt: skip


class Interrupted(TrainingError):
    """The training was asked to stop. It goes on from its checkpoints, if it has a folder."""


class WorseThanBase(TrainingError):
    """The result finds less than the base and was not written. report: of this training."""

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


class Run:
    """The model, what it learns from, what it is judged by, and what became of it."""

    _history: History

    def __init__(
        self,
        checkpoint: Checkpoint,
        train: Pairs,
        held_out: Pairs,
        forgetting: Pairs | None,
        options: TrainOptions,
    ) -> None:
        """Load the base. Raises CheckpointError, TrainingError: it cannot be trained so."""
        self._checkpoint = checkpoint
        self._train, self._held_out, self._forgetting = train, held_out, forgetting
        torch.manual_seed(options.seed)
        self._model = DualEncoder(checkpoint)
        choose(self._model, options)
        fitting = fitting_pairs(self._model, options.memory_bytes)
        self._options = options.settled(len(train.pixels), self._model.width, fitting)
        self._tokenizer = Tokenizer.of_checkpoint(checkpoint)
        changed = (one.numel() for one in self._model.parameters() if one.requires_grad)
        self._changed_weights = sum(changed)
        chunk = self._options.chunk_size or 1
        self._evaluator = Evaluator(held_out, forgetting, self._tokenizer, chunk)

    def train(
        self,
        folder: Path,
        progress: Callable[[Step], None],
        stop: Callable[[], bool],
        order: Order | None,
    ) -> None:
        """Train from the start, or from the last checkpoint in a folder. Raises Interrupted."""
        from model.training.learning.fit import trainer_of
        from model.training.learning.watch import Watch

        model, options = self._model, self._options
        trainer = trainer_of(model, self._train, self._tokenizer, options, folder, order)
        identity = self._identity()
        found = latest(folder, identity)
        self._history = history = found[1] if found else self._beginning(identity)
        if found and history.ended:
            restore(model, load_file(found[0] / WEIGHTS))
            return
        watch = Watch(trainer, self._evaluator, history, options, progress, stop)
        trainer.add_callback(watch)
        with _training_errors(folder):
            trainer.train(resume_from_checkpoint=str(found[0]) if found else None)
        if watch.interrupted and not history.ended:
            on = f"; it goes on from {folder}" if options.checkpoints else ""
            raise Interrupted(f"stopped after step {len(history.losses)}{on}")
        del trainer, watch
        gc.collect()  # the optimizer's state is in circles of references

    def finish(self, base: str, output: Path) -> Report:
        """Evaluate what was learned, and write it. Raises WorseThanBase, OSError."""
        history, options = self._history, self._options
        restore(self._model, history.best)
        history.best.clear()
        tuned = plain_weights(self._model)
        mixes = options.sweep or options.interpolate < 1
        base_weights = float_weights(self._checkpoint.folder) if mixes else {}
        by_share = self._by_share(base_weights, tuned) if options.sweep else {}
        weights = interpolated(base_weights, tuned, options.interpolate)
        del tuned, base_weights
        after = by_share.get(options.interpolate) or self._evaluate(weights)
        report = self._report(base, after, by_share)
        is_worse = not history.best_epoch or after.held_out.score < history.first
        if is_worse and not options.keep_worse:
            raise WorseThanBase(
                f"the result finds fewer of the held-out pairs than the base: recall at 1 is "
                f"{after.held_out.score:.3f}, and was {history.first:.3f}; nothing was written",
                report,
            )
        if rank() == 0:
            with whole_files(output) as unfinished:
                written = write_checkpoint(self._checkpoint, weights, unfinished)
                report = replace(report, fingerprint=_fingerprint(written))
                write_json(unfinished / REPORT, report.as_dict())
        return report

    def _beginning(self, identity: str) -> History:
        found = self._evaluator.evaluate(self._model)
        score = found.held_out.score
        return History(identity, first=score, score=score, before=found.as_dict())

    def _by_share(self, base: Weights, tuned: Weights) -> dict[float, Evaluation]:
        """Evaluate what lies between the base and what was learned."""
        return {share: self._evaluate(interpolated(base, tuned, share)) for share in SWEEP}

    def _evaluate(self, weights: Weights) -> Evaluation:
        put(self._model, weights)
        return self._evaluator.evaluate(self._model)

    def _report(self, base: str, after: Evaluation, by_share: dict[float, Evaluation]) -> Report:
        history, options = self._history, self._options
        sweep = {share: one.as_dict() for share, one in by_share.items()}
        if sweep:
            sweep = {0.0: history.before, **sweep}
        return Report(
            base=base,
            fingerprint="",
            options=_plain(options),
            counts={
                "train": len(self._train.pixels),
                "held_out": len(self._held_out.pixels),
                "forgetting": len(self._forgetting.pixels) if self._forgetting else 0,
                "changed_weights": self._changed_weights,
            },
            before=history.before,
            after=after.as_dict(),
            epochs=history.epochs,
            sweep=[{"share": share, **found} for share, found in sweep.items()],
            best_epoch=history.best_epoch,
            ended_early=len(history.epochs) < (options.epochs or 0),
            losses=history.losses,
            hardest=after.hardest,
            took_s=history.took_s,
            images_per_s=len(history.losses) * (options.batch_size or 0) / history.took_s,
            processes=processes(),
            versions={name: version(name) for name in PACKAGES},
        )

    def _identity(self) -> str:
        """Return a digest of the base, the pairs and the options."""
        digest = hashlib.sha256(self._checkpoint.digest.encode())
        options = {
            name: one for name, one in _plain(self._options).items() if name not in OTHER_OPTIONS
        }
        digest.update(json.dumps(options, sort_keys=True).encode())
        for pairs in (self._train, self._held_out, self._forgetting):
            if pairs is not None:
                _add_pairs(digest, pairs)
        return digest.hexdigest()


@contextmanager
def _training_errors(folder: Path) -> Iterator[None]:
    """Translate errors of libraries. Raises OSError: no checkpoint can be written; OutOfMemory."""
    try:
        with memory_errors():
            yield
    except (SafetensorError, RuntimeError) as exc:
        if isinstance(exc, RuntimeError) and TORCH_WRITER not in str(exc):
            raise
        reason = str(exc).partition("\n")[0]
        raise OSError(
            f"no checkpoint can be written to {folder}; is the disk full? ({reason})"
        ) from exc


def _add_pairs(digest: Any, pairs: Pairs) -> None:
    """Add all captions, and the pixels of some rows."""
    count = len(pairs.pixels)
    for texts in pairs.captions:
        digest.update(json.dumps(texts).encode())
    for row in np.linspace(0, count - 1, min(count, SAMPLED_ROWS), dtype=int):
        digest.update(np.ascontiguousarray(pairs.pixels[row]).tobytes())


def _plain(options: TrainOptions) -> dict[str, Any]:
    """Return options as JSON has them."""
    found = asdict(options)
    return found | {"checkpoints": found["checkpoints"] and str(found["checkpoints"])}


def _fingerprint(checkpoint: Checkpoint) -> str:
    """Return the fingerprint under which the artifact is served by default."""
    return fingerprint(checkpoint, POLICY_VERSIONS[ModelConfig().policy])
