"""The engine that the settings ask for."""

import time
from pathlib import Path

from inference.types import Embedding, ImageBytes
from serve.compose import open_engine
from serve.settings import Settings
from tests.images import png


def test_processes_of_the_policy_reference_import_no_torch():
    settings = Settings(
        preprocess="reference", preprocess_processes=1, batch_size=1, text_batch_size=1
    )
    with open_engine(settings) as engine:
        (result,) = engine.embed([ImageBytes(png())], time.monotonic() + 60).results
        assert isinstance(result, Embedding)
        processes = engine.processes()
        loaded = [Path(f"/proc/{pid}/maps").read_text() for pid in processes]
    assert sorted(processes.values()) == ["fork_server", "preprocess"]
    assert not any("libtorch" in one for one in loaded)
