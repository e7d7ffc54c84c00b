"""What `sweetspot convert` makes of a folder of open_clip, against open_clip's own code.

Run by `make parity-openclip`. Both sides have the same Pillow, so that pixels can be equal.
"""

import numpy as np
import pytest

from model.checkpoints.checkpoint import verify
from model.checkpoints.tokenizer import Tokenizer
from model.config import ModelConfig
from model.fidelity.cosines import fidelity
from model.load import load
from tests.images import encode, odd_images, picture
from tests.openclip.answers import PLAIN, ask, converted, pictures_for
from tests.openclip.golden import GOLDEN, MODELS, TEXTS
from tests.openclip.rules import filled, later_by

pytestmark = pytest.mark.openclip
SIDES = {
    "small-vit": 32, "small-vit-squash": 48, "small-rn": 64, "small-siglip": 32,
    "small-siglip2": 37, "ViT-B-32-quickgelu": 224, "ViT-L-14": 224, "RN50": 224, "RN50x4": 288,
    "ViT-B-16-SigLIP": 224, "ViT-B-32-SigLIP2-256": 256, "small-convnext": 64,
    "small-convnext-mlp": 70, "convnext_base_w": 256, "convnext_large_d": 256,
}  # fmt: skip
# The other kind of GELU in a small SigLIP makes 5e-5.
CLOSE = 5e-6
# Read by a SigLIP without punctuation, and in small letters.
REWRITTEN = [
    "Sign-in_form: <b>new</b>!", "two\n\nlines\tand a\u00a0blank", "ΟΔΟΣ ΣΑΣ, Σ",
    "İSTANBUL ÄÖÜ ẞ", "¿qué? «no»", "  ", "!?", "ｆｕｌｌ", "①②", "don't", "x" * 400,
]  # fmt: skip
# Each is repaired by open_clip in its own way.
REPAIRED = {
    "“curly” quotes, don’t": '"curly" quotes, don\'t',
    "salt &amp; pepper &lt;b&gt;": "salt & pepper <b>",
    "ＦＵＬＬ　ｗｉｄｔｈ": "FULL width",
    "ﬁne ligatures": "fine ligatures",
    "cafÃ© of a wrong encoding": "café of a wrong encoding",
    "a\x00b\x07c": "abc",
    "a \x1b[31mred\x1b[0m line": "a red line",
}


@pytest.mark.parametrize("name", SIDES)
def test_pixels_tokens_and_embeddings_are_open_clips(name, tmp_path):
    pictures = pictures_for(SIDES[name])
    theirs = ask(name, tmp_path / "asked", pictures, PLAIN)
    folder = converted(theirs)
    checkpoint = verify(folder)
    ids, _ = Tokenizer.of_checkpoint(checkpoint)(PLAIN)
    np.testing.assert_array_equal(ids, filled(theirs.ids, checkpoint.family)[:, : ids.shape[1]])
    for backend in ("torch", "openvino"):
        config = ModelConfig(model=str(folder), device="cpu", backend=backend, policy="reference")
        encoder = load(config)
        pixels = [encoder.spec.preprocessing(one) for one in pictures]
        for data, ours, other in zip(pictures, pixels, theirs.pixels, strict=True):
            assert_equal_or_later(ours, other, *later_by(data, checkpoint.geometry))
        rows = {
            "images": fidelity(encoder.encode_images(list(theirs.pixels)), theirs.images),
            "texts": fidelity(encoder.encode_texts(PLAIN)[0], theirs.texts),
        }
        for what, row in rows.items():
            print(name, backend, what, f"{row.plain.min:.9f} {row.max_difference:.2e}")
            assert row.plain.min >= 0.99999
            assert row.max_difference <= CLOSE
        own = fidelity(encoder.encode_images(pixels), theirs.images).plain.min
        print(name, backend, f"with own pixels, cut up to a px earlier: {own:.6f}")
        encoder.close()
    assert_told_apart(theirs.images)
    assert_told_apart(theirs.texts)


