"""Flags that are checked as they are read, and what else is checked before anything starts."""

import socket
import sys

import pytest
from click.testing import CliRunner

from serve.settings import fields, flag_name
from sweetspot import main


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "many"])
@pytest.mark.parametrize(
    "words",
    [
        ("benchmark", "pipeline", "--duration-s"),
        ("benchmark", "endpoint", "--latency-ms"),
        ("benchmark", "encoder", "--max-loss"),
        ("quantize", "-o", "x", "--min-cosine"),
        ("bulk", "x.csv", "-o", "x", "--price-per-hour"),
    ],
)
def test_a_number_of_no_size_is_refused(words, value):
    ran = CliRunner().invoke(main, [*words, value])
    assert ran.exit_code == 2
    assert f"Invalid value for '{words[-1]}'" in ran.output


@pytest.mark.parametrize("name", ["encoder", "pipeline", "endpoint"])
@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("--price-per-hour", "0"), "Invalid value for '--price-per-hour'"),
        (("--instance-type", "ml.c7i.xlarge"), "--instance-type needs its price"),
        (("--prices", "{prices}"), "--prices needs --instance-type"),
        (("--prices", "{prices}", "--instance-type", "ml.g6.xlarge"), "has no price of ml.g6"),
        (("--prices", "{prices}", "--price-per-hour", "1"), "not both"),
    ],
)
def test_half_a_price_is_refused_before_anything_is_measured(tmp_path, name, words, refusal):
    prices = tmp_path / "prices.json"
    prices.write_text('{"ml.c7i.xlarge": 0.25}')
    given = [word.format(prices=prices) for word in words]
    ran = CliRunner().invoke(main, ["benchmark", name, *given])
    assert ran.exit_code == 2
    assert refusal in " ".join(ran.output.split())


def test_serve_says_which_package_is_missing_before_it_listens(monkeypatch):
    monkeypatch.setitem(sys.modules, "flask", None)  # as if it were not installed
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = CliRunner().invoke(main, ["serve", "--host", "127.0.0.1", "--port", port])
    assert ran.exit_code == 1
    assert ran.stderr == "Error: this needs flask: pip install 'sweetspot-clip[serve]'\n"


def test_a_table_is_not_wrapped_where_there_is_no_terminal(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)  # pytest-xdist sets it
    lines = CliRunner().invoke(main, ["settings"]).stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [flag_name(one.name) for one in fields()]
