"""URLs to embeddings as Daft's documentation does it: download, decode, and a class of its own.

python daft_script.py CHECKPOINT URLS OUTPUT
"""

import sys
from pathlib import Path
from typing import Any

import daft
import torch
from daft import col
from transformers import CLIPModel, CLIPProcessor

BATCH = 32
DIMENSION = 512


@daft.cls(max_concurrency=1)
class Embedder:
    """A model in a process of its own."""

    def __init__(self, checkpoint: str) -> None:
        self.model = CLIPModel.from_pretrained(checkpoint).eval()
        self.processor = CLIPProcessor.from_pretrained(checkpoint)

    @daft.method.batch(
        return_dtype=daft.DataType.embedding(daft.DataType.float32(), DIMENSION), batch_size=BATCH
    )
    def embed(self, images: Any) -> Any:
        """Embed a batch."""
        inputs = self.processor(images=images.to_pylist(), return_tensors="pt")
        with torch.inference_mode():
            found = self.model.get_image_features(**inputs)
        vectors = getattr(found, "pooler_output", found)
        return list((vectors / vectors.norm(dim=-1, keepdim=True)).numpy())


def main(checkpoint: str, urls: str, output: str) -> None:
    embedder = Embedder(checkpoint)
    lines = Path(urls).read_text().split()
    (
        daft.from_pydict({"url": lines})
        .with_column("image", col("url").download(on_error="null"))
        .where(col("image").not_null())
        .with_column("image", col("image").decode_image(mode="RGB", on_error="null"))
        .where(col("image").not_null())
        .with_column("embedding", embedder.embed(col("image")))
        .exclude("image")
        .write_parquet(output)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
