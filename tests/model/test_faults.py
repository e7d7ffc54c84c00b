"""What a library raises over a checkpoint, told from what is wrong with this machine."""

from pathlib import Path

import pytest

from model.checkpoints.faults import checkpoint_faults
from model.errors import CheckpointError, OutOfMemory

WORDS = {
    Exception("a bad vocabulary"): "the tokenizer in /x cannot be loaded: a bad vocabulary",
    OSError(13, "Permission denied"): "cannot be loaded: .*Permission denied",
    ImportError("install sentencepiece"): "needs a package that is missing: install sentencepiece",
    CheckpointError("no end token"): "^no end token$",
}


@pytest.mark.parametrize(("error", "words"), WORDS.items(), ids=repr)
def test_the_checkpoint_is_named(error, words):
    with (
        pytest.raises(CheckpointError, match=words),
        checkpoint_faults("the tokenizer", Path("/x")),
    ):
        raise error


@pytest.mark.parametrize("error", [MemoryError(), OutOfMemory("too large")], ids=repr)
def test_memory_is_not_its_fault(error):
    with pytest.raises(type(error)), checkpoint_faults("the tokenizer", Path("/x")):
        raise error
