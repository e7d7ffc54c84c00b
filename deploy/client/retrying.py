"""Send a request, and retry while that may help. Retries are bounded in number and time."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import tenacity

from serve.asking.transports import Transport
from serve.wire.client_side import Answer, EndpointError, Item, decode_answer, encode_body

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
    """

    requests: int = 20
    items: int = 3
    total_s: float = 180.0
    first_s: float = 0.5
    most_s: float = 10.0


def ask(
    transport: Transport,
    items: Sequence[Item],
    patience: Patience,
    leaving: threading.Event,
    *,
    bulk: bool,
) -> Answer:
    """Send a request until it is answered. leaving: set when the caller stops waiting.

    Raises:
        EndpointError: not retryable, or a limit of `patience` is reached.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_may_pass),
        stop=tenacity.stop_after_attempt(patience.requests)
        | tenacity.stop_before_delay(patience.total_s)
        | tenacity.stop_when_event_set(leaving),
        wait=partial(_pause_s, patience),
        before_sleep=_tell,
        sleep=tenacity.sleep_using_event(leaving),
        reraise=True,
    )
    return retrying(_once, transport, items, bulk)


def pause_s(patience: Patience, tries: int) -> float:
    """Return the pause before the next try. Full jitter keeps clients from retrying together."""
    doublings = min(tries - 1, MOST_DOUBLINGS)
    return random.uniform(0, min(patience.most_s, patience.first_s * 2**doublings))


def _once(transport: Transport, items: Sequence[Item], bulk: bool) -> Answer:
    return decode_answer(transport.send(encode_body(items, bulk=bulk)), items)


def _pause_s(patience: Patience, state: tenacity.RetryCallState) -> float:
    """Return the pause that the container asks for, else the back-off."""
    error = state.outcome and state.outcome.exception()
    if isinstance(error, EndpointError) and error.retry_after_s is not None:
        return min(error.retry_after_s, MOST_RETRY_AFTER_S)
    return pause_s(patience, state.attempt_number)


def _may_pass(exc: BaseException) -> bool:
    return isinstance(exc, EndpointError) and exc.retryable


def _tell(state: tenacity.RetryCallState) -> None:
    pause = state.next_action.sleep if state.next_action else 0.0
    error = state.outcome and state.outcome.exception()
    log.warning("retrying in %.1f s: %s", pause, error)
