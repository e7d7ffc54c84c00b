"""Full-size model with its profile, for the benchmarks under load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.checkpoints import make_checkpoint

MODEL = "ViT-B/32 of the public configuration, random weights"


def tuned_checkpoint(folder: Path) -> Path:
    """Make the model and measure its profile; return its folder."""
    checkpoint = make_checkpoint(folder / "vit-b-32", "vit-b-32")
    command = [sys.executable, "-m", "sweetspot", "benchmark", "encoder"]
    arguments = ["--model", str(checkpoint), "--write-profile", str(checkpoint)]
    subprocess.run([*command, *arguments], check=True)
    return checkpoint


def image_batches(url: str) -> tuple[float, float]:
    """Return the number of image batches that a service has run, and the items in them."""
    text = requests.get(f"{url}/metrics", timeout=10).text
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("tower") == "image"
    }
    return found["sweetspot_batch_size_count"], found["sweetspot_batch_size_sum"]
