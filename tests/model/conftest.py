import pytest

from tests.checkpoints import make_checkpoint


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory):
    """A random-weight CLIP of two layers: shared, not to be written to."""
    return make_checkpoint(tmp_path_factory.mktemp("small"))
