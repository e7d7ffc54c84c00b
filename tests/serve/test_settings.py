"""Settings: flag before variable before default, and loud about what is wrong."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.settings import (
    Launched,
    Settings,
    SettingsError,
    fields,
    launched,
    load,
    variable_name,
)


def test_defaults():
    settings, sources = load(environ={})
    assert settings == Settings()
    assert set(sources.values()) == {"default"}
    assert settings.max_body_bytes == 25 * 2**20
    assert settings.deadline_ms == 55_000


def test_a_flag_beats_a_variable_beats_the_default():
    environ = {"SWEETSPOT_BATCH_SIZE": "8", "SWEETSPOT_IO_THREADS": "4"}
    settings, sources = load({"batch_size": "2", "io_threads": None}, environ)
    assert (settings.batch_size, settings.io_threads) == (2, 4)
    assert sources["batch_size"] == "flag"
    assert sources["io_threads"] == "SWEETSPOT_IO_THREADS"
    assert sources["model"] == "default"


def test_a_size_is_auto_or_a_number():
    assert load({"batch_size": "auto"}, {})[0].batch_size == "auto"
    assert load({"batch_size": "7"}, {})[0].batch_size == 7
    assert load({"latency_target_ms": "40"}, {})[0].latency_target_ms == 40


def test_lists_repeat_the_flag_or_take_commas():
    environ = {"SWEETSPOT_ALLOW_BUCKET": "a, b,,c"}
    settings, _ = load({"allow_host": ("x", "y,z")}, environ)
    assert settings.allow_host == ("x", "y", "z")
    assert settings.allow_bucket == ("a", "b", "c")


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ("s3://thumbnails/", "a bucket's name: thumbnails"),
        ("s3://thumbnails/a/b", "a bucket's name: thumbnails"),
        ("s3://", r"a bucket's name, or \*"),
    ],
)
def test_a_bucket_is_given_by_its_name(given, allowed):
    with pytest.raises(SettingsError, match=f"--allow-bucket {given}: must be {allowed}$"):
        load({"allow_bucket": (given,)}, {})


def test_inside_a_batch_transform_job_the_limits_are_wider():
    settings, sources = load(environ={"SAGEMAKER_BATCH": "true", "SWEETSPOT_DEADLINE_MS": "7"})
    assert settings.max_body_bytes == 100 * 2**20
    assert sources["max_body_bytes"] == "SAGEMAKER_BATCH"
    assert settings.deadline_ms == 7
    for word in ("true", "True"):
        assert load(environ={"SAGEMAKER_BATCH": word})[0].deadline_ms == 570_000


def test_the_platforms_port_beats_ours_and_the_flag_beats_both():
    environ = {"SAGEMAKER_BIND_TO_PORT": "9000", "SWEETSPOT_PORT": "9001"}
    assert load(environ=environ)[0].port == 9000
    assert load({"port": "9002"}, environ)[0].port == 9002
    assert load(environ={"SWEETSPOT_PORT": "9001"})[0].port == 9001


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("BATCH_SIZE", "abc", "auto, or a whole number from 1 to 4096"),
        ("BATCH_SIZE", "0", "auto, or a whole number from 1 to 4096"),
        ("BATCH_SIZE", "1.5", "auto, or a whole number from 1 to 4096"),
        ("BATCH_SIZE", "٣", "auto, or a whole number from 1 to 4096"),
        ("BATCH_SIZE", "9" * 5000, "auto, or a whole number from 1 to 4096"),
        ("DEVICE", "tpu", "one of auto, cpu, cuda"),
        ("PREPROCESS", "", "one of display, reference"),
        ("MODEL", "", "not be empty"),
    ],
)
def test_a_malformed_value_stops_with_its_name_its_value_and_what_is_allowed(name, value, allowed):
    with pytest.raises(SettingsError) as caught:
        load(environ={f"SWEETSPOT_{name}": value})
    assert str(caught.value).startswith(f"SWEETSPOT_{name}={value}")
    assert allowed in str(caught.value)


def test_a_malformed_flag_is_named_as_a_flag():
    with pytest.raises(SettingsError, match="--batch-size abc: must be auto, or a whole number"):
        load({"batch_size": "abc"}, {})


@pytest.mark.parametrize(
    "value",
    ["a", "thumbs/2.1 (+https://example.com/bot; bot@example.com)", "~!", "x" * 256],
)
def test_a_user_agent_is_what_a_header_may_hold(value):
    assert load({"user_agent": value}, {})[0].user_agent == value
    assert load(environ={"SWEETSPOT_USER_AGENT": f" {value}\n"})[0].user_agent == value


@pytest.mark.parametrize(
    "value", ["", " ", "a\r\nHost: b", "a\nb", "a\tb", "a\x00", "a\x7f", "é", "a\u00a0b", "x" * 257]
)
def test_another_user_agent_is_refused(value):
    for flags, environ, name in [
        ({"user_agent": value}, {}, "--user-agent "),
        ({}, {"SWEETSPOT_USER_AGENT": value}, "SWEETSPOT_USER_AGENT="),
    ]:
        with pytest.raises(SettingsError, match="visible ASCII") as caught:
            load(flags, environ)
        assert str(caught.value).startswith(name)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("rule", ["*.example.com", "https://example.com", "a/b", "user@host"])
def test_a_host_rule_that_would_never_match_is_refused(rule):
    with pytest.raises(SettingsError, match="must be a host or a .suffix"):
        load(environ={"SWEETSPOT_DENY_HOST": rule})


def test_budgets_that_no_request_fits_are_refused():
    with pytest.raises(SettingsError, match="must be at least --max-body-bytes"):
        load(environ={"SWEETSPOT_MAX_BODIES_BYTES": "1000"})


def test_an_unknown_variable_stops_the_start():
    with pytest.raises(SettingsError, match="SWEETSPOT_BATCHSIZE=8: no such setting"):
        load(environ={"SWEETSPOT_BATCHSIZE": "8"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SWEETSPOT_PORT", "tcp://10.0.0.1:8080"),
        ("SWEETSPOT_SERVICE_HOST", "10.0.0.1"),
        ("SWEETSPOT_SERVICE_PORT", "8080"),
        ("SWEETSPOT_SERVICE_PORT_HTTP", "8080"),
        ("SWEETSPOT_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("SWEETSPOT_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("SWEETSPOT_GPU_SERVICE_HOST", "10.0.0.1"),
        ("SWEETSPOT_GPU_PORT", "tcp://10.0.0.1:8080"),
    ],
)
def test_what_a_cluster_injects_is_ignored_with_a_warning(name, value, caplog):
    with caplog.at_level(logging.WARNING):
        assert load(environ={name: value})[0] == Settings()
    assert name in caplog.text


@given(st.integers(1, 4096), st.sampled_from(["auto", "cpu", "cuda"]), st.integers(1, 65535))
def test_a_value_written_to_the_environment_reads_back(batch_size, device, port):
    wanted = {"batch_size": batch_size, "device": device, "port": port}
    environ = {variable_name(name): str(value) for name, value in wanted.items()}
    settings, _ = load(environ=environ)
    assert {name: getattr(settings, name) for name in wanted} == wanted


def test_every_setting_says_what_it_means():
    assert all(len(one.metadata["help"]) > 10 for one in fields())


def test_torchruns_variables_say_which_process_this_is():
    assert launched({}) == Launched(rank=0, local_rank=0, here=1)
    found = launched({"RANK": "5", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"})
    assert found == Launched(rank=5, local_rank=1, here=4)
    with pytest.raises(SettingsError, match="LOCAL_RANK=one: must be a number"):
        launched({"LOCAL_RANK": "one"})
