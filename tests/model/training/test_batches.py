from itertools import chain

import numpy as np
import pytest
import torch

from model.checkpoints.checkpoint import verify
from model.checkpoints.tokenizer import Tokenizer
from model.training.learning.batches import Batches, Place, Reader, caption_id, shuffled
from tests.model.training.coloured import coloured


def test_every_epoch_has_every_row_once_in_another_order():
    batches = Batches(shuffled(20, seed=3), size=5)
    first = list(batches)
    batches.epoch = 1
    second = list(batches)
    for epoch, found in enumerate((first, second)):
        assert [len(one) for one in found] == [5] * 4
        assert {place.epoch for one in found for place in one} == {epoch}
        assert sorted(place.row for one in found for place in one) == list(range(20))
    assert [[place.row for place in one] for one in first] != [
        [place.row for place in one] for one in second
    ]


@pytest.mark.parametrize("processes", [2, 3])
def test_the_processes_share_the_batches_of_one(processes):
    order = shuffled(50, seed=1)
    parts = [list(Batches(order, 12, rank, processes)) for rank in range(processes)]
    joined = [[*chain(*one)] for one in zip(*parts, strict=True)]
    assert joined == list(Batches(order, 12))


@pytest.fixture(scope="module")
def tokenizer(shallow):
    return Tokenizer.of_checkpoint(verify(shallow))


def test_what_is_read_depends_on_seed_epoch_and_row_alone(tokenizer):
    reader = Reader(coloured(), tokenizer, seed=1, augment=True)
    places = [Place(2, row) for row in (5, 60, 7)]
    whole, alone = reader(places), reader(places[1:2])
    assert torch.equal(whole["pixels"][1:2], alone["pixels"])
    assert torch.equal(whole["captions"][1:2], alone["captions"])
    other = reader([Place(3, 60)])
    assert not torch.equal(other["pixels"], alone["pixels"])


def test_a_row_shows_each_of_its_captions_in_some_epoch(tokenizer):
    pairs = coloured()
    reader = Reader(pairs, tokenizer, seed=0, augment=False)
    seen = {int(reader([Place(epoch, 9)])["captions"][0]) for epoch in range(20)}
    assert seen == {caption_id(text) for text in pairs.captions[9]}
    assert np.array_equal(reader([Place(0, 9)])["pixels"][0].numpy(), pairs.pixels[9])
