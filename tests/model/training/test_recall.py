import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.training.judging.recall import Questions, recalls
from model.training.pairs import Pairs


def asked(*captions):
    pixels = np.zeros((len(captions), 1, 1, 3), dtype=np.uint8)
    return Questions(Pairs(pixels, captions, [""] * len(captions)))


def floats(*rows):
    return np.array(rows, dtype=np.float32)


def test_a_caption_is_answered_by_any_picture_that_it_describes():
    questions = asked(("a",), ("b",), ("a", "c"))
    assert questions.texts == ["a", "b", "c"]
    images = np.eye(3, dtype=np.float32)
    texts = floats([0.1, 0.5, 0.9], [0.2, 0.1, 0.3], [0.0, 0.05, 0.2])
    there, back = questions.ranks(images, texts)
    assert there.tolist() == [0, 2, 0]  # a: picture 2 is first; b: after 2 and 0; c: first
    assert back.tolist() == [1, 1, 0]  # picture 0: b before a; 1: a before b; 2: a
    found = recalls(there, back)
    assert found.text_to_image == {1: pytest.approx(2 / 3), 5: 1.0, 10: 1.0}
    assert found.image_to_text[1] == pytest.approx(1 / 3)
    assert found.score == pytest.approx(1 / 2)


def test_a_tie_counts_as_a_miss():
    there, back = asked(("a",), ("b",)).ranks(floats([1, 0], [1, 0]), floats([1, 0], [0, 1]))
    assert there.tolist() == [1, 1]
    assert back.tolist() == [0, 1]


def test_the_hardest_are_found_last():
    questions = asked(("a",), ("b",), ("c",))
    images, texts = np.eye(3, dtype=np.float32), floats([1, 0, 0], [3, 1, 2], [2, 3, 2.5])
    there, _ = questions.ranks(images, texts)
    assert questions.hardest(images, texts, there) == [
        {"text": "b", "row": 1, "rank": 2, "found": 0},
        {"text": "c", "row": 2, "rank": 1, "found": 1},
    ]


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 7), st.integers(1, 500))
def test_blocks_change_nothing(seed, rows, words, block):
    """Against the definition, one query at a time."""
    dice = np.random.default_rng(seed)
    captions = [tuple(f"{word}" for word in set(dice.integers(0, words, 2))) for _ in range(rows)]
    questions = asked(*captions)
    images = dice.integers(-3, 4, (rows, 4)).astype(np.float32)
    texts = dice.integers(-3, 4, (len(questions.texts), 4)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model.training.judging.recall.BLOCK_NUMBERS", block)
        there, back = questions.ranks(images, texts)
    cosines = texts @ images.T
    right = np.array([[text in found for found in captions] for text in questions.texts])
    for ranks, table, good in ((there, cosines, right), (back, cosines.T, right.T)):
        for rank, row, mask in zip(ranks, table, good, strict=True):
            assert rank == sum(row[~mask] >= row[mask].max())
