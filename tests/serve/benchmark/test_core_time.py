"""Core time of an image, by an endpoint's metrics."""

from serve.benchmark.endpoint_load.core_time import Spent, core_ms, parse

METRICS = """
# TYPE sweetspot_cpu_seconds counter
sweetspot_cpu_seconds_total{role="service"} 3.5
sweetspot_cpu_seconds_total{role="preprocess"} 0.5
# TYPE sweetspot_batch_size histogram
sweetspot_batch_size_bucket{model="m",tower="image",le="+Inf"} 4
sweetspot_batch_size_count{model="m",tower="image"} 4
sweetspot_batch_size_sum{model="m",tower="image"} 60
sweetspot_batch_size_count{model="m",tower="text"} 4
sweetspot_batch_size_sum{model="m",tower="text"} 9
"""


def test_all_processes_count_and_only_images():
    assert parse(METRICS) == Spent(4.0, 60.0)


def test_another_program_says_nothing():
    assert parse("# TYPE up gauge\nup 1\n") is None


def test_it_is_what_was_spent_between_two_readings():
    assert core_ms(Spent(1.0, 20.0), Spent(4.0, 120.0)) == 30.0
    assert core_ms(Spent(1.0, 20.0), Spent(4.0, 20.0)) is None
