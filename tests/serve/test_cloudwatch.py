"""Metrics for CloudWatch: few numbers with the same percentiles, and lines once a minute."""

import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.types import LANES, Failure, Target
from serve.observe.cloudwatch.counts import Counts
from serve.observe.cloudwatch.distribution import LARGEST, LEAST, MOST, Distribution, spread
from serve.observe.cloudwatch.documents import EngineState, documents
from serve.observe.cloudwatch.log import MetricLog
from serve.observe.cloudwatch.metrics import METRICS, NAMESPACE
from serve.settings import load
from tests import emf

times_ms = st.floats(LEAST, LARGEST)


@given(st.lists(times_ms, min_size=1, max_size=MOST))
def test_up_to_100_values_are_all_there_within_3_percent(values):
    distribution = Distribution()
    distribution.add(values)
    found = distribution.values()
    assert len(found) == len(values)
    for near, value in zip(found, sorted(values), strict=True):
        assert near == pytest.approx(value, rel=0.031)


@given(
    st.dictionaries(st.integers(1, 4096), st.integers(1, 10_000), min_size=1),
    st.floats(0, 1, exclude_max=True),
)
def test_a_percentile_of_the_few_is_one_of_all_within_a_percent(counts, share):
    every = [size for size, count in sorted(counts.items()) for _ in range(count)]
    found = spread(counts)
    assert len(found) == min(len(every), MOST)
    assert found == sorted(found)
    near = found[int(share * len(found))]
    low, high = (share - 1 / MOST) * len(every) - 1, (share + 1 / MOST) * len(every) + 1
    assert every[max(0, math.floor(low))] <= near <= every[min(len(every) - 1, math.ceil(high))]


@given(st.lists(st.floats(0, math.inf), max_size=500))
def test_a_distribution_is_bounded_whatever_comes(values):
    distribution = Distribution()
    distribution.add(values)
    found = distribution.values()
    assert len(found) == min(len(values), MOST)
    assert all(0.9 * LEAST < one < 1.1 * LARGEST for one in found)


def test_a_taken_minute_is_not_counted_again():
    counts = Counts()
    counts.results("bulk", [Failure("fetch_dns", "", False, {"fetch": 0.25})] * 3, {"fetch_dns": 3})
    counts.answered("bulk", 300)
    counts.ended(None, "overloaded")
    taken = counts.take()
    assert (taken.items["bulk"], taken.failures["bulk", "fetch_dns"]) == (3, 3)
    assert taken.times_ms["bulk", "fetch"].values() == pytest.approx([250] * 3, rel=0.03)
    assert (taken.requests["bulk"], taken.errors["overloaded"]) == (1, 1)
    assert [*documents(counts.take(), None, "designs", 1)] == []


@given(st.text(), st.integers(1, 10**6))
def test_documents_are_valid_whatever_a_model_is_called(model, count):
    state = EngineState(1, dict.fromkeys(LANES, 0), {Target(model, "text"): ({8: count}, 1.5)})
    found = list(documents(Counts().take(), state, "designs", 1_800_000_000_000))
    assert [emf.problems(one) for one in found] == [[]] * len(found)
    assert emf.numbers(found, "Slowdown", Tower="text") == [1.5]


def test_an_idle_minute_says_only_that_nothing_waits():
    state = EngineState(0, dict.fromkeys(LANES, 0), {})
    found = list(documents(Counts().take(), state, "designs", 1))
    assert {name for _, name, _ in emf.metrics(found)} == {"ItemsInFlight", "ItemsQueued"}
    assert emf.numbers(found, "ItemsQueued") == [0, 0]


def test_names_are_unique_and_every_metric_is_of_an_endpoint():
    assert len({one.name for one in METRICS}) == len(METRICS)
    assert all(one[0] == "Endpoint" for metric in METRICS for one in metric.dimension_sets)
    assert not NAMESPACE.startswith("AWS/")


def test_lines_come_again_and_again_and_once_more_at_the_end():
    lines = []
    twice = threading.Event()

    def write(text):
        lines.append(text)
        if len(lines) == 2:
            twice.set()

    log = MetricLog(lambda: None, "designs", by_model=True, every_s=0.001, write=write)
    log.counts.ended(None, "not_ready")
    log.start()
    assert twice.wait(10)
    log.counts.ended(None, "not_ready")
    log.close()
    assert emf.numbers(emf.read("".join(lines)), "RequestErrors", Code="not_ready") == [1, 1]


def test_a_minute_that_cannot_be_written_is_logged_and_the_next_one_comes(caplog):
    lines = []
    failed = threading.Event()

    def write(text):
        if not failed.is_set():
            failed.set()
            raise BrokenPipeError
        lines.append(text)

    log = MetricLog(lambda: None, "designs", by_model=True, every_s=0.001, write=write)
    log.start()
    assert failed.wait(10)
    log.counts.ended(None, "internal")
    log.close()
    assert "the metrics of a minute are lost" in caplog.text
    assert emf.numbers(emf.read("".join(lines)), "RequestErrors") == [1]


@pytest.mark.parametrize(
    ("environ", "emits"),
    [
        ({}, False),
        ({"SAGEMAKER_BIND_TO_PORT": "8080"}, True),
        ({"SAGEMAKER_SAFE_PORT_RANGE": "23000-23999"}, True),
        ({"SAGEMAKER_BATCH": "true"}, True),
        ({"SAGEMAKER_BATCH": "false"}, False),
        ({"SAGEMAKER_MULTI_MODEL": "true"}, True),
        ({"SAGEMAKER_BIND_TO_PORT": "8080", "SWEETSPOT_EMF": "off"}, False),
        ({"SWEETSPOT_EMF": "on"}, True),
    ],
)
def test_auto_is_on_where_sagemaker_runs_it(environ, emits):
    assert load(environ=environ)[0].emits_metrics == emits
