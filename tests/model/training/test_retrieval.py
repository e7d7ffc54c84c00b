import numpy as np
import pytest

from model.training.builtin_model.retrieval import recall_at, recalls


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
