import math
import random
from itertools import islice

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer, CLIPModel, CLIPTokenizer

from model.checkpoints.checkpoint import verify
from model.synthetic.captions import caption
from model.training.corpus import Corpus, learnable, training_pixels
from model.training.retrieval import recall_at, recalls
from model.training.train import (
    CONTEXT_LENGTH,
    MAX_LOGIT_SCALE,
    Schedule,
    caption_tokenizer,
    contrastive_loss,
    create_model,
    fit,
    normalize,
    save,
)

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
    attributes = learnable()[::64]
    pixels = [[training_pixels((each, seed, 128)) for each in attributes] for seed in range(2)]
    return Corpus(attributes, np.stack(pixels))


@pytest.fixture(scope="module")
def trained(tokenizer, corpus, tmp_path_factory):
    """Losses of a few steps, the model and the folder it was saved in."""
    torch.manual_seed(0)
    model = create_model(len(tokenizer))
    schedule = Schedule(steps=8, batch_size=16, learning_rate=3e-4, warm_up=2)
    losses = list(fit(model, tokenizer, corpus.batches(16, seed=0), schedule))
    folder = tmp_path_factory.mktemp("checkpoint")
    save(model, tokenizer, folder)
    return losses, model, folder


def test_a_few_steps_lower_the_loss(trained):
    losses, model, _ = trained
    assert len(losses) == 8
    assert losses[0] == pytest.approx(math.log(16), rel=0.2)
    assert min(losses[-3:]) < 0.95 * losses[0]
    assert not model.training


def test_the_saved_folder_is_a_whole_checkpoint_that_transformers_reads(trained):
    _, model, folder = trained
    again = CLIPModel.from_pretrained(folder).eval()
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
    checkpoint = verify(folder)
    assert (checkpoint.image_size, checkpoint.dimension) == (128, 128)
    assert checkpoint.context_length == CONTEXT_LENGTH
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "model.safetensors", "preprocessor_config.json",
        "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt",
    }  # fmt: skip


def test_the_end_of_a_text_is_the_last_id_of_the_vocabulary(trained):
    _, model, folder = trained
    text = model.config.text_config
    loaded = AutoTokenizer.from_pretrained(folder)
    assert loaded.eos_token_id == text.eos_token_id == text.vocab_size - 1
    assert loaded.bos_token_id == text.bos_token_id == text.vocab_size - 2
    assert loaded.pad_token_id == text.pad_token_id == text.eos_token_id


@pytest.mark.parametrize("text", TEXTS)
def test_every_reader_of_the_tokenizer_gives_the_same_ids(trained, text):
    folder = trained[2]
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


def test_the_loss_is_the_mean_cross_entropy_of_rows_and_columns():
    rng = np.random.default_rng(0)
    images, texts = (rng.normal(size=(5, 3)) for _ in range(2))
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    logits = 7.0 * images @ texts.T
    rows = [np.log(np.exp(logits[i]).sum()) - logits[i, i] for i in range(5)]
    columns = [np.log(np.exp(logits[:, i]).sum()) - logits[i, i] for i in range(5)]
    scale = torch.tensor(7.0, dtype=torch.float64).log()
    loss = contrastive_loss(torch.from_numpy(images), torch.from_numpy(texts), scale)
    assert loss.item() == pytest.approx((np.mean(rows) + np.mean(columns)) / 2)


def test_the_temperature_never_passes_its_limit(tokenizer, corpus):
    torch.manual_seed(0)
    model = create_model(len(tokenizer))
    model.logit_scale.data.fill_(9.0)
    list(fit(model, tokenizer, corpus.batches(4, seed=0), Schedule(steps=1, batch_size=4)))
    assert model.logit_scale.item() == pytest.approx(MAX_LOGIT_SCALE)


def test_the_learning_rate_rises_and_falls_to_zero():
    schedule = Schedule(steps=100, warm_up=10)
    rates = [schedule.rate(step) for step in range(101)]
    assert rates[9] == rates[10] == 1.0
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(0.0)


def test_a_batch_never_holds_one_combination_twice(corpus):
    whole = len(corpus.attributes)
    batches = corpus.batches(whole, seed=3)
    for pixels, texts in islice(batches, 3):
        assert pixels.shape == (whole, 128, 128, 3)
        assert len(texts) == whole
        assert len({each.tobytes() for each in pixels}) == whole


def test_batches_are_the_same_by_seed(corpus):
    first, again = corpus.batches(8, seed=5), corpus.batches(8, seed=5)
    for (pixels, texts), (others, words) in islice(zip(first, again, strict=False), 6):
        assert np.array_equal(pixels, others)
        assert texts == words


def test_pixels_are_normalised_by_channel():
    pixels = np.full((1, 2, 2, 3), 255, dtype=np.uint8)
    white = normalize(pixels)[0, :, 0, 0].tolist()
    assert white == pytest.approx([1.93, 2.07, 2.15], abs=0.01)


def test_recall_counts_the_first_k_and_ties_count_against_it():
    similarity = np.array([[3, 1, 2], [5, 4, 0], [1, 1, 1]], dtype=np.float32)
    assert recall_at(1, similarity) == pytest.approx(1 / 3)
    assert recall_at(2, similarity) == pytest.approx(2 / 3)
    assert recall_at(3, similarity) == 1.0
    assert recall_at(1, similarity, np.array([True, False, False])) == 1.0


def test_recalls_look_both_ways():
    images = np.eye(3, dtype=np.float32)
    texts = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 0, 1]], dtype=np.float32)
    found = recalls(texts @ images.T)
    assert found.text_to_image_1 == pytest.approx(2 / 3)
    assert found.image_to_text_1 == 1.0
    assert found.text_to_image_5 == found.image_to_text_5 == 1.0
