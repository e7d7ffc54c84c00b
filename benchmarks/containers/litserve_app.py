"""CLIP on LitServe. A plain script, because it runs in an environment of its own.

Follows LitServe's documentation: `decode_request` loads images, here on a pool of threads; `batch`
joins the requests that LitServe collected; `predict` is one forward pass over all of them.

    POST /invocations {"urls": [...]} -> {"embeddings": [[...], ...]}, of unit norm
"""

import argparse
import io
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import litserve
import requests
import torch
from PIL import Image
from requests.adapters import HTTPAdapter
from transformers import CLIPModel, CLIPProcessor

DOWNLOADS = 16
TIMEOUT_S = 10


class Clip(litserve.LitAPI):  # type: ignore[misc]  # not installed where types are checked
    """A request is a list of URLs; a batch is a list of requests."""

    def __init__(self, folder: str, threads: int, **options: Any) -> None:
        super().__init__(api_path="/invocations", **options)
        self._folder, self._threads = folder, threads

    def setup(self, device: str) -> None:
        """Load the model in each worker."""
        torch.set_num_threads(self._threads)
        self.processor: Any = CLIPProcessor.from_pretrained(self._folder)
        model: Any = CLIPModel.from_pretrained(self._folder, dtype=torch.float32)
        self.model = model.eval().to(device)
        self.pool = ThreadPoolExecutor(DOWNLOADS)
        self.session = requests.Session()
        self.session.mount("http://", HTTPAdapter(pool_maxsize=DOWNLOADS))

    # LitServe takes the request's type from the annotation, if there is one.
    def decode_request(self, request) -> list[Image.Image]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """Download and decode a request's images in parallel."""
        return list(self.pool.map(self._load, request["urls"]))

    # Called only if max_batch_size is more than 1.
    def batch(self, inputs: list[list[Image.Image]]) -> tuple[torch.Tensor, list[int]]:
        """Return the pixels of all requests, and the number of images of each."""
        images = [image for one in inputs for image in one]
        pixels = self.processor(images=images, return_tensors="pt")["pixel_values"]
        return pixels, [len(one) for one in inputs]

    @torch.inference_mode()
    def predict(self, batch: tuple[torch.Tensor, list[int]]) -> list[torch.Tensor]:
        """Run one forward pass; return the embeddings of each request."""
        pixels, counts = batch
        features = self.model.get_image_features(pixel_values=pixels).pooler_output
        return list((features / features.norm(dim=-1, keepdim=True)).split(counts))

    def unbatch(self, output: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the output unchanged: it is already one entry per request."""
        return output

    def encode_response(self, output: torch.Tensor) -> dict[str, Any]:
        """Return the embeddings as JSON."""
        return {"embeddings": output.tolist()}

    def _load(self, url: str) -> Image.Image:
        response = self.session.get(url, timeout=TIMEOUT_S)
        response.raise_for_status()
        return Image.open(io.BytesIO(response.content)).convert("RGB")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--max-batch-size", type=int, default=2)
    parser.add_argument("--batch-timeout", type=float, default=0.05)
    asked = parser.parse_args()
    batching = {"max_batch_size": asked.max_batch_size, "batch_timeout": asked.batch_timeout}
    server = litserve.LitServer(
        Clip(asked.model, asked.threads, **batching),
        accelerator="cpu",
        workers_per_device=asked.workers,
        healthcheck_path="/ping",
        timeout=120,
    )
    server.run(host="127.0.0.1", port=asked.port, generate_client_file=False)


if __name__ == "__main__":
    main()
