"""The routes of the page, and where they are."""

import pytest

from deploy.errors import ConfigError
from deploy.template import environment
from serve.http.app import create_app
from serve.http.routes.playground.page_files import FOLDER, page_files
from serve.http.service import Service
from serve.settings import Settings, SettingsError, load

ASKED = {"playground": "true"}


@pytest.fixture(scope="module")
def client():
    return create_app(Service(Settings(playground=True))).test_client()


@pytest.mark.parametrize("path", ["/", *(f"/playground/{name}" for name in page_files())])
def test_every_file_comes_with_the_policy(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    policy = dict(
        one.split(" ", 1) for one in answer.headers["Content-Security-Policy"].split("; ")
    )
    sources = {name: policy[name] for name in policy if not name.endswith("trusted-types")}
    assert sources.pop("img-src") == "blob: data:"
    assert set(sources.values()) <= {"'none'", "'self'", "'script'"}
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"


def test_the_files_name_no_other_place(client):
    """Nor do they make markup of text, or hold scripts and styles that the policy would refuse."""
    for name, file in page_files().items():
        text = file.data.decode().replace("http://www.w3.org/2000/svg", "")
        for word in ("http://", "https://", "innerHTML", "insertAdjacentHTML", "eval(", " style="):
            assert word not in text, name


@pytest.mark.parametrize("name", ["../routes.py", "..%2froutes.py", "%2e%2e/routes.py", "", "x.js"])
def test_nothing_else_is_a_file_of_it(client, name):
    answer = client.get(f"/playground/{name}")
    assert answer.status_code == 404
    assert answer.json["error"]["code"] == "bad_request"


def test_facts_while_the_model_loads(client):
    answer = client.get("/playground/facts")
    assert answer.status_code == 503
    assert answer.json["error"]["code"] == "not_ready"
    assert int(answer.headers["Retry-After"]) == 1


def test_there_is_no_page_unless_asked_for():
    client = create_app(Service(Settings())).test_client()
    for path in ("/", "/playground/facts", "/playground/main.js"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SAGEMAKER_BATCH", "true"),
        ("SAGEMAKER_MULTI_MODEL", "true"),
        ("SAGEMAKER_BIND_TO_PORT", "9000"),
        ("SAGEMAKER_SAFE_PORT_RANGE", "23000-23999"),
    ],
)
def test_there_is_none_on_the_platform(variable, value):
    with pytest.raises(SettingsError, match=f"--playground: not with {variable}"):
        load(ASKED, {variable: value})


def test_off_the_platform_there_is_one():
    environ = {"SAGEMAKER_BATCH": "false", "SAGEMAKER_MULTI_MODEL": "", "SAGEMAKER_ROLE": "mine"}
    assert load(ASKED, environ)[0].playground


def test_none_can_be_deployed():
    with pytest.raises(ConfigError, match="SWEETSPOT_PLAYGROUND: never on SageMaker"):
        environment.check({"SWEETSPOT_PLAYGROUND": "true"}, in_batch=False)


def test_each_file_is_small():
    """So that each has one job."""
    assert all(len(path.read_text().splitlines()) < 200 for path in FOLDER.iterdir())
