import pytest

from model.backends.openvino_encoder import OpenVinoEncoder
from model.checkpoints.checkpoint import verify
from model.config import ModelConfig
from tests.checkpoints import make_checkpoint


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory):
    """A random-weight CLIP of two layers: shared, not to be written to."""
    return make_checkpoint(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def small_on_openvino(small_checkpoint):
    """The same in float32, for its graphs, which nobody may change, and its tokenizer."""
    return OpenVinoEncoder(verify(small_checkpoint), ModelConfig(precision="float32"))
