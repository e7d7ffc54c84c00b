"""open_clip's names: to repositories on the hub, and a folder of it from there."""

import subprocess
import sys

import pytest

from model.convert.open_clip.registry import hub_id
from model.errors import CheckpointError
from tests.model.convert.sources import open_clip, openai_state
from tests.model.test_hub import ROOT, environ_of, hub


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("ViT-H-14/laion2b_s32b_b79k", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"),
        ("RN50/openai", "timm/resnet50_clip.openai"),
    ],
)
def test_a_model_and_a_tag_are_a_repository(name, repository):
    assert hub_id(f"openclip:{name}") == repository


def test_others_are_answered_with_what_is_near():
    with pytest.raises(
        CheckpointError, match="no model and tag 'ViT-H-14/laion'; near it are ViT-"
    ):
        hub_id("openclip:ViT-H-14/laion")
    with pytest.raises(CheckpointError, match="no model and tag '!!'$"):
        hub_id("openclip:!!")


def test_it_is_downloaded_and_converted(tmp_path):
    source = open_clip(tmp_path / "source", openai_state(), model={"quick_gelu": True})
    with hub({"timm/vit_base_patch32_clip_224.openai": source}) as (endpoint, _):
        words = ["convert", "openclip:ViT-B-32/openai", "-o", str(tmp_path / "target")]
        result = subprocess.run(
            [sys.executable, "-m", "sweetspot", *words],
            cwd=ROOT,
            env=environ_of(tmp_path / "home", endpoint),
            capture_output=True,
            text=True,
            timeout=600,
        )
    assert result.returncode == 0, result.stderr
    assert "openclip:ViT-B-32/openai: a checkpoint of open_clip: ViT, 2 layers" in result.stdout
