import pytest
import torch

from tests.checkpoints import make_checkpoint, make_siglip


@pytest.fixture(scope="session")
def shallow(tmp_path_factory):
    """A random-weight CLIP of one block a tower."""
    return make_checkpoint(tmp_path_factory.mktemp("shallow"), "shallow")


@pytest.fixture(scope="session")
def siglip(tmp_path_factory):
    return make_siglip(tmp_path_factory.mktemp("siglip"))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tiny models are faster so, and sums come in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
