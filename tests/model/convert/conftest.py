import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """Towers this small gain nothing from more, which spin while other tests want the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
