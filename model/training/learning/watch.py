"""What happens between the steps of the Trainer: evaluation, the best weights, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from model.errors import TrainingError
from model.training.gathered import any_process
from model.training.judging.evaluation import Evaluator
from model.training.learning.contrastive_trainer import ContrastiveTrainer
from model.training.learning.history import History
from model.training.learning.trainable import trained
from model.training.options import TrainOptions
from model.training.report import Step


class Watch(TrainerCallback):
    """Evaluates after each epoch, keeps the best, ends early, and says when to save.

    interrupted: whether it stopped because it was asked to.
    """

    def __init__(
        self,
        trainer: ContrastiveTrainer,
        evaluator: Evaluator,
        history: History,
        options: TrainOptions,
        progress: Callable[[Step], None],
        stop: Callable[[], bool],
    ) -> None:
        """options: settled. stop: asked after each step; True saves and ends."""
        self.interrupted = False
        self._trainer, self._evaluator, self._history = trainer, evaluator, history
        self._options, self._progress, self._stop = options, progress, stop
        self._saved_s = self._step_s = time.monotonic()

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Tell the batches which epoch it is."""
        self._trainer.batches.epoch = state.global_step // len(self._trainer.batches)
        self._step_s = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Check the loss, tell the progress, and decide whether to save or stop."""
        self._trainer.clamp_scale()
        self._count(state)
        due = time.monotonic() - self._saved_s >= self._options.save_every_s
        due, asked = any_process(due, self._stop(), device=args.device)
        if asked:
            self.interrupted = control.should_training_stop = True
        if (due or asked) and self._keeps() and not self._is_at_end(state):
            control.should_save = True

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Evaluate a whole epoch, and end if there was none better for a while."""
        if not self._is_at_end(state):
            return  # interrupted
        history, number = self._history, round(state.global_step / len(self._trainer.batches))
        found = self._evaluator.evaluate(self._trainer.model)
        history.epochs.append({"epoch": number, **found.as_dict()})
        score = found.held_out.score
        if score > history.score or (score == history.score and not history.best):
            history.score, history.best_epoch = score, number
            history.best = trained(self._trainer.model)
        waited = number - history.best_epoch >= self._options.patience
        history.ended = waited or state.global_step >= state.max_steps
        control.should_training_stop = control.should_training_stop or history.ended
        control.should_save = self._keeps()
        self._tell(state, found.as_dict())
        self._step_s = time.monotonic()

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Finish the checkpoint that the Trainer has written."""
        if state.is_world_process_zero:
            self._history.save(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}")
        self._saved_s = self._step_s = time.monotonic()

    def _count(self, state: TrainerState) -> None:
        loss = self._trainer.losses[-1]
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} at step {state.global_step}; lower the learning rate"
            )
        now_s = time.monotonic()
        self._history.took_s += now_s - self._step_s
        self._step_s = now_s
        self._history.losses.append(loss)
        self._tell(state)

    def _tell(self, state: TrainerState, results: dict[str, Any] | None = None) -> None:
        steps = len(self._trainer.batches)
        self._progress(
            Step(
                step=state.global_step,
                steps=state.max_steps,
                epoch=(state.global_step - 1) // steps + 1,
                epochs=state.max_steps // steps,
                loss=self._history.losses[-1],
                learning_rate=self._trainer.learning_rate,
                images_per_s=self._images_per_s(),
                results=results,
            )
        )

    def _images_per_s(self) -> float:
        seen = len(self._history.losses) * (self._options.batch_size or 0)
        return seen / max(self._history.took_s, 1e-9)

    def _keeps(self) -> bool:
        return self._options.checkpoints is not None

    def _is_at_end(self, state: TrainerState) -> bool:
        """Whether an epoch is whole. It is saved after its evaluation, not before."""
        return state.global_step % len(self._trainer.batches) == 0
