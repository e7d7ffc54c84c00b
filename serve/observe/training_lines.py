"""Lines that a training writes to its log, and the expressions that find metrics in them. Pure.

SageMaker applies the expressions to every line of a training job; the first group is the value.
"""

from __future__ import annotations

from typing import Any

_NUMBER = r"([0-9.]+(?:e-?[0-9]+)?)"
_ANY = "[0-9.]+"
# Metric by name. AWS takes 40 of them, names of 255 and expressions of 500 characters
# (CreateTrainingJob, MetricDefinition).
METRICS = {
    "train:loss": rf"step \d+ of \d+, .*loss {_NUMBER}",
    "train:learning_rate": f"learning rate {_NUMBER}",
    "train:images_per_second": f"{_NUMBER} images/s",
    "validation:recall_at_1_text_to_image": f"recall@1 {_NUMBER} text to image",
    "validation:recall_at_1_image_to_text": (
        f"recall@1 {_ANY} text to image, {_NUMBER} image to text"
    ),
    "forgetting:recall_at_1_text_to_image": f"base's own {_NUMBER} text to image",
    "forgetting:recall_at_1_image_to_text": (
        f"base's own {_ANY} text to image, {_NUMBER} image to text"
    ),
}


def step_line(step: Any) -> str:
    """Return the line of a step. step: `model.training.report.Step`."""
    return (
        f"step {step.step} of {step.steps}, epoch {step.epoch} of {step.epochs}, "
        f"loss {step.loss:.3f}, learning rate {step.learning_rate:.3g}, "
        f"{step.images_per_s:.1f} images/s"
    )


def epoch_line(step: Any) -> str:
    """Return the line of an epoch's evaluation. step: its last one, with results."""
    return f"epoch {step.epoch} of {step.epochs}, loss {step.loss:.3f}, {recalls(step.results)}"


def recalls(results: dict[str, Any]) -> str:
    """Return recall at 1 of the held-out pairs, and of the base's own. results: of `Step`."""
    words = f"recall@1 {_both(results['held_out'])}"
    if results.get("forgetting"):
        words += f"; of the base's own {_both(results['forgetting'])}"
    return words


def _both(found: dict[str, Any]) -> str:
    there, back = found["text_to_image"]["1"], found["image_to_text"]["1"]
    return f"{there:.3f} text to image, {back:.3f} image to text"
