"""URLs to embeddings as Ray Data's documentation does batch inference on images of URIs.

    python ray_script.py CHECKPOINT URLS OUTPUT

Reads the URLs, downloads with `download`, decodes and embeds in an actor by transformers.
"""

import io
import os
import sys

import numpy as np
import ray
import torch
from PIL import Image
from ray.data.expressions import download
from transformers import CLIPModel, CLIPProcessor

BATCH = 32


class Embedder:
    """A model in an actor."""

    def __init__(self, checkpoint: str) -> None:
        self.model = CLIPModel.from_pretrained(checkpoint).eval()
        self.processor = CLIPProcessor.from_pretrained(checkpoint)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Embed a batch."""
        kept = [place for place, data in enumerate(batch["bytes"]) if data]
        images = [Image.open(io.BytesIO(batch["bytes"][place])).convert("RGB") for place in kept]
        inputs = self.processor(images=images, return_tensors="pt")
        with torch.inference_mode():
            found = self.model.get_image_features(**inputs)
        vectors = getattr(found, "pooler_output", found)
        vectors = (vectors / vectors.norm(dim=-1, keepdim=True)).numpy()
        return {"url": batch["text"][kept], "embedding": vectors}


def main(checkpoint: str, urls: str, output: str) -> None:
    # As many threads of torch as the actor has CPUs.
    cores = os.cpu_count() or 1
    (
        ray.data.read_text(urls)
        .with_column("bytes", download("text"))
        .map_batches(
            Embedder,
            fn_constructor_args=(checkpoint,),
            batch_size=BATCH,
            num_cpus=cores,
            compute=ray.data.ActorPoolStrategy(size=1),
        )
        .write_parquet(output)
    )


if __name__ == "__main__":
    # Its planner, its downloads and the model each hold a logical CPU: of two it never starts.
    ray.init(num_cpus=2 * (os.cpu_count() or 1), log_to_driver=False)
    main(*sys.argv[1:])
