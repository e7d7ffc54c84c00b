import math

import numpy as np
import pytest
import torch

from model.training.learning.loss import contrastive_loss

RNG = np.random.default_rng(0)
CAPTIONS = np.array([4, 7, 4, 9, 1])


def unit(count=5, dimension=3):
    found = RNG.normal(size=(count, dimension))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def loss_of(kind, images, texts, captions, scale, bias=None):
    numbers = [torch.tensor(one, dtype=torch.float64) for one in (math.log(scale), bias) if one]
    found = contrastive_loss(
        kind, torch.tensor(images), torch.tensor(texts), torch.tensor(captions), *numbers
    )
    return found.item()


def log_sum(logits, ignored):
    return math.log(
        sum(math.exp(one) for one, left in zip(logits, ignored, strict=True) if not left)
    )


def test_softmax_is_the_mean_cross_entropy_of_rows_and_columns_without_equal_captions():
    images, texts = unit(), unit()
    logits = 7.0 * images @ texts.T
    ignored = (CAPTIONS[:, None] == CAPTIONS[None]) & ~np.eye(5, dtype=bool)
    rows = [log_sum(logits[i], ignored[i]) - logits[i, i] for i in range(5)]
    columns = [log_sum(logits[:, i], ignored[:, i]) - logits[i, i] for i in range(5)]
    expected = (np.mean(rows) + np.mean(columns)) / 2
    assert loss_of("softmax", images, texts, CAPTIONS, 7.0) == pytest.approx(expected)


def test_sigmoid_judges_each_pairing_by_itself_without_equal_captions():
    images, texts = unit(), unit()
    logits = 7.0 * images @ texts.T - 2.0
    expected = 0.0
    for i in range(5):
        for j in range(5):
            if i == j or CAPTIONS[i] != CAPTIONS[j]:
                sign = 1 if i == j else -1
                expected += math.log(1 + math.exp(-sign * logits[i, j])) / 5
    found = loss_of("sigmoid", images, texts, CAPTIONS, 7.0, -2.0)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_a_row_of_an_equal_caption_costs_nothing_in_the_others_rows(kind):
    """With all captions equal, no pairing is wrong: only the right ones count."""
    images, texts = unit(), unit()
    found = loss_of(
        kind, images, texts, np.zeros(5, dtype=np.int64), 7.0, -2.0 if kind == "sigmoid" else None
    )
    right = 7.0 * (images * texts).sum(axis=1) - 2.0
    expected = 0.0 if kind == "softmax" else np.log1p(np.exp(-right)).mean()
    assert found == pytest.approx(expected)
