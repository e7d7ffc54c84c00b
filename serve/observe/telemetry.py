"""Log and count requests: one structured line per request, none for a ping."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol, TextIO

from pythonjsonlogger.orjson import OrjsonFormatter

from inference.stats import StageTimes
from inference.types import Failure, Lane, Result
from serve.observe.untraced import Untraced

log = logging.getLogger("sweetspot.request")

FOR_PEOPLE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
FIELDS = ("asctime", "levelname", "name", "message")
# A match ends at a backslash, which escapes a quote or a newline in a line of JSON.
_QUERY = re.compile(r"""\?[^\s"'<>\\=?]*=[^\s"'<>\\]*""")
_USER = re.compile(r"""//[^\s"'<>\\/@]+@""")
NAMES = {"asctime": "time", "levelname": "level", "name": "logger"}


def configure_logging() -> None:
    """Log to standard error, where the platform and `docker logs` look.

    A line is a JSON object with the fields of a request; on a terminal, it is plain text.
    """
    handler = _Redacting(sys.stderr)
    handler.setFormatter(
        logging.Formatter(FOR_PEOPLE)
        if sys.stderr.isatty()
        else OrjsonFormatter(FIELDS, rename_fields=NAMES)
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    # A damaged image is already the item's failure. Python would also keep each of Pillow's
    # warnings for ever to show it only once; they all differ, since they quote numbers of the file.
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"PIL\.")


def redact(line: str) -> str:
    """Remove query strings and user names from URLs: a presigned URL is a credential."""
    return _USER.sub("//[redacted]@", _QUERY.sub("?[redacted]", line))


class _Redacting(logging.StreamHandler[TextIO]):
    """Redacts whole lines, including libraries' exceptions and stack traces."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class Series(Protocol):
    """Counts what happens to requests: for `/metrics`, and for CloudWatch."""

    def results(self, lane: Lane, results: Sequence[Result], failed: Mapping[str, int]) -> None:
        """Count results of a request, all or some. failed: number of failures by code."""

    def answered(self, lane: Lane, total_ms: float) -> None:
        """Count an answered request."""

    def ended(self, lane: Lane | None, status: str) -> None:
        """Count a request without results. status: its code, or `client_left`."""


class Tally:
    """Counts the results of one request."""

    def __init__(
        self, series: Sequence[Series], lane: Lane, trace: Untraced, request_id: str | None
    ) -> None:
        self._series, self._lane, self._trace = series, lane, trace
        self._request_id = request_id
        self._items = 0
        self._failures: Counter[str] = Counter()

    def add(self, results: Sequence[Result]) -> None:
        """Count some results."""
        failed = Counter(one.code for one in results if isinstance(one, Failure))
        for one in self._series:
            one.results(self._lane, results, failed)
        self._items += len(results)
        self._failures += failed

    def end(self, times: StageTimes) -> None:
        """Log and count the request, after all its results."""
        times_ms = times.as_ms()
        for one in self._series:
            one.answered(self._lane, times_ms["total_ms"])
        failures = dict(sorted(self._failures.items()))
        self._trace.answered(self._items, failures)
        words = ", ".join(f"{count} {code}" for code, count in failures.items())
        log.info(
            "200: %d %s items in %.0f ms%s%s",
            self._items, self._lane, times_ms["total_ms"], f"; failed: {words}" if words else "",
            _of(self._request_id),
            extra={
                "status": 200, "lane": self._lane, "items": self._items, "failures": failures,
                **times_ms, **_field(self._request_id),
            },
        )  # fmt: skip


class Telemetry:
    """Logs and counts finished requests, and tells their traces. Never tells a URL or a text.

    request_id: the caller's own, or None.
    """

    def __init__(self, *series: Series) -> None:
        self._series = series

    def tally(self, lane: Lane, trace: Untraced, request_id: str | None) -> Tally:
        """Return a tally of one request's results, which may arrive in parts."""
        return Tally(self._series, lane, trace, request_id)

    def refused(
        self, status: int, code: str, message: str, trace: Untraced, request_id: str | None
    ) -> None:
        """Log and count a request that ended without results."""
        self._end(None, code)
        trace.refused(code)
        log.info(
            "%d: %s: %s%s", status, code, message, _of(request_id),
            extra={"status": int(status), "code": code, **_field(request_id)},
        )  # fmt: skip

    def left(self, lane: Lane, trace: Untraced, request_id: str | None) -> None:
        """Log and count a client that closed its connection before the answer."""
        self._end(lane, "client_left")
        trace.left()
        log.info(
            "the client left%s", _of(request_id),
            extra={"lane": lane, "code": "client_left", **_field(request_id)},
        )  # fmt: skip

    def _end(self, lane: Lane | None, status: str) -> None:
        for one in self._series:
            one.ended(lane, status)


def _field(request_id: str | None) -> dict[str, str]:
    return {} if request_id is None else {"request_id": request_id}


def _of(request_id: str | None) -> str:
    """Say the id in words, for a terminal, which shows no fields."""
    return "" if request_id is None else f"; request {request_id}"
