import inspect

import pytest

from inference.config import EngineConfig


@pytest.fixture(scope="module", params=[0, 2], ids=["threads", "processes"])
def both_ways(request):
    """Prepare images in threads, then in processes, where a test does not choose it itself."""
    names = list(inspect.signature(EngineConfig).parameters)
    place = names.index("processes") - len(names)
    usual = EngineConfig.__init__.__defaults__
    chosen = list(usual)
    chosen[place] = request.param
    EngineConfig.__init__.__defaults__ = tuple(chosen)
    yield request.param
    EngineConfig.__init__.__defaults__ = usual
