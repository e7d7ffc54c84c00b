"""transformers' Trainer with one step of its own: a contrastive loss with gradient caching.

After Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup" (2021).
Importing this needs accelerate.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments

from model.training.dual_encoder import DualEncoder, Embedded
from model.training.gathered import gathered
from model.training.learning.batches import Batches, Place, Places, Reader
from model.training.learning.loss import MAX_LOGIT_SCALE, contrastive_loss

Gradients = tuple[torch.Tensor, ...]


class ContrastiveTrainer(Trainer):
    """Trains a `DualEncoder`. losses: of every step, of the whole batch."""

    model: DualEncoder

    def __init__(
        self,
        model: DualEncoder,
        args: TrainingArguments,
        batches: Batches,
        reader: Reader,
        chunk_size: int,
        autocast: bool = False,
    ) -> None:
        """chunk_size: pairs that are embedded at once. autocast: in bfloat16."""
        super().__init__(model=model, args=args)
        self.batches, self.losses = batches, list[float]()
        self._reader, self._chunk_size, self._autocasts = reader, chunk_size, autocast

    def get_train_dataloader(self) -> DataLoader[Place]:
        """The batches are divided among the processes by `Batches`, not by accelerate."""
        cuda = self.args.device.type == "cuda"
        return DataLoader(
            Places(),
            batch_sampler=self.batches,
            collate_fn=self._reader,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=cuda,
        )

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Gains, biases and the temperature do not decay, as in CLIP's paper."""
        return [name for name, one in model.named_parameters() if one.ndim >= 2]

    def training_step(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        num_items_in_batch: torch.Tensor | int | None = None,  # noqa: ARG002 - Trainer's
    ) -> torch.Tensor:
        """Compute the loss of the whole batch, and pass its gradients back chunk by chunk."""
        model.eval()  # no dropout: a chunk is embedded twice, and must be the same
        batch = self._prepare_inputs(inputs)
        chunks = self._chunks(batch)
        whole = len(chunks) == 1
        with torch.set_grad_enabled(whole):
            found = [self._embed(model, chunk) for chunk in chunks]
        loss, rows, numbers = self._gradients(found, batch["captions"])
        for index, (chunk, gradients) in enumerate(zip(chunks, rows, strict=True), start=1):
            last = index == len(chunks)
            with nullcontext() if last else self.accelerator.no_sync(model):
                embedded = found[0] if whole else self._embed(model, chunk)
                surrogate = self._surrogate(embedded, gradients, numbers if last else ())
                self.accelerator.backward(surrogate)
        self.losses.append(loss.item())
        return loss

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        optimizer: Any = self.optimizer
        return float(optimizer.param_groups[0]["lr"])

    def clamp_scale(self) -> None:
        """Keep the factor of softmax at or below 100."""
        if self.model.kind == "softmax":
            with torch.no_grad():
                self.model.model.logit_scale.clamp_(max=MAX_LOGIT_SCALE)

    def _chunks(self, batch: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        starts = range(0, len(batch["pixels"]), self._chunk_size)
        ranges = [slice(start, start + self._chunk_size) for start in starts]
        return [{name: batch[name][rows] for name in ("pixels", "tokens")} for rows in ranges]

    def _embed(self, model: nn.Module, chunk: dict[str, torch.Tensor]) -> Embedded:
        device = self.args.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self._autocasts):
            return Embedded(*model(**chunk))

    def _gradients(
        self, found: list[Embedded], captions: torch.Tensor
    ) -> tuple[torch.Tensor, list[Gradients], Gradients]:
        """Return the loss over all processes, and its gradients.

        First those of this process's images and texts, each [n, D], chunk by chunk, then those of
        the scale and, if there is one, the bias.
        """
        images = gathered(torch.cat([one.images for one in found]).detach()).requires_grad_()
        texts = gathered(torch.cat([one.texts for one in found]).detach()).requires_grad_()
        numbers = [one.detach().clone().requires_grad_() for one in found[0].numbers]
        loss = contrastive_loss(self.model.kind, images, texts, gathered(captions), *numbers)
        by_image, by_text, *rest = torch.autograd.grad(loss, (images, texts, *numbers))
        row, rows = self.args.process_index * len(captions), list[Gradients]()
        for size in (len(one.images) for one in found):
            rows.append((by_image[row : row + size], by_text[row : row + size]))
            row += size
        return loss.detach(), rows, tuple(rest)

    def _surrogate(self, embedded: Embedded, rows: Gradients, numbers: Gradients) -> torch.Tensor:
        """Return a scalar whose gradients in the weights are those of the loss.

        DistributedDataParallel takes the mean over processes. Rows need the sum; scale and bias
        have the same gradient everywhere.
        """
        found = torch.zeros((), device=self.args.device)
        for output, gradient in zip((embedded.images, embedded.texts), rows, strict=True):
            if output.requires_grad:
                found = found + self.args.world_size * (output * gradient).sum()
        for output, gradient in zip(embedded.numbers, numbers, strict=False):
            found = found + output * gradient
        return found.sum()
