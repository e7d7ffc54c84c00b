"""The simplest container: Flask, requests, Pillow and transformers, as documented.

One forward pass a request, in float32, on all cores. MODEL is the checkpoint's folder. Images are
downloaded and decoded one after another, or on a pool of DOWNLOADS threads.

    POST /invocations {"urls": [...]} or {"texts": [...]}, or the bytes of an image/*
    -> {"embeddings": [[...], ...]}, of unit norm
"""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
import torch
from flask import Flask, jsonify, request
from PIL import Image
from requests.adapters import HTTPAdapter
from transformers import CLIPModel, CLIPProcessor

DOWNLOADS = int(os.environ.get("DOWNLOADS", "1"))
TIMEOUT_S = 10

app = Flask(__name__)
processor: Any = CLIPProcessor.from_pretrained(os.environ["MODEL"])
model: Any = CLIPModel.from_pretrained(os.environ["MODEL"], dtype=torch.float32)
model.eval()
pool = ThreadPoolExecutor(DOWNLOADS) if DOWNLOADS > 1 else None
session = requests.Session()
session.mount("http://", HTTPAdapter(pool_maxsize=max(10, DOWNLOADS)))


def load(url: str) -> Image.Image:
    response = session.get(url, timeout=TIMEOUT_S)
    response.raise_for_status()
    return Image.open(io.BytesIO(response.content)).convert("RGB")


def load_all(urls: list[str]) -> list[Image.Image]:
    return list(pool.map(load, urls) if pool else map(load, urls))


def unit_norm(features: torch.Tensor) -> torch.Tensor:
    unit: torch.Tensor = features / features.norm(dim=-1, keepdim=True)
    return unit


@torch.inference_mode()
def embed_images(images: list[Image.Image]) -> torch.Tensor:
    inputs = processor(images=images, return_tensors="pt")
    features = model.get_image_features(**inputs).pooler_output
    return unit_norm(features)


@torch.inference_mode()
def embed_texts(texts: list[str]) -> torch.Tensor:
    inputs = processor(text=texts, return_tensors="pt", padding=True, truncation=True)
    features = model.get_text_features(**inputs).pooler_output
    return unit_norm(features)


@app.get("/ping")
def ping() -> Any:
    return {}


@app.post("/invocations")
def invocations() -> Any:
    if (request.content_type or "").startswith("image/"):
        features = embed_images([Image.open(io.BytesIO(request.data)).convert("RGB")])
    elif "texts" in (asked := request.get_json()):
        features = embed_texts(asked["texts"])
    else:
        features = embed_images(load_all(asked["urls"]))
    return jsonify(embeddings=features.tolist())
