"""The budgets of requests: who is refused, and how soon the refused may come again."""

import pytest

from inference.types import LANES
from serve.errors import HttpError
from serve.http.body import INTERACTIVE_BODY_BYTES, Bodies
from serve.http.retry_times import RETURNS_PER_S
from serve.settings import INTERACTIVE_REQUESTS


def bodies(max_requests=2, max_bodies_bytes=2**20, max_body_bytes=2**20):
    return Bodies(max_requests, max_bodies_bytes, max_body_bytes)


def refused(context):
    with pytest.raises(HttpError) as caught, context:
        pass
    assert caught.value.code == "overloaded"
    return caught.value.retry_after_ms


def test_bulk_requests_leave_places_for_interactive_ones():
    some = bodies()
    bulk = [some.admit_to("bulk") for _ in range(2)]
    queries = [some.admit_to("interactive") for _ in range(INTERACTIVE_REQUESTS)]
    for place in (*bulk, *queries):
        place.__enter__()
    for lane in LANES:
        refused(some.admit_to(lane))
    bulk[0].__exit__(None, None, None)
    with some.admit_to("bulk"):
        refused(some.admit_to("bulk"))


def test_a_body_that_can_only_be_bulk_is_refused_unread_where_it_would_find_no_place():
    some = bodies(max_requests=1)
    with some.admit_to("bulk"), pytest.raises(HttpError) as caught:
        some.receive({}, INTERACTIVE_BODY_BYTES + 1, 1.0)
    assert caught.value.code == "overloaded"


def test_requests_that_the_engine_refuses_do_not_call_others_back():
    """They had a place for a moment; that it is free again says nothing of the engine."""
    some = bodies()
    waits_ms = []
    for _ in range(100):
        with pytest.raises(HttpError) as caught, some.admit_to("bulk"):
            raise some.overloaded("too many items in flight", "bulk")
        waits_ms.append(caught.value.retry_after_ms)
    assert waits_ms[-1] - waits_ms[0] > 1000 * 50 / RETURNS_PER_S


def test_the_lanes_do_not_wait_for_each_other():
    some = bodies()
    for _ in range(100):
        crowded_ms = some.overloaded("", "bulk").retry_after_ms
    assert some.overloaded("", "interactive").retry_after_ms < crowded_ms
