"""What a run of mutations rests on: whole seeds, and numbers that always give the same image."""

import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from model.images.preprocess import preprocess
from tests.fuzz.layout import layout, mend
from tests.fuzz.mutate import mutated
from tests.fuzz.seeds import seeds

SEEDS = {seed.name: seed for seed in seeds()}


@pytest.mark.parametrize("name", SEEDS)
def test_a_seed_is_a_whole_image_whose_parts_are_known(name):
    data = SEEDS[name].data
    assert preprocess(data, 32).shape == (32, 32, 3)
    assert mend(SEEDS[name].format, data) == data
    parts, fields = layout(SEEDS[name].format, data)
    assert parts
    assert len(fields) > 5


def test_a_number_is_the_same_image_in_every_process():
    """So that a finding can be looked at again."""
    ours = [mutated(7, number).data for number in range(50)]
    code = "from tests.fuzz.mutate import mutated; import zlib; " + (
        "print(zlib.crc32(b''.join(mutated(7, number).data for number in range(50))))"
    )
    theirs = subprocess.check_output([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    assert int(theirs) == zlib.crc32(b"".join(ours))
    assert len(set(ours)) > 45
