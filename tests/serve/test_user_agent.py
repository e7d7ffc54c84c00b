"""The name under which images are fetched."""

import tomllib
from email import message_from_string
from pathlib import Path

import pytest

from inference.fetching import user_agent
from inference.fetching.fetcher import Fetcher
from serve.compose import fetch_config
from serve.settings import load
from tests.inference.test_fetch import redirecting, soon

PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", "sweetspot/1.2"),
        ("Project-URL: Homepage, https://a.example/s\n", "sweetspot/1.2 (+https://a.example/s)"),
        (
            "Project-URL: Source, https://b.example\nProject-URL: homepage, https://a.example\n",
            "sweetspot/1.2 (+https://a.example)",
        ),
        ("Project-URL: Source, https://b.example\n", "sweetspot/1.2 (+https://b.example)"),
    ],
)
def test_it_names_the_version_and_the_page_of_the_project(lines, expected):
    about = message_from_string(f"Metadata-Version: 2.4\nName: sweetspot\nVersion: 1.2\n{lines}")
    assert user_agent.of(about) == expected


def test_that_of_this_project_is_what_a_header_may_hold():
    assert load({"user_agent": user_agent.own()}, {})[0].user_agent == user_agent.own()
    assert user_agent.own().startswith(f"sweetspot/{PROJECT['version']}")
    assert ("(+https://" in user_agent.own()) == ("urls" in PROJECT)


@pytest.mark.parametrize("given", [None, "thumbs/2.1 (+https://example.com/bot)"])
def test_each_request_carries_it(given):
    """Also the one behind a redirect."""
    heard = []
    settings, _ = load({"user_agent": given, "allow_host": "127.0.0.1"}, {})
    fetcher = Fetcher(fetch_config(settings, io_threads=1))
    with redirecting(b"Location: /a", heard) as url:
        assert fetcher.fetch(url, soon()) == b"ok"
    fetcher.close()
    expected = f"User-Agent: {given or user_agent.own()}".encode()
    assert [request.split(b"\r\n").count(expected) for request in heard] == [1, 1]
