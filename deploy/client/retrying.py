"""Send a request, and retry while that may help. Retries are bounded in number and time."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import tenacity
from tenacity.stop import stop_base

from serve.asking.transports import Transport
from serve.wire.client_side import (
    Answer,
    EndpointError,
    Item,
    NotReached,
    decode_answer,
    encode_body,
)

log = logging.getLogger(__name__)

# A longer Retry-After of a container is cut to this.
MOST_RETRY_AFTER_S = 30.0
# Of a pause: beyond any most_s, and within the range of a float.
MOST_DOUBLINGS = 60


@dataclass(frozen=True)
class Patience:
    """Limits of retries.

    Attributes:
        requests: most times that one request is sent.
        items: most times that one item is sent, when its failure is retryable.
        total_s: for one request, or one item: no try begins later.
        first_s: the first pause is at most this long, each later one at most twice as long.
        most_s: no pause is longer, unless the container asks for it.
        contact_s: until the endpoint was reached once, no try to connect begins later.
    """

    requests: int = 20
    items: int = 3
    total_s: float = 180.0
    first_s: float = 0.5
    most_s: float = 10.0
    contact_s: float = 5.0


class _NothingAnswers(stop_base):
    """Stops early where nothing ever answered: the address is wrong, rather than the moment."""

    def __init__(self, contact_s: float, reached: threading.Event) -> None:
        self._reached, self._late = reached, tenacity.stop_before_delay(contact_s)

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        return not self._reached.is_set() and self._late(retry_state)


def ask(
    transport: Transport,
    items: Sequence[Item],
    patience: Patience,
    leaving: threading.Event,
    *,
    bulk: bool,
    reached: threading.Event | None = None,
) -> Answer:
    """Send a request until it is answered.

    Args:
        transport: to the endpoint.
        items: of the request.
        patience: limits of retries.
        leaving: set when the caller stops waiting.
        bulk: ask for that lane, else the endpoint decides by size.
        reached: set here once a connection was made; shared by all requests of a client.

    Raises:
        EndpointError: not retryable, or a limit of `patience` is reached.
    """
    reached = reached or threading.Event()
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_may_pass),
        stop=tenacity.stop_after_attempt(patience.requests)
        | tenacity.stop_before_delay(patience.total_s)
        | _NothingAnswers(patience.contact_s, reached)
        | tenacity.stop_when_event_set(leaving),
        wait=partial(_pause_s, patience),
        before_sleep=_Telling(patience, reached),
        sleep=tenacity.sleep_using_event(leaving),
        reraise=True,
    )
    try:
        return retrying(_once, transport, items, bulk, reached)
    except NotReached as exc:
        raise NotReached(f"nothing answers at {transport.name}: {exc.message}") from exc


def pause_s(patience: Patience, tries: int) -> float:
    """Return the pause before the next try. Full jitter keeps clients from retrying together."""
    doublings = min(tries - 1, MOST_DOUBLINGS)
    return random.uniform(0, min(patience.most_s, patience.first_s * 2**doublings))


def _once(
    transport: Transport, items: Sequence[Item], bulk: bool, reached: threading.Event
) -> Answer:
    try:
        said = transport.send(encode_body(items, bulk=bulk))
    except NotReached:
        raise
    except EndpointError:
        reached.set()
        raise
    reached.set()
    return decode_answer(said, items)


def _pause_s(patience: Patience, state: tenacity.RetryCallState) -> float:
    """Return the pause that the container asks for, else the back-off."""
    error = state.outcome and state.outcome.exception()
    if isinstance(error, EndpointError) and error.retry_after_s is not None:
        return min(error.retry_after_s, MOST_RETRY_AFTER_S)
    return pause_s(patience, state.attempt_number)


def _may_pass(exc: BaseException) -> bool:
    return isinstance(exc, EndpointError) and exc.retryable


class _Telling:
    """Says once for each code that a request is sent again, and for how long at most."""

    def __init__(self, patience: Patience, reached: threading.Event) -> None:
        self._patience, self._reached = patience, reached
        self._said: set[str] = set()

    def __call__(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome and state.outcome.exception()
        if not isinstance(error, EndpointError) or error.code in self._said:
            return
        self._said.add(error.code)
        limits = self._patience
        most_s = limits.total_s if self._reached.is_set() else limits.contact_s
        log.warning("retrying for at most %g s: %s", most_s, error)
