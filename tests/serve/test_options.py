"""Flags that are checked as they are read."""

import pytest
from click.testing import CliRunner

from sweetspot import main


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "many"])
@pytest.mark.parametrize(
    "words",
    [
        ("benchmark", "pipeline", "--duration-s"),
        ("benchmark", "endpoint", "--latency-ms"),
        ("benchmark", "encoder", "--max-loss"),
        ("quantize", "-o", "x", "--min-cosine"),
    ],
)
def test_a_number_of_no_size_is_refused(words, value):
    ran = CliRunner().invoke(main, [*words, value])
    assert ran.exit_code == 2
    assert f"Invalid value for '{words[-1]}'" in ran.output
