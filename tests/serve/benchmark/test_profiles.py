"""A profile beside an older one of the same machine and model."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from inference.profile.profile import read
from serve.benchmark.encoder_sizes.profiles import lost_against

PROFILE = Path(__file__).parents[2] / "deploy" / "profile.json"


@pytest.mark.parametrize(
    ("faster", "max_loss", "lost"), [(1.0, 0.1, False), (2.0, 0.1, True), (2.0, 0.6, False)]
)
def test_a_sweet_spot_may_lose_so_much_and_no_more(tmp_path, faster, max_loss, lost):
    document = json.loads(PROFILE.read_text())
    for tower in ("image", "text"):
        for point in document["profiles"][0][tower]["points"]:
            point["p50_ms"] /= faster
    (older := tmp_path / "older.json").write_text(json.dumps(document))
    (now,) = read(PROFILE)
    found = SimpleNamespace(profile=lambda: now)
    with (tmp_path / "shown").open("w") as file:
        assert lost_against(Console(file=file), older, found, max_loss) is lost