def test_open_clip_repairs_a_text_and_the_service_does_not(tmp_path):
    texts = [*PLAIN, *REPAIRED]
    theirs = ask("small-vit", tmp_path / "asked", [encode(picture())], texts)
    checkpoint = verify(converted(theirs))
    tokenizer = Tokenizer.of_checkpoint(checkpoint)
    expected = filled(theirs.ids, checkpoint.family)
    assert theirs.cleaned[len(PLAIN) :] == list(REPAIRED.values())
    repaired, raw = tokenizer(theirs.cleaned)[0], tokenizer(texts)[0]
    np.testing.assert_array_equal(repaired, expected[:, : repaired.shape[1]])
    differs = (raw != expected[:, : raw.shape[1]]).any(axis=1)
    assert [text for text, one in zip(texts, differs, strict=True) if one] == list(REPAIRED)


@pytest.mark.parametrize(
    ("name", "repaired"), [("small-siglip2", ["ｆｕｌｌ"]), ("ViT-B-16-SigLIP", [])]
)
def test_a_siglip_rewrites_a_text_as_open_clip_does(name, repaired, tmp_path):
    """The pieces of the published SigLIPs hold full-width letters to be the usual ones."""
    theirs = ask(name, tmp_path / "asked", [encode(picture())], REWRITTEN)
    ids, _ = Tokenizer.of_checkpoint(verify(converted(theirs)))(REWRITTEN)
    differs = (ids != theirs.ids).any(axis=1)
    assert [text for text, one in zip(REWRITTEN, differs, strict=True) if one] == repaired


def test_open_clip_resizes_before_it_makes_rgb(tmp_path):
    """Equal for RGB and grey. A palette it resizes without a filter; alpha weighs its colours."""
    rgb = picture(70, 70)
    clear = rgb.copy()
    clear.putalpha(picture(70, 70, "L", seed=2))
    modes = {mode: encode(rgb.convert(mode)) for mode in ("RGB", "L", "LA", "P")} | {
        "CMYK": encode(rgb.convert("CMYK"), "TIFF"),
        "16 bits of grey": odd_images()["grey-16.png"],
        "turned by EXIF": odd_images()["exif-6.jpg"],
        "RGBA": encode(clear),
    }
    theirs = ask("small-vit", tmp_path / "asked", modes.values(), PLAIN)
    config = ModelConfig(model=str(converted(theirs)), device="cpu", policy="reference")
    preprocess = load(config).spec.preprocessing
    differences = {
        mode: int(abs(preprocess(data).astype(int) - other).max())
        for (mode, data), other in zip(modes.items(), theirs.pixels, strict=True)
    }
    print(differences)
    for mode in ("RGB", "L", "LA", "turned by EXIF"):
        assert differences[mode] == 0
    assert differences["CMYK"] <= 1
    for mode in ("P", "RGBA", "16 bits of grey"):
        assert differences[mode] > 1, "docs/checkpoints.md says otherwise"


@pytest.mark.parametrize("name", MODELS)
def test_the_golden_vectors_are_open_clips(name, tmp_path):
    """If not, tests/openclip/golden.py writes them again."""
    pictures = [(GOLDEN / "picture.png").read_bytes()]
    theirs = ask(name, tmp_path / "asked", pictures, TEXTS)
    with np.load(GOLDEN / name / "found.npz") as found:
        for key, value in found.items():
            np.testing.assert_allclose(getattr(theirs, key), value, rtol=0, atol=1e-6)


def assert_equal_or_later(ours, theirs, across, down):
    """Compare uint8 [S, S, 3] where both show the picture. across, down: how late theirs is, px."""
    rows, columns = len(ours) - down, len(ours) - across
    np.testing.assert_array_equal(ours[down:, across:], theirs[:rows, :columns])


def assert_told_apart(embeddings):
    """Else equal embeddings would say little."""
    cosines = embeddings @ embeddings.T
    print(f"between items, at least {cosines.min():.4f}")
    assert cosines.min() < 0.99
