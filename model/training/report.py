"""What a training tells while it runs and at its end."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """A step that is done. learning_rate: of the next one.

    results: recalls after an epoch, as in `Report.epochs`; None after any other step, and an
    epoch's last step is told twice: when it is done, and when it is evaluated.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float
    learning_rate: float
    images_per_s: float
    results: dict[str, Any] | None = None


@dataclass(frozen=True)
class Report:
    """The result of a fine-tuning, all of it as JSON has it.

    before, after: `held_out` and `forgetting`, each with `text_to_image` and `image_to_text`,
    shares by k; `forgetting` is None if there was no such set. after: of the weights as they are
    written, interpolated. epochs: the same of each, before interpolation; with its number.
    sweep: the same of shares of the tuned weights from 0 to 1, each with its `share`; empty unless
    asked for.
    best_epoch: whose weights are taken; 0 if no epoch was as good as the base, and then they are
    the last epoch's. fingerprint: of the artifact; empty in other processes than the first.
    ended_early: there were further epochs to train. losses: of every step.
    hardest: held-out captions whose pictures are found last: text, row, rank, the row found first.
    counts: of pairs, and of the weights that change. took_s: of steps alone.
    """

    base: str
    fingerprint: str
    options: dict[str, Any]
    counts: dict[str, int]
    before: dict[str, Any]
    after: dict[str, Any]
    epochs: list[dict[str, Any]]
    sweep: list[dict[str, Any]]
    best_epoch: int
    ended_early: bool
    losses: list[float]
    hardest: list[dict[str, Any]]
    took_s: float
    images_per_s: float
    processes: int
    versions: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)
