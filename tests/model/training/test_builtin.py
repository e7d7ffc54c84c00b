import math
import random
from dataclasses import replace

import numpy as np
import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer, CLIPModel, CLIPTokenizer

from model.checkpoints.checkpoint import verify
from model.synthetic.captions import caption
from model.training.builtin_model.builtin import CONTEXT_LENGTH, OPTIONS, caption_tokenizer, train
from model.training.builtin_model.corpus import learnable, pairs_of, rounds, training_pixels

TEXTS = (
    "A Dark LOGIN screen",
    "Zürich café, naïve — 漢字",
    "😀👩‍👩‍👧 !?",
    "don't, it's  I'm\n\tthere",
    "ǅ İstanbul ẞ 1234 e\u0301",
    "unseen words: xylophone qwertz",
    "",
)


@pytest.fixture(scope="module")
def tokenizer():
    return caption_tokenizer(seed=0)


@pytest.fixture(scope="module")
def corpus():
    """Rounds of a few combinations, uint8 [R, C, S, S, 3], and their attributes."""
    attributes = learnable()[::64]
    pixels = [[training_pixels((each, seed, 128)) for each in attributes] for seed in range(3)]
    return attributes, np.stack(pixels)


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """The report of a few steps, and the artifact."""
    attributes, pixels = corpus
    options = replace(OPTIONS, batch_size=16, epochs=4, warm_up=0.25, keep_worse=True)
    folder = tmp_path_factory.mktemp("artifact")
    pairs, held_out = (pairs_of(attributes, one, 0) for one in (pixels[:2], pixels[2:]))
    return train(pairs, len(attributes), held_out, options, folder), folder


def test_a_few_steps_lower_the_loss(trained):
    report, _ = trained
    assert len(report.losses) == 8
    assert report.losses[0] == pytest.approx(math.log(16), rel=0.2)
    assert min(report.losses[-3:]) < 0.95 * report.losses[0]


def test_the_artifact_is_a_whole_checkpoint_that_transformers_reads(trained):
    _, folder = trained
    assert CLIPModel.from_pretrained(folder).config.projection_dim == 128
    checkpoint = verify(folder)
    assert (checkpoint.image_size, checkpoint.dimension) == (128, 128)
    assert checkpoint.context_length == CONTEXT_LENGTH
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "model.safetensors", "preprocessor_config.json", "openvino",
        "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "training.json",
    }  # fmt: skip


def test_the_end_of_a_text_is_the_last_id_of_the_vocabulary(trained):
    _, folder = trained
    text = CLIPModel.from_pretrained(folder).config.text_config
    loaded = AutoTokenizer.from_pretrained(folder)
    assert loaded.eos_token_id == text.eos_token_id == text.vocab_size - 1
    assert loaded.bos_token_id == text.bos_token_id == text.vocab_size - 2
    assert loaded.pad_token_id == text.pad_token_id == text.eos_token_id


@pytest.mark.parametrize("text", TEXTS)
def test_every_reader_of_the_tokenizer_gives_the_same_ids(trained, text):
    folder = trained[1]
    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = plain.encode(text).ids
    assert AutoTokenizer.from_pretrained(folder, model_max_length=99)(text).input_ids == ids
    assert CLIPTokenizer.from_pretrained(folder, model_max_length=99)(text).input_ids == ids
    # No unknown token stands in for a word: that would be the end token.
    assert ids.count(plain.token_to_id("<|endoftext|>")) == 1


def test_captions_fit_the_context(tokenizer):
    rng = random.Random(1)
    texts = [caption(each, rng) for each in learnable()]
    assert max(len(ids) for ids in tokenizer(texts).input_ids) <= CONTEXT_LENGTH


def test_a_batch_never_holds_one_combination_twice():
    order = rounds(renditions=3, combinations=50, size=8, seed=3)
    for epoch in range(3):
        rows = order(epoch)
        assert len(rows) == 3 * 48
        assert len(set(rows)) == len(rows)
        for batch in rows.reshape(-1, 8):
            assert len({row % 50 for row in batch}) == 8
    assert order(1).tolist() == order(1).tolist() != order(0).tolist()


def test_a_row_is_a_picture_with_captions_of_its_combination(corpus):
    attributes, pixels = corpus
    pairs = pairs_of(attributes, pixels, seed=0)
    row = 2 * len(attributes) + 5
    assert np.array_equal(pairs.pixels[row], pixels[2, 5])
    assert pairs.groups[row] == "/".join(attributes[5])
    assert any(attributes[5].colour in text for text in pairs.captions[row])
